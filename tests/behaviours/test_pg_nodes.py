"""Process groups of several nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import combinations
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    Caller,
    CallTimeout,
    Down,
    EncodeError,
    Node,
    Pid,
    call,
    connect_node,
    disconnect,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    make_ref,
    pg,
    self_pid,
    send,
    whereis,
)
from pydist.core.scopes import Share, Sync
from pydist.gen.calls import Call
from pydist.transport.memory import MemoryNetwork
from tests.helpers import mailbox
from tests.obedient import obedient

StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]


async def start_nodes(start_node: StartNode, names: str, **options: Any) -> list[Node]:
    """Nodes with a scope each, all connected."""
    nodes = [await start_node(name, **options) for name in names]
    for node in nodes:
        await node.run(pg.start, "chat")
    await connect_all(nodes)
    return nodes


async def connect_all(nodes: list[Node]) -> None:
    for one, other in combinations(nodes, 2):
        assert await one.run(connect_node, other.name)


async def members(node: Node, group: str = "red") -> Counter[Pid]:
    async def read() -> list[Pid]:
        return pg.get_members("chat", group)

    return Counter(await node.run(read))


async def join(node: Node, *groups: str, times: int = 1) -> Pid:
    """A new member of these groups."""

    async def joins() -> Pid:
        pid = obedient()
        for group in groups:
            await pg.join("chat", group, [pid] * times)
        return pid

    return await node.run(joins)


async def test_members_of_all_nodes_are_seen_on_all_nodes(start_node: StartNode, settled: Settled) -> None:
    nodes = a, b, c = await start_nodes(start_node, "abc")
    pids = [await join(node, "red", times=2) for node in nodes]
    await settled()
    assert [await members(node) for node in nodes] == [Counter(pids * 2)] * 3

    async def read() -> Any:
        return pg.get_local_members("chat", "red"), pg.which_groups("chat"), pg.which_local_groups("chat")

    await join(c, "blue")
    await settled()
    assert await a.run(read) == ([pids[0]] * 2, ["red", "blue"], ["red"])

    async def leaves() -> None:
        assert await pg.leave("chat", "red", pids[1])

    await b.run(leaves)
    await settled()
    assert await members(a) == Counter([*pids, *pids]) - Counter([pids[1]])


async def test_who_dies_leaves_on_all_nodes(start_node: StartNode, settled: Settled) -> None:
    a, b = await start_nodes(start_node, "ab")
    pid = await join(a, "red", "blue")
    await settled()
    assert await members(b) == Counter([pid])

    async def kill() -> None:
        exit(pid, KILL)

    await b.run(kill)
    await settled()
    assert [await members(node, group) for node in (a, b) for group in ("red", "blue")] == [Counter()] * 4


async def test_a_scope_that_starts_later_hears_of_all_and_is_heard(start_node: StartNode, settled: Settled) -> None:
    a, b = await start_node("a"), await start_node("b")
    await connect_all([a, b])
    await a.run(pg.start, "chat")
    first = await join(a, "red")
    await b.run(pg.start, "chat")
    second = await join(b, "red")
    await settled()
    assert [await members(node) for node in (a, b)] == [Counter([first, second])] * 2


async def test_a_monitor_tells_of_remote_members_and_of_a_lost_node_once_for_each_group(
    start_node: StartNode, settled: Settled
) -> None:
    a, b = await start_nodes(start_node, "ab")
    told: list[Any] = []

    async def watch() -> None:
        ref, groups = await pg.monitor_scope("chat")
        told.append(groups)
        first, second = await b_joins("red", "blue"), await b_joins("red")
        await settled()
        disconnect(b.name)
        await settled()
        changes = mailbox()
        assert [(type(each), each.group, each.pids) for each in changes] == [
            (pg.Joined, "red", [first]),
            (pg.Joined, "blue", [first]),
            (pg.Joined, "red", [second]),
            (pg.Left, "red", [first, second]),
            (pg.Left, "blue", [first]),
        ]
        assert {each.ref for each in changes} == {ref}

    async def b_joins(*groups: str) -> Pid:
        return await join(b, *groups)

    await a.run(watch)
    assert told == [{}]


async def test_after_a_partition_all_agree_again(
    start_node: StartNode, settled: Settled, network: MemoryNetwork
) -> None:
    nodes = await start_nodes(start_node, "abcde", prevent_overlapping_partitions=False)
    pids = [await join(node, "red") for node in nodes]
    await settled()
    network.cut()
    await settled()
    assert [await members(node) for node in nodes] == [Counter([pid]) for pid in pids]
    pids += [await join(node, "red") for node in nodes]

    async def dies() -> None:
        exit(pids[0], KILL)

    await nodes[0].run(dies)
    await connect_all(nodes)
    await settled()
    assert [await members(node) for node in nodes] == [Counter(pids[1:])] * 5


async def test_nobody_repeats_what_others_have_said(start_node: StartNode, settled: Settled) -> None:
    hub, a, b = [await start_node(name) for name in "hab"]
    for node in (hub, a, b):
        await node.run(pg.start, "chat")
    for ray in (a, b):
        assert await ray.run(connect_node, hub.name)
    pids = [await join(node, "red") for node in (hub, a, b)]
    await settled()
    assert await members(hub) == Counter(pids)
    assert [await members(a), await members(b)] == [Counter(pids[:2]), Counter([pids[0], pids[2]])]


async def test_hidden_nodes_have_groups_of_their_own(
    start_node: StartNode, settled: Settled, logs: list[EventDict]
) -> None:
    a, hidden = await start_node("a"), await start_node("b", hidden=True)
    await connect_all([a, hidden])
    pids: list[Pid] = []
    for node in (a, hidden):
        await node.run(pg.start, "chat")
        pids.append(await join(node, "red"))
    await settled()
    assert [await members(a), await members(hidden)] == [Counter([pids[0]]), Counter([pids[1]])]
    assert [line for line in logs if line["event"] == "scope_ignores_peer"] == []


async def test_the_members_of_a_scope_that_ends_leave_on_other_nodes(start_node: StartNode, settled: Settled) -> None:
    a, b = await start_nodes(start_node, "ab")
    await join(a, "red")
    await settled()

    async def restart() -> None:
        pid = whereis("chat")
        assert pid is not None
        exit(pid, KILL)
        await pg.start("chat")

    await a.run(restart)
    second = await join(a, "red")
    await settled()
    assert await members(b) == Counter([second])


async def test_a_peer_can_speak_for_its_own_processes_alone(
    start_node: StartNode, settled: Settled, logs: list[EventDict]
) -> None:
    a, b, c = await start_nodes(start_node, "abc")
    first, second = await join(a, "red"), await join(b, "red")
    await settled()

    async def lies() -> None:
        scope_of_a = Pid(a.name, (await a.run(scope)).number, second.creation)
        send(("chat", b.name), Sync(scope_of_a, []))
        send(("chat", b.name), Share(await c.run(scope), [("red", [first])]))
        scope_of_b = await b.run(scope)
        send(scope_of_b, Sync(await a.run(scope), []))  # to a pid it comes as from nobody
        send(scope_of_b, Down(pg_ref, await a.run(scope), "made up"))

    async def scope() -> Pid:
        pid = whereis("chat")
        assert pid is not None
        return pid

    async def ref_of_a() -> Any:
        process = (await scope()).process
        assert process is not None
        return next(ref for ref, target in process.relations.monitors.items() if target.node == a.name)

    pg_ref = await b.run(ref_of_a)
    await c.run(lies)
    await settled()
    assert await members(b) == Counter([first, second])
    ignored = [line for line in logs if line["event"] == "scope_ignores_peer"]
    assert [(line["node"], line["reason"]) for line in ignored] == [(c.name, "it speaks for the scope of another node")]

    async def asks() -> None:
        leave = pg._Leave(None, "red", [second])
        with pytest.raises(CallTimeout):
            await call(("chat", b.name), leave, 0.1)
        send(("chat", b.name), Call(Caller(second, make_ref(), None, b.name), leave))  # as if one of b asked
        await settled()

    await c.run(asks)
    assert await members(b) == Counter([first, second])


async def test_a_group_that_could_not_cross_is_an_error_of_the_caller(start_node: StartNode) -> None:
    (a,) = await start_nodes(start_node, "a")

    async def joins() -> None:
        with pytest.raises(EncodeError):
            await pg.join("chat", object(), self_pid())
        assert pg.which_groups("chat") == []
        pid = whereis("chat")
        assert pid is not None
        assert is_alive(pid)

    await a.run(joins)


async def test_a_lost_node_is_not_dialled_to_tell_it_of_changes(start_node: StartNode, settled: Settled) -> None:
    a, b = await start_nodes(start_node, "ab")
    await settled()

    async def changes() -> None:
        pid = obedient()
        disconnect(b.name)
        await pg.join("chat", "red", pid)
        await settled()

    await a.run(changes)
    assert a._cluster is not None
    assert a._cluster.up == {}
