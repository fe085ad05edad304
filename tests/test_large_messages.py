from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import Down, Node, Pid, monitor, receive, register, self_pid, send
from pydist.wire.fragments import FRAGMENT

StartNode = Callable[..., Awaitable[Node]]
Pair = tuple[Node, Node]

LARGE = bytes(30 * FRAGMENT)


async def echo() -> None:
    while True:
        sender, message = await receive()
        send(sender, message)


async def send_when_told(target: Pid, messages: list[Any]) -> None:
    await receive("go".__eq__)
    for message in messages:
        send(target, message)


async def take(count: int) -> list[Any]:
    return [await receive(None, 5.0) for _ in range(count)]


def short(messages: list[Any]) -> list[Any]:
    return ["large" if message in (LARGE, [LARGE.hex()]) else message for message in messages]


async def test_a_large_message_holds_up_nobody_elses(pair: Pair) -> None:
    a, b = pair

    async def watch() -> list[Any]:
        first = a.spawn(send_when_told, self_pid(), [LARGE, "behind"])
        second = a.spawn(send_when_told, self_pid(), ["other"])
        send(first, "go")
        send(second, "go")
        return short(await take(3))

    assert await b.run(watch) == ["other", "large", "behind"]


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "by pid"])
@pytest.mark.parametrize("last", [LARGE, [LARGE.hex()]], ids=["bytes", "a list"])
async def test_a_down_does_not_overtake_a_large_message_whatever_was_watched(
    pair: Pair, by_name: bool, last: Any
) -> None:
    a, b = pair

    async def named(target: Pid) -> None:
        register("sender", self_pid())
        send(target, "here")
        await send_when_told(target, [last])

    async def watch() -> list[Any]:
        sender = a.spawn(named, self_pid())
        await receive("here".__eq__, 5.0)
        address = ("sender", a.name) if by_name else sender
        ref = monitor(address)
        send(sender, "go")
        message, down = await take(2)
        assert isinstance(down, Down)
        assert (down.ref, down.process) == (ref, address)
        return short([message])

    assert await b.run(watch) == ["large"]


async def test_a_message_that_waits_for_the_connection_keeps_its_source(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")
    target = b.spawn(echo)

    async def talk() -> list[Any]:
        send(target, (self_pid(), LARGE))
        send(target, (self_pid(), "behind"))
        return short(await take(2))

    assert await a.run(talk) == ["large", "behind"]
