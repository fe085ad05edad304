"""A function over many inputs: order, concurrency, timeouts, and how a stream ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing
from math import inf
from threading import Thread
from typing import Any
from weakref import ref

import pytest

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    Atom,
    Died,
    Down,
    Exit,
    Outcome,
    Pid,
    Returned,
    Task,
    TaskMisused,
    TaskStream,
    TaskTimeout,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
)
from pydist.messaging import current
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, now, passed, plain

CLEAN = (0, 0, 0, 0)
TIMEOUT = Atom("timeout")


async def sleep(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def leave(reason: Any) -> None:
    raise Exit(reason)


async def all_of(stream: TaskStream[Any]) -> list[Outcome[Any]]:
    return [outcome async for outcome in stream]


def returned(*values: Any) -> list[Returned[Any]]:
    return [Returned(value) for value in values]


def died(*reasons: Any) -> list[Died]:
    return [Died(reason) for reason in reasons]


def quiet() -> bool:
    """Nothing is left of any task: no message, no link, no process."""
    return mailbox() == [] and links_and_monitors() == CLEAN and others() == 0


def others() -> int:
    """How many processes there are besides the test's own."""
    me: Any = current()
    return len(me.home.table) - 1


class Watched:
    """A function that tells how many of it run at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def sleep(self, seconds: float) -> float:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await sleep(seconds)
        finally:
            self.now -= 1


@pytest.mark.parametrize("limit", [1, 2, 4, 8])
@pytest.mark.parametrize("inputs", [[], [1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 0], [2, 1, 2, 1, 2, 1, 2]])
def test_outcomes_come_in_the_order_of_the_inputs_and_no_more_tasks_run_than_is_said(
    limit: int, inputs: list[float]
) -> None:
    @in_process
    async def test() -> None:
        watched = Watched()

        assert await all_of(Task.async_stream(watched.sleep, inputs, max_concurrency=limit)) == returned(*inputs)
        assert (watched.most, quiet()) == (min(limit, len(inputs)), True)

    test()


@in_process
async def test_without_order_they_come_as_they_end() -> None:
    stream = Task.async_stream(sleep, [4, 3, 2, 1], ordered=False, max_concurrency=4)
    assert await all_of(stream) == returned(1, 2, 3, 4)

    one_by_one = Task.async_stream(sleep, [4, 3, 2, 1], ordered=False, max_concurrency=1)
    assert await all_of(one_by_one) == returned(4, 3, 2, 1)
    assert quiet()


@in_process
async def test_a_slow_task_holds_up_outcomes_but_not_the_work() -> None:
    began = now()
    stream = Task.async_stream(sleep, [4, 1, 1, 1, 1], max_concurrency=2)

    assert await anext(stream) == Returned(4)
    assert (now() - began, await all_of(stream), now() - began) == (4, returned(1, 1, 1, 1), 4)


@in_process
async def test_inputs_are_taken_as_there_is_room_and_none_before_the_first_is_asked_for() -> None:
    taken: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    stream = Task.async_stream(sleep, inputs(), max_concurrency=3)
    await passed(1)
    assert taken == []
    await anext(stream)
    assert taken == [0, 1, 2]
    await passed(100)
    assert taken == [0, 1, 2]
    await anext(stream)
    assert taken == [0, 1, 2, 3]


@in_process
async def test_what_the_inputs_raise_ends_the_stream_and_its_tasks() -> None:
    def inputs() -> Iterator[int]:
        yield 100
        raise LookupError("no more")

    stream = Task.async_stream(sleep, inputs())
    with pytest.raises(LookupError, match="no more"):
        await anext(stream)

    assert (await all_of(stream), quiet()) == ([], True)


# -- tasks that fail


@in_process
async def test_the_crash_of_a_task_ends_its_consumer_and_all_others() -> None:
    running: list[Pid] = []

    async def work(number: int) -> None:
        running.append(self_pid())
        if number == 3:
            await asyncio.sleep(1)
            raise ValueError("oh")
        await asyncio.sleep(100)

    async def consumer() -> None:
        await all_of(Task.async_stream(work, [1, 2, 3, 4]))

    assert plain(await ended(spawn(consumer))) == ("ValueError", "oh")
    await passed(1)
    assert (len(running), quiet()) == (4, True)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("limit", [2, 4, 8])
def test_a_consumer_that_traps_exits_gets_the_reasons_as_outcomes(limit: int, ordered: bool) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)

        stream = Task.async_stream(leave, [1, 2, 3, 4], max_concurrency=limit, ordered=ordered)

        assert (await all_of(stream), quiet()) == (died(1, 2, 3, 4), True)

    test()


@in_process
async def test_an_end_with_normal_and_without_a_result_is_an_outcome_for_everybody() -> None:
    assert await all_of(Task.async_stream(leave, [NORMAL, NORMAL])) == died(NORMAL, NORMAL)


@in_process
async def test_the_input_can_be_given_with_the_reason() -> None:
    trap_exit(True)
    stream = Task.async_stream(leave, [1, 2, 3, 4, 5, 6], zip_input_on_exit=True, max_concurrency=2)

    assert [await anext(stream) for _ in range(3)] == died((1, 1), (2, 2), (3, 3))
    await stream.aclose()
    assert quiet()


# -- timeouts


@in_process
async def test_a_task_that_takes_too_long_is_killed_and_ends_the_stream() -> None:
    began = now()
    stream = Task.async_stream(sleep, [1, 100, 2], timeout=5)

    with pytest.raises(TaskTimeout, match="was killed, since it took longer than 5 s for 100"):
        await all_of(stream)

    assert (now() - began, await all_of(stream), quiet()) == (5, [], True)


@pytest.mark.parametrize(("ordered", "numbers"), [(True, [None, 1, None, 1]), (False, [1, 1, None, None])])
def test_a_task_that_takes_too_long_can_be_an_outcome(ordered: bool, numbers: list[float | None]) -> None:
    @in_process
    async def test() -> None:
        stream = Task.async_stream(
            sleep, [100, 1, 100, 1], timeout=5, on_timeout="kill_task", ordered=ordered, max_concurrency=4
        )
        expected = [Died(TIMEOUT) if number is None else Returned(number) for number in numbers]

        assert (await all_of(stream), quiet()) == (expected, True)

    test()


@in_process
async def test_an_input_that_took_too_long_can_be_given_with_the_reason() -> None:
    stream = Task.async_stream(sleep, [1, 100], timeout=5, on_timeout="kill_task", zip_input_on_exit=True)
    assert await all_of(stream) == [Returned(1), Died((100, TIMEOUT))]


@in_process
async def test_the_time_is_each_tasks_own() -> None:
    stream = Task.async_stream(sleep, [4, 4, 4, 4], timeout=5, max_concurrency=1)
    assert await all_of(stream) == returned(4, 4, 4, 4)


@in_process
async def test_a_task_is_killed_on_time_whatever_its_consumer_does() -> None:
    ends: list[float] = []

    async def work(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            ends.append(now())

    stream = Task.async_stream(work, [1, 100], timeout=5, on_timeout="kill_task")
    began = now()
    assert await anext(stream) == Returned(None)
    await passed(1000)

    assert ([when - began for when in ends], await anext(stream)) == ([1, 5], Died(TIMEOUT))


@in_process
async def test_without_a_timeout_a_task_takes_as_long_as_it_takes() -> None:
    for timeout in (None, inf):
        assert await all_of(Task.async_stream(sleep, [100_000], timeout=timeout)) == returned(100_000)


@in_process
async def test_a_timeout_of_zero_is_over_at_once() -> None:
    with pytest.raises(TaskTimeout):
        await all_of(Task.async_stream(sleep, [1000], timeout=0))
    assert quiet()


# -- leaving early


async def first_by_break(stream: TaskStream[float]) -> None:
    async for outcome in stream:
        assert outcome == Returned(0)
        break


async def first_by_return(stream: TaskStream[float]) -> Outcome[float] | None:
    async for outcome in stream:
        return outcome
    return None


async def first_by_error(stream: TaskStream[float]) -> None:
    async for _ in stream:
        raise LookupError


@pytest.mark.parametrize("limit", [2, 4, 8])
@pytest.mark.parametrize("leaves", [first_by_break, first_by_return])
def test_a_stream_that_is_left_stops_its_tasks_at_once(leaves: Any, limit: int) -> None:
    @in_process
    async def test() -> None:
        await leaves(Task.async_stream(sleep, [0, 1000, 1000, 1000], max_concurrency=limit))
        assert quiet()

    test()


@in_process
async def test_so_does_an_error_in_the_loop() -> None:
    with pytest.raises(LookupError):
        await first_by_error(Task.async_stream(sleep, [0, 1000, 1000]))
    assert quiet()


@in_process
async def test_what_has_come_and_was_not_asked_for_goes_with_the_stream() -> None:
    trap_exit(True)

    async def some(number: int) -> int:
        await asyncio.sleep(number)
        if number == 2:
            raise Exit("oops")
        return number

    async for _ in Task.async_stream(some, [0, 1, 2, 1000], timeout=None):
        await passed(5)
        assert len(mailbox()) == 3
        break

    assert quiet()


@in_process
async def test_messages_of_others_are_left_alone() -> None:
    strange: list[Any] = ["hello", Down(monitor(self_pid()), self_pid(), NORMAL)]
    for message in strange:
        send(self_pid(), message)

    assert await all_of(Task.async_stream(sleep, [2, 1])) == returned(2, 1)
    assert mailbox() == strange


@in_process
async def test_a_stream_can_be_closed_by_hand() -> None:
    async with aclosing(Task.async_stream(sleep, [2, 1, 1000, 1000])) as stream:
        assert await anext(stream) == Returned(2)
        assert others() == 2

    assert (await all_of(stream), quiet()) == ([], True)


@in_process
async def test_a_stream_that_the_garbage_collector_finds_stops_its_tasks_in_the_next_turn() -> None:
    def forget(stream: TaskStream[float]) -> None:
        ring: list[Any] = [stream]
        ring.append(ring)

    stream = Task.async_stream(sleep, [0, 1000, 1000])
    await anext(stream)
    gc.disable()
    forget(stream)
    del stream
    assert others() == 2

    collector = Thread(target=gc.collect)
    collector.start()
    collector.join()
    gc.enable()
    await asyncio.sleep(0)

    assert quiet()


@in_process
async def test_a_consumer_that_is_told_to_exit_stops_its_tasks_before_it_cleans_up() -> None:
    async def consumer() -> None:
        stream = Task.async_stream(sleep, [1000, 1000])
        try:
            await anext(stream)
        finally:
            await asyncio.sleep(5)

    pid = spawn(consumer)
    await passed(1)
    assert others() == 3
    exit(pid, "enough")
    await passed(1)
    assert others() == 1


@in_process
async def test_inputs_are_let_go_with_their_tasks() -> None:
    class Input:
        pass

    async def work(_: Input) -> None:
        return

    kept: list[ref[Input]] = []

    def inputs() -> Iterator[Input]:
        made = Input()
        kept.append(ref(made))
        yield made

    assert await all_of(Task.async_stream(work, inputs(), timeout=1000)) == returned(None)
    gc.collect()
    assert [each() for each in kept] == [None]


@in_process
async def test_a_consumer_that_is_interrupted_can_go_on() -> None:
    stream = Task.async_stream(sleep, [3, 1])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await anext(stream)

    assert (await all_of(stream), quiet()) == (returned(3, 1), True)


@pytest.mark.parametrize("reason", [NORMAL, "enough", KILL])
def test_the_end_of_the_consumer_is_the_end_of_all_tasks(reason: Any) -> None:
    async def consumer(told: Pid) -> None:
        async for _ in Task.async_stream(sleep, [0, 1000, 1000]):
            send(told, "running")
            message = await receive()
            if message == "return":
                return

    @in_process
    async def test() -> None:
        pid = spawn(consumer, self_pid())
        await receive(str)
        assert others() == 3
        if reason is NORMAL:
            send(pid, "return")
            await ended(pid)
        else:
            assert await end(pid, reason) is (KILLED if reason is KILL else reason)
        await asyncio.sleep(0)
        assert quiet()

    test()


# -- who may ask


@in_process
async def test_the_first_that_asks_is_the_owner() -> None:
    stream = Task.async_stream(sleep, [1, 2, 3])

    async def consumer() -> list[Outcome[float]]:
        return [await anext(stream), await anext(stream)]

    owner = Task.async_(consumer)
    assert await owner.await_() == returned(1, 2)
    with pytest.raises(TaskMisused, match=rf"belongs to {owner.pid}, which asked first; {self_pid()} has asked"):
        await anext(stream)


@in_process
async def test_a_stream_can_be_made_of_streams() -> None:
    async def inner(number: int) -> list[Outcome[float]]:
        return await all_of(Task.async_stream(sleep, range(number)))

    assert await all_of(Task.async_stream(inner, [1, 3])) == returned(returned(0), returned(0, 1, 2))
    assert quiet()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_concurrency": 0}, "max_concurrency is a whole number of tasks from 1, not 0"),
        ({"max_concurrency": "2"}, "max_concurrency is a whole number of tasks from 1, not '2'"),
        ({"timeout": "2"}, "a timeout is a number of seconds or None, not '2'"),
        ({"timeout": -1}, "timeout is a number of seconds from 0, or None, not -1"),
        ({"on_timeout": "explode"}, "on_timeout is one of exit, kill_task, not 'explode'"),
    ],
)
def test_an_option_that_makes_no_sense_is_an_error_at_once(options: dict[str, Any], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        Task.async_stream(sleep, [1], **options)


def test_what_is_no_function_or_no_iterable_is_an_error_at_once() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="a task runs an async function, not 5"):
        Task.async_stream(wrong, [1])
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        Task.async_stream(sleep, wrong)
    gc.collect()
