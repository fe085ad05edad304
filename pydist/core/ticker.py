"""The net tick: a connection on which nothing is heard for `net_ticktime` seconds counts as dead.

Time is cut in `intensity` intervals (60 s / 4 = 15 s). At the end of each: was nothing written, an empty frame is to be
sent; was nothing read in this one and the `intensity - 1` before it, the peer is gone. Whatever arrives counts, not
ticks alone. A peer that stops is noticed between `net_ticktime - interval` and `net_ticktime + interval` later (OTP:
`dist_util.erl`, send_tick; kernel_app, `net_ticktime`). All nodes of a cluster need the same `net_ticktime`.

Before that, a peer of which nothing was heard for `suspect_after` seconds is suspect, until it is heard again. One
that is well may be silent for two intervals: it wrote at the beginning of one, and ticks at the end of the next. So
suspicion takes longer than that.

When the program itself stood still, one timer fires late and counts as one interval: a node that was suspended neither
takes its peers for dead when it wakes, nor suspects them.
"""

from __future__ import annotations

import enum
from math import inf
from typing import Final

NET_TICKTIME: Final = 60.0
INTENSITY: Final = 4
SHORTEST: Final = 0.1
"""The shortest `net_ticktime`, in seconds."""


class Due(enum.Enum):
    """What the end of an interval, or of our patience, asks for."""

    NOTHING = enum.auto()
    TICK = enum.auto()
    """Send an empty frame, unless output waits already."""
    SUSPECT = enum.auto()
    """The peer is silent for longer than it should be. Comes once in a silence."""
    DOWN = enum.auto()
    """The peer is gone."""


class Ticker:
    """Counts silent intervals. Set `heard_at` to the time and `heard` to True when bytes come, `spoke` when they go.

    `suspected` is True from `Due.SUSPECT` on; who has heard the peer again sets it back.
    """

    __slots__ = (
        "_deadline",
        "_intensity",
        "_interval",
        "_patience",
        "_silent",
        "heard",
        "heard_at",
        "spoke",
        "suspected",
    )

    def __init__(
        self,
        now: float,
        *,
        net_ticktime: float = NET_TICKTIME,
        intensity: int = INTENSITY,
        suspect_after: float | None = None,
    ) -> None:
        self._patience = check_ticks(net_ticktime, intensity, suspect_after)
        self._interval = net_ticktime / intensity
        self._intensity = intensity
        self._deadline = now + self._interval
        self._silent = 0
        self.heard = False
        self.heard_at = now
        self.spoke = False
        self.suspected = False

    def next_timer(self) -> float:
        """When `handle_timer` is to be called."""
        return self._deadline if self.suspected else min(self._deadline, self.heard_at + self._patience)

    def handle_timer(self, now: float) -> Due:
        """What is due at `now`, one thing at a time; begins the next interval when this one is over."""
        due_at = self.next_timer()
        if now < due_at:
            return Due.NOTHING
        # While the program stood still, nobody was silent.
        self.heard_at = min(now, self.heard_at + now - due_at)
        if due_at < self._deadline:
            self.suspected = True
            return Due.SUSPECT
        return self._end_interval(now)

    def _end_interval(self, now: float) -> Due:
        self._deadline = now + self._interval
        self._silent = 0 if self.heard else self._silent + 1
        spoke, self.heard, self.spoke = self.spoke, False, False
        if self._silent >= self._intensity:
            return Due.DOWN
        return Due.NOTHING if spoke else Due.TICK


def check_ticks(net_ticktime: float, intensity: int, suspect_after: float | None) -> float:
    """Raise ValueError for settings that make no sense; the seconds after which a silent peer is suspect.

    By default that is half the `net_ticktime`, and at least three intervals.
    """
    if not _is_number(net_ticktime) or not SHORTEST <= net_ticktime < inf:
        raise ValueError(f"net_ticktime is a number of seconds, at least {SHORTEST}, not {net_ticktime!r}")
    if type(intensity) is not int or not 4 <= intensity <= 1000:
        raise ValueError(f"net_tickintensity is a whole number from 4 to 1000, not {intensity!r}")
    interval = net_ticktime / intensity
    if suspect_after is None:
        return max(net_ticktime / 2, 3 * interval)
    if not _is_number(suspect_after) or not 2 * interval < suspect_after < net_ticktime:
        raise ValueError(
            f"suspect_after is a number of seconds below net_ticktime ({net_ticktime:g}) and above {2 * interval:g}, "
            f"for a healthy peer may be silent as long (2 * net_ticktime / net_tickintensity), not {suspect_after!r}"
        )
    return suspect_after


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
