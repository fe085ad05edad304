"""A process is to be what asyncio takes for a task: the same scenarios run in an `asyncio.Task` and in a process."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from pydist import Exit, receive, send, spawn
from pydist import exit as send_exit
from pydist.messaging import acting, current
from pydist.process import Process
from tests.virtual_time import VirtualLoop, run_process

Scenario = Callable[[], Coroutine[Any, Any, Any]]
Run = Callable[[Scenario], Any]


def run_task(main: Scenario) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


@pytest.fixture(params=[run_task, run_process], ids=["task", "process"])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def later(delay: float, call: Callable[..., object], *args: object) -> None:
    asyncio.get_running_loop().call_later(delay, call, *args)


async def cancelled_by(wait: Scenario) -> tuple[object, ...] | None:
    """The arguments of the `CancelledError` that interrupts `wait`, or None."""
    try:
        await wait()
    except asyncio.CancelledError as error:
        return error.args
    return None


async def nap() -> None:
    await asyncio.sleep(0)


async def sleep() -> None:
    await asyncio.sleep(10)


@pytest.mark.parametrize("wait", [nap, sleep])
def test_a_cancellation_of_oneself_is_raised_at_the_next_await_and_only_there(run: Run, wait: Scenario) -> None:
    async def scenario() -> list[object]:
        before = asyncio.get_running_loop().time()
        asked = me().cancel("why")
        seen = [asked, me().cancelling(), await cancelled_by(wait), asyncio.get_running_loop().time() - before]
        return [*seen, await cancelled_by(wait), me().cancelling()]

    assert run(scenario) == [True, 1, ("why",), 0.0, None, 1]


def test_a_cancellation_without_a_message_has_none(run: Run) -> None:
    async def scenario() -> object:
        me().cancel()
        return await cancelled_by(nap)

    assert run(scenario) == ()


def test_a_cancellation_interrupts_a_wait(run: Run) -> None:
    async def scenario() -> list[object]:
        before = asyncio.get_running_loop().time()
        later(3, me().cancel, "why")
        seen = await cancelled_by(sleep)
        return [seen, asyncio.get_running_loop().time() - before]

    assert run(scenario) == [("why",), 3.0]


def test_cancellations_are_counted_and_taken_back(run: Run) -> None:
    async def scenario() -> list[object]:
        counts: list[object] = [me().cancelling(), me().uncancel()]
        for _ in range(3):
            me().cancel()
        counts.append(me().cancelling())
        counts.append(await cancelled_by(nap))
        counts += [me().uncancel(), me().uncancel(), me().uncancel(), me().uncancel(), me().cancelling()]
        return counts

    assert run(scenario) == [0, 0, 3, (), 2, 1, 0, 0, 0]


def test_a_cancellation_goes_to_what_is_awaited(run: Run) -> None:
    async def scenario() -> list[object]:
        seen: list[object] = []

        async def child() -> str:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError as error:
                seen.append(error.args)
            return "swallowed"

        later(1, me().cancel, "why")
        return [await asyncio.create_task(child()), *seen]

    assert run(scenario) == ["swallowed", ("why",)]


def test_a_second_cancellation_interrupts_the_clean_up_of_the_first(run: Run) -> None:
    async def scenario() -> list[object]:
        later(1, me().cancel, "first")
        later(2, me().cancel, "second")
        return [await cancelled_by(sleep), await cancelled_by(sleep)]

    assert run(scenario) == [("first",), ("second",)]


def test_what_a_future_holds_comes_out_of_the_await(run: Run) -> None:
    async def scenario() -> list[object]:
        loop = asyncio.get_running_loop()
        good, bad, gone = (loop.create_future() for _ in range(3))
        later(1, good.set_result, "value")
        later(2, bad.set_exception, ValueError("error"))
        later(3, gone.cancel)
        seen: list[object] = [await good]
        try:
            await bad
        except ValueError as error:
            seen.append(error.args)
        return [*seen, await cancelled_by(lambda: asyncio.wait_for(gone, None)), me().cancelling()]

    assert run(scenario) == ["value", ("error",), (), 0]


def test_a_shielded_future_survives_a_cancellation(run: Run) -> None:
    async def scenario() -> list[object]:
        inner: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        later(1, me().cancel)
        seen = await cancelled_by(lambda: asyncio.wait_for(asyncio.shield(inner), None))
        inner.set_result("whole")
        return [seen, await inner]

    assert run(scenario) == [(), "whole"]


# What only a process has


def process_that(function: Scenario) -> Process:
    process = acting()[1].process(spawn(function))
    assert process is not None
    return process


async def wait() -> None:
    await receive()


async def returns() -> str:
    return "value"


async def fails() -> None:
    raise ValueError("error")


@pytest.mark.parametrize("kind", [None, str])
def test_a_cancellation_interrupts_a_receive_and_loses_no_message(kind: Any) -> None:
    async def scenario() -> list[object]:
        later(1, me().cancel, "why")

        async def receives() -> None:
            await receive(kind)

        seen = await cancelled_by(receives)
        send(current().pid, "x")
        return [seen, await receive(kind)]

    assert run_process(scenario) == [("why",), "x"]


def test_a_cancellation_that_is_not_caught_is_a_crash() -> None:
    async def scenario() -> object:
        process = process_that(wait)
        await asyncio.sleep(1)
        process.cancel("why")
        await asyncio.sleep(1)
        return [process.cancelled(), process.exit_reason.error, process.exit_reason.message, process.cancel()]

    assert run_process(scenario) == [True, "asyncio.exceptions.CancelledError", "why", False]


def test_a_cancellation_that_is_taken_back_before_the_next_await_is_none() -> None:
    async def scenario() -> list[object]:
        me().cancel()
        me().uncancel()
        seen = await cancelled_by(nap)
        send(current().pid, "x")
        return [seen, await receive()]

    assert run_process(scenario) == [None, "x"]


def test_the_outcome_is_that_of_the_coroutine() -> None:
    async def scenario() -> list[object]:
        good, bad, left = process_that(returns), process_that(fails), process_that(wait)
        with pytest.raises(asyncio.InvalidStateError):
            good.result()
        with pytest.raises(asyncio.InvalidStateError):
            good.exception()
        running = [good.done(), good.cancelled()]
        await asyncio.sleep(1)
        send_exit(left.pid, "boom")
        await asyncio.sleep(1)
        with pytest.raises(ValueError, match="error"):
            bad.result()
        with pytest.raises(Exit):
            left.result()
        outcome = [good.done(), good.result(), good.exception(), repr(bad.exception()), repr(left.exception())]
        return [*running, *outcome, good.cancelled(), bad.cancelled(), left.cancelled()]

    assert run_process(scenario) == [
        *[False, False],
        *[True, "value", None, "ValueError('error')", "Exit('boom')"],
        *[False, False, True],
    ]


def test_done_callbacks_are_called_once_with_the_process_in_their_own_context() -> None:
    where: ContextVar[str] = ContextVar("where", default="outside")

    async def scenario() -> list[object]:
        called: list[object] = []

        def callback(process: Process) -> None:
            called.append((process.done(), where.get()))

        def forgotten(process: Process) -> None:
            called.append("never")

        where.set("scenario")
        mine = copy_context()
        process = process_that(returns)
        process.add_done_callback(forgotten)
        process.add_done_callback(callback)
        process.add_done_callback(callback, context=mine)
        process.add_done_callback(forgotten)
        removed = [process.remove_done_callback(forgotten), process.remove_done_callback(forgotten)]
        await asyncio.sleep(1)
        early = list(called)
        process.add_done_callback(callback)
        at_once = called[len(early) :]
        await asyncio.sleep(1)
        return [removed, early, at_once, called[len(early) :]]

    assert run_process(scenario) == [
        [2, 0],
        [(True, "outside"), (True, "scenario")],
        [],
        [(True, "outside")],
    ]


async def outer() -> None:
    await wait()


def test_a_process_can_be_inspected_as_a_task() -> None:
    async def scenario() -> list[object]:
        process = process_that(outer)
        await asyncio.sleep(1)
        text = io.StringIO()
        process.print_stack(file=text)
        coroutine = process.get_coro()
        return [
            process.get_name(),
            getattr(coroutine, "__name__", None),
            process.get_loop() is asyncio.get_running_loop(),
            [frame.f_code.co_name for frame in process.get_stack()][:2],
            [frame.f_code.co_name for frame in process.get_stack(limit=1)],
            [line.rpartition(" in ")[2] for line in text.getvalue().splitlines()][:2],
        ]

    # `receive` itself is a frame only where it is written in Python.
    assert run_process(scenario) == [
        "outer",
        "outer",
        True,
        ["outer", "wait"],
        ["outer"],
        ["outer", "wait"],
    ]
