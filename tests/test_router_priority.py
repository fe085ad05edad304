"""Priority messages between nodes: urgent in the mailbox, in order on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from pydist import Alias, Node, alias, receive, send
from pydist.wire.handshake import Flag

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


async def collects(heard: list[Any], addresses: list[Any], *, priority: bool) -> None:
    """Takes nothing before the last message has come; then all."""
    addresses.append(alias(priority=priority))
    heard.append(await receive(lambda message: message == "last"))
    while True:
        heard.append(await receive())


async def sends(to: Alias) -> None:
    send(to.pid, "a")
    send(to, "U", priority=True)
    send(to.pid, "b")
    send(to, "c")
    send(to, "V", priority=True)
    send(to.pid, "last")


async def heard_by(node: Node, sender: Node, until: Until, *, priority: bool) -> list[Any]:
    heard: list[Any] = []
    addresses: list[Alias] = []

    async def process() -> None:
        await collects(heard, addresses, priority=priority)

    node.spawn(process)
    await until(lambda: addresses)
    sender.spawn(sends, addresses[0])
    await until(lambda: len(heard) == 6)
    return heard


async def test_a_priority_message_from_another_node_goes_before_all_ordinary_ones(pair: Pair, until: Until) -> None:
    a, b = pair
    assert await heard_by(b, a, until, priority=True) == ["last", "U", "V", "a", "b", "c"]


async def test_who_has_not_opted_in_gets_messages_from_other_nodes_in_order(pair: Pair, until: Until) -> None:
    a, b = pair
    assert await heard_by(b, a, until, priority=False) == ["last", "a", "U", "b", "c", "V"]


async def test_the_first_message_to_a_node_may_have_priority(start_node: StartNode, until: Until) -> None:
    a, b = await start_node("a"), await start_node("b")
    assert await heard_by(b, a, until, priority=True) == ["last", "U", "V", "a", "b", "c"]


@pytest.mark.parametrize("connected", [True, False])
async def test_a_node_of_version_1_is_sent_an_ordinary_message(
    start_node: StartNode, until: Until, connected: bool
) -> None:
    a, old = await start_node("a"), await start_node("old")
    assert old._cluster is not None
    door = old._cluster.door
    door.settings = attrs.evolve(door.settings, local=attrs.evolve(door.settings.local, version=1, flags=Flag.SIGNALS))
    if connected:
        await heard_by(old, a, until, priority=False)
    assert await heard_by(old, a, until, priority=True) == ["last", "a", "U", "b", "c", "V"]
    await asyncio.sleep(0)
