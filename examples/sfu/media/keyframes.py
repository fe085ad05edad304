"""When to ask a publisher for a key frame: however many subscribers ask, at most once in an interval.

A request that comes too early is not dropped but put off: the subscriber that sent it may have come after the key frame
that the last one brought.
"""

from __future__ import annotations

from typing import Final

INTERVAL: Final = 0.5
"""Seconds. A key frame is ten times as large as others: more of them would cost everybody quality."""


class KeyFrameRequests:
    """The requests for one source. `now` is in seconds, on a clock that never goes back."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._free_at: float | None = None
        self._waiting = False

    def request(self, now: float) -> bool:
        """Somebody needs a key frame. True: ask upstream now."""
        if self._free_at is not None and now < self._free_at:
            self._waiting = True
            return False
        self._free_at = now + self._interval
        self._waiting = False
        return True

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` is due."""
        return self._free_at if self._waiting else None

    def handle_timer(self, now: float) -> bool:
        """True: a request that was put off is due."""
        return self._waiting and self.request(now)
