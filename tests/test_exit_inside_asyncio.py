"""Exit signals reach a process while it waits for asyncio or a library on it; on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from pydist import KILL, KILLED, Crash, Exit, receive, self_pid, spawn
from pydist import exit as send_exit

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def give(value: Any) -> Any:
    await asyncio.sleep(0.001)
    return value


async def in_timeout() -> None:
    async with asyncio.timeout(100):
        await forever()


async def in_timeout_around_a_receive() -> None:
    async with asyncio.timeout(100):
        await receive()


async def in_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever())
        group.create_task(in_timeout())


async def in_gather() -> None:
    await asyncio.gather(forever(), forever())


async def in_wait_for() -> None:
    await asyncio.wait_for(forever(), 100)


async def in_anyio_group() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(forever)


async def in_anyio_scope() -> None:
    with anyio.move_on_after(100):
        await receive()


WAITS: list[Callable[[], Awaitable[None]]] = [
    in_timeout,
    in_timeout_around_a_receive,
    in_task_group,
    in_gather,
    in_wait_for,
    in_anyio_group,
    in_anyio_scope,
]


@pytest.mark.parametrize("wait", WAITS)
def test_an_exit_signal_ends_whatever_waits_and_its_children_and_clean_up_may_use_asyncio(
    run_on_each_loop: Run, wait: Callable[[], Awaitable[None]]
) -> None:
    seen: list[object] = []

    async def waits() -> None:
        try:
            await wait()
        except BaseException as error:
            seen.append(repr(error))
            raise
        finally:
            async with asyncio.timeout(10):
                seen.append(await asyncio.gather(give(1), give(2)))

    async def main() -> object:
        pid, ref = spawn(waits, monitor=True)
        await asyncio.sleep(0.01)
        send_exit(pid, "boom")
        return (await receive(ref)).reason

    assert (run_on_each_loop(main), seen) == ("boom", ["Exit('boom')", [1, 2]])


def test_an_exit_signal_is_not_taken_for_the_timeout_that_passes_at_the_same_time(run_on_each_loop: Run) -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            async with asyncio.timeout(None) as scope:
                spawn(exits, self_pid())
                scope.reschedule(0)  # has passed long ago: it fires before or behind the signal
                await forever()
        except TimeoutError:
            seen.append("timeout")
            await forever()
        finally:
            seen.append("cleans")
            await asyncio.sleep(0.001)
            seen.append("cleaned")

    async def exits(pid: Any) -> None:
        send_exit(pid, "boom")

    async def main() -> object:
        _, ref = spawn(waits, monitor=True)
        return (await receive(ref)).reason

    assert run_on_each_loop(main) == "boom"
    assert seen[-2:] == ["cleans", "cleaned"]


# A task of the process's own, as wait_for makes one before Python 3.12, would go on: the known limit of a kill.
@pytest.mark.parametrize("wait", [in_timeout, in_timeout_around_a_receive, in_gather, in_anyio_scope])
def test_kill_ends_whatever_waits(run_on_each_loop: Run, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> object:
        pid, ref = spawn(wait, monitor=True)
        await asyncio.sleep(0.01)
        send_exit(pid, KILL)
        return (await receive(ref)).reason

    assert run_on_each_loop(main) is KILLED


def end_of(run_on_each_loop: Run, function: Callable[[], Coroutine[Any, Any, None]], *signals: object) -> object:
    async def main() -> object:
        pid, ref = spawn(function, monitor=True)
        await asyncio.sleep(0.01)
        for reason in signals:
            send_exit(pid, reason)
        return (await receive(ref)).reason

    return run_on_each_loop(main)


def test_an_exit_raised_in_the_body_of_a_task_group_ends_the_process_with_its_reason(run_on_each_loop: Run) -> None:
    async def leaves() -> None:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
            outer.create_task(forever())
            inner.create_task(forever())
            raise Exit("leaving")

    assert end_of(run_on_each_loop, leaves) == "leaving"


def test_an_exit_signal_in_the_body_of_a_task_group_ends_the_process_with_its_reason(run_on_each_loop: Run) -> None:
    async def waits() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever())
            await receive()

    assert end_of(run_on_each_loop, waits, "boom") == "boom"


def test_an_error_in_a_task_group_that_is_left_by_an_exit_is_not_hidden_by_it(run_on_each_loop: Run) -> None:
    async def fails_late() -> None:
        try:
            await forever()
        finally:
            raise ValueError("in the clean-up of a child")

    async def leaves() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails_late())
            await asyncio.sleep(0)
            raise Exit("leaving")

    reason = end_of(run_on_each_loop, leaves)
    assert isinstance(reason, Crash)
    assert "in the clean-up of a child" in reason.traceback
