"""A network that is an underlay and nothing else: where a node with an underlay listens, and whom it dials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from pydist.core.addresses import parse_address
from pydist.errors import NodeStartError, PortInUse, Unreachable
from pydist.own_log import log
from pydist.transport import Listener, Network, P
from pydist.underlay import Underlay
from pydist.underlay.border import Border

TRIES: Final = 5
"""A free port of one address may be taken at another."""
RETRY: Final = 2.0
"""Seconds until another try to listen at addresses that can't be bound yet."""

Factory = Callable[[], asyncio.Protocol]


class UnderlayNetwork:
    """What is asked of it is done by `network`, at the underlay's addresses alone."""

    def __init__(self, network: Network, border: Border) -> None:
        self._network = network
        self._border = border
        self._underlay: Underlay = border.underlay

    async def listen(self, protocol_factory: Factory, host: str, port: int) -> Listener:
        """Take connections at all own addresses of the underlay, at one port, whatever the system says of `host`.

        Raises:
            PortInUse: another program has the port.
            NodeStartError: there are no addresses, or `host` is an address and none of them.
        """
        addresses = await self._underlay.ready()
        await self._check_own(host, addresses)
        listener = UnderlayListener(self._network, self._border, protocol_factory)
        await listener.open(addresses, port)
        return listener

    async def _check_own(self, host: str, addresses: tuple[str, ...]) -> None:
        """A name is anything; an address in its place has to be right, for others would dial it."""
        parsed = parse_address(host)
        if parsed is None or str(parsed) in addresses:
            return
        try:
            meant = await self._underlay.resolve(host)
        except Unreachable:
            meant = ""
        if meant not in addresses:
            raise NodeStartError(
                f"a node at {host} can't be found by others, for this host has {', '.join(addresses)} in the underlay "
                f"{self._underlay.spec}: name the node after that, or after a host name"
            )

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:
        """Connect to the address of `host` in the underlay; see :class:`pydist.transport.Network`."""
        address = await within_time(self._underlay, host, timeout)
        return await self._network.dial(protocol_factory, address, port, timeout)


async def within_time(underlay: Underlay, host: str, timeout: float) -> str:
    """The address of `host`. Raises Unreachable, also after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await underlay.resolve(host)
    except TimeoutError:
        raise Unreachable(f"the address of {host} was not found within {timeout:g} s") from None


class UnderlayListener:
    """Listens where the underlay's addresses are, and follows them."""

    def __init__(self, network: Network, border: Border, protocol_factory: Factory) -> None:
        self.host = ""
        self.port = 0
        self._network = network
        self._border = border
        self._underlay = border.underlay
        self._factory = protocol_factory
        self._listeners: dict[str, Listener] = {}
        self._follower: asyncio.Task[None] | None = None

    async def open(self, addresses: tuple[str, ...], port: int) -> None:
        """Begin. Raises PortInUse, NodeStartError."""
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                await self._listen_at(addresses, port)
                break
            except PortInUse:
                if port or last:
                    raise
        self.host = addresses[0]
        self._follower = asyncio.create_task(self._follow(addresses))

    def close(self) -> None:
        """Take no more, and follow no longer."""
        if self._follower is not None:
            self._follower.cancel()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _listen_at(self, addresses: tuple[str, ...], port: int) -> None:
        with ExitStack() as undo:
            opened: dict[str, Listener] = {}
            for address in addresses:
                listener = opened[address] = await self._network.listen(self._factory, address, port)
                undo.callback(listener.close)
                port = listener.port
            undo.pop_all()
        self.port = port
        self._listeners.update(opened)

    async def _follow(self, known: tuple[str, ...]) -> None:
        while True:
            now = await self._underlay.changed(known)
            log.warning("underlay_changed", underlay=self._underlay.spec, before=list(known), now=list(now))
            self._leave(now)
            known = now
            while not await self._settled(now):
                await asyncio.sleep(RETRY)
                now = known = self._underlay.addresses()
                self._leave(now)

    def _leave(self, now: tuple[str, ...]) -> None:
        for address in [each for each in self._listeners if each not in now]:
            self._listeners.pop(address).close()
        self._border.left_with(now)

    async def _settled(self, now: tuple[str, ...]) -> bool:
        """Listen where that is new, at the port that others know."""
        new = tuple(each for each in now if each not in self._listeners)
        try:
            await self._listen_at(new, self.port)
        except NodeStartError as error:
            log.error("underlay_not_listened_at", addresses=list(new), reason=str(error), retry_delay=RETRY)
            return False
        return True
