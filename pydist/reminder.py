"""Says that something goes on still, after 5 seconds and then each time that has doubled."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PATIENCE: Final = 5.0
"""Seconds until it says so for the first time."""


class Reminder:
    """Runs from now on until it is cancelled.

    Args:
        loop: whose clock counts.
        say: gets the seconds that have passed; what it raises is of no account, for it writes to a log.
    """

    __slots__ = ("_handle", "_loop", "_say", "_seconds")

    def __init__(self, loop: AbstractEventLoop, say: Callable[[float], None]) -> None:
        self._loop = loop
        self._say = say
        self._seconds = PATIENCE
        self._handle: TimerHandle = loop.call_later(PATIENCE, self._remind)

    def _remind(self) -> None:
        self._handle = self._loop.call_later(self._seconds, self._remind)
        with suppress(Exception):
            self._say(self._seconds)
        self._seconds *= 2

    def cancel(self) -> None:
        """It goes on no longer."""
        self._handle.cancel()
