"""What an await of `receive` is, and what a pattern, which is the user's code, can do to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Generator
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import pytest

from pydist import Pid, alias, receive, self_pid, send, spawn
from pydist.task_state import REDUCTIONS
from tests.helpers import in_process, mailbox, now


@pytest.mark.parametrize("pattern", [None, int])
@in_process
async def test_each_await_of_one_receive_is_a_receive(pattern: Any) -> None:
    numbers = receive(pattern)
    for number in (1, 2, 3):
        send(self_pid(), number)
    assert [await numbers, await numbers, await numbers, mailbox()] == [1, 2, 3, []]


@in_process
async def test_a_receive_that_was_interrupted_may_be_awaited_again_and_looks_at_all() -> None:
    number = receive(int, 10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await number
    send(self_pid(), "no")
    send(self_pid(), 5)
    with pytest.raises(TimeoutError):
        await receive(bytes, 1)
    assert await number == 5
    begun = now()
    with pytest.raises(TimeoutError):
        await number
    assert now() - begun == 10


async def waits(number: Awaitable[int], tell: Pid, name: str) -> None:
    try:
        send(tell, (name, await number))
    except TimeoutError:
        send(tell, (name, "nothing", now()))


@in_process
async def test_processes_that_await_one_receive_wait_each_for_their_own() -> None:
    number, begun = receive(int, 10), now()
    first, second, _ = [spawn(waits, number, self_pid(), name) for name in "abc"]
    await asyncio.sleep(1)
    send(second, 2)
    await asyncio.sleep(1)
    send(first, 1)
    await asyncio.sleep(20)
    assert mailbox() == [("b", 2), ("a", 1), ("c", "nothing", begun + 10)]


class Wrapped:
    """An awaitable in Python around a receive."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return receive(int).__await__()


@in_process
async def test_a_receive_may_stand_behind_another_awaitable() -> None:
    send(self_pid(), 1)
    assert await Wrapped() == 1


@pytest.mark.parametrize("timeout", ["5", Decimal(1), Fraction(1, 2), 1j])
@in_process
async def test_what_is_no_int_or_float_is_no_timeout(timeout: Any) -> None:
    with pytest.raises(TypeError, match="a number of seconds or None"):
        await receive(int, timeout)


def no_trace(_frame: object, _event: str, _arg: object) -> None:
    return


def stops(_message: object) -> bool:
    raise StopIteration


@pytest.mark.parametrize("traced", [False, True])
@in_process
async def test_a_pattern_that_raises_stop_iteration_does_not_end_the_receive(traced: bool) -> None:
    send(self_pid(), 1)
    before = sys.gettrace()
    sys.settrace(no_trace if traced else before)
    try:
        with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
            await receive(stops)
    finally:
        sys.settrace(before)
    assert type(caught.value.__cause__) is StopIteration


@in_process
async def test_a_receive_sees_an_urgent_message_that_its_own_pattern_has_sent() -> None:
    urgent, begun = alias(priority=True), now()
    send(self_pid(), "first")

    def asks(message: object) -> bool:
        if message == "first":
            send(urgent, "second", priority=True)
        return message == "second"

    assert [await receive(asks, 5), now() - begun] == ["second", 0]


async def busy(name: str, turns: list[str], count: int) -> None:
    for _ in range(count):
        await receive(str)
        turns.append(name)


@in_process
async def test_a_turn_is_as_long_the_second_time() -> None:
    turns: list[str] = []
    pids = [spawn(busy, name, turns, 3 * REDUCTIONS) for name in "ab"]
    for pid in pids:
        for _ in range(3 * REDUCTIONS):
            send(pid, "work")
    await asyncio.sleep(1)
    assert [len(list(turn)) for _, turn in groupby(turns)][:4] == [REDUCTIONS - 1] * 2 + [REDUCTIONS] * 2
