"""Aliases, and the calls that are built on them."""

from __future__ import annotations

import pytest

from pydist import (
    KILL,
    KILLED,
    NOPROC,
    Alias,
    Down,
    Pid,
    exit,  # noqa: A004  # OTP's name
    send,
    unalias,
)
from tests.conformance.deeds import alias, demonitor, hear, hear_all, leave, monitor_with_alias, send_all, ties
from tests.conformance.server import Ask, Keep, Leave, ask, start_server
from tests.conformance.stage import Actor, Stage, on_stage, result

NOTHING = (0, 0, 0, 0)
ENDS = ("explicit_unalias", "demonitor", "reply_demonitor")
MODES = ("alias", "reply", *ENDS)


async def opened(mode: str, owner: Actor, target: Actor) -> Alias:
    """An alias of `owner`; that of a monitor watches `target`."""
    address: Alias
    if mode in ENDS:
        address = await owner.do(monitor_with_alias, target.pid, mode)
    else:
        address = await owner.do(alias, mode == "reply")
    return address


ENDED_BY = {
    "alias": {"unalias"},
    "reply": {"unalias", "message"},
    "explicit_unalias": {"unalias"},
    "demonitor": {"unalias", "demonitor", "down"},
    "reply_demonitor": {"unalias", "demonitor", "down", "message"},
}


@pytest.mark.parametrize("event", ["nothing", "message", "unalias", "demonitor", "down"])
@pytest.mark.parametrize("mode", MODES)
@on_stage
async def test_what_ends_an_alias(stage: Stage, mode: str, event: str) -> None:
    here, there = await stage.both()
    target = await stage.there()
    address = await opened(mode, here, target)
    match event:
        case "message":
            await there.do(send, address, "first")
        case "unalias":
            assert await here.do(unalias, address) is True
        case "demonitor":
            await here.do(demonitor, address.ref)
        case "down":
            target.tell(leave, "boom")
            await target.ended()
        case _:
            pass
    await stage.settle(there, here)
    await here.do(hear_all)
    await there.do(send, address, "late")
    await stage.settle(there, here)
    assert await here.do(hear_all) == ([] if event in ENDED_BY[mode] else ["late"])


@pytest.mark.parametrize("mode", MODES)
@on_stage
async def test_messages_that_came_before_the_end_of_an_alias_stay(stage: Stage, mode: str) -> None:
    here, there = await stage.both()
    address = await opened(mode, here, there)
    await there.do(send_all, address, [1, 2])
    await stage.settle(there, here)
    once = mode in {"reply", "reply_demonitor"}
    assert await here.do(unalias, address) is not once
    await there.do(send, address, 3)
    await stage.settle(there, here)
    assert await here.do(hear_all) == ([1] if once else [1, 2])


@on_stage
async def test_an_answer_and_a_down_bear_one_reference_and_an_answer_ends_the_monitor(stage: Stage) -> None:
    here, there = await stage.both()
    address = await here.do(monitor_with_alias, there.pid, "reply_demonitor")
    await there.do(send, address, (address.ref, "answer"))
    there.tell(leave, "boom")
    await there.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == [(address.ref, "answer")]
    assert await here.do(ties) == NOTHING


@pytest.mark.parametrize("end", ENDS)
@on_stage
async def test_the_alias_of_a_monitor_of_nobody_ends_with_its_down(stage: Stage, end: str) -> None:
    here, there = await stage.both()
    address = await here.do(monitor_with_alias, ("nobody", stage.far), end)
    assert await here.do(hear, 1) == [Down(address.ref, ("nobody", stage.far), NOPROC)]
    await there.do(send, address, "late")
    await stage.settle(there, here)
    assert await here.do(hear_all) == (["late"] if end == "explicit_unalias" else [])


@on_stage
async def test_only_its_own_process_ends_an_alias(stage: Stage) -> None:
    here, there = await stage.both()
    other = await stage.here()
    address = await here.do(alias)
    assert [await actor.do(unalias, address) for actor in (there, other)] == [False, False]
    await there.do(send, address, "x")
    assert await here.do(hear, 1) == ["x"]


