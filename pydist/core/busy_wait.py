"""When it pays to look for input again and again, in place of sleeping until the operating system wakes the program.

To be woken takes some 20 to 50 us, which is most of a round trip between two nodes of one host or rack. So, as the
schedulers of the BEAM do (`erl +sbwt`), a node that was answered quickly looks for the next input at once, for a short
time. Whether it would have been worth it is known without trying: by how soon the next input comes. Quick answers earn
credit, time that was wasted spends it, and a node that hears something now and then never spins at all.
"""

from __future__ import annotations

from typing import Final

BUSY_WAIT: Final = 0.0001
"""Seconds of looking for input after the last one, by default."""
ASLEEP: Final = 5
"""An answer to a node that slept takes this many times as long, and still counts as quick: both had to be woken."""
CREDIT_LIMIT: Final = 30
WASTED: Final = 3
"""What it costs to have looked in vain; a quick answer earns one. So at most one look in three is wasted."""
TURNS: Final = 1000
"""Turns of the loop in which a clock may stand still, as that of a test does."""


class BusyWait:
    """Decides; `seconds` is how long to look for input, 0 for never."""

    __slots__ = ("_credit", "_deadline", "_heard_at", "_seconds", "_turns")

    def __init__(self, seconds: float = BUSY_WAIT) -> None:
        if not 0 <= seconds <= 1:
            raise ValueError(f"busy_wait is a number of seconds from 0 to 1, not {seconds}")
        self._seconds = seconds
        self._credit = 0
        self._heard_at = float("-inf")
        self._deadline = float("-inf")
        self._turns = 0

    def heard(self, now: float) -> bool:
        """Input has come, and was seen to: whether to look for more until `goes_on` says no."""
        if now - self._heard_at <= self._seconds * ASLEEP and self._credit < CREDIT_LIMIT:
            self._credit += 1
        self._heard_at = now
        self._deadline = now + self._seconds
        self._turns = 0
        return self._credit > 0 and self._seconds > 0

    def goes_on(self, now: float) -> bool:
        """Whether to look once more."""
        self._turns += 1
        if now < self._deadline and self._turns < TURNS:
            return True
        self._credit -= WASTED
        return False
