"""Ways to carry bytes between nodes: TCP, and memory for tests. Both have the shape of :class:`Network`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)


class Listener(Protocol):
    """An address at which connections are taken, until `close`."""

    @property
    def host(self) -> str:
        """The address that was bound."""
        ...

    @property
    def port(self) -> int:
        """The port that was bound; the one chosen, when 0 was asked for."""
        ...

    def close(self) -> None:
        """Take no more. Connections that are there stay."""
        ...


class Network(Protocol):
    """Opens and takes connections on the running event loop."""

    async def listen(self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        """Take connections at `host`:`port`.

        Raises:
            PortInUse: another program has it.
            NodeStartError: the address can't be bound.
        """
        ...

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:
        """Connect to `host`:`port` within `timeout` seconds; the protocol of the connection.

        Raises:
            Unreachable: nobody listens there, there is no way, or it took too long.
        """
        ...
