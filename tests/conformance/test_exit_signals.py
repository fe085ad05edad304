"""The table of exit signals, row by row, in each direction; and what ends a process by itself."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    Crash,
    Exited,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    trap_exit,
)
from tests.conformance.deeds import (
    exit_by_inactive_link,
    exit_by_link,
    exit_oneself,
    fail,
    hear,
    hear_all,
    idle,
    leave,
    send_all,
    speak_and_leave,
)
from tests.conformance.stage import Actor, Stage, on_stage
from tests.exit_signals import DROPPED, NOBODY, ROWS, Row


def signal(row: Row, partner: Actor, victim: Actor) -> None:
    """Have it sent: by a partner, or by the victim itself."""
    nobody = Pid(partner.pid.node, 2**40 + NOBODY, partner.pid.creation)
    match row.how:
        case "link":
            partner.tell(exit_by_link, victim.pid, row.reason)
        case "inactive link":
            partner.tell(exit_by_inactive_link, victim.pid, row.reason)
        case "exit":
            partner.tell(exit, victim.pid, row.reason)
        case "itself":
            victim.tell(exit_oneself, row.reason)
        case "link to nobody":
            victim.tell(link, nobody)
        case _:
            victim.tell(link, Pid("nowhere@127.0.0.1", 1, 1))


async def outcome(row: Row, stage: Stage, *, inward: bool) -> Any:
    """What becomes of a victim there, or here where the signal goes inward; as in the row."""
    here, there = await stage.both()
    partner, victim = (there, here) if inward else (here, there)
    await victim.do(trap_exit, row.trapping)
    signal(row, partner, victim)
    return await seen(row, stage, partner, victim)


async def seen(row: Row, stage: Stage, partner: Actor, victim: Actor) -> Any:
    """What has become of the victim."""
    if row.expected == DROPPED:
        witness = await (stage.here() if partner.pid.node == stage.node.name else stage.there())
        if row.how != "exit":
            await partner.ended()
        await stage.settle(witness, victim)
        return DROPPED if await victim.do(hear_all) == [] else "something"
    if row.expected[0] == "dies":
        return ("dies", await victim.ended())
    [exited] = await victim.do(hear, 1)
    assert isinstance(exited, Exited)
    if row.how in {"link", "exit", "itself"}:
        assert exited.pid == (victim if row.how == "itself" else partner).pid
    return ("gets", exited.reason)


@pytest.mark.parametrize("inward", [False, True], ids=["to there", "to here"])
@pytest.mark.parametrize("how", dict.fromkeys(row.how for row in ROWS))
@on_stage
async def test_what_an_exit_signal_does(stage: Stage, how: str, inward: bool) -> None:
    rows = [row for row in ROWS if row.how == how]
    outcomes = {str(row): await outcome(row, stage, inward=inward) for row in rows}
    assert outcomes == {str(row): row.expected for row in rows}


@pytest.mark.parametrize("reason", [NORMAL, "a reason", ("shutdown", [1, {"x": b"y"}]), KILL], ids=repr)
@on_stage
async def test_a_link_carries_the_reason_as_it_is(stage: Stage, reason: Any) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    await here.do(link, there.pid)
    there.tell(leave, reason)
    assert await here.do(hear, 1) == [Exited(there.pid, reason)]


@on_stage
async def test_a_kill_travels_on_by_links_as_killed_and_others_as_they_are(stage: Stage) -> None:
    here, there = await stage.both()
    last = await stage.there()
    await last.do(trap_exit, True)
    await last.do(link, here.pid)
    await here.do(link, there.pid)
    await last.do(exit, there.pid, KILL)
    assert [await there.ended(), await here.ended()] == [KILLED, KILLED]
    assert await last.do(hear, 1) == [Exited(here.pid, KILLED)]


@on_stage
async def test_an_uncaught_error_is_a_crash_with_its_traceback_to_all_that_are_linked(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(trap_exit, True)
    await here.do(link, there.pid)
    there.tell(fail, "not here")
    [exited] = await here.do(hear, 1)
    reason = exited.reason
    assert isinstance(reason, Crash)
    assert (exited.pid, reason.error, reason.message) == (there.pid, "LookupError", "not here")
    assert "raise LookupError(text)" in reason.traceback


@on_stage
async def test_an_exit_signal_acts_on_a_process_that_receives_nothing(stage: Stage) -> None:
    here, there = await stage.both()
    there.tell(idle)
    await here.do(exit, there.pid, "boom")
    assert await there.ended() == "boom"


@on_stage
async def test_of_two_exit_signals_the_first_decides(stage: Stage) -> None:
    here, there = await stage.both()
    here.tell(exit, there.pid, "first")
    here.tell(exit, there.pid, "second")
    assert await there.ended() == "first"


@on_stage
async def test_exit_to_nobody_is_silent(stage: Stage) -> None:
    here, there = await stage.both()
    there.tell(leave, "gone")
    await there.ended()
    assert await here.do(exit, there.pid, "boom") is None


@on_stage
async def test_an_exit_signal_does_not_overtake_the_messages_before_it(stage: Stage) -> None:
    here, there = await stage.both()
    await there.do(trap_exit, True)
    await here.do(send_all, there.pid, [1, 2])
    await here.do(exit, there.pid, "three")
    await here.do(send_all, there.pid, [4, 5])
    here.tell(link, there.pid)
    here.tell(speak_and_leave, there.pid, [6, 7], "eight")
    assert await there.do(hear, 8) == [1, 2, Exited(here.pid, "three"), 4, 5, 6, 7, Exited(here.pid, "eight")]
