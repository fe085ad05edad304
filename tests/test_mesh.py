"""Clean partitions between nodes: who leaves whom when others have lost each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import combinations
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import Node, NodeDown, connect_node, disconnect, monitor_nodes, receive
from pydist.transport.memory import MemoryNetwork
from pydist.wire.control import Lost

StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]


def up(node: Node) -> set[str]:
    assert node._cluster is not None
    return {name[0] for name in node._cluster.up}


async def start_mesh(start_node: StartNode, names: str, **options: dict[str, Any]) -> list[Node]:
    nodes = [await start_node(name, **options.get(name, {})) for name in names]
    for one, other in combinations(nodes, 2):
        assert await one.run(connect_node, other.name)
    return nodes


def cut(one: Node, other: Node) -> None:
    """End one connection, as a reset does."""
    assert one._cluster is not None
    transport: Any = one._cluster.up[other.name]._transport
    for end in (transport, transport.other):
        end.lose(ConnectionResetError("cut"))


def check_clean(nodes: list[Node]) -> None:
    """Those that are connected are connected with each other, all of them, and the first two are not connected."""
    parts = {frozenset({node.name[0]} | up(node)) for node in nodes}
    assert sum(len(part) for part in parts) == len(nodes), f"overlapping: {parts}"
    first, second, *rest = ({node.name[0]} | up(node) for node in nodes)
    assert first.isdisjoint(second)
    assert all(part == rest[0] for part in rest)


async def test_who_others_have_lost_is_left_and_the_rest_stays_whole(
    start_node: StartNode, settled: Settled, logs: list[EventDict]
) -> None:
    nodes = a, b, c, *_ = await start_mesh(start_node, "abcde")
    told: list[Any] = []

    async def watch() -> None:
        monitor_nodes(True)
        while True:
            told.append(await receive())

    c.spawn(watch)
    await settled()
    cut(a, b)
    await settled()
    check_clean(nodes)
    [gone] = told
    text = f"to prevent overlapping partitions: {a.name} has lost {b.name}"
    assert gone == NodeDown(b.name, "disconnect", text, connection_id=gone.connection_id)
    left = [line for line in logs if line["event"] == "node_left" and line["here"] == c.name]
    assert [(line["node"], line["reason"]) for line in left] == [(b.name, text)]


@pytest.mark.parametrize("seed", range(8))
async def test_after_random_cuts_the_connected_are_connected_with_each_other(
    start_node: StartNode, settled: Settled, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret
    nodes = await start_mesh(start_node, "abcdef")
    for _ in range(chance.randrange(1, 5)):
        one, other = chance.sample(nodes, 2)
        if other.name[0] in up(one):
            cut(one, other)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    await settled()
    parts = {frozenset({node.name[0]} | up(node)) for node in nodes}
    assert sum(len(part) for part in parts) == len(nodes), f"overlapping: {parts}"


async def test_a_disconnect_counts_as_a_loss(start_node: StartNode, settled: Settled) -> None:
    nodes = a, b, *_ = await start_mesh(start_node, "abcd")

    async def leave() -> None:
        disconnect(b.name)

    await a.run(leave)
    await settled()
    check_clean(nodes)


async def test_who_does_not_want_it_is_left_alone_and_leaves_nobody(start_node: StartNode, settled: Settled) -> None:
    a, b, _, d = await start_mesh(start_node, "abcd", d={"prevent_overlapping_partitions": False})
    cut(a, b)
    await settled()
    assert up(d) == set("abc")
    assert not (set("c") <= up(a) and set("c") <= up(b))


async def test_a_star_stays_as_it_is(start_node: StartNode, settled: Settled) -> None:
    hub, a, b, c = [await start_node(name) for name in "habc"]
    for ray in (a, b, c):
        assert await ray.run(connect_node, hub.name)
    cut(hub, a)
    await settled()
    assert [up(node) for node in (hub, a, b, c)] == [set("bc"), set(), set("h"), set("h")]


async def test_a_node_that_stops_is_no_loss_and_nobody_else_is_left(
    start_node: StartNode, settled: Settled, logs: list[EventDict]
) -> None:
    a, b, c, d = await start_mesh(start_node, "abcd")
    await a.stop()
    await settled()
    assert [up(node) for node in (b, c, d)] == [set("cd"), set("bd"), set("bc")]
    assert [line for line in logs if line["event"] == "node_left" and line["node"] != a.name] == []


async def test_nodes_that_were_left_may_come_back(start_node: StartNode, settled: Settled) -> None:
    a, b, c = await start_mesh(start_node, "abc")
    for _ in range(3):
        cut(a, b)
        await settled()
        check_clean([a, b, c])
        assert await asyncio.gather(*[a.run(connect_node, b.name), b.run(connect_node, c.name)]) == [True, True]
        assert await a.run(connect_node, c.name)
        await settled()
        assert [up(node) for node in (a, b, c)] == [set("bc"), set("ac"), set("ab")]


async def test_who_takes_nothing_is_not_told_on_what_others_have_lost(
    start_node: StartNode, network: MemoryNetwork
) -> None:
    a, b, c, d = await start_mesh(start_node, "abcd", c={"busy_limit": 1024})
    assert c._cluster is not None
    up = c._cluster.up
    network.stall()
    up[d.name].send_message(1, b"x" * 10_000)
    up[d.name].flush()
    before = up[d.name].connection.pending
    c._cluster.mesh.told(
        up[a.name], Lost(a.name, up[a.name].identity.creation, 1, b.name, up[b.name].identity.creation)
    )
    assert up[d.name].connection.pending == before
    assert set(up) == {a.name, d.name}
