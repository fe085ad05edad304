"""The net tick: a connection on which nothing is heard for `net_ticktime` seconds counts as dead.

Time is cut in `intensity` intervals (60 s / 4 = 15 s). At the end of each: was nothing written, an empty frame is to be
sent; was nothing read in this one and the `intensity - 1` before it, the peer is gone. Whatever arrives counts, not
ticks alone. A peer that stops is noticed between `net_ticktime - interval` and `net_ticktime + interval` later (OTP:
`dist_util.erl`, send_tick; kernel_app, `net_ticktime`). All nodes of a cluster need the same `net_ticktime`.

When the program itself stood still, one timer fires late and counts as one interval: a node that was suspended does
not take its peers for dead when it wakes.
"""

from __future__ import annotations

import enum
from typing import Final

NET_TICKTIME: Final = 60.0
INTENSITY: Final = 4


class Due(enum.Enum):
    """What the end of an interval asks for."""

    NOTHING = enum.auto()
    TICK = enum.auto()
    """Send an empty frame, unless output waits already."""
    DOWN = enum.auto()
    """The peer is gone."""


class Ticker:
    """Counts silent intervals. Set `heard` and `spoke` to True whenever bytes came or went."""

    __slots__ = ("_deadline", "_intensity", "_interval", "_silent", "heard", "spoke")

    def __init__(self, now: float, *, net_ticktime: float = NET_TICKTIME, intensity: int = INTENSITY) -> None:
        if not 4 <= intensity <= 1000:
            raise ValueError(f"the tick intensity is from 4 to 1000, not {intensity}")
        if not net_ticktime > 0:
            raise ValueError(f"net_ticktime is a number of seconds above 0, not {net_ticktime}")
        self._interval = net_ticktime / intensity
        self._intensity = intensity
        self._deadline = now + self._interval
        self._silent = 0
        self.heard = False
        self.spoke = False

    def next_timer(self) -> float:
        """When the interval ends."""
        return self._deadline

    def handle_timer(self, now: float) -> Due:
        """What is due at `now`; begins the next interval when this one is over."""
        if now < self._deadline:
            return Due.NOTHING
        self._deadline = now + self._interval
        self._silent = 0 if self.heard else self._silent + 1
        spoke, self.heard, self.spoke = self.spoke, False, False
        if self._silent >= self._intensity:
            return Due.DOWN
        return Due.NOTHING if spoke else Due.TICK
