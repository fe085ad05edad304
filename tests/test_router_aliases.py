"""Aliases between nodes: the far side only sends; what is still let in is decided where the alias was made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NORMAL,
    Alias,
    BadNodeName,
    Down,
    Node,
    Pid,
    alias,
    monitor,
    receive,
    send,
    unalias,
)
from pydist.primitives import MonitorAlias
from tests.helpers import links_and_monitors

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]


async def answer_twice() -> None:
    """Answers each question two times, and ends when it is told to."""
    while isinstance(here := await receive(), Alias):
        send(here, (here.ref, "first"))
        send(here, (here.ref, "second"))


async def collect(messages: int) -> list[Any]:
    return [await receive(timeout=5) for _ in range(messages)]


async def test_messages_to_an_alias_come_from_another_node_until_it_is_unaliased(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def ask(server: Pid) -> list[Any]:
        kept, dropped, once = alias(), alias(), alias(reply=True)
        for here in (kept, dropped, once):
            send(server, here)
        unalias(dropped)
        send(server, kept)
        heard = await collect(5)
        return [("kept" if ref == kept.ref else "once" if ref == once.ref else "?", text) for ref, text in heard]

    assert await a.run(ask, b.spawn(answer_twice)) == [
        ("kept", "first"),
        ("kept", "second"),
        ("once", "first"),
        ("kept", "first"),
        ("kept", "second"),
    ]


@pytest.mark.parametrize("end", ["explicit_unalias", "demonitor", "reply_demonitor"])
async def test_a_reply_by_the_alias_of_a_monitor_ends_both_if_it_was_made_so(
    pair: Pair, leftovers: Leftovers, settled: Settled, end: MonitorAlias
) -> None:
    a, b = pair
    told: list[Any] = []

    async def ask(server: Pid) -> None:
        ref, here = monitor(server, alias=end)
        send(server, here)
        while True:
            message = await receive()
            told.append(message.reason if isinstance(message, Down) else message[1])
            assert ref == (message.ref if isinstance(message, Down) else message[0])

    server = b.spawn(answer_twice)
    a.spawn(ask, server)
    await settled()
    once = end == "reply_demonitor"
    assert (told, len(leftovers(a, b))) == ((["first"], 0) if once else (["first", "second"], 4))
    b.send(server, "end")
    await settled()
    assert (told, leftovers(a, b)) == ((["first"] if once else ["first", "second", NORMAL]), [])


async def test_a_monitor_that_cannot_be_set_up_leaves_no_alias(pair: Pair) -> None:
    a, _ = pair

    async def clumsy() -> tuple[int, int, int, int]:
        with pytest.raises(BadNodeName):
            monitor(("name", "nohost"), alias="explicit_unalias")
        return links_and_monitors()

    assert await a.run(clumsy) == (0, 0, 0, 0)


async def test_a_message_to_an_alias_connects_and_keeps_its_place_among_the_others(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")
    heard: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    here: list[Alias] = []

    async def listen() -> None:
        here.append(alias())
        heard.set_result(await collect(6))

    async def talk() -> None:
        for number in range(0, 6, 2):
            send(here[0], number)
            send(here[0].pid, number + 1)

    a.spawn(listen)
    await asyncio.sleep(0)
    await b.run(talk)
    assert await asyncio.wait_for(heard, 5) == [0, 1, 2, 3, 4, 5]
