"""A tailnet: the machines that tailscaled knows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Final

from pydist.core.addresses import parse_address
from pydist.core.tailnet import checked_allow, machine_named, may_come_in, trouble_of
from pydist.errors import NodeStartError, TailscaleError, Unreachable
from pydist.local_api import SOCKET, LocalApi
from pydist.own_log import log
from pydist.underlay import Member
from pydist.wire.local_api import Tailnet

ANSWER_TIME: Final = 3.0
"""Seconds that tailscaled has for an answer; fewer than it may take to dial a node."""
POLL: Final = 5.0
"""Seconds between two looks at the tailnet."""
RETRY: Final = 1.0
"""Seconds between two looks while it is awaited."""
PROGRESS: Final = 10.0
"""Seconds between two lines in the log while it is awaited."""
FRESH: Final = 1.0
"""Seconds for which a look serves all who ask for a name."""


class TailscaleUnderlay:
    """The machines of a tailnet, asked of tailscaled by its LocalAPI.

    An address is of the underlay if this machine has it, or one that tailscaled knows and that may come in. Who those
    are is asked every 5 seconds; while tailscaled does not answer, what it said last counts. Names are those of
    MagicDNS, short or long, and need no DNS: b@beta, b@beta.tail1234.ts.net.

    Args:
        socket: where tailscaled listens.
        allow: which machines the nodes of this one talk with: tags ("tag:ops") and machines ("beta", or an address).
            Connections of others are closed before a byte is read. None for all machines of the tailnet.
        patience: seconds that a node waits for the tailnet when it starts; `math.inf` for ever.

    Raises:
        NodeStartError: `allow` makes no sense, or `patience` is no such number.
    """

    def __init__(self, socket: str = SOCKET, *, allow: Iterable[str] | None = None, patience: float = 60.0) -> None:
        if not patience >= 0:
            raise NodeStartError(f"patience is a number of seconds from 0 on, not {patience}")
        self._allow = None if allow is None else checked_allow(allow)
        self._patience = patience
        self._api = LocalApi(socket, timeout=ANSWER_TIME)
        self._now: Tailnet | None = None
        self._may_come_in: frozenset[str] = frozenset()
        self._looked = -math.inf
        self._looking = asyncio.Lock()
        self._outcome: str | None = None
        """Of the last look for a name."""
        self._trouble: str | None = None
        """What the log knows."""

    @property
    def spec(self) -> str:
        """Its name."""
        return "tailscale"

    def addresses(self) -> tuple[str, ...]:
        """Those of this machine in the tailnet; none while it is logged out or stopped."""
        return () if self._now is None or trouble_of(self._now) else self._now.addresses

    def contains(self, address: str) -> bool:
        """Whether it is of this machine, or of one that may come in."""
        return str(parse_address(address)) in self._may_come_in

    async def ready(self) -> tuple[str, ...]:
        """Wait until this machine is in the tailnet.

        Raises:
            NodeStartError: it is not within `patience`, or has no network interface for it.
        """
        loop = asyncio.get_running_loop()
        begun, said = loop.time(), -math.inf
        while (trouble := await self._look()) is not None:
            waited = loop.time() - begun
            if waited >= self._patience:
                raise TailscaleError(f"{trouble}: not in the tailnet after {waited:.0f} s")
            if waited - said >= PROGRESS:
                log.warning("underlay_awaited", underlay=self.spec, reason=trouble, waited=round(waited))
                said = waited
            await asyncio.sleep(min(RETRY, self._patience - waited))
        if self._now is not None and not self._now.tun:
            raise NodeStartError(
                "tailscaled has no network interface here (userspace networking), so that nobody can listen at "
                "its addresses: run it with /dev/net/tun"
            )
        return self.addresses()

    async def changed(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Look every 5 seconds until there are others."""
        while self.addresses() == known:
            await asyncio.sleep(POLL)
            self._report(await self._look())
        return self.addresses()

    async def resolve(self, host: str) -> str:
        """The first address of a machine, by its name or address. Raises Unreachable, TailscaleError."""
        async with self._looking:
            if asyncio.get_running_loop().time() >= self._looked + FRESH:
                self._outcome = await self._look()
        if self._now is None or trouble_of(self._now):
            raise Unreachable(f"no way to {host}: {self._outcome}")
        machine = machine_named(self._now, host)
        if machine.expired:
            raise Unreachable(f"no way to {host}: its key has expired, and somebody has to log in there")
        if host in machine.addresses:
            return host
        return machine.addresses[0]

    async def whois(self, address: str) -> Member | None:
        """The machine at an address, and its tags; None for a stranger, and where tailscaled does not answer."""
        try:
            caller = await self._api.whois(address)
        except TailscaleError as error:
            log.warning("tailscaled_failed", reason=str(error))
            return None
        if caller is None:
            return None
        name = caller.machine.label if self._now is None else self._now.short_name(caller.machine)
        return Member(name, frozenset(caller.machine.tags))

    async def _look(self) -> str | None:
        """Ask how things are; what is wrong, if anything is. What tailscaled said last counts while it says nothing."""
        try:
            tailnet = await self._api.status()
        except TailscaleError as error:
            return str(error)
        finally:
            self._looked = asyncio.get_running_loop().time()
        self._now = tailnet
        trouble = trouble_of(tailnet)
        self._may_come_in = frozenset() if trouble else may_come_in(tailnet, self._allow)
        return trouble

    def _report(self, trouble: str | None) -> None:
        """What is wrong goes into the log once, and that it is over."""
        if trouble == self._trouble:
            return
        if trouble is None:
            log.info("tailnet_recovered", underlay=self.spec)
        else:
            health = () if self._now is None else self._now.health
            log.warning("tailnet_trouble", underlay=self.spec, reason=trouble, health=list(health))
        self._trouble = trouble
