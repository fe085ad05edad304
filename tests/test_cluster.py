"""How nodes find each other, lose each other, and come back under the same name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NOCONNECTION,
    NOPROC,
    Down,
    Exited,
    Node,
    NodeDisconnected,
    NodeDown,
    NodeUp,
    Pid,
    Request,
    call,
    connect,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    monitor_nodes,
    nodes,
    receive,
    send,
    spawn,
    trap_exit,
    unlink,
)
from pydist.epmd_client import register
from pydist.transport.memory import MemoryNetwork

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], object]], Awaitable[None]]
Leftovers = Callable[..., list[Any]]


class Hello(Request[None]):
    """Nobody answers it."""


async def wait() -> None:
    await receive()


async def hear_of(target: Pid | tuple[str, str]) -> Any:
    ref = monitor(target)
    return (await receive(ref, 5)).reason


async def names() -> list[str]:
    return nodes()


def subscriber(told: list[Any]) -> Callable[[], Coroutine[Any, Any, None]]:
    """A process that keeps what it is told of nodes."""

    async def subscribe() -> None:
        monitor_nodes(True)
        while True:
            told.append(await receive())

    return subscribe


def cut_off(node: str) -> NodeDown:
    """What is told of the first connection when the network is cut."""
    return NodeDown(node, "connection_closed", "the network was cut", connection_id=1)


# Up and down


async def test_both_sides_hear_that_a_connection_comes_and_goes(
    pair: Pair, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = pair
    told_a: list[Any] = []
    told_b: list[Any] = []
    a.spawn(subscriber(told_a))
    b.spawn(subscriber(told_b))
    await settled()
    network.cut()
    await settled()
    assert (told_a, told_b) == ([cut_off(b.name)], [cut_off(a.name)])
    await a.run(hear_of, ("nobody", b.name))
    assert (told_a[1:], told_b[1:]) == ([NodeUp(b.name, connection_id=2)], [NodeUp(a.name, connection_id=2)])


async def test_who_no_longer_wants_to_hear_of_nodes_does_not(pair: Pair, network: MemoryNetwork) -> None:
    a, b = pair

    async def change_mind() -> Any:
        monitor_nodes(True)
        network.cut()
        first = await receive(timeout=5)
        monitor_nodes(False)
        ref = monitor(("nobody", b.name))
        return first, await receive(timeout=5), ref

    first, second, ref = await a.run(change_mind)
    assert (first.node, type(second), second.ref) == (b.name, Down, ref)


async def test_nodes_names_those_that_are_connected(
    start_node: StartNode, network: MemoryNetwork, settled: Settled
) -> None:
    a, b, c = await start_node("a"), await start_node("b"), await start_node("c")
    assert await a.run(names) == []
    for node in (b, c):
        await a.run(hear_of, ("nobody", node.name))
    assert (await a.run(names), await b.run(names)) == ([b.name, c.name], [a.name])
    await c.stop()
    await settled()
    assert await a.run(names) == [b.name]


async def test_a_dead_subscriber_is_forgotten(pair: Pair) -> None:
    a, _ = pair

    async def subscribe() -> None:
        monitor_nodes(True)

    async def crowd() -> None:
        for _ in range(100):
            await receive(spawn(subscribe, monitor=True)[1])

    await a.run(crowd)
    assert a._cluster is not None
    assert a._cluster._events._monitors.of_nodes("visible") == []


async def test_silence_for_the_tick_time_is_the_end_of_a_connection(
    start_node: StartNode, network: MemoryNetwork, logs: list[EventDict]
) -> None:
    a, b = await start_node("a", net_ticktime=0.2), await start_node("b", net_ticktime=0.2)

    async def watch(target: Pid) -> Any:
        monitor_nodes(True)
        ref = monitor(target)
        await receive(NodeUp, 5)
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await receive(timeout=0.5)  # with nothing to say the ticks alone hold the connection
        network.silence()
        begun = loop.time()
        down = await receive(ref, 5)
        return down.reason, await receive(NodeDown, 5), loop.time() - begun

    reason, node_down, seconds = await a.run(watch, b.spawn(wait))
    assert (reason, node_down) == (
        NOCONNECTION,
        NodeDown(b.name, "net_tick_timeout", "nothing heard for 0.2 s (net_ticktime)", connection_id=1),
    )
    assert 0.15 <= seconds < 0.5
    assert ("connection_lost", b.name) in [(line["event"], line.get("node")) for line in logs]
    network.silent = False


# Connecting


async def test_first_sends_from_both_sides_at_once_lose_nothing_and_make_one_connection(
    start_node: StartNode, network: MemoryNetwork, settled: Settled
) -> None:
    for number in range(20):
        a, b = await start_node(f"a{number}"), await start_node(f"b{number}")
        told_a: list[Any] = []
        told_b: list[Any] = []

        async def collect(told: list[Any]) -> None:
            while len(told) < 100:
                told.append(await receive())

        async def talk(target: Pid) -> None:
            for word in range(100):
                send(target, word)
                await asyncio.sleep(0)

        at_a, at_b = a.spawn(collect, told_a), b.spawn(collect, told_b)
        a.spawn(talk, at_b)
        for _ in range(number % 5):
            await asyncio.sleep(0)
        b.spawn(talk, at_a)
        assert await a.run(_ended, at_a) == await b.run(_ended, at_b)
        assert (told_a, told_b) == (list(range(100)), list(range(100)))
        await settled()
        assert len(network.transports) == 2
        await a.stop()
        await b.stop()
        await settled()


async def _ended(pid: Pid) -> Any:
    ref = monitor(pid)
    await receive(ref, 5)
    return "ended"


@pytest.mark.parametrize(
    "name",
    ["nobody@127.0.0.1", "x" * 240 + "@127.0.0.1", "b@127.255.255.255", "b@two..dots", "b@" + "x" * 100],
    ids=["name", "long name", "address", "dots", "long host"],
)
async def test_a_node_that_cannot_be_found_is_noconnection_and_one_line_in_the_log(
    start_node: StartNode, name: str, logs: list[EventDict]
) -> None:
    a = await start_node("a")
    assert await a.run(hear_of, ("x", name)) == NOCONNECTION
    assert [line["node"] for line in logs if line["event"] == "node_unreachable"] == [name]
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_an_erlang_node_is_no_pydist_node(start_node: StartNode, port_mapper: int, logs: list[EventDict]) -> None:
    a = await start_node("a")
    erlang = await register("erlang", 1, epmd_port=port_mapper, extra=b"")
    assert await a.run(hear_of, ("x", "erlang@127.0.0.1")) == NOCONNECTION
    erlang.close()
    assert [line["reason"] for line in logs if line["event"] == "node_unreachable"] == [
        "erlang@127.0.0.1 is no pydist node"
    ]


async def test_a_name_at_whose_port_nobody_listens_is_noconnection(start_node: StartNode, port_mapper: int) -> None:
    a = await start_node("a")
    ghost = await register("ghost", 1, epmd_port=port_mapper)
    assert await a.run(hear_of, ("x", "ghost@127.0.0.1")) == NOCONNECTION
    ghost.close()


async def test_another_node_at_the_port_that_was_looked_up_is_refused(
    start_node: StartNode, port_mapper: int, logs: list[EventDict]
) -> None:
    a, b = await start_node("a"), await start_node("b")
    assert b._listener is not None
    impostor = await register("c", b._listener.port, epmd_port=port_mapper)
    assert await a.run(hear_of, ("x", "c@127.0.0.1")) == NOCONNECTION
    impostor.close()
    assert [line["reason"] for line in logs if line["event"] == "node_unreachable"] == [
        "dialled c@127.0.0.1, and b@127.0.0.1 answers"
    ]


async def test_a_wrong_cookie_fails_the_call_and_both_sides_say_so(
    start_node: StartNode, logs: list[EventDict]
) -> None:
    a, b = await start_node("a", cookie="one"), await start_node("b", cookie="another")
    with pytest.raises(NodeDisconnected):
        await a.run(call, ("server", b.name), Hello())
    refused = {line["dialled"]: line["reason"] for line in logs if line["event"] == "handshake_refused"}
    assert refused == {
        None: "the proof is wrong: the peer has another cookie",
        "b@127.0.0.1": "the peer closed after our proof: most likely its cookie is another",
    }
    assert (await a.run(names), await b.run(names)) == ([], [])


# A node that comes back under the same name


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_a_pid_of_an_earlier_life_reaches_nobody(
    start_node: StartNode, connected: bool, settled: Settled, leftovers: Leftovers
) -> None:
    a, b = await start_node("a"), await start_node("b")
    old = b.spawn(wait)
    await a.run(hear_of, ("nobody", b.name))
    await b.stop()
    b = await start_node("b")
    told: list[Any] = []

    async def listen() -> None:
        trap_exit(True)
        while True:
            told.append(await receive())

    new = b.spawn(listen)
    assert (new.node, new.number) == (old.node, old.number)
    assert new != old
    if connected:
        await a.run(hear_of, ("nobody", b.name))

    async def try_all() -> tuple[Any, Any]:
        trap_exit(True)
        send(old, "a message")
        exit(old, "an exit signal")
        link(old)
        unlink(old)
        link(old)
        exited = await receive(Exited, 5)
        ref = monitor(old)
        down = await receive(ref, 5)
        send(new, "the only one")
        return exited, down.reason

    assert await a.run(try_all) == (Exited(old, NOPROC), NOPROC)
    await settled()
    assert told == ["the only one"]
    assert leftovers(a, b) == []


async def test_a_node_that_comes_back_before_its_death_was_noticed_is_connected_anew(
    start_node: StartNode, network: MemoryNetwork, settled: Settled, until: Until
) -> None:
    a, b = await start_node("a"), await start_node("b")
    told: list[Any] = []

    async def watch(target: Pid) -> None:
        monitor_nodes(True)
        connect(b.name)
        told.append(await receive())
        ref = monitor(target)
        told.append(ref)
        while True:
            told.append(await receive())

    old = b.spawn(wait)
    a.spawn(watch, old)
    await until(lambda: len(told) == 2)
    await settled()
    network.silence()  # as when a machine loses its power: nobody says goodbye
    await b.stop()
    network.silent = False
    again = await start_node("b")
    assert await again.run(hear_of, ("nobody", a.name)) == NOPROC
    await settled()
    up, ref, *rest = told
    assert (up, rest) == (
        NodeUp(b.name, connection_id=1),
        [
            Down(ref, old, NOCONNECTION),
            NodeDown(b.name, "connection_closed", "replaced by the peer", connection_id=1),
            NodeUp(b.name, connection_id=2),
        ],
    )
    assert await a.run(names) == [b.name]


async def test_two_connections_of_a_process_group_keep_apart(start_node: StartNode, settled: Settled) -> None:
    a, b, c = await start_node("a"), await start_node("b"), await start_node("c")
    told: list[Any] = []

    async def watch(*targets: Pid) -> None:
        trap_exit(True)
        for target in targets:
            link(target)
            monitor(target)
        while True:
            told.append(await receive())

    at_b, at_c = b.spawn(wait), c.spawn(wait)
    a.spawn(watch, at_b, at_c)
    await a.run(hear_of, ("nobody", b.name))
    await a.run(hear_of, ("nobody", c.name))
    b_up = a._cluster.up[b.name]  # type: ignore[union-attr]  # it has a cluster
    b_up._transport.abort()
    await settled()
    assert sorted((type(message).__name__, message.reason.name) for message in told) == [
        ("Down", "noconnection"),
        ("Exited", "noconnection"),
    ]
    assert await a.run(names) == [c.name]
