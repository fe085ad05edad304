"""Monitors between nodes, and that nothing stays behind when a watcher or a watched process ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NOCONNECTION,
    NOPROC,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Node,
    Pid,
    demonitor,
    monitor,
    receive,
    send,
    spawn,
)
from pydist.transport.memory import MemoryNetwork

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]


async def wait() -> None:
    await receive()


async def leave(reason: Any) -> None:
    """Ends with `reason` when it is told to."""
    await receive()
    raise Exit(reason)


async def hear_of(target: Pid | tuple[str, str]) -> Down:
    ref = monitor(target)
    down: Down = await receive(ref, 5)
    assert down.ref == ref
    return down


async def watch_to_the_end(target: Any) -> Down:
    """Monitor `target`, and then tell it to go on."""
    ref = monitor(target)
    send(target, "go on")
    down: Down = await receive(ref, 5)
    assert down.ref == ref
    return down


async def test_the_watched_knows_under_which_address_it_is_watched(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def watch(target: Pid) -> None:
        monitor(("name", b.name))
        monitor(target)
        await receive()

    target = b.spawn(wait, name="name")
    watcher = a.spawn(watch, target)
    await settled()
    assert b._runtime is not None
    process = b._runtime.process(target)
    assert process is not None
    assert list(process.related().watchers.values()) == [(watcher, ("name", b.name)), (watcher, target)]


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_a_missing_process_or_name_gives_noproc(start_node: StartNode, connected: bool) -> None:
    a, b = await start_node("a"), await start_node("b")
    if connected:
        await a.run(hear_of, ("nobody", b.name))
    creation = b.spawn(wait).creation
    pid = Pid(b.name, 999, creation)
    downs = [await a.run(hear_of, pid), await a.run(hear_of, ("nobody", b.name))]
    assert [(down.process, down.reason) for down in downs] == [(pid, NOPROC), (("nobody", b.name), NOPROC)]


async def test_monitors_stack_and_each_gives_its_own_down(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair

    async def watch(target: Pid) -> tuple[Any, Any]:
        refs = [monitor(target) for _ in range(3)]
        demonitor(refs.pop(1))
        send(target, "end")
        downs = [await receive(Down, 5) for _ in refs]
        return refs, [down.ref for down in downs]

    refs, heard = await a.run(watch, b.spawn(wait))
    assert refs == heard
    await settled()
    assert leftovers(a, b) == []


async def test_a_lost_connection_fires_all_monitors_once_and_leaves_none_behind(
    pair: Pair, network: MemoryNetwork, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair
    told: list[Any] = []

    async def watch(pid: Pid) -> None:
        monitor(pid)
        monitor(("name", b.name))
        while True:
            told.append(await receive())

    target = b.spawn(wait, name="name")
    a.spawn(watch, target)
    await settled()
    assert len(leftovers(a, b)) == 8
    network.cut()
    await settled()
    assert [(down.process, down.reason) for down in told] == [
        (target, NOCONNECTION),
        (("name", b.name), NOCONNECTION),
    ]
    assert leftovers(a, b) == []
    b.send(target, "end")
    await settled()
    assert len(told) == 2


async def test_after_demonitor_no_down_comes(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair
    told: list[Any] = []

    async def watch(target: Pid) -> None:
        demonitor(monitor(target))
        ref = monitor(target)
        send(target, "end")
        demonitor(ref, flush=True)
        while True:
            told.append(await receive())

    a.spawn(watch, b.spawn(wait))
    await settled()
    assert told == []
    assert leftovers(a, b) == []


@pytest.mark.parametrize("by_name", [False, True], ids=["by pid", "by name"])
async def test_a_dead_watcher_leaves_nothing_behind_on_the_other_node(
    pair: Pair, leftovers: Leftovers, settled: Settled, by_name: bool
) -> None:
    a, b = pair

    async def watch(target: Pid) -> None:
        for _ in range(10):
            monitor(("name", b.name) if by_name else target)
        await receive()

    watcher = a.spawn(watch, b.spawn(wait, name="name"))
    await settled()
    assert len(leftovers(a, b)) == 40
    a.send(watcher, "end")
    await settled()
    assert leftovers(a, b) == []


async def test_a_watcher_that_dies_before_the_connection_is_there_leaves_nothing_behind(
    start_node: StartNode, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = await start_node("a"), await start_node("b")
    target = b.spawn(wait)

    async def watch_and_die() -> None:
        monitor(target)
        demonitor(monitor(target))
        monitor(("nobody", b.name))

    a.spawn(watch_and_die)
    await a.run(hear_of, ("nobody", b.name))
    await settled()
    assert leftovers(a, b) == []


async def test_a_thousand_short_watchers_leave_nothing_behind(
    pair: Pair, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair

    async def watch(target: Any) -> None:
        monitor(target)

    async def crowd(target: Pid) -> None:
        for number in range(1000):
            spawn(watch, [target, ("name", b.name), ("nobody", b.name)][number % 3])

    await a.run(crowd, b.spawn(wait, name="name"))
    await settled()
    assert leftovers(a, b) == []


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_a_reason_that_cannot_cross_still_fires_the_monitor(start_node: StartNode, connected: bool) -> None:
    a, b = await start_node("a"), await start_node("b")
    if connected:
        await a.run(hear_of, ("nobody", b.name))
    target = b.spawn(leave, ("some", object()))
    down = await a.run(watch_to_the_end, target)
    assert isinstance(down.reason, Crash)
    assert (down.process, down.reason.error, down.reason.traceback) == (target, "pydist.errors.EncodeError", "")
    assert "is a builtins.object, which can't be sent" in down.reason.message


async def test_a_reason_too_large_to_cross_still_fires_the_monitor(start_node: StartNode) -> None:
    a, b = await start_node("a", message_limit=1_000_000), await start_node("b", message_limit=1_000_000)
    down = await a.run(watch_to_the_end, b.spawn(leave, bytes(1_000_001)))
    assert (down.reason.error, "too large" in down.reason.message) == ("pydist.errors.EncodeError", True)


async def test_a_node_that_stops_tells_watchers_that_its_processes_were_shut_down(pair: Pair, settled: Settled) -> None:
    a, b = pair
    told: list[Down] = []

    async def watch(target: Pid) -> None:
        monitor(target)
        told.append(await receive())

    target = b.spawn(wait)
    a.spawn(watch, target)
    await settled()
    await b.stop()
    await settled()
    [down] = told
    assert (down.process, down.reason) == (target, SHUTDOWN)
