"""A mailbox that is full may hold back those who send to it: when they go on, and what comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    CallTimeout,
    Exited,
    GenServer,
    Node,
    Pid,
    ProcessInfo,
    Request,
    bound_mailbox,
    call,
    exit,  # noqa: A004  # OTP's name
    make_ref,
    process_info,
    receive,
    self_pid,
    send,
    send_after,
    send_nosuspend,
    spawn,
    trap_exit,
)
from pydist.messaging import current
from tests.helpers import end, ended, in_process, mailbox, now, passed


async def bounded(limit: int, seen: list[Any]) -> None:
    """Takes nothing until it gets "go"; then everything."""
    bound_mailbox(limit, "block")
    await receive(lambda message: message == "go")
    while True:
        seen.append(await receive())


async def sends(to: Pid, messages: list[Any], seen: list[Any]) -> None:
    """Sends one after the other, and notes how far it has come."""
    for message in messages:
        send(to, message)
        await asyncio.sleep(0)
        seen.append(message)


def status(pid: Pid) -> str:
    info = process_info(pid)
    assert isinstance(info, ProcessInfo)
    return info.status


def go(pid: Pid) -> None:
    """Wake who is `bounded`, from outside any process so to say: nobody is held for it."""
    process = current().home.process(pid)
    assert process is not None
    process.admit("go")


@in_process
async def test_a_sender_to_a_full_mailbox_is_held_at_its_next_await_until_there_is_room() -> None:
    took: list[int] = []
    sent: list[int] = []
    receiver = spawn(bounded, 2, took)
    await passed(1)
    sender = spawn(sends, receiver, [1, 2, 3, 4, 5], sent)
    await passed(1)
    assert (sent, status(sender)) == ([1, 2], "suspended")
    info = process_info(receiver)
    assert info is not None
    assert info.message_queue_len == 3
    go(receiver)
    await passed(1)
    assert (sent, took) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])


@in_process
async def test_senders_go_on_in_the_order_in_which_they_were_held() -> None:
    took: list[int] = []
    sent: list[int] = []
    receiver = spawn(bounded, 1, took)
    await passed(1)
    send(receiver, 0)
    for number in (1, 2, 3):
        spawn(sends, receiver, [number], sent)
        await passed(1)
    assert sent == []
    go(receiver)
    await passed(1)
    assert (sent, took) == ([1, 2, 3], [0, 1, 2, 3])


async def at_receive(to: Pid, got: list[Any]) -> None:
    send(to, "too much")
    got.append(await receive())


async def at_timeout(to: Pid, got: list[Any]) -> None:
    send(to, "too much")
    try:
        got.append(await receive(int, 2))
    except TimeoutError:
        got.append("timeout")


async def at_future(to: Pid, got: list[Any]) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(2, future.set_result, "future")
    send(to, "too much")
    got.append(await future)


async def at_sleep(to: Pid, got: list[Any]) -> None:
    send(to, "too much")
    await asyncio.sleep(2)
    got.append("slept")


async def at_cancellation(to: Pid, got: list[Any]) -> None:
    send(to, "too much")
    try:
        async with asyncio.timeout(2):
            await receive(int)
    except TimeoutError:
        got.append("cancelled")


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        (at_receive, ["message"]),
        (at_timeout, ["timeout"]),
        (at_future, ["future"]),
        (at_sleep, ["slept"]),
        (at_cancellation, ["cancelled"]),
    ],
)
def test_what_comes_while_a_sender_is_held_counts_when_it_goes_on(waits: Any, expected: list[Any]) -> None:
    @in_process
    async def main() -> None:
        took: list[Any] = []
        got: list[Any] = []
        receiver = spawn(bounded, 1, took)
        await passed(1)
        send(receiver, 0)
        sender = spawn(waits, receiver, got)
        await passed(1)
        send(sender, "message")
        await passed(10)
        assert (got, status(sender)) == ([], "suspended")
        go(receiver)
        await passed(1)
        assert (got, took) == (expected, [0, "too much"])

    main()


@pytest.mark.parametrize("waits", [at_receive, at_timeout, at_future, at_sleep, at_cancellation])
@pytest.mark.parametrize(("reason", "result"), [("bye", "bye"), (KILL, KILLED)])
def test_exit_signals_act_at_once_on_who_is_held(waits: Any, reason: Any, result: Any) -> None:
    @in_process
    async def main() -> None:
        got: list[Any] = []
        receiver = spawn(bounded, 1, list[Any]())
        await passed(1)
        send(receiver, 0)
        for pause in (0.5, 3):
            sender = spawn(waits, receiver, got)
            await passed(pause)
            before = now()
            assert (await end(sender, reason), now()) == (result, before)
        assert got == []

    main()


@in_process
async def test_who_traps_exits_stays_held_and_finds_the_message_later() -> None:
    got: list[Any] = []

    async def sender(to: Pid) -> None:
        trap_exit(True)
        send(to, "too much")
        got.append(await receive())

    receiver = spawn(bounded, 1, list[Any]())
    await passed(1)
    send(receiver, 0)
    pid = spawn(sender, receiver)
    await passed(1)
    exit(pid, "trapped")
    await passed(1)
    assert got == []
    go(receiver)
    await passed(1)
    assert got == [Exited(self_pid(), "trapped")]


@pytest.mark.parametrize("reason", ["bye", KILL])
def test_the_end_of_the_receiver_lets_all_go_on(reason: Any) -> None:
    @in_process
    async def main() -> None:
        sent: list[int] = []
        receiver = spawn(bounded, 1, list[Any]())
        await passed(1)
        send(receiver, 0)
        for number in (1, 2, 3):
            spawn(sends, receiver, [number, number], sent)
        await passed(1)
        await end(receiver, reason)
        await passed(1)
        assert sent == [1, 2, 3, 1, 2, 3]

    main()


async def cleans_up(limit: int) -> None:
    bound_mailbox(limit, "block")
    try:
        await receive(lambda _message: False)
    finally:
        await asyncio.sleep(10)


@in_process
async def test_a_receiver_that_cleans_up_holds_nobody() -> None:
    sent: list[int] = []
    receiver = spawn(cleans_up, 1)
    await passed(1)
    send(receiver, 0)
    spawn(sends, receiver, [1, 2], sent)
    await passed(1)
    exit(receiver, "bye")
    await passed(1)
    assert sent == [1, 2]


async def grows(seen: list[Any], *, limit: int | None) -> None:
    bound_mailbox(1, "block")
    await receive(lambda message: message == "go")
    bound_mailbox(limit, "block" if limit is None else "drop_newest")
    await receive(lambda message: message == "go")
    while True:
        seen.append(await receive())


@pytest.mark.parametrize("limit", [None, 1])
def test_a_bound_that_no_longer_blocks_lets_all_go_on(limit: int | None) -> None:
    @in_process
    async def main() -> None:
        sent: list[int] = []
        receiver = spawn(lambda: grows([], limit=limit))
        await passed(1)
        send(receiver, 0)
        spawn(sends, receiver, [1, 2], sent)
        await passed(1)
        assert sent == []
        go(receiver)
        await passed(1)
        assert sent == [1, 2]

    main()


@in_process
async def test_a_process_that_sends_to_itself_is_not_held() -> None:
    bound_mailbox(1, "block")
    for number in range(3):
        send(self_pid(), number)
    await asyncio.sleep(0)
    assert [await receive() for _ in range(3)] == [0, 1, 2]


async def floods(count: int, took: list[Any]) -> None:
    """Sends to the other first, and then takes what the other has sent."""
    bound_mailbox(1, "block")
    other = await receive()
    for number in range(count):
        send(other, number)
        await asyncio.sleep(0)
    took += [await receive() for _ in range(count)]


@pytest.mark.parametrize("length", [2, 3, 5])
def test_processes_in_a_circle_do_not_hold_each_other_for_ever(length: int) -> None:
    @in_process
    async def main() -> None:
        took: list[list[Any]] = [[] for _ in range(length)]
        circle = [spawn(floods, 10, took[place]) for place in range(length)]
        for place, pid in enumerate(circle):
            send(pid, circle[(place + 1) % length])
        for pid in circle:
            await ended(pid)
        assert took == [list(range(10))] * length

    main()


async def hands_on(to: Pid, count: int) -> None:
    bound_mailbox(1, "block")
    for _ in range(count):
        send(to, await receive())


@in_process
async def test_a_full_mailbox_at_the_end_of_a_line_holds_all_before_it() -> None:
    took: list[int] = []
    sent: list[int] = []
    last = spawn(bounded, 1, took)
    await passed(1)
    second = spawn(hands_on, last, 20)
    first = spawn(hands_on, second, 20)
    await passed(1)
    source = spawn(sends, first, list(range(20)), sent)
    await passed(1)
    assert ([status(pid) for pid in (source, first, second)], len(sent)) == (["suspended"] * 3, 5)
    go(last)
    await passed(1)
    assert (took, sent) == (list(range(20)), list(range(20)))


class Question(Request[int], tag="test_gates.Question"):
    number: int


class Slow(GenServer):
    async def init(self) -> None:
        bound_mailbox(1, "block")

    async def handle_call(self, request: Any, _caller: Any, /) -> Any:
        await asyncio.sleep(1)
        return request.number


@in_process
async def test_calls_to_a_server_that_blocks_are_all_answered() -> None:
    server = await Slow.start_link()
    answers: list[int] = []

    async def asks(number: int) -> None:
        answers.append(await call(server, Question(number=number), 20))

    for number in range(10):
        spawn(asks, number)
    await passed(11)
    assert answers == list(range(10))


@in_process
async def test_a_call_that_is_held_times_out_late() -> None:
    server = await Slow.start_link()
    for number in range(3):
        spawn(lambda: call(server, Question(number=0), None), name=f"asks {number}")
    await asyncio.sleep(0)
    before = now()
    with pytest.raises(CallTimeout):
        await call(server, Question(number=1), 0.5)
    assert now() == before + 3  # when the server has taken the three before it


@in_process
async def test_a_timer_and_who_is_no_process_hold_nobody_and_lose_nothing() -> None:
    bound_mailbox(1, "block")
    send(self_pid(), 0)
    send_after(1, self_pid(), "timer")
    await passed(2)
    assert mailbox() == [0, "timer"]


async def test_what_a_node_sends_from_outside_is_let_in() -> None:
    node = Node()
    await node.start()
    took: list[Any] = []
    pid = node.spawn(bounded, 1, took)
    await asyncio.sleep(0)
    for number in range(3):
        node.send(pid, number)
    node.send(pid, "go")
    for _ in range(10):
        await asyncio.sleep(0)
    assert took == [0, 1, 2]
    await node.stop()


@in_process
async def test_send_nosuspend_sends_nothing_where_its_caller_would_be_held() -> None:
    took: list[Any] = []
    receiver = spawn(bounded, 1, took)
    await passed(1)
    assert [send_nosuspend(receiver, number) for number in range(3)] == [True, False, False]
    assert not send_nosuspend(receiver, 4)
    go(receiver)
    await passed(1)
    assert took == [0]
    assert send_nosuspend(spawn(bounded, 1, list[Any]()), 1)


@in_process
async def test_who_returns_right_after_its_send_is_forgotten_by_the_gate() -> None:
    receiver = spawn(bounded, 1, list[Any]())
    await passed(1)
    send(receiver, 0)

    async def sends_and_ends() -> None:
        send(receiver, 1)

    pid = spawn(sends_and_ends)
    await passed(1)
    process = current().home.process(receiver)
    assert process is not None
    assert process.flow is not None
    assert (process.flow.door.held, process_info(pid)) == ({}, None)


Waits = Callable[[], Awaitable[None]]


@in_process
async def test_a_receive_for_a_fresh_reference_works_when_it_was_held() -> None:
    got: list[Any] = []

    async def sender(to: Pid) -> None:
        ref = make_ref()
        send(to, ref)
        got.append(await receive(ref))

    took: list[Any] = []
    receiver = spawn(bounded, 1, took)
    await passed(1)
    send(receiver, 0)
    pid = spawn(sender, receiver)
    await passed(1)
    go(receiver)
    await passed(1)
    send(pid, "noise")
    send(pid, (took[1], "reply"))
    await passed(1)
    assert got == [(took[1], "reply")]
