"""A connection that is reset: what both ends hear of it, once, and how it goes on afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import NOCONNECTION, Down, Exited, is_alive, link, monitor, register, send, trap_exit
from tests.conformance.deeds import (
    alias,
    demonitor,
    hear,
    hear_all,
    leave,
    monitor_with_alias,
    send_all,
    ties,
)
from tests.conformance.server import Ask, Keep, ask, start_server
from tests.conformance.stage import Stage, on_stage, result

NOTHING = (0, 0, 0, 0)


@on_stage
async def test_both_ends_of_a_link_hear_noconnection_once_and_live_on(far_stage: Stage) -> None:
    here, there = await far_stage.both()
    for actor, other in ((here, there), (there, here)):
        await actor.do(trap_exit, True)
        await actor.do(link, other.pid)
    await far_stage.settle(here, there)
    far_stage.cut()
    assert await here.do(hear, 1) == [Exited(there.pid, NOCONNECTION)]
    assert await there.do(hear, 1) == [Exited(here.pid, NOCONNECTION)]
    await far_stage.settle(here, there)
    assert [await actor.do(hear_all) for actor in (here, there)] == [[], []]
    assert [(await actor.do(ties))[:2] for actor in (here, there)] == [(0, 0), (0, 0)]


@on_stage
async def test_one_that_does_not_trap_exits_dies_of_a_lost_connection_and_its_partner_may_live(
    far_stage: Stage,
) -> None:
    here, there = await far_stage.both()
    await there.do(trap_exit, True)
    await here.do(link, there.pid)
    await far_stage.settle(here, there)
    far_stage.cut()
    assert await here.ended() == NOCONNECTION
    assert await there.do(hear, 1) == [Exited(here.pid, NOCONNECTION)]
    assert await there.do(is_alive, there.pid)


@on_stage
async def test_each_monitor_fires_once_with_noconnection(far_stage: Stage) -> None:
    here, there = await far_stage.both()
    await there.do(register, "watched", there.pid)
    targets: list[Any] = [there.pid, there.pid, ("watched", far_stage.far)]
    refs = {await here.do(monitor, target): target for target in targets}
    await here.do(demonitor, await here.do(monitor, there.pid))
    backward = await there.do(monitor, here.pid)
    await far_stage.settle(here, there)
    far_stage.cut()
    heard = await here.do(hear, 3)
    assert {down.ref: down for down in heard} == {ref: Down(ref, target, NOCONNECTION) for ref, target in refs.items()}
    assert await there.do(hear, 1) == [Down(backward, here.pid, NOCONNECTION)]
    there.tell(leave, "boom")
    await far_stage.settle(await far_stage.there(), here)
    assert (await here.do(hear_all), await here.do(ties)) == ([], NOTHING)


@pytest.mark.parametrize(("end", "late"), [("explicit_unalias", ["late"]), ("demonitor", []), ("reply_demonitor", [])])
@on_stage
async def test_a_lost_connection_ends_the_alias_of_a_monitor_as_its_down_does(
    far_stage: Stage, end: str, late: list[str]
) -> None:
    here, there = await far_stage.both()
    address = await here.do(monitor_with_alias, there.pid, end)
    plain = await here.do(alias)
    await far_stage.settle(here, there)
    far_stage.cut()
    assert await here.do(hear, 1) == [Down(address.ref, there.pid, NOCONNECTION)]
    await there.do(send, address, "late")
    await there.do(send, plain, "plain")
    await far_stage.settle(there, here)
    assert await here.do(hear_all) == [*late, "plain"]


@on_stage
async def test_a_call_fails_when_the_connection_is_lost_and_the_next_one_connects(far_stage: Stage) -> None:
    here, there = await far_stage.both()
    server = await there.do(start_server)
    asked = here.tell(ask, server, Keep(there.pid))
    await there.do(hear, 1)
    far_stage.cut()
    assert await result(asked) == ("raised", "NodeDisconnected", ("nodedown", far_stage.far))
    assert await here.do(ask, server, Ask(1)) == ("answer", 1)


@on_stage
async def test_after_a_reset_there_may_be_a_hole_and_nothing_comes_twice_or_out_of_order(far_stage: Stage) -> None:
    here, there = await far_stage.both()
    ref = await here.do(monitor, there.pid)
    await here.do(send_all, there.pid, [*range(100)])
    far_stage.cut()
    await here.do(send_all, there.pid, [*range(100, 200)])
    assert await here.do(hear, 1) == [Down(ref, there.pid, NOCONNECTION)]
    await far_stage.settle(here, there)
    await here.do(send_all, there.pid, [*range(200, 300)])
    await far_stage.settle(here, there)
    heard = await there.do(hear_all)
    assert heard == sorted(set(heard))
    assert heard[-100:] == [*range(200, 300)]


@on_stage
async def test_who_linked_before_links_again_after_it(far_stage: Stage) -> None:
    here, there = await far_stage.both()
    await here.do(trap_exit, True)
    await there.do(trap_exit, True)
    for _ in range(5):
        await here.do(link, there.pid)
        await far_stage.settle(here, there)
        far_stage.cut()
        assert await here.do(hear, 1) == [Exited(there.pid, NOCONNECTION)]
        assert await there.do(hear, 1) == [Exited(here.pid, NOCONNECTION)]
    await here.do(link, there.pid)
    there.tell(leave, "boom")
    assert await here.do(hear, 1) == [Exited(there.pid, "boom")]
