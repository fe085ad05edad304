"""Many tasks, waited for together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    NORMAL,
    Died,
    Down,
    Exit,
    Returned,
    Task,
    TaskError,
    TaskMisused,
    TaskTimeout,
    is_alive,
    self_pid,
    send,
    trap_exit,
)
from tests.helpers import in_process, links_and_monitors, mailbox, now, passed

CLEAN = (0, 0, 0, 0)


async def after(seconds: float, value: Any = None) -> Any:
    await asyncio.sleep(seconds)
    return value


async def fail(seconds: float, error: BaseException) -> None:
    await asyncio.sleep(seconds)
    raise error


def sleepers(*seconds: float) -> list[Task[Any]]:
    """Tasks that return how long they have slept."""
    return [Task.async_(after, each, each) for each in seconds]


def quiet() -> bool:
    """Nothing is left of any task in the calling process."""
    return mailbox() == [] and links_and_monitors() == CLEAN


@in_process
async def test_all_results_come_in_the_order_of_the_tasks() -> None:
    began = now()

    assert await Task.await_many(sleepers(3, 1, 2)) == [3, 1, 2]
    assert (now() - began, quiet()) == (3, True)


@in_process
async def test_no_tasks_have_no_results() -> None:
    assert (await Task.await_many([]), await Task.yield_many([])) == ([], [])


@in_process
async def test_a_task_that_is_named_twice_counts_twice() -> None:
    [task] = sleepers(1)
    assert await Task.await_many([task, task]) == [1, 1]


@in_process
async def test_messages_of_others_are_left_alone() -> None:
    [other] = sleepers(0)
    strange: list[Any] = [other.ref, (other.ref, "z"), Down(other.ref, self_pid(), "bye")]
    await other.await_()
    for message in strange:
        send(self_pid(), message)

    assert await Task.await_many(sleepers(2, 1)) == [2, 1]
    assert mailbox() == strange


@in_process
async def test_the_time_is_for_all_together() -> None:
    tasks = sleepers(2, 4, 6)

    with pytest.raises(TaskTimeout, match=r"no result of <Task after .*>, <Task after .*> within 3 s") as caught:
        await Task.await_many(tasks, 3)

    assert (caught.value.task, mailbox(), links_and_monitors()) == (tasks[1], [], (2, 0, 0, 0))
    await passed(10)
    assert quiet()


@pytest.mark.parametrize(("error", "reason"), [(Exit(NORMAL), NORMAL), (Exit("unknown"), "unknown")])
def test_the_first_that_ends_without_a_result_ends_the_waiting(error: BaseException, reason: Any) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)
        began = now()
        slow, broken = Task.async_(after, 1000), Task.async_(fail, 1, error)

        with pytest.raises(TaskError) as caught:
            await Task.await_many([slow, broken])

        assert (caught.value.reason, caught.value.task, now() - began) == (reason, broken, 1)
        assert (is_alive(slow.pid), mailbox(), links_and_monitors()) == (True, [], (1, 0, 0, 0))
        await slow.shutdown()
        assert quiet()

    test()


@in_process
async def test_all_tasks_have_to_be_the_callers_and_nothing_is_taken_if_one_is_not() -> None:
    [mine, asked] = sleepers(1, 0)
    await asked.await_()

    with pytest.raises(TaskMisused):
        await Task.await_many([mine, asked])
    assert await mine.await_() == 1


@in_process
async def test_outcomes_are_those_that_came_in_time_and_the_others_can_be_asked_again() -> None:
    tasks = [*sleepers(1, 5), Task.async_(fail, 2, Exit(NORMAL))]

    assert await Task.yield_many(tasks, 3) == [Returned(1), None, Died(NORMAL)]
    assert await Task.yield_many([tasks[1]], None) == [Returned(5)]
    assert quiet()


@in_process
async def test_a_limit_ends_the_waiting_before_the_time_does() -> None:
    tasks = sleepers(3, 1, 2)

    assert await Task.yield_many(tasks, None, limit=1, on_timeout="kill_task") == [None, Returned(1), None]
    assert all(is_alive(tasks[each].pid) for each in (0, 2))
    assert await Task.yield_many([tasks[0], tasks[2]], None, limit=5) == [Returned(3), Returned(2)]
    assert quiet()


@in_process
async def test_those_that_are_late_can_be_killed_or_ignored() -> None:
    first, second = sleepers(1, 9), sleepers(1, 9)

    assert await Task.yield_many(first, 2, on_timeout="kill_task") == [Returned(1), None]
    assert await Task.yield_many(second, 2, on_timeout="ignore") == [Returned(1), None]
    assert (is_alive(first[1].pid), is_alive(second[1].pid), quiet()) == (False, True, True)
    with pytest.raises(TaskMisused):
        await second[1].yield_()
    await passed(9)
    assert quiet()


@in_process
async def test_a_wait_that_is_cancelled_loses_no_outcome() -> None:
    tasks = sleepers(1, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await Task.yield_many(tasks)

    assert await Task.yield_many(tasks) == [Returned(1), Returned(3)]
    assert quiet()


@in_process
async def test_many_results_that_are_given_up_leave_nothing() -> None:
    tasks = sleepers(1, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await Task.await_many(tasks)

    await passed(5)
    assert quiet()


@in_process
async def test_what_makes_no_sense_is_an_error() -> None:
    wrong: Any = "explode"
    with pytest.raises(ValueError, match="limit is at least 1, or None, not 0"):
        await Task.yield_many([], limit=0)
    with pytest.raises(ValueError, match="on_timeout is one of nothing, ignore, kill_task, not 'explode'"):
        await Task.yield_many([], on_timeout=wrong)


@in_process
async def test_a_thousand_tasks_are_awaited_in_any_order_of_their_ends() -> None:
    seconds = [(7 * number) % 1000 for number in range(1000)]

    assert await Task.await_many(sleepers(*seconds), None) == seconds
    assert quiet()
