"""A thread notices a long step while it runs, and ends when nobody wants to hear of any."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import attrs

from pydist.core.long_steps import LOOKS
from pydist.watchdog import LongStep, Watch, Watchdog

LIMIT = 1.0


class Clock:
    """Time that passes while the watchdog waits, as far as the test lets it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ended = False
        self._allowed = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self._waits = False

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """What the watchdog waits by."""
        if self._waits:
            self._done.release()
        self._waits = True
        self._allowed.acquire()
        self.now += seconds
        return self.ended

    def looks(self, count: int) -> None:
        """Let so many looks be taken, and wait for them."""
        for _ in range(count):
            self._allowed.release()
            self._done.acquire()

    def end(self) -> None:
        self.ended = True
        self._allowed.release()


@attrs.define
class Steps:
    """A scheduler, as far as a watchdog looks at it."""

    loop: asyncio.AbstractEventLoop
    current: Any = None
    steps: int = 0

    def begin(self, runner: Any) -> None:
        self.current = runner
        self.steps += 1


class Told:
    """What a watch has told: while the step ran, and when it had ended."""

    def __init__(self, limit: float = LIMIT) -> None:
        self.noticed: list[LongStep] = []
        self.ended: list[LongStep] = []
        self.watch = Watch(limit, self.noticed.append, self.ended.append)


@contextmanager
def watching(steps: Steps, *told: Told) -> Generator[tuple[Watchdog, Clock]]:
    clock = Clock()
    watchdog = Watchdog(steps, clock.read, clock.wait)
    for each in told:
        watchdog.add(each.watch)
    yield watchdog, clock
    clock.end()
    watchdog.close()


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "pydist-watchdog"]


@attrs.define(eq=False)
class Runner:
    coroutine: Any = None

    def registered_name(self) -> str:
        return "runner"


async def test_a_step_is_told_once_while_it_runs_and_again_when_the_loop_is_free() -> None:
    steps, told, runner = Steps(asyncio.get_running_loop()), Told(), Runner()
    with watching(steps, told) as (_, clock):
        steps.begin(runner)
        clock.looks(1 + LOOKS)
        assert [(step.runner, step.name, step.seconds) for step in told.noticed] == [(runner, "runner", LIMIT)]
        clock.looks(2 * LOOKS)
        assert (len(told.noticed), told.ended) == (1, [])
        steps.current = None
        await asyncio.sleep(0)
        assert [(step.runner, step.seconds) for step in told.ended] == [(runner, 3 * LIMIT)]


async def test_steps_below_the_limit_are_not_told_however_many_follow_each_other() -> None:
    steps, told = Steps(asyncio.get_running_loop()), Told()
    with watching(steps, told) as (_, clock):
        for _ in range(10):
            steps.begin(Runner())
            clock.looks(LOOKS)
    await asyncio.sleep(0)
    assert (told.noticed, told.ended) == ([], [])


async def test_each_watch_has_its_own_limit() -> None:
    steps, soon, late = Steps(asyncio.get_running_loop()), Told(1.0), Told(5.0)
    with watching(steps, soon, late) as (_, clock):
        steps.begin(Runner())
        clock.looks(1 + LOOKS)
        assert (len(soon.noticed), len(late.noticed)) == (1, 0)
        clock.looks(4 * LOOKS)
        assert (len(soon.noticed), len(late.noticed)) == (1, 1)


async def test_the_stack_is_that_of_the_coroutine_from_its_outermost_frame() -> None:
    steps, told = Steps(asyncio.get_running_loop()), Told()

    async def outer() -> None:
        await inner()

    async def inner() -> None:
        clock.looks(1 + LOOKS)

    runner = Runner(outer())
    with watching(steps, told) as (_, clock):
        steps.begin(runner)
        await runner.coroutine
    [step] = told.noticed
    functions = [line.split(" in ")[1] for line in step.stack.splitlines() if line.startswith("  File")]
    assert functions[:3] == ["outer", "inner", "looks"]
    assert "clock.looks(1 + LOOKS)" in step.stack


async def test_the_thread_begins_with_the_first_watch_and_ends_with_the_last() -> None:
    steps, one, two = Steps(asyncio.get_running_loop()), Told(), Told()
    watchdog = Watchdog(steps, lambda: 0.0)
    seen = [threads()]
    changes: list[Callable[[], None]] = [
        lambda: watchdog.add(one.watch),
        lambda: watchdog.add(two.watch),
        lambda: watchdog.remove(one.watch),
        lambda: watchdog.remove(two.watch),
        lambda: watchdog.add(one.watch),
        watchdog.close,
    ]
    for change in changes:
        change()
        seen.append(threads())
    one_thread = ["pydist-watchdog"]
    assert seen == [[], one_thread, one_thread, one_thread, [], one_thread, []]


def test_the_thread_ends_when_the_loop_is_closed_and_nobody_has_stopped_it() -> None:
    loop = asyncio.new_event_loop()
    clock = Clock()
    watchdog = Watchdog(Steps(loop), clock.read, clock.wait)
    watchdog.add(Told().watch)
    [thread] = [each for each in threading.enumerate() if each.name == "pydist-watchdog"]
    clock.looks(1)
    loop.close()
    clock._allowed.release()
    thread.join(10)
    assert not thread.is_alive()


async def test_who_is_removed_is_told_no_more() -> None:
    steps, told, other = Steps(asyncio.get_running_loop()), Told(), Told(100.0)
    with watching(steps, told, other) as (watchdog, clock):
        steps.begin(Runner())
        clock.looks(1 + LOOKS)
        watchdog.remove(told.watch)
        await asyncio.sleep(0)
    assert (len(told.noticed), told.ended) == (1, [])
