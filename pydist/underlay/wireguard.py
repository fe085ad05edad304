"""WireGuard: an interface that encrypts, and lets in its peers alone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from pydist.core.addresses import kind_of, parse_address, within
from pydist.errors import NodeStartError, Unreachable
from pydist.own_log import log
from pydist.underlay import Member
from pydist.underlay.hosts import Hosts
from pydist.underlay.interfaces import Interface, Interfaces, SystemInterfaces
from pydist.underlay.wg_show import Peers, peers_of

POLL: Final = 1.0
"""Seconds between two looks at the interface."""
PROGRESS: Final = 10.0
"""Seconds between two lines in the log while an interface is awaited."""


class WireGuardUnderlay:
    """The network of one WireGuard interface, in the kernel or of wireguard-go.

    An address is of the underlay if it is the interface's own, or if packets to it leave by the interface; a public one
    only if it is in a subnet of the interface too, for a tunnel may be the way to the whole internet. The interface is
    looked at every second: it may come late, change its addresses, go and come back.

    Args:
        interface: its name; None for the first WireGuard interface that there is, by name.
        hosts: addresses by host names, where the system does not know them, or knows another network's. A node's name
            need not be its address: with `{"beta": "10.0.0.2"}` others find b@beta.
        members: who is behind a public key, for lists of who may do what. Without it a member's name is its key.
        patience: seconds that a node waits for the interface when it starts; `math.inf` for ever.
        interfaces, peers: for tests: what is there.
    """

    def __init__(
        self,
        interface: str | None = None,
        *,
        hosts: Mapping[str, str] | None = None,
        members: Mapping[str, Member] | None = None,
        patience: float = 60.0,
        interfaces: Interfaces | None = None,
        peers: Callable[[str], Awaitable[Peers | None]] = peers_of,
    ) -> None:
        if not patience >= 0:
            raise NodeStartError(f"patience is a number of seconds from 0 on, not {patience}")
        self._wanted = interface
        self._hosts = Hosts(self.spec, hosts, self.contains)
        self._members = dict(members or {})
        self._patience = patience
        self._interfaces = SystemInterfaces() if interfaces is None else interfaces
        self._peers = peers
        self._now: Interface | None = None

    @property
    def spec(self) -> str:
        """`wireguard`, or `wireguard:wg0`."""
        return "wireguard" if self._wanted is None else f"wireguard:{self._wanted}"

    def addresses(self) -> tuple[str, ...]:
        """Those of the interface, in its order."""
        return () if self._now is None else tuple(str(each.ip) for each in self._now.addresses)

    def contains(self, address: str) -> bool:
        """Whether it is the interface's own, or behind it."""
        parsed = parse_address(address)
        if parsed is None or self._now is None:
            return False
        if str(parsed) in self.addresses():
            return True
        kind = kind_of(parsed)
        if kind in {"any", "loopback", "link-local"}:
            return False
        if kind == "public" and not within(parsed, [each.network for each in self._now.addresses]):
            return False
        return self._interfaces.source_of(str(parsed)) in self.addresses()

    async def ready(self) -> tuple[str, ...]:
        """Wait for the interface and an address of it.

        Raises:
            NodeStartError: it does not come within `patience`, or an interface of that name is no WireGuard.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        said = -math.inf
        while not self._look(strict=True):
            waited = loop.time() - begun
            if waited >= self._patience:
                raise NodeStartError(
                    f"{self._missing()} after {self._patience:g} s: bring it up, or wait longer with patience="
                )
            if waited - said >= PROGRESS:
                log.warning("underlay_awaited", underlay=self.spec, reason=self._missing(), waited=round(waited))
                said = waited
            await asyncio.sleep(min(POLL, self._patience - waited))
        await self._report_lonely()
        return self.addresses()

    async def changed(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Look every second until there are others."""
        while self._look() == known:  # noqa: ASYNC110  # Linux is asked, and sets no event
            await asyncio.sleep(POLL)
        return self.addresses()

    async def resolve(self, host: str) -> str:
        """As `hosts` says, or the system. Raises Unreachable."""
        if not self._look():
            raise Unreachable(f"no way to {host}: {self._missing()}")
        return await self._hosts.resolve(host)

    async def whois(self, address: str) -> Member | None:
        """The peer that may have the address, where this program may ask WireGuard (it must be root)."""
        parsed = parse_address(address)
        peers = None if self._now is None else await self._peers(self._now.name)
        if parsed is None or peers is None:
            return None
        allowed = [
            (max(net.prefixlen for net in nets if parsed in net), key)
            for key, nets in peers.items()
            if within(parsed, nets)
        ]
        if not allowed:
            return None
        _, key = max(allowed)
        return self._members.get(key, Member(key))

    def _look(self, *, strict: bool = False) -> tuple[str, ...]:
        try:
            there = sorted(self._interfaces.read(), key=lambda each: each.name)
        except OSError as error:  # Linux has not answered in time; it is asked again soon
            log.warning("interfaces_not_read", underlay=self.spec, reason=str(error))
            return self.addresses()
        if self._wanted is None:
            self._now = next((each for each in there if each.is_wireguard), None)
            return self.addresses()
        self._now = next((each for each in there if each.name == self._wanted), None)
        if self._now is not None and not self._now.is_wireguard:
            self._now = None
            if strict:
                raise NodeStartError(f"{self._wanted} is no WireGuard interface: what goes over it is not encrypted")
        return self.addresses()

    def _missing(self) -> str:
        if self._now is not None:
            return f"the interface {self._now.name} has no address"
        return "there is no WireGuard interface" if self._wanted is None else f"there is no interface {self._wanted}"

    async def _report_lonely(self) -> None:
        """Nobody can come, and nobody can be reached."""
        if self._now is not None and await self._peers(self._now.name) == {}:
            log.warning("underlay_without_peers", underlay=self.spec, remedy="add peers with `wg set` or `wg addconf`")
