from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pydist.timers import Entry, Timers
from tests.virtual_time import VirtualLoop


class Waiter:
    """What a process shows to the timers, and when it was told that its time is over."""

    def __init__(self) -> None:
        self.deadline = inf
        self.timer: Entry | None = None
        self.expired: list[float] = []

    def expire(self) -> None:
        self.deadline = inf
        self.expired.append(asyncio.get_running_loop().time() - 1000.0)


def in_virtual_time(scenario: Callable[[Timers], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await scenario(Timers(asyncio.get_running_loop()))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_a_deadline_passes_when_it_was_to() -> None:
    async def scenario(timers: Timers) -> None:
        waiters = [Waiter() for _ in range(3)]
        for waiter, timeout in zip(waiters, (3.0, 1.0, 2.0), strict=True):
            timers.arm(waiter, timeout)
        await asyncio.sleep(10)
        assert [waiter.expired for waiter in waiters] == [[3.0], [1.0], [2.0]]

    in_virtual_time(scenario)


def test_a_process_has_one_entry_for_a_million_met_deadlines() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        for _ in range(10_000):
            timers.arm(waiter, 5.0)
            waiter.deadline = inf
        assert len(timers._heap) == 1
        await asyncio.sleep(10)
        assert (waiter.expired, timers._heap, waiter.timer) == ([], [], None)

    in_virtual_time(scenario)


def test_a_later_deadline_waits_for_its_own_time_behind_the_entry_of_an_earlier_one() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        timers.arm(waiter, 1.0)
        timers.arm(waiter, 4.0)
        await asyncio.sleep(10)
        assert waiter.expired == [4.0]

    in_virtual_time(scenario)


def test_an_earlier_deadline_does_not_wait_for_a_later_one() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        timers.arm(waiter, 4.0)
        timers.arm(waiter, 1.0)
        await asyncio.sleep(10)
        assert waiter.expired == [1.0]

    in_virtual_time(scenario)


def test_who_has_ended_is_not_woken() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        timers.arm(waiter, 1.0)
        timers.forget(waiter)
        await asyncio.sleep(10)
        assert (waiter.expired, waiter.timer) == ([], None)

    in_virtual_time(scenario)


def test_nothing_expires_after_the_end() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        timers.arm(waiter, 1.0)
        timers.close()
        await asyncio.sleep(10)
        assert waiter.expired == []

    in_virtual_time(scenario)


def test_processes_that_have_ended_do_not_fill_the_heap() -> None:
    async def scenario(timers: Timers) -> None:
        patient = Waiter()
        timers.arm(patient, 7200.0)
        for _ in range(5000):
            waiter = Waiter()
            timers.arm(waiter, 3600.0)
            timers.forget(waiter)
            assert len(timers._heap) <= 202
        await asyncio.sleep(10_000)
        assert (patient.expired, timers._heap) == ([7200.0], [])

    in_virtual_time(scenario)


def test_long_and_short_timeouts_by_turns_do_not_fill_the_heap() -> None:
    async def scenario(timers: Timers) -> None:
        waiter = Waiter()
        for _ in range(1000):
            timers.arm(waiter, 3600.0)
            waiter.deadline = inf
            timers.arm(waiter, 0.001)
            await asyncio.sleep(0.01)
            assert len(timers._heap) <= 202
        assert len(waiter.expired) == 1000

    in_virtual_time(scenario)


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["arm", "met", "ended"]), st.integers(1, 20), st.integers(0, 5)),
    max_size=200,
)


@given(steps)
def test_each_deadline_that_is_not_met_expires_once_and_in_time(history: list[tuple[int, str, int, int]]) -> None:
    async def scenario(timers: Timers) -> None:
        waiters = [Waiter() for _ in range(4)]
        deadlines = [inf] * 4
        expected: list[list[float]] = [[], [], [], []]
        now = 0
        for who, action, timeout, pause in [*history, (0, "met", 1, 100)]:
            if action == "arm":
                timers.arm(waiters[who], timeout - 0.5)  # so that no deadline falls together with an action
                deadlines[who] = now + timeout - 0.5
            elif action == "met":
                waiters[who].deadline = deadlines[who] = inf
            else:
                timers.forget(waiters[who])
                deadlines[who] = inf
            now += pause
            await asyncio.sleep(pause)
            for index, deadline in enumerate(deadlines):
                if deadline <= now:
                    expected[index].append(deadline)
                    deadlines[index] = inf
        assert [waiter.expired for waiter in waiters] == expected

    in_virtual_time(scenario)
