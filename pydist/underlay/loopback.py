"""An underlay that never leaves this host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydist.core.addresses import kind_of, parse_address
from pydist.errors import NodeStartError
from pydist.underlay import Member
from pydist.underlay.hosts import Hosts


class LoopbackUnderlay:
    """All nodes are on this host; a test or a single machine.

    Args:
        *addresses: where its nodes listen; 127.0.0.1 by default. On Linux all of 127.0.0.0/8 is there, so that one
            machine can play several hosts.
        hosts: addresses by host names: with `{"alpha": "127.0.0.2"}` a node may be named a@alpha.
        members: who is at which address, for lists of who may do what.

    Raises:
        NodeStartError: an address is not of loopback.
    """

    def __init__(
        self,
        *addresses: str,
        hosts: Mapping[str, str] | None = None,
        members: Mapping[str, Member] | None = None,
    ) -> None:
        for address in (*addresses, *(hosts or {}).values()):
            if not self.contains(address):
                raise NodeStartError(f"{address!r} is no loopback address: they are 127.0.0.1 and its like, and ::1")
        self._addresses = addresses or ("127.0.0.1",)
        self._hosts = Hosts(self.spec, hosts, self.contains)
        self._members = dict(members or {})

    @property
    def spec(self) -> str:
        """Its name."""
        return "loopback"

    def addresses(self) -> tuple[str, ...]:
        """As they were given."""
        return self._addresses

    def contains(self, address: str) -> bool:
        """Whether it is one of loopback."""
        parsed = parse_address(address)
        return parsed is not None and kind_of(parsed) == "loopback"

    async def ready(self) -> tuple[str, ...]:
        """They are always there."""
        return self._addresses

    async def changed(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Nothing changes: returns at once where `known` is wrong, and else never."""
        if known == self._addresses:
            await asyncio.get_running_loop().create_future()
        return self._addresses

    async def resolve(self, host: str) -> str:
        """As `hosts` says, or the system. Raises Unreachable."""
        return await self._hosts.resolve(host)

    async def whois(self, address: str) -> Member | None:
        """As `members` says."""
        return self._members.get(address)
