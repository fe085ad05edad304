"""Monitors: one-way, independent, stackable; by pid and by name."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Pid,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    register,
    send,
    unregister,
)
from tests.conformance.deeds import Refused, demonitor, fail, hear, hear_all, leave, send_all, ties
from tests.conformance.stage import Stage, on_stage

NOTHING = (0, 0, 0, 0)
NOWHERE = "nowhere@127.0.0.1"


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, KILL, "text", (SHUTDOWN, {"a": [1, b"x"]})], ids=repr)
@on_stage
async def test_a_down_carries_the_reason_as_it_is(stage: Stage, reason: Any) -> None:
    here, there = await stage.both()
    ref = await here.do(monitor, there.pid)
    there.tell(leave, reason)
    assert await here.do(hear, 1) == [Down(ref, there.pid, reason)]


@on_stage
async def test_one_that_is_killed_is_down_as_killed_and_one_that_fails_as_a_crash(stage: Stage) -> None:
    here, there = await stage.both()
    other = await stage.there()
    ref = await here.do(monitor, there.pid)
    await here.do(exit, there.pid, KILL)
    assert await here.do(hear, 1) == [Down(ref, there.pid, KILLED)]
    await here.do(monitor, other.pid)
    other.tell(fail, "not here")
    [down] = await here.do(hear, 1)
    assert isinstance(down.reason, Crash)
    assert (down.reason.error, down.reason.message) == ("LookupError", "not here")


@on_stage
async def test_monitors_stack_and_each_gives_its_own_down(stage: Stage) -> None:
    here, there = await stage.both()
    refs = [await here.do(monitor, there.pid) for _ in range(3)]
    there.tell(leave, "boom")
    heard = await here.do(hear, 3)
    assert {down.ref: down for down in heard} == {ref: Down(ref, there.pid, "boom") for ref in refs}
    assert await here.do(ties) == NOTHING


@on_stage
async def test_a_monitor_is_one_way_and_a_dying_watcher_leaves_nothing_behind(stage: Stage) -> None:
    here, there = await stage.both()
    for _ in range(3):
        await here.do(monitor, there.pid)
    await stage.settle(here, there)
    assert (await here.do(ties), await there.do(ties)) == ((0, 3, 0, 0), (0, 0, 3, 0))
    here.tell(leave, "boom")
    await here.ended()
    await stage.settle(await stage.here(), there)
    assert (await there.do(ties), await there.do(hear_all)) == (NOTHING, [])


@on_stage
async def test_who_watches_the_dead_learns_only_that_there_is_nobody(stage: Stage) -> None:
    here, there = await stage.both()
    there.tell(leave, "a reason")
    await there.ended()
    ref = await here.do(monitor, there.pid)
    assert await here.do(hear, 1) == [Down(ref, there.pid, NOPROC)]
    ghost = Pid(there.pid.node, there.pid.number, there.pid.creation - 1)
    ref = await here.do(monitor, ghost)
    assert await here.do(hear, 1) == [Down(ref, ghost, NOPROC)]


@on_stage
async def test_a_node_that_cannot_be_reached_is_noconnection(stage: Stage) -> None:
    there = await stage.there()
    for target in (Pid(NOWHERE, 1, 1), ("name", NOWHERE)):
        ref = await there.do(monitor, target)
        assert await there.do(hear, 1) == [Down(ref, target, NOCONNECTION)]
    assert await there.do(monitor, ("name", "nohost")) == Refused("BadNodeName")
    assert await there.do(ties) == NOTHING


# By name


@on_stage
async def test_a_down_of_a_monitor_by_name_bears_the_name_and_the_node(stage: Stage) -> None:
    here, there = await stage.both()
    await there.do(register, "watched", there.pid)
    by_name, by_pid = await here.do(monitor, ("watched", stage.far)), await here.do(monitor, there.pid)
    there.tell(leave, "boom")
    heard = await here.do(hear, 2)
    assert {down.ref: down for down in heard} == {
        by_name: Down(by_name, ("watched", stage.far), "boom"),
        by_pid: Down(by_pid, there.pid, "boom"),
    }


@on_stage
async def test_a_name_of_the_own_node_is_a_name_with_that_node(stage: Stage) -> None:
    there = await stage.there()
    ref = await there.do(monitor, "nobody")
    assert await there.do(hear, 1) == [Down(ref, ("nobody", stage.far), NOPROC)]


@on_stage
async def test_a_name_that_nobody_has_is_noproc(stage: Stage) -> None:
    here = await stage.here()
    ref = await here.do(monitor, ("nobody", stage.far))
    assert await here.do(hear, 1) == [Down(ref, ("nobody", stage.far), NOPROC)]


@on_stage
async def test_a_monitor_by_name_watches_who_had_the_name_at_the_time(stage: Stage) -> None:
    here, first = await stage.both()
    second = await stage.there()
    await first.do(register, "passed on", first.pid)
    ref = await here.do(monitor, ("passed on", stage.far))
    await stage.settle(here, first)
    await first.do(unregister, "passed on")
    await second.do(register, "passed on", second.pid)
    second.tell(leave, "second")
    await second.ended()
    first.tell(leave, "first")
    assert await here.do(hear, 1) == [Down(ref, ("passed on", stage.far), "first")]


# Demonitor


@pytest.mark.parametrize("by_name", [False, True], ids=["pid", "name"])
@on_stage
async def test_after_demonitor_no_down_comes_and_nothing_is_left_at_the_other(stage: Stage, by_name: bool) -> None:
    here, there = await stage.both()
    await there.do(register, "watched", there.pid)
    ref = await here.do(monitor, ("watched", stage.far) if by_name else there.pid)
    await stage.settle(here, there)
    assert await here.do(demonitor, ref) is True
    await stage.settle(here, there)
    assert (await here.do(ties), await there.do(ties)) == (NOTHING, NOTHING)
    there.tell(leave, "boom")
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == []


@on_stage
async def test_a_down_that_is_under_way_is_dropped_after_demonitor(stage: Stage) -> None:
    here, there = await stage.both()
    for _ in range(5):
        target = await stage.there()
        ref = await here.do(monitor, target.pid)
        target.tell(leave, "boom")
        was_there = await here.do(demonitor, ref)
        at_once = await here.do(hear_all)
        assert at_once == ([] if was_there else [Down(ref, target.pid, "boom")])
        await target.ended()
    await stage.settle(there, here)
    assert await here.do(hear_all) == []


@pytest.mark.parametrize("flush", [False, True], ids=["leave", "flush"])
@on_stage
async def test_demonitor_leaves_a_down_that_is_there_and_flush_takes_only_its_own(stage: Stage, flush: bool) -> None:
    here, there = await stage.both()
    other = await stage.there()
    refs = [await here.do(monitor, there.pid), await here.do(monitor, there.pid), await here.do(monitor, other.pid)]
    there.tell(leave, "boom")
    await there.ended()
    await stage.settle(other, here)
    assert await here.do(demonitor, refs[0], flush) is False
    assert await here.do(demonitor, refs[2], flush) is True
    left = {down.ref for down in await here.do(hear_all)}
    assert left == ({refs[1]} if flush else {refs[0], refs[1]})


@on_stage
async def test_only_who_made_a_monitor_removes_it(stage: Stage) -> None:
    here, there = await stage.both()
    other = await stage.here()
    ref = await here.do(monitor, there.pid)
    assert await other.do(demonitor, ref) is False
    there.tell(leave, "boom")
    assert await here.do(hear, 1) == [Down(ref, there.pid, "boom")]


@on_stage
async def test_a_thousand_monitors_come_and_go(stage: Stage) -> None:
    here, there = await stage.both()
    for _ in range(1000):
        here.tell(monitor, there.pid)
    await stage.settle(here, there)
    assert (await here.do(ties), await there.do(ties)) == ((0, 1000, 0, 0), (0, 0, 1000, 0))
    there.tell(send_all, here.pid, ["last words"])
    there.tell(leave, "boom")
    first, *downs = await here.do(hear, 1001)
    assert (first, {(down.process, down.reason) for down in downs}) == ("last words", {(there.pid, "boom")})
    assert await here.do(ties) == NOTHING


@on_stage
async def test_a_process_may_watch_itself_and_hears_nothing_of_it(stage: Stage) -> None:
    here, there = await stage.both()
    await there.do(monitor, there.pid)
    await here.do(send, there.pid, "x")
    assert await there.do(hear, 1) == ["x"]
    assert await there.do(is_alive, there.pid)
