"""Says that something goes on still, after 5 seconds and then each time that has doubled."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 5.0
"""Seconds until it says so for the first time."""


class Reminder:
    """Runs from now on until it is cancelled.

    Args:
        loop: whose clock counts.
        say: gets the seconds that have passed.
    """

    __slots__ = ("_handle", "_loop", "_say", "_seconds")

    def __init__(self, loop: AbstractEventLoop, say: Callable[[float], None]) -> None:
        self._loop = loop
        self._say = say
        self._seconds = PATIENCE
        self._handle: TimerHandle = loop.call_later(PATIENCE, self._remind)

    def _remind(self) -> None:
        passed, self._seconds = self._seconds, 2 * self._seconds
        self._handle = self._loop.call_later(passed, self._remind)
        self._say(passed)

    def cancel(self) -> None:
        """It goes on no longer."""
        self._handle.cancel()
