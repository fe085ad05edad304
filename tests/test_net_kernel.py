"""What processes can do with nodes: connect, disconnect, list them, and hear of those that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NOCONNECTION,
    BadNodeName,
    DeadLetter,
    Down,
    Exited,
    Node,
    NodeDisconnected,
    NodeDown,
    NodeInfo,
    NodeRecovered,
    NodeStartError,
    NodeSuspect,
    NodeUp,
    Pid,
    Request,
    call,
    connect,
    connect_node,
    disconnect,
    link,
    monitor,
    monitor_node,
    monitor_nodes,
    node_info,
    nodes,
    receive,
    self_pid,
    send,
    system_monitor,
    trap_exit,
)
from pydist.env import Env
from pydist.transport.memory import MemoryNetwork
from tests.helpers import in_process, mailbox

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

NOWHERE = "nobody@127.0.0.1"


class Hello(Request[None]):
    """Nobody answers it."""


class Clock:
    """Stands still until it is told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def standing_still() -> tuple[Clock, Env]:
    clock = Clock()
    return clock, Env(clock, entropy=bytes)


async def wait() -> None:
    await receive()


async def down_of(target: Pid | tuple[str, str]) -> Any:
    ref = monitor(target)
    return (await receive(ref, 5)).reason


async def take(count: int) -> list[Any]:
    """So many messages of the mailbox."""
    return [await receive(timeout=5) for _ in range(count)]


# Connecting and disconnecting


