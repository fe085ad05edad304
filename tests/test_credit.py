"""A mailbox that blocks its senders holds those on other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from pydist import (
    KILL,
    GenServer,
    Node,
    Pid,
    Request,
    async_dist,
    bound_mailbox,
    call,
    exit,  # noqa: A004  # OTP's name
    process_info,
    receive,
    register,
    self_pid,
    send,
    send_nosuspend,
    unregister,
)
from pydist.transport.memory import MemoryNetwork

StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], object]], Awaitable[None]]
Pair = tuple[Node, Node]


def blocks(limit: int, took: list[Any], *, name: str | None = None) -> Callable[[], Coroutine[Any, Any, None]]:
    """Takes nothing but what comes with a "go": a number of messages to take, or None for all to come."""

    async def process() -> None:
        if name is not None:
            register(name, self_pid())
        bound_mailbox(limit, "block")
        while (go := await receive(Go)).count is not None:
            took.extend([await receive(int) for _ in range(go.count)])
        while True:
            took.append(await receive())

    return process


class Go:
    def __init__(self, count: int | None = None) -> None:
        self.count = count


def go(node: Node, pid: Pid, count: int | None = None) -> None:
    """Let it take messages: as what it has asked for, which needs no room."""
    assert node._runtime is not None
    process = node._runtime.process(pid)
    assert process is not None
    process.admit(Go(count))


def length(node: Node, pid: Pid) -> int:
    assert node._runtime is not None
    process = node._runtime.process(pid)
    assert process is not None
    return len(process.mailbox)


async def sends(to: Any, count: int, sent: list[int]) -> None:
    for number in range(count):
        send(to, number)
        sent.append(number)
        for _ in range(5):  # a round trip
            await asyncio.sleep(0)


async def status(pid: Pid) -> str | None:
    found = process_info(pid)
    return None if found is None else found.status


@pytest.mark.parametrize("by_name", [False, True])
async def test_a_sender_is_held_when_the_credit_is_used_up_and_goes_on_with_more(
    pair: Pair, settled: Settled, until: Until, by_name: bool
) -> None:
    a, b = pair
    took: list[int] = []
    sent: list[int] = []
    receiver = b.spawn(blocks(10, took, name="blocks"))
    await settled()
    sender = a.spawn(sends, ("blocks", b.name) if by_name else receiver, 100, sent)
    for _ in range(20):
        await settled()
    assert (await a.run(status, sender), took) == ("suspended", [])
    assert len(sent) == 10 + 1  # what there is room for, and one too many
    go(b, receiver, 3)
    for _ in range(20):
        await settled()
    assert (len(took), length(b, receiver), await a.run(status, sender)) == (3, 11, "suspended")
    go(b, receiver)
    await until(lambda: len(took) == 100)
    assert took == list(range(100))


async def test_senders_to_others_are_not_held(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    took: list[int] = []
    full, other = b.spawn(blocks(1, [])), b.spawn(blocks(1000, took))
    await settled()
    a.spawn(sends, full, 10, list[int]())
    a.spawn(sends, other, 200, list[int]())
    go(b, other)
    await until(lambda: len(took) == 200)


@pytest.mark.parametrize("reason", ["bye", KILL])
async def test_the_end_of_the_receiver_lets_remote_senders_go_on(
    pair: Pair, settled: Settled, until: Until, reason: Any
) -> None:
    a, b = pair
    sent: list[int] = []
    receiver = b.spawn(blocks(2, []))
    await settled()
    a.spawn(sends, receiver, 50, sent)
    await settled()
    await settled()
    assert len(sent) < 50

    async def ends_it() -> None:
        exit(receiver, reason)

    b.spawn(ends_it)
    await until(lambda: len(sent) == 50)


async def test_the_end_of_the_connection_lets_remote_senders_go_on_and_the_next_one_counts_anew(
    pair: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = pair
    sent: list[int] = []
    took: list[int] = []
    receiver = b.spawn(blocks(2, took))
    await settled()
    a.spawn(sends, receiver, 50, sent)
    await settled()
    await settled()
    held = len(sent)
    network.cut()
    await settled()
    await settled()
    assert held < len(sent) < 50
    go(b, receiver)
    await until(lambda: len(sent) == 50)


async def test_a_bound_that_is_taken_back_lets_remote_senders_go_on(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    sent: list[int] = []

    async def process() -> None:
        bound_mailbox(1, "block")
        await receive(Go)
        bound_mailbox(None)
        await receive(Go)

    receiver = b.spawn(process)
    await settled()
    a.spawn(sends, receiver, 50, sent)
    await settled()
    await settled()
    assert len(sent) < 50
    go(b, receiver)
    await until(lambda: len(sent) == 50)


async def test_a_name_that_goes_to_another_process_is_counted_anew(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    sent: list[int] = []
    took: list[int] = []

    async def moves(to: Pid) -> None:
        unregister("blocks")
        register("blocks", to)

    b.spawn(blocks(100, [], name="blocks"))
    second = b.spawn(blocks(5, took))
    await settled()
    a.spawn(sends, ("blocks", b.name), 100, sent)
    await until(lambda: len(sent) > 10)
    b.spawn(moves, second)
    for _ in range(20):
        await settled()
    assert len(sent) < 100
    assert length(b, second) <= 5 + 5
    go(b, second)
    await until(lambda: len(sent) == 100)


async def test_async_dist_is_not_held_by_credit(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    sent: list[int] = []
    receiver = b.spawn(blocks(1, []))
    await settled()

    async def is_responsible() -> None:
        async_dist(True)
        await sends(receiver, 50, sent)

    a.spawn(is_responsible)
    await until(lambda: len(sent) == 50)


async def test_send_nosuspend_knows_of_credit(pair: Pair, settled: Settled) -> None:
    a, b = pair
    receiver = b.spawn(blocks(3, []))
    await settled()

    async def tries() -> int:
        send(receiver, 0)
        for _ in range(20):
            await asyncio.sleep(0)
        sent = 0
        while send_nosuspend(receiver, sent):
            sent += 1
        return sent

    assert await a.run(tries) == 2


class Question(Request[int], tag="test_credit.Question"):
    number: int


class Doubles(GenServer):
    async def init(self) -> None:
        bound_mailbox(2, "block")

    async def handle_call(self, request: Any, _caller: Any, /) -> Any:
        await asyncio.sleep(0)
        return 2 * request.number


async def test_remote_calls_to_a_server_that_blocks_are_all_answered(pair: Pair, until: Until) -> None:
    a, b = pair
    answers: list[int] = []

    async def starts() -> Pid:
        return await Doubles.start()

    server = await b.run(starts)

    async def asks(number: int) -> None:
        answers.append(await call(server, Question(number=number), 5))

    for number in range(100):
        a.spawn(asks, number)
    await until(lambda: len(answers) == 100)
    assert sorted(answers) == [2 * number for number in range(100)]


async def test_nothing_is_kept_once_the_receiver_has_ended(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    sent: list[int] = []
    receiver = b.spawn(blocks(2, []))
    await settled()
    a.spawn(sends, receiver, 20, sent)
    await settled()

    async def ends_it() -> None:
        exit(receiver, KILL)

    b.spawn(ends_it)
    await until(lambda: len(sent) == 20)
    for node in pair:
        assert node._cluster is not None
        [peer] = node._cluster.up.values()
        assert (peer.bounds, peer.ledger._accounts, peer.ledger._gates) == ({}, {}, {})


async def test_a_peer_that_knows_of_no_credit_is_told_of_none(pair: Pair, settled: Settled, until: Until) -> None:
    a, b = pair
    sent: list[int] = []
    assert b._cluster is not None
    [peer] = b._cluster.up.values()
    peer.ledger._gives = False
    receiver = b.spawn(blocks(2, []))
    await settled()
    a.spawn(sends, receiver, 50, sent)
    await until(lambda: len(sent) == 50)
    assert peer.ledger._accounts == {}
