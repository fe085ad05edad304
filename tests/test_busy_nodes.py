"""Senders to a node whose connection takes no more: who is held, who is not, and that nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from pydist import (
    KILL,
    BusyNode,
    ConnectionFull,
    Node,
    NodeStartError,
    Pid,
    async_dist,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    process_info,
    receive,
    self_pid,
    send,
    send_nosuspend,
    spawn,
    system_monitor,
)
from pydist.transport.memory import MemoryNetwork

StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], object]], Awaitable[None]]
Pair = tuple[Node, Node]

KIB = b"x" * 1024
ADVICE = (
    r"bytes wait for b@127\.0\.0\.1, the limit is 102400: the message was not sent\. Who sends much has to await "
    "something between sends"
)


@pytest.fixture
async def narrow(start_node: StartNode) -> Pair:
    """The nodes a and b, connected; a is busy with 10 KiB, and full with 100."""
    a, b = await start_node("a", busy_limit=10 * 1024, pending_limit=100 * 1024), await start_node("b")

    async def meet() -> None:
        there = b.spawn(answers)
        send(there, self_pid())
        await receive(None, 5)

    await a.run(meet)
    return a, b


async def answers() -> None:
    send(await receive(), "here")


def collector(took: list[Any]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def collect() -> None:
        while True:
            took.append(await receive())

    return collect


async def sends(to: Pid, count: int, sent: list[int]) -> None:
    for number in range(count):
        send(to, (number, KIB))
        await asyncio.sleep(0)
        sent.append(number)


def numbers(took: list[Any]) -> list[int]:
    return [message[0] for message in took]


async def info(pid: Pid) -> str | None:
    found = process_info(pid)
    return None if found is None else found.status


async def test_a_sender_is_held_while_the_connection_is_busy_and_nothing_is_lost(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    took: list[Any] = []
    sent: list[int] = []
    receiver = b.spawn(collector(took))
    network.stall()
    sender = a.spawn(sends, receiver, 100, sent)
    await settled()
    await settled()
    assert (8 < len(sent) < 14, took, await a.run(info, sender)) == (True, [], "suspended")
    network.go_on()
    await until(lambda: len(took) == len(sent) == 100)
    assert (numbers(took), sent) == (list(range(100)), list(range(100)))


async def test_others_go_on_and_what_they_send_to_other_nodes_arrives(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    sent: list[int] = []
    network.stall()
    held = a.spawn(sends, b.spawn(collector(list[Any]())), 100, sent)
    await settled()

    async def works() -> str | None:
        there = spawn(answers)
        send(there, self_pid())
        assert await receive(None, 1) == "here"
        await asyncio.sleep(0.001)
        return await info(held)

    assert await a.run(works) == "suspended"


async def test_links_monitors_and_exits_hold_their_sender_too_and_always_find_room(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    done: list[str] = []
    receiver = b.spawn(collector(list[Any]()))

    async def fills() -> None:
        async_dist(True)
        with suppress(ConnectionFull):
            while True:
                send(receiver, KIB)
        done.append("full")

    async def signals(name: str, act: Callable[[Pid], object]) -> None:
        act(receiver)
        await asyncio.sleep(0)
        done.append(name)

    network.stall()
    await a.run(fills)
    others: list[tuple[str, Callable[[Pid], object]]] = [
        ("link", link),
        ("monitor", monitor),
        ("exit", lambda pid: exit(pid, "bye")),
    ]
    for name, act in others:
        a.spawn(signals, name, act)
        await settled()
    assert done == ["full"]
    network.go_on()
    await until(lambda: len(done) >= 3)
    assert done[1:3] == ["link", "monitor"]


async def test_who_has_asked_for_async_dist_is_not_held(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    took: list[Any] = []
    sent: list[int] = []
    receiver = b.spawn(collector(took))
    before: list[bool] = []

    async def is_responsible() -> None:
        before.extend([async_dist(True), async_dist(True)])
        await sends(receiver, 50, sent)

    network.stall()
    a.spawn(is_responsible)
    await settled()
    await settled()
    await settled()
    assert (before, sent, took) == ([False, True], list(range(50)), [])
    network.go_on()
    await until(lambda: len(took) == 50)


async def test_who_never_awaits_is_stopped_by_the_limit_and_told_what_to_do(
    narrow: Pair, network: MemoryNetwork
) -> None:
    a, b = narrow
    receiver = b.spawn(collector(list[Any]()))

    async def never_awaits() -> None:
        for _ in range(100):
            send(receiver, KIB)
        with pytest.raises(ConnectionFull, match=ADVICE):
            send(receiver, KIB)

    await a.run(never_awaits)


async def test_the_end_of_the_connection_lets_all_go_on(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    sent: list[int] = []
    network.stall()
    for _ in range(3):
        a.spawn(sends, b.spawn(collector(list[Any]())), 11, sent)
    await settled()
    held = len(sent)
    network.cut()
    network.go_on()
    await until(lambda: len(sent) == 33)
    assert held < 33


@pytest.mark.parametrize("reason", ["bye", KILL])
async def test_who_is_held_can_be_ended_at_once(
    narrow: Pair, network: MemoryNetwork, settled: Settled, reason: Any
) -> None:
    a, b = narrow
    network.stall()
    held = a.spawn(sends, b.spawn(collector(list[Any]())), 100, list[int]())
    await settled()

    async def ends_it() -> None:
        ref = monitor(held)
        exit(held, reason)
        await receive(ref, 1)

    await a.run(ends_it)


async def test_a_sender_is_not_held_once_the_turn_has_written_all(narrow: Pair, until: Until) -> None:
    a, b = narrow
    took: list[Any] = []
    receiver = b.spawn(collector(took))

    async def bursts() -> None:
        for number in range(200):
            for _ in range(15):
                send(receiver, (number, KIB))
            await asyncio.sleep(0)

    a.spawn(bursts)
    await until(lambda: len(took) == 3000)
    assert numbers(took) == [number for number in range(200) for _ in range(15)]


async def test_a_system_monitor_hears_who_is_held(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    heard: list[Any] = []

    async def watches() -> None:
        system_monitor(busy_dist=True)
        while True:
            heard.append(await receive())

    a.spawn(watches)
    await settled()
    network.stall()
    sender = a.spawn(sends, b.spawn(collector(list[Any]())), 100, list[int]())
    await settled()
    assert heard == [BusyNode(sender, b.name)]


async def test_send_nosuspend_sends_nothing_to_a_busy_node(
    narrow: Pair, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = narrow
    took: list[Any] = []
    receiver = b.spawn(collector(took), name="collector")
    network.stall()

    async def tries() -> int:
        sent = 0
        while send_nosuspend(receiver, (sent, KIB)):
            sent += 1
        assert not send_nosuspend(("collector", b.name), (sent, KIB))
        return sent

    sent = await a.run(tries)
    network.go_on()
    await until(lambda: len(took) == sent)
    assert 9 < sent < 12


@pytest.mark.parametrize("name", ["busy_limit", "pending_limit"])
@pytest.mark.parametrize("limit", [0, -1, 1.5, None, True])
def test_a_limit_that_is_none_is_refused(name: str, limit: Any) -> None:
    with pytest.raises(NodeStartError, match=f"{name} is a number of bytes from 1 on, not {limit}"):
        Node(**{name: limit})


async def test_the_large_messages_of_others_hold_nobody_who_overtakes_them(
    start_node: StartNode, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = await start_node("a", busy_limit=600_000), await start_node("b")
    took: list[Any] = []
    receiver = b.spawn(collector(took))
    a.send(receiver, ("first", None))
    await until(lambda: took)
    network.stall()
    sent: list[int] = []
    done: list[str] = []

    async def uploads() -> None:
        for number in range(3):
            send(receiver, (number, b"x" * 1_500_000))
            await asyncio.sleep(0)
            sent.append(number)

    async def small() -> None:
        for _ in range(5):
            send(receiver, ("small", None))
            await asyncio.sleep(0)
        done.append("small")

    bulk = a.spawn(uploads)
    await settled()
    a.spawn(small)
    await settled()
    assert (len(sent) < 3, await a.run(info, bulk), done) == (True, "suspended", ["small"])
    network.go_on()
    await until(lambda: len(took) == 9)
    assert [number for number, data in took if data] == [0, 1, 2]
