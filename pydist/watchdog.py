"""A thread that notices a step which takes long, while it runs: the event loop can't, for that step holds it up.

Nothing is paid for a step. The thread looks `LOOKS` times within the shortest limit; each look takes it some
microseconds, and makes the loop's thread hand over Python's global lock once. It sees steps of processes only: what a
callback of the event loop takes shows as lag of the scheduler.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Event, Thread, get_ident
from traceback import StackSummary
from types import FrameType
from typing import Any, Final, Protocol

import attrs

from pydist.core.long_steps import LOOKS, LongSteps

FRAMES: Final = 50
"""How many frames of a stack are shown, those nearest to where it is."""
JOIN_TIME: Final = 1.0
"""Seconds that closing waits for the thread, which may hang in writing to the log."""


class Runner(Protocol):
    """Whose step it is: a process."""

    coroutine: Coroutine[Any, Any, Any] | None

    def registered_name(self) -> str | None:
        """Its name on this node."""
        ...


class Steps(Protocol):
    """What is looked at: the scheduler."""

    loop: asyncio.AbstractEventLoop
    current: Any
    """Who runs, or None."""
    steps: int
    """How many steps have begun."""


@attrs.frozen
class LongStep:
    """A step that takes longer than a limit."""

    runner: Any
    name: str | None
    """That it had when it was found out."""
    seconds: float
    """How long it has run so far, or in all."""
    stack: str
    """Where it was when it was found out, outermost first, as in a traceback."""


@attrs.define(eq=False)
class Watch:
    """What somebody wants to hear of."""

    limit: float
    """Seconds."""
    noticed: Callable[[LongStep], None] | None
    """Called while the step runs, in the thread of the watchdog."""
    ended: Callable[[LongStep], None]
    """Called in the event loop when the step has ended."""
    told: int = 0
    """The number of the step that was told last."""


class Watchdog:
    """See the head of this file. Starts its thread when somebody first wants to hear of something.

    Args:
        steps: whose steps; the watchdog is made and closed in the thread of their loop.
        clock: seconds, from any thread.
        wait: for tests: waits so many seconds, and is true when the watchdog is to end.
    """

    def __init__(self, steps: Steps, clock: Callable[[], float], wait: Callable[[float], bool] | None = None) -> None:
        self._steps = steps
        self._clock = clock
        self._given_wait = wait
        self._stop = Event()
        self._loop_thread = get_ident()
        self._found = LongSteps()
        self._watches: tuple[Watch, ...] = ()
        self._thread: Thread | None = None

    def add(self, watch: Watch) -> None:
        """Tell of long steps from now on."""
        self._watches = (*self._watches, watch)
        if self._thread is None:
            self._stop = Event()
            wait = self._stop.wait if self._given_wait is None else self._given_wait
            # In the context of here, so that its log lines carry what is bound to that.
            run = partial(copy_context().run, self._run, wait)
            self._thread = Thread(target=run, name="pydist-watchdog", daemon=True)
            self._thread.start()

    def remove(self, watch: Watch) -> None:
        """Tell no longer; the thread ends with the last watch."""
        self._watches = tuple(each for each in self._watches if each is not watch)
        if not self._watches:
            self.close()

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._watches = ()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(JOIN_TIME)

    # -- in the thread

    def _run(self, wait: Callable[[float], bool]) -> None:
        while not self._steps.loop.is_closed():
            interval = min((watch.limit for watch in self._watches), default=1.0) / LOOKS
            due = self._clock() + interval
            if wait(interval):
                return
            self._look(due)

    def _look(self, due: float) -> None:
        runner = self._steps.current
        now = self._clock()
        seconds = self._found.look(now, due, runner, self._steps.steps)
        for watch in self._watches:
            if seconds >= watch.limit and watch.told != self._found.number:
                watch.told = self._found.number
                self._tell(watch, self._described(runner, seconds), now - seconds)

    def _tell(self, watch: Watch, step: LongStep, since: float) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            # Behind the step, since the loop is free again only then.
            self._steps.loop.call_soon_threadsafe(self._ended, watch, step, since)
        if watch.noticed is not None:
            watch.noticed(step)

    def _ended(self, watch: Watch, step: LongStep, since: float) -> None:
        if watch in self._watches:
            watch.ended(attrs.evolve(step, seconds=self._clock() - since))

    def _described(self, runner: Runner, seconds: float) -> LongStep:
        frame = sys._current_frames().get(self._loop_thread)
        stack = StackSummary.extract(_frames(frame, runner.coroutine)).format()
        return LongStep(runner, runner.registered_name(), seconds, "".join(stack))


def _frames(frame: FrameType | None, coroutine: Any) -> list[tuple[FrameType, int]]:
    """The frames from that of the coroutine to the innermost."""
    outermost = getattr(coroutine, "cr_frame", None)
    found: list[tuple[FrameType, int]] = []
    while frame is not None:
        if len(found) < FRAMES:
            found.append((frame, frame.f_lineno))
        if frame is outermost:
            break
        frame = frame.f_back
    return found[::-1]