async def test_connect_node_waits_for_the_connection_and_says_whether_it_is_there(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def main() -> list[Any]:
        return [
            await connect_node(b.name),
            nodes(),
            await connect_node(b.name),
            await connect_node(a.name),
            await connect_node(NOWHERE),
        ]

    assert await a.run(main) == [True, [b.name], True, True, False]


async def test_all_who_wait_for_a_connection_are_told_and_who_gives_up_is_forgotten(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await connect_node(b.name)

    waits = [a.run(give_up), *[a.run(connect_node, b.name) for _ in range(5)]]
    assert await asyncio.gather(*waits) == [None] + [True] * 5
    assert a._cluster is not None
    assert a._cluster._events._awaiting == {}


async def test_a_node_that_stops_lets_nobody_wait_for_a_connection(start_node: StartNode) -> None:
    a = await start_node("a")
    assert a._cluster is not None
    answer = a._cluster.reach(NOWHERE)
    await a.stop()
    assert await answer is False


async def test_disconnect_ends_links_and_monitors_and_both_sides_hear_of_it(pair: Pair) -> None:
    a, b = pair
    target = b.spawn(wait)

    async def watch() -> Any:
        monitor_nodes(True)
        return await receive(NodeDown, 5)

    heard = asyncio.create_task(b.run(watch))
    await asyncio.sleep(0)

    async def main() -> list[Any]:
        trap_exit(True)
        link(target)
        ref = monitor(target)
        monitor_nodes(True)
        monitor_node(b.name, True)
        done = [disconnect(b.name), disconnect(b.name), nodes()]
        text = "disconnected by this node"
        gone = NodeDown(b.name, "disconnect", text, connection_id=1)
        assert await take(4) == [Exited(target, NOCONNECTION), Down(ref, target, NOCONNECTION), gone, gone]
        return done

    assert await a.run(main) == [True, False, []]
    assert await heard == NodeDown(a.name, "connection_closed", "closed by the peer", connection_id=1)


async def test_disconnect_ends_an_attempt_too(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def main() -> list[Any]:
        ref = monitor(("x", b.name))
        return [disconnect(b.name), (await receive(ref, 5)).reason, nodes(), disconnect(b.name)]

    assert await a.run(main) == [True, NOCONNECTION, [], False]


async def test_a_node_that_stops_says_so_to_its_own_and_closes_to_the_others(pair: Pair) -> None:
    a, b = pair

    async def watch() -> Any:
        monitor_nodes(True)
        return await receive(NodeDown, 5)

    heard = asyncio.create_task(a.run(watch))
    await asyncio.sleep(0)
    await b.stop()
    assert await heard == NodeDown(b.name, "connection_closed", "closed by the peer", connection_id=1)


# Lists


async def test_nodes_are_listed_by_kind(start_node: StartNode, network: MemoryNetwork, settled: Settled) -> None:
    a, b, c = await start_node("a"), await start_node("b"), await start_node("c")

    async def meet() -> None:
        assert [await connect_node(b.name), await connect_node(c.name), await connect_node(NOWHERE)] == [
            True,
            True,
            False,
        ]

    async def lists() -> dict[str, list[str]]:
        return {
            "": nodes(),
            "visible": nodes("visible"),
            "hidden": nodes("hidden"),
            "connected": nodes("connected"),
            "this": nodes("this"),
            "known": nodes("known"),
        }

    await a.run(meet)
    await c.stop()
    await settled()
    assert await a.run(lists) == {
        "": [b.name],
        "visible": [b.name],
        "hidden": [],
        "connected": [b.name],
        "this": [a.name],
        "known": [a.name, b.name, NOWHERE, c.name],
    }


async def test_hidden_nodes_are_listed_and_told_of_apart_and_are_no_members(start_node: StartNode) -> None:
    a, h = await start_node("a"), await start_node("h", hidden=True)

    async def main() -> list[Any]:
        monitor_nodes(True)
        monitor_nodes(True, node_type="hidden")
        monitor_nodes(True, node_type="all")
        assert await connect_node(h.name)
        told = await take(2)
        info = node_info(h.name)
        assert info is not None
        return [told, mailbox(), nodes(), nodes("hidden"), nodes("connected"), info.node_type]

    up = NodeUp(h.name, "hidden", connection_id=1)
    assert await a.run(main) == [[up, up], [], [], [h.name], [h.name], "hidden"]
    assert await h.run(list_nodes) == [a.name]
    for node in (a, h):
        assert node._cluster is not None
        assert node._cluster.mesh._partitions.members == []


async def list_nodes() -> list[str]:
    return nodes()


async def test_node_info_tells_how_a_connection_stands(pair: Pair) -> None:
    a, b = pair

    async def main() -> list[Any]:
        return [node_info(b.name), node_info(NOWHERE)]

    info, none = await a.run(main)
    assert b._runtime is not None
    assert info == NodeInfo(b.name, "visible", b._runtime.creation, 1, info.address, waiting=0, suspect=False)
    assert none is None


@in_process
async def test_a_node_without_a_name_has_no_neighbours_and_says_so_at_once() -> None:
    here = self_pid().node
    monitor_node(here, True)
    monitor_node("a@h", True)
    monitor_node("a@h", False)
    text = "this node has no name, so it reaches no other: give it one, as in run(main, name=..., cookie=...)"
    assert await receive() == NodeDown("a@h", "connection_setup_failed", text)
    assert [nodes(), nodes("connected"), nodes("this"), nodes("known")] == [[], [], [here], [here]]
    assert [await connect_node("a@h"), await connect_node(here), disconnect("a@h"), node_info("a@h")] == [
        False,
        True,
        False,
        None,
    ]
    monitor_nodes(True)
    monitor_nodes(False)
    assert mailbox() == []


@in_process
async def test_what_is_no_node_kind_or_flag_is_refused() -> None:
    wrong: Any = "near"
    with pytest.raises(
        ValueError, match="the kind of nodes is one of visible, hidden, connected, this, known, not 'near'"
    ):
        nodes(wrong)
    with pytest.raises(ValueError, match="node_type is one of visible, hidden, all, not 'near'"):
        monitor_nodes(True, node_type=wrong)
    with pytest.raises(TypeError, match="monitor_node takes True or False, not 'near'"):
        monitor_node("a@h", wrong)
    attempts: list[Callable[[], object]] = [
        lambda: connect("near"),
        lambda: disconnect("near"),
        lambda: node_info("near"),
        lambda: monitor_node("near", True),
    ]
    for attempt in attempts:
        with pytest.raises(BadNodeName):
            attempt()
    with pytest.raises(BadNodeName):
        await connect_node("near")


# Hearing of nodes


async def test_who_asks_twice_is_told_twice_and_each_call_is_taken_back_by_one(
    pair: Pair, network: MemoryNetwork
) -> None:
    a, b = pair

    async def main() -> list[Any]:
        monitor_nodes(True)
        monitor_nodes(True)
        monitor_nodes(True, node_type="all")
        monitor_nodes(True, node_type="hidden")
        network.cut()
        told = await take(3)
        monitor_nodes(False)
        monitor_nodes(False, node_type="all")
        await connect_node(b.name)
        told += await take(1)
        return [told, mailbox()]

    gone = NodeDown(b.name, "connection_closed", "the network was cut", connection_id=1)
    assert await a.run(main) == [[gone] * 3 + [NodeUp(b.name, connection_id=2)], []]


async def test_monitor_node_brings_one_message_a_call_and_none_after_that(pair: Pair, network: MemoryNetwork) -> None:
    a, b = pair

    async def main() -> list[Any]:
        for flag in (True, True, True, False):
            monitor_node(b.name, flag)
        monitor_node(a.name, True)
        network.cut()
        told = await take(2)
        await connect_node(b.name)
        network.cut()
        await down_of(("x", b.name))
        return [told, mailbox()]

    gone = NodeDown(b.name, "connection_closed", "the network was cut", connection_id=1)
    assert await a.run(main) == [[gone] * 2, []]


async def test_monitor_node_connects_and_tells_when_it_cannot(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def main() -> list[Any]:
        monitor_nodes(True)
        monitor_node(b.name, True)
        up = await receive(timeout=5)
        monitor_node(NOWHERE, True)
        return [up, await receive(timeout=5)]

    text = "the port mapper at 127.0.0.1 knows no node 'nobody'"
    assert await a.run(main) == [NodeUp(b.name, connection_id=1), NodeDown(NOWHERE, "connection_setup_failed", text)]


async def test_a_dead_process_is_told_of_no_node(pair: Pair) -> None:
    a, b = pair

    async def ask() -> None:
        monitor_node(b.name, True)
        monitor_nodes(True, suspects=True)

    for _ in range(3):
        await a.run(ask)
    assert a._cluster is not None
    monitors = a._cluster._events._monitors
    assert (monitors.of_nodes("visible"), monitors.take(b.name)) == ([], [])


async def test_node_up_comes_before_what_the_node_says_and_node_down_after_it(
    start_node: StartNode, network: MemoryNetwork
) -> None:
    """OTP: net_kernel, monitor_nodes/2."""
    a, b = await start_node("a"), await start_node("b")
    told: list[Any] = []

    async def listen() -> None:
        monitor_nodes(True)
        while True:
            told.append(await receive())

    listener = a.spawn(listen)

    async def say(round_: int) -> None:
        for word in range(3):
            send(listener, (round_, word))

    rounds = 5
    for round_ in range(rounds):
        await b.run(say, round_)
        async with asyncio.timeout(5):
            while len(told) < 5 * round_ + 4:  # noqa: ASYNC110  # the loop itself is what is waited for
                await asyncio.sleep(0)
        network.cut()
        async with asyncio.timeout(5):
            while len(told) < 5 * round_ + 5:  # noqa: ASYNC110
                await asyncio.sleep(0)
    expected: list[Any] = []
    for round_ in range(rounds):
        number = round_ + 1
        expected += [NodeUp(b.name, connection_id=number), *[(round_, word) for word in range(3)]]
        expected += [NodeDown(b.name, "connection_closed", "the network was cut", connection_id=number)]
    assert told == expected


# Suspicion


async def test_a_silent_node_is_suspect_once_and_recovers_when_it_is_heard_again(
    start_node: StartNode, network: MemoryNetwork, logs: list[EventDict]
) -> None:
    a, b = await start_node("a", net_ticktime=0.4, net_tickintensity=16), await start_node("b", net_ticktime=1000.0)

    async def speak(target: Pid) -> None:
        while await receive() == "speak":
            send(target, "a word")

    async def main() -> list[Any]:
        monitor_nodes(True)
        monitor_nodes(True, suspects=True)
        speaker = b.spawn(speak, self_pid())
        send(speaker, "speak")
        told = await take(3)
        told += await take(1)
        info = node_info(b.name)
        assert info is not None
        assert info.suspect
        send(speaker, "speak")
        told += await take(2)
        return [*told, *await take(3)]

    *told, gone, again = await a.run(main)
    up = NodeUp(b.name, connection_id=1)
    suspects = [message for message in told if type(message) is NodeSuspect]
    assert [type(message) for message in told] == [NodeUp, NodeUp, str, NodeSuspect, NodeRecovered, str, NodeSuspect]
    assert told[:3] == [up, up, "a word"]
    assert all(0.199 < message.silent_for < 0.4 for message in suspects)
    assert (
        gone == again == NodeDown(b.name, "net_tick_timeout", "nothing heard for 0.4 s (net_ticktime)", connection_id=1)
    )
    events = [line["event"] for line in logs if line["event"] in {"node_suspect", "node_recovered", "node_down"}]
    assert events[:3] == ["node_suspect", "node_recovered", "node_suspect"]


# Back-off, auto_connect


async def test_a_node_that_was_not_reached_is_not_dialled_again_by_the_next_signal(
    start_node: StartNode, logs: list[EventDict]
) -> None:
    _, env = standing_still()
    a = await start_node("a", env=env)
    name = "b@127.0.0.1"

    async def main() -> None:
        trap_exit(True)
        assert await down_of(("x", name)) == NOCONNECTION
        system_monitor(dead_letters=True)
        target = Pid(name, 1, 1)
        ref = monitor(target)
        link(target)
        send(target, "lost")
        monitor_node(name, True)
        text = "the port mapper at 127.0.0.1 knows no node 'b'"
        assert mailbox() == [
            Down(ref, target, NOCONNECTION),
            Exited(target, NOCONNECTION),
            DeadLetter(target, "lost", "noconnection"),
            NodeDown(name, "connection_setup_failed", text),
        ]
        with pytest.raises(NodeDisconnected, match="knows no node 'b'"):
            await call(("x", name), Hello())

    await a.run(main)
    assert len([line for line in logs if line["event"] == "node_unreachable"]) == 1


async def test_the_first_signal_after_the_pause_dials_and_so_does_an_explicit_connect_at_once(
    start_node: StartNode, settled: Settled
) -> None:
    clock, env = standing_still()
    a = await start_node("a", env=env)
    name = "b@127.0.0.1"
    assert await a.run(down_of, ("x", name)) == NOCONNECTION
    b = await start_node("b")
    told: list[Any] = []

    async def listen() -> None:
        while True:
            told.append(await receive())

    listener = b.spawn(listen)

    async def say(word: str) -> None:
        send(listener, word)

    await a.run(say, "during the pause")
    clock.now += 0.26
    await a.run(say, "after it")
    assert await a.run(connect_node, name)
    await settled()
    assert told == ["after it"]


async def test_a_peer_that_dials_us_ends_the_pause(start_node: StartNode, settled: Settled) -> None:
    _, env = standing_still()
    a = await start_node("a", env=env)
    assert await a.run(down_of, ("x", "b@127.0.0.1")) == NOCONNECTION
    b = await start_node("b")
    assert await b.run(connect_node, a.name)
    await b.run(disconnect_from, a.name)
    await settled()
    assert await a.run(down_of, ("x", "b@127.0.0.1")) != NOCONNECTION


async def disconnect_from(node: str) -> None:
    disconnect(node)


async def test_once_connects_by_itself_once_and_then_only_when_told(
    start_node: StartNode, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = await start_node("a", auto_connect="once"), await start_node("b")
    reasons = [await a.run(down_of, ("x", b.name))]
    network.cut()
    await settled()
    reasons += [await a.run(down_of, ("x", b.name))]
    assert await a.run(connect_node, b.name)
    reasons += [await a.run(down_of, ("x", b.name))]
    assert [reason.name for reason in reasons] == ["noproc", "noconnection", "noproc"]


async def test_never_connects_only_when_told(start_node: StartNode) -> None:
    a, b = await start_node("a", auto_connect="never"), await start_node("b")
    before = await a.run(down_of, ("x", b.name))
    assert await a.run(connect_node, b.name)
    after = await a.run(down_of, ("x", b.name))
    assert (before.name, after.name) == ("noconnection", "noproc")


async def test_a_node_to_keep_is_dialled_until_it_is_there_and_again_when_it_was_lost(
    start_node: StartNode, network: MemoryNetwork, until: Until
) -> None:
    hasty = Env(asyncio.get_running_loop().time, entropy=lambda size: b"\xff" * size)
    a = await start_node("a", env=hasty, auto_connect="never", keep_connected=["a@127.0.0.1", "b@127.0.0.1"])
    assert a._cluster is not None
    up = a._cluster.up
    await until(lambda: a._cluster and a._cluster.trouble("b@127.0.0.1"))
    await start_node("b")
    await until(lambda: up)
    network.cut()
    await until(lambda: not up)
    await until(lambda: up)

    async def leave() -> list[Any]:
        disconnect("b@127.0.0.1")
        assert a._cluster is not None
        return [nodes(), a._cluster._table.next_timer()]

    assert await a.run(leave) == [[], None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_connect": "often"},
        {"keep_connected": "b@127.0.0.1"},
        {"keep_connected": ["b"]},
        {"net_tickintensity": 2},
        {"suspect_after": 1000.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(NodeStartError):
        Node("a@127.0.0.1", cookie="secret", **wrong)