@on_stage
async def test_unalias_leaves_the_monitor(stage: Stage) -> None:
    here, there = await stage.both()
    address = await here.do(monitor_with_alias, there.pid, "reply_demonitor")
    await here.do(unalias, address)
    there.tell(leave, "boom")
    assert await here.do(hear, 1) == [Down(address.ref, there.pid, "boom")]


@on_stage
async def test_an_alias_with_the_pid_of_another_is_none(stage: Stage) -> None:
    here, there = await stage.both()
    other = await stage.here()
    address = await here.do(alias)
    await there.do(send, Alias(other.pid, address.ref), "x")
    await stage.settle(there, other)
    await stage.settle(there, here)
    assert [await actor.do(hear_all) for actor in (here, other)] == [[], []]


@on_stage
async def test_an_alias_may_be_handed_on_and_reaches_its_process_from_everywhere(stage: Stage) -> None:
    here, there = await stage.both()
    third = await stage.here()
    address = await here.do(alias)
    await there.do(send, third.pid, address)
    [handed_on] = await third.do(hear, 1)
    assert handed_on == address
    await third.do(send, handed_on, "x")
    assert await here.do(hear, 1) == ["x"]


# Calls


@on_stage
async def test_a_call_is_answered_and_leaves_nothing_behind(stage: Stage) -> None:
    here, there = await stage.both()
    server = await there.do(start_server)
    for number in range(20):
        assert await here.do(ask, server, Ask(number)) == ("answer", number)
    await stage.settle(here, there)
    assert (await here.do(ties), await here.do(hear_all)) == (NOTHING, [])
    assert await there.do(ask, ("nobody", stage.far), Ask(1)) == ("raised", "NoProcess", NOPROC)


@on_stage
async def test_a_call_to_nobody_fails_at_once_and_one_to_oneself_too(stage: Stage) -> None:
    here, there = await stage.both()
    nobody = Pid(stage.far, 2**40, there.pid.creation)
    for target in (nobody, ("nobody", stage.far)):
        assert await here.do(ask, target, Ask(1)) == ("raised", "NoProcess", NOPROC)
    kind, error, *_ = await there.do(ask, there.pid, Ask(1))
    assert (kind, error) == ("raised", "CallingSelf")


@on_stage
async def test_a_server_that_ends_instead_of_answering_fails_the_call_with_its_reason(stage: Stage) -> None:
    here, there = await stage.both()
    server = await there.do(start_server)
    assert await here.do(ask, server, Leave("tired")) == ("raised", "CallError", "tired")
    assert await here.do(ask, server, Ask(1)) == ("raised", "NoProcess", NOPROC)


@on_stage
async def test_a_server_that_is_killed_while_it_is_called_fails_the_call(stage: Stage) -> None:
    here, there = await stage.both()
    server = await there.do(start_server)
    asked = here.tell(ask, server, Keep(there.pid))
    assert await there.do(hear, 1) == ["kept"]
    await there.do(exit, server, KILL)
    assert await result(asked) == ("raised", "CallError", KILLED)


@on_stage
async def test_a_call_to_a_node_that_cannot_be_reached_says_so(stage: Stage) -> None:
    there = await stage.there()
    nowhere = ("name", "nowhere@127.0.0.1")
    assert await there.do(ask, nowhere, Ask(1)) == ("raised", "NodeDisconnected", ("nodedown", nowhere[1]))


@on_stage
async def test_an_answer_that_comes_after_the_timeout_is_never_seen(stage: Stage) -> None:
    here, there = await stage.both()
    server = await there.do(start_server)
    assert await here.do(ask, server, Keep(here.pid), 0.05) == ("raised", "CallTimeout")
    assert await here.do(ties) == NOTHING
    await there.do(send, server, "answer")
    assert await here.do(hear, 2) == ["kept", "answered"]  # which the server has said behind its answer
    assert await here.do(hear_all) == []
