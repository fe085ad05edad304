"""A peer that has the cookie speaks for its own processes, and of its own connection, alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NO_REPLY,
    NOCONNECTION,
    Caller,
    Down,
    GenServer,
    Node,
    NodeDisconnected,
    Pid,
    Ref,
    Request,
    call,
    monitor,
    receive,
)
from pydist.core.relations import Relations
from pydist.peer import Peer
from pydist.terms import Alias
from pydist.transport.memory import MemoryNetwork
from pydist.wire.control import Ask, Monitor, MonitorExit, SendAlias, SendUrgent, Signal

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]


def peer_of(node: Node, other: Node) -> Peer:
    assert node._cluster is not None
    return node._cluster.up[other.name]


def relations_of(node: Node, pid: Pid) -> Relations:
    assert node._runtime is not None
    process = node._runtime.process(pid)
    assert process is not None
    return process.related()


async def wait() -> None:
    await receive()


class Silent(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        return NO_REPLY


async def start_silent() -> Pid:
    return await Silent.start()


def watch(node: Node, target: Pid, heard: list[Any]) -> Pid:
    """A process that monitors `target`, and writes down what it hears."""

    async def watches() -> None:
        monitor(target)
        while True:
            heard.append(await receive())

    return node.spawn(watches)


def monitor_of(node: Node, watcher: Pid) -> Ref:
    [ref] = relations_of(node, watcher).monitors
    return ref


async def test_a_peer_says_nothing_of_a_local_process(pair: Pair, settled: Settled) -> None:
    a, b = pair
    heard: list[Any] = []
    watched = a.spawn(wait)
    watcher = watch(a, watched, heard)
    await settled()
    ref = monitor_of(a, watcher)
    peer_of(b, a).send(MonitorExit("x", watcher, ref, "forged"))
    await settled()
    a.send(watched, "end")
    await settled()
    assert [type(down) for down in heard] == [Down]
    assert heard[0].process == watched
    assert heard[0].reason != "forged"


async def test_a_peer_says_nothing_of_a_process_on_another_node(start_node: StartNode, settled: Settled) -> None:
    a, b, c = [await start_node(name) for name in "abc"]
    heard: list[Any] = []
    watched = c.spawn(wait)
    watcher = watch(a, watched, heard)
    there = b.spawn(wait)
    a.send(there, "meet")
    await settled()
    peer_of(b, a).send(MonitorExit("x", watcher, monitor_of(a, watcher), "forged"))
    await settled()
    assert heard == []


async def test_an_end_told_to_another_process_takes_nobody_the_real_one(
    pair: Pair, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = pair
    heard: list[Any] = []
    watched = b.spawn(wait)
    watcher, other = watch(a, watched, heard), a.spawn(wait)
    await settled()
    ref = monitor_of(a, watcher)
    peer_of(b, a).send(MonitorExit(watched, other, ref, "forged"))
    await settled()
    network.cut()
    await settled()
    assert heard == [Down(ref, watched, NOCONNECTION)]


def to_alias(alias: Alias) -> Signal:
    return SendAlias(alias, "forged")


def to_alias_urgently(alias: Alias) -> Signal:
    return SendUrgent(alias, "forged")


def of_monitor(alias: Alias) -> Signal:
    return MonitorExit("x", alias.pid, alias.ref, "forged")


@pytest.mark.parametrize("forge", [to_alias, to_alias_urgently, of_monitor])
async def test_an_answer_to_another_process_takes_nobody_the_end_of_a_request(
    pair: Pair, network: MemoryNetwork, settled: Settled, forge: Callable[[Alias], Signal]
) -> None:
    a, b = pair
    server = await b.run(start_silent)
    heard: list[Any] = []

    async def asks() -> None:
        with pytest.raises(NodeDisconnected):
            await call(server, "never answered")  # type: ignore[arg-type]  # any value can be asked
        heard.append("lost")

    a.spawn(asks)
    other = a.spawn(wait)
    await settled()
    [ref] = peer_of(a, b).crossings.asking
    peer_of(b, a).send(forge(Alias(other, ref)))
    await settled()
    network.cut()
    await settled()
    assert heard == ["lost"]


Watch = Callable[[Pid, Pid, Ref], Signal]
WATCHES: list[Watch] = [Monitor, lambda source, target, ref: Ask(source, target, ref, "x")]


@pytest.mark.parametrize("first", WATCHES, ids=["monitor", "ask"])
@pytest.mark.parametrize("second", WATCHES, ids=["monitor", "ask"])
async def test_a_reference_that_is_used_twice_costs_the_connection_and_leaves_nothing(
    pair: Pair, settled: Settled, logs: list[EventDict], first: Watch, second: Watch
) -> None:
    a, b = pair

    async def waits_on() -> None:
        while True:
            await receive()

    watched = [a.spawn(waits_on), a.spawn(waits_on)]
    watcher, ref = b.spawn(wait), Ref(b.name, 77, watched[0].creation)
    for watches, target in zip((first, second), watched, strict=True):
        peer_of(b, a).send(watches(watcher, target, ref))
    await settled()
    assert [relations_of(a, pid).watchers for pid in watched] == [{}, {}]
    assert [(line["node"], line["reason"]) for line in logs if line["event"] == "connection_lost"][:1] == [
        (b.name, "the reference 77 of a monitor or request is in use already")
    ]


async def test_who_was_sent_a_message_before_the_breach_still_runs(pair: Pair, settled: Settled) -> None:
    a, b = pair
    heard: list[Any] = []

    async def hears() -> None:
        heard.append(await receive())

    hearer, watched = a.spawn(hears), a.spawn(wait)
    watcher, ref = b.spawn(wait), Ref(b.name, 77, watched.creation)
    await settled()
    peer = peer_of(b, a)
    peer.send_message(hearer.number, "heard")
    for _ in range(2):
        peer.send(Monitor(watcher, watched, ref))
    await settled()
    assert heard == ["heard"]
