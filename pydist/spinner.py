"""Keeps the event loop from sleeping for a moment after input has come (`core/busy_wait.py` says when)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydist.core.busy_wait import BusyWait


class Spinner:
    """One for all connections of a node."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float], seconds: float) -> None:
        self._call_soon = loop.call_soon
        self._clock = clock
        self._decision = BusyWait(seconds)
        self._spinning = False

    def heard(self) -> None:
        """Input has come, and was seen to."""
        if self._decision.heard(self._clock()) and not self._spinning:
            self._spinning = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        # A loop that has something to call does not sleep: it only looks whether there is input.
        if self._decision.goes_on(self._clock()):
            self._call_soon(self._turn)
        else:
            self._spinning = False
