"""Links and exit signals between nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NOCONNECTION,
    NOPROC,
    SHUTDOWN,
    Exit,
    Exited,
    Node,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    receive,
    send,
    trap_exit,
    unlink,
)
from pydist.transport.memory import MemoryNetwork

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]

NOWHERE = "nowhere@127.0.0.1"


async def wait() -> None:
    await receive()


async def leave(reason: Any) -> None:
    """Ends with `reason` when it is told to."""
    await receive()
    raise Exit(reason)


async def trap(target: Pid) -> Any:
    """What a process that traps exits hears when it links to `target` and tells it to go on."""
    trap_exit(True)
    link(target)
    send(target, "go on")
    return await receive(timeout=5)


async def link_to(target: Pid) -> None:
    link(target)
    await receive()


async def hear_of(target: Pid | tuple[str, str]) -> Any:
    """Why `target` ended, by a monitor."""
    ref = monitor(target)
    return (await receive(ref, 5)).reason


async def test_a_link_works_both_ways(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair
    target = b.spawn(wait)
    linked = a.spawn(link_to, target)
    await settled()
    assert len(leftovers(a, b)) == 4  # the crossing and the process at each end
    assert await a.run(_end, linked, "the one that linked") == "the one that linked"
    assert await b.run(hear_of, target) == NOPROC  # it has died with it

    other = b.spawn(wait)
    linked = a.spawn(link_to, other)
    await settled()
    assert await b.run(_end, other, "the one that was linked to") == "the one that was linked to"
    await settled()
    assert await a.run(hear_of, linked) == NOPROC
    await settled()
    assert leftovers(a, b) == []


async def _end(pid: Pid, reason: Any) -> Any:
    ref = monitor(pid)
    exit(pid, reason)
    return (await receive(ref, 5)).reason


async def test_a_normal_end_does_not_harm_who_is_linked(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair
    target = b.spawn(wait)
    linked = a.spawn(link_to, target)
    await settled()
    b.send(target, "end")
    await settled()
    assert leftovers(a, b) == []
    assert await a.run(_end, linked, "still alive") == "still alive"


@pytest.mark.parametrize("name", ["b@127.0.0.1", "a@127.0.0.1"])
async def test_a_link_to_a_process_that_is_gone_gives_noproc(
    pair: Pair, name: str, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair
    here, there = (a, b) if name == b.name else (b, a)
    target = there.spawn(wait)
    there.send(target, "end")
    await settled()
    assert await here.run(trap, target) == Exited(target, NOPROC)
    await settled()
    assert leftovers(a, b) == []


async def test_a_link_that_is_unlinked_before_the_node_was_sought_in_vain_leaves_nothing_behind(
    start_node: StartNode, leftovers: Leftovers
) -> None:
    a = await start_node("a")

    async def link_and_unlink() -> list[Any]:
        link(Pid(NOWHERE, 1, 1))
        unlink(Pid(NOWHERE, 1, 1))
        await receive(monitor(("nobody", NOWHERE)), 5)
        return leftovers(a)

    assert await a.run(link_and_unlink) == []


async def test_a_lost_connection_breaks_links_at_both_ends(
    pair: Pair, network: MemoryNetwork, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair

    async def linked(told: list[Any], target: Pid | None = None) -> None:
        trap_exit(True)
        if target is not None:
            link(target)
        told.append(await receive())

    told_a: list[Any] = []
    told_b: list[Any] = []
    target = b.spawn(linked, told_b)
    source = a.spawn(linked, told_a, target)
    await settled()
    network.cut()
    await settled()
    assert (told_a, told_b) == ([Exited(target, NOCONNECTION)], [Exited(source, NOCONNECTION)])
    assert leftovers(a, b) == []


async def test_an_unlinked_process_hears_nothing(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair
    told: list[Any] = []

    async def link_and_unlink(target: Pid) -> None:
        trap_exit(True)
        link(target)
        unlink(target)
        exit(target, "end")
        while True:
            told.append(await receive())

    target = b.spawn(wait)
    a.spawn(link_and_unlink, target)
    await settled()
    assert (await b.run(hear_of, target), told) == (NOPROC, [])
    assert leftovers(a, b) == []


async def test_a_link_that_is_made_again_behind_an_unlink_holds(
    pair: Pair, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair
    told: list[Any] = []

    async def waver(target: Pid) -> None:
        trap_exit(True)
        for _ in range(3):
            link(target)
            unlink(target)
        link(target)
        told.append(await receive(timeout=5))

    target = b.spawn(leave, "end")
    a.spawn(waver, target)
    await settled()
    assert len(leftovers(a, b)) == 4
    b.send(target, "go on")
    await settled()
    assert told == [Exited(target, "end")]
    assert leftovers(a, b) == []


async def test_two_that_unlink_each_other_at_once_leave_nothing_behind(
    pair: Pair, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair

    async def partner() -> None:
        other = await receive()
        link(other)
        await receive()
        unlink(other)
        await receive()

    one, other = a.spawn(partner), b.spawn(partner)
    for round_ in ("link", "unlink"):
        a.send(one, other if round_ == "link" else round_)
        b.send(other, one if round_ == "link" else round_)
        await settled()
    assert leftovers(a, b) == []


async def test_exit_to_nobody_is_silent(pair: Pair, start_node: StartNode) -> None:
    a, b = pair
    target = b.spawn(wait)

    async def send_exits() -> str:
        exit(Pid(b.name, 999, target.creation), "x")
        exit(Pid(NOWHERE, 1, 1), "x")
        return "went on"

    assert await a.run(send_exits) == "went on"


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_a_reason_that_cannot_cross_still_breaks_the_link(start_node: StartNode, connected: bool) -> None:
    a, b = await start_node("a"), await start_node("b")
    told: list[Any] = []

    async def trapping() -> None:
        trap_exit(True)
        told.append(await receive(timeout=5))

    async def link_and_die(target: Pid) -> None:
        link(target)
        raise Exit(object())

    if connected:
        assert await a.run(hear_of, ("nobody", b.name)) == NOPROC
    target = b.spawn(trapping)
    source = a.spawn(link_and_die, target)
    await b.run(hear_of, target)
    [exited] = told
    reason = exited.reason
    assert (exited.pid, reason.error, reason.traceback) == (source, "pydist.errors.EncodeError", "")
    assert "is a builtins.object, which can't be sent" in reason.message


async def test_a_process_that_dies_before_the_connection_is_there_leaves_no_link_behind(
    start_node: StartNode, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = await start_node("a"), await start_node("b")
    target = b.spawn(wait)

    async def link_and_die() -> None:
        link(target)
        raise Exit("died early")

    a.spawn(link_and_die)
    assert await b.run(hear_of, target) == "died early"
    await settled()
    assert leftovers(a, b) == []


async def test_a_node_that_stops_tells_linked_processes_that_its_own_were_shut_down(
    pair: Pair, settled: Settled
) -> None:
    a, b = pair
    told: list[Any] = []

    async def trapping(target: Pid) -> None:
        trap_exit(True)
        link(target)
        told.append(await receive())

    target = b.spawn(wait)
    a.spawn(trapping, target)
    await settled()
    await b.stop()
    await settled()
    assert told == [Exited(target, SHUTDOWN)]
