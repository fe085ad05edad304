"""Links: one per pair, in both directions, and what becomes of them when both ends act at once."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from pydist import (
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Exited,
    Pid,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    link,
    monitor,
    send,
    trap_exit,
    unlink,
)
from tests.conformance.deeds import (
    exit_by_link,
    hear,
    hear_all,
    leave,
    send_all,
    spawn_linked,
    spawn_monitored,
    ties,
)
from tests.conformance.stage import Stage, on_stage

NOTHING = (0, 0, 0, 0)
LINKED = (1, 0, 0, 0)


@on_stage
async def test_one_link_per_pair_however_often_and_from_whichever_side_it_was_made(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    for _ in range(3):
        await here.do(link, there.pid)
        await there.do(link, here.pid)
    await stage.settle(here, there)
    assert [await actor.do(ties) for actor in (here, there)] == [LINKED, LINKED]
    there.tell(leave, "boom")
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == [Exited(there.pid, "boom")]
    assert await here.do(ties) == NOTHING


@pytest.mark.parametrize("dies", ["who linked", "who was linked"])
@on_stage
async def test_a_link_works_both_ways(stage: Stage, dies: str) -> None:
    here, there = await stage.both()
    await here.do(link, there.pid)
    await stage.settle(here, there)
    first, second = (here, there) if dies == "who linked" else (there, here)
    first.tell(leave, "boom")
    assert [await first.ended(), await second.ended()] == ["boom", "boom"]


@pytest.mark.parametrize("by", ["who linked", "who was linked"])
@on_stage
async def test_either_side_removes_a_link_and_then_neither_hears_of_the_other(stage: Stage, by: str) -> None:
    here, there = await stage.both()
    await here.do(link, there.pid)
    await stage.settle(here, there)
    one, other = (here, there) if by == "who linked" else (there, here)
    await one.do(unlink, other.pid)
    await stage.settle(here, there)
    assert [await actor.do(ties) for actor in (here, there)] == [NOTHING, NOTHING]
    one.tell(leave, "boom")
    await one.ended()
    assert await other.do(is_alive, other.pid)


@on_stage
async def test_a_link_that_is_made_again_behind_an_unlink_holds(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    for _ in range(3):
        here.tell(link, there.pid)
        here.tell(unlink, there.pid)
    here.tell(link, there.pid)
    await stage.settle(here, there)
    assert [await actor.do(ties) for actor in (here, there)] == [LINKED, LINKED]
    there.tell(leave, "boom")
    assert await here.do(hear, 1) == [Exited(there.pid, "boom")]


@pytest.mark.parametrize("seed", range(8))
@on_stage
async def test_two_that_link_and_unlink_at_once_agree_when_all_is_quiet(stage: Stage, seed: int) -> None:
    here, there = await stage.both()
    chance = Random(seed)  # noqa: S311  # a history that can be repeated
    for _ in range(40):
        actor, other = chance.choice([(here, there), (there, here)])
        actor.tell(chance.choice([link, unlink]), other.pid)
    await stage.settle(here, there)
    agreed = await here.do(ties)
    assert agreed in {LINKED, NOTHING}
    assert await there.do(ties) == agreed
    await here.do(trap_exit, True)
    there.tell(leave, "boom")
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == ([Exited(there.pid, "boom")] if agreed == LINKED else [])


@on_stage
async def test_two_that_unlink_each_other_at_once_leave_nothing_behind(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(link, there.pid)
    await stage.settle(here, there)
    here.tell(unlink, there.pid)
    there.tell(unlink, here.pid)
    await stage.settle(here, there)
    assert [await actor.do(ties) for actor in (here, there)] == [NOTHING, NOTHING]


@on_stage
async def test_no_exit_signal_comes_by_a_link_after_unlink_whatever_is_under_way(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    await here.do(link, there.pid)
    there.tell(leave, "boom")
    await here.do(unlink, there.pid)
    before = await here.do(hear_all)
    assert before in ([], [Exited(there.pid, "boom")])
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == []


@on_stage
async def test_a_link_to_the_dead_is_noproc(stage: Stage) -> None:
    here, there = await stage.both()
    there.tell(leave, NORMAL)
    await there.ended()
    await here.do(trap_exit, True)
    here.tell(link, there.pid)
    assert await here.do(hear, 1) == [Exited(there.pid, NOPROC)]
    await here.do(trap_exit, False)
    here.tell(link, there.pid)
    assert await here.ended() == NOPROC


@on_stage
async def test_a_link_to_an_earlier_life_of_a_node_is_noproc(stage: Stage) -> None:
    here, there = await stage.both()
    ghost = Pid(there.pid.node, there.pid.number, there.pid.creation - 1)
    await here.do(trap_exit, True)
    here.tell(link, ghost)
    assert await here.do(hear, 1) == [Exited(ghost, NOPROC)]


@on_stage
async def test_a_link_to_oneself_and_an_unlink_of_a_stranger_do_nothing(stage: Stage) -> None:
    here, there = await stage.both()
    await there.do(link, there.pid)
    await there.do(unlink, here.pid)
    await stage.settle(here, there)
    assert (await there.do(ties), await there.do(hear_all)) == (NOTHING, [])


@on_stage
async def test_a_death_goes_through_all_that_are_linked_and_stops_at_one_that_traps(stage: Stage) -> None:
    chain = [await (stage.there() if number % 2 else stage.here()) for number in range(6)]
    outside = await stage.here()
    for one, other in pairwise(chain):
        await one.do(link, other.pid)
    await chain[3].do(trap_exit, True)
    chain[0].tell(leave, "boom")
    assert [await actor.ended() for actor in chain[:3]] == ["boom"] * 3
    assert await chain[3].do(hear, 1) == [Exited(chain[2].pid, "boom")]
    assert all([await actor.do(is_alive, actor.pid) for actor in (*chain[4:], outside)])


@on_stage
async def test_a_normal_end_harms_nobody_and_takes_the_link_away(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(link, there.pid)
    there.tell(leave, NORMAL)
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert (await here.do(ties), await here.do(hear_all)) == (NOTHING, [])


@pytest.mark.parametrize("place", ["here", "there"])
@on_stage
async def test_spawning_with_a_link_or_a_monitor_sees_the_reason_of_a_child_that_ends_at_once(
    stage: Stage, place: str
) -> None:
    parent = await (stage.here() if place == "here" else stage.there())
    await parent.do(trap_exit, True)
    child = await parent.do(spawn_linked, "at once")
    assert await parent.do(hear, 1) == [Exited(child, "at once")]
    child, ref = await parent.do(spawn_monitored, "at once")
    [down] = await parent.do(hear, 1)
    assert (down.ref, down.process, down.reason) == (ref, child, "at once")


@on_stage
async def test_who_links_to_a_process_after_it_has_ended_does_not_learn_why(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    child, _ = await there.do(spawn_monitored, "the reason")
    await there.do(hear, 1)
    here.tell(link, child)
    assert await here.do(hear, 1) == [Exited(child, NOPROC)]


@on_stage
async def test_a_link_to_a_node_that_does_not_exist_is_noconnection(stage: Stage) -> None:
    there = await stage.there()
    nowhere = Pid("nowhere@127.0.0.1", 1, 1)
    await there.do(trap_exit, True)
    there.tell(link, nowhere)
    assert await there.do(hear, 1) == [Exited(nowhere, NOCONNECTION)]
    assert await there.do(ties) == NOTHING


@on_stage
async def test_links_and_monitors_of_one_pair_are_independent(stage: Stage) -> None:
    here, there = await stage.both()
    ref = await here.do(monitor, there.pid)
    await here.do(link, there.pid)
    await here.do(unlink, there.pid)
    there.tell(leave, "boom")
    [down] = await here.do(hear, 1)
    assert (down.ref, down.reason) == (ref, "boom")
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == []


@on_stage
async def test_who_links_and_dies_in_one_breath_is_heard(stage: Stage) -> None:
    here, there = await stage.both()
    await there.do(trap_exit, True)
    here.tell(send_all, there.pid, ["last words"])
    here.tell(exit_by_link, there.pid, "boom")
    assert await there.do(hear, 2) == ["last words", Exited(here.pid, "boom")]
    assert await there.do(ties) == NOTHING
    await there.do(send, here.pid, "too late")
    assert not await (await stage.here()).do(is_alive, here.pid)
    await there.do(exit, there.pid, KILLED)
    assert await there.do(hear, 1) == [Exited(there.pid, KILLED)]
