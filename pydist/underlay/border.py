"""Who may cross from the underlay to a program: closes on all others before a byte of them is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakSet

from pydist.core.addresses import parse_address
from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.own_log import log
from pydist.underlay import Underlay


class Border:
    """The border of one program.

    Args:
        underlay: whose addresses may cross.
        clock: seconds, for the log's allowance.
    """

    def __init__(self, underlay: Underlay, clock: Callable[[], float]) -> None:
        self.underlay = underlay
        self.refused = 0
        """How many connections were closed at once, because they came from outside."""
        self._clock = clock
        self._refusals = LogAllowance()
        self._crossing: WeakSet[asyncio.Transport] = WeakSet()

    def admits(self, address: str) -> bool:
        """Whether who comes from there may talk. Counts and logs who may not."""
        if self.underlay.contains(address):
            return True
        self.refused += 1
        withheld = self._refusals.take(self._clock())
        if withheld is not None:
            fields = {"underlay": self.underlay.spec, "refused": self.refused, **withheld_field(withheld)}
            log.warning("stranger_outside_underlay", peer=address, **fields)
        return False

    def source_for(self, address: str) -> str | None:
        """The own address from which to dial: one that is gone can't be bound, and nothing leaves by another way."""
        there = parse_address(address)
        own = map(parse_address, self.underlay.addresses())
        return next((str(each) for each in own if each and there and each.version == there.version), None)

    def crossing(self, transport: asyncio.Transport) -> None:
        """A connection is there."""
        self._crossing.add(transport)

    def left_with(self, addresses: Sequence[str]) -> None:
        """These are all the own addresses that are left: cut what has another, lest it finds another way out."""
        for transport in list(self._crossing):
            name = transport.get_extra_info("sockname")
            own = None if not name else parse_address(name[0])
            if own is not None and not own.is_loopback and str(own) not in addresses:
                transport.abort()
