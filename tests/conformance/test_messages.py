"""Messages and their order, what a signal does when it is received, selective receive, and names."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    Alias,
    Down,
    Exited,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    receive,
    register,
    send,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from tests.conformance.deeds import (
    Refused,
    alias,
    demonitor,
    first_of_kind,
    hear,
    hear_all,
    leave,
    send_all,
    speak_and_leave,
    take,
    ties,
)
from tests.conformance.stage import Actor, Stage, on_stage

NOTHING = (0, 0, 0, 0)
SIZES = pytest.mark.parametrize("size", [1, 300_000], ids=["small", "in fragments"])


async def addresses(actor: Actor) -> list[Any]:
    """Three ways to one process: pid, name and alias."""
    await actor.do(register, "someone", actor.pid)
    return [actor.pid, ("someone", actor.pid.node), await actor.do(alias)]


# Order between a pair


@pytest.mark.parametrize("inward", [False, True], ids=["to there", "to here"])
@on_stage
async def test_messages_of_one_to_another_keep_their_order_by_pid_name_and_alias(stage: Stage, inward: bool) -> None:
    here, there = await stage.both()
    sender, receiver = (there, here) if inward else (here, there)
    ways = await addresses(receiver)
    for number in range(60):
        sender.tell(send, ways[number % 3], number)
    assert await receiver.do(hear, 60) == list(range(60))


@on_stage
async def test_a_message_of_a_mebibyte_keeps_its_place_among_small_ones(stage: Stage) -> None:
    here, there = await stage.both()
    large = b"x" * 2**20
    await here.do(send_all, there.pid, [1, large, 2, large, 3])
    assert await there.do(hear, 5) == [1, large, 2, large, 3]


@SIZES
@on_stage
async def test_signals_of_all_kinds_act_in_the_order_of_sending(stage: Stage, size: int) -> None:
    large = b"x" * size
    here, there = await stage.both()
    ways = await addresses(there)
    await there.do(trap_exit, True)
    deeds: list[tuple[Any, ...]] = [
        (send, ways[0], [1, large]),
        (exit, there.pid, "two"),
        (send, ways[1], [3, large]),
        (link, there.pid),
        (send, ways[2], [4, large]),
        (unlink, there.pid),
        (exit, there.pid, ("five", large)),
        (link, there.pid),
        (send, ways[0], 6),
        (leave, ("seven", large)),
    ]
    for deed, *args in deeds:
        here.tell(deed, *args)
    assert await there.do(hear, 7) == [
        [1, large],
        Exited(here.pid, "two"),
        [3, large],
        [4, large],
        Exited(here.pid, ("five", large)),
        6,
        Exited(here.pid, ("seven", large)),
    ]


@SIZES
@on_stage
async def test_a_down_and_an_exit_do_not_overtake_the_last_messages_of_the_dead(stage: Stage, size: int) -> None:
    large = b"x" * size
    here, there = await stage.both()
    await here.do(trap_exit, True)
    await here.do(link, there.pid)
    ref = await here.do(monitor, there.pid)
    there.tell(speak_and_leave, here.pid, [1, large, 3], "the end")
    heard = await here.do(hear, 5)
    assert heard[:3] == [1, large, 3]
    assert {type(message): message for message in heard[3:]} == {
        Exited: Exited(there.pid, "the end"),
        Down: Down(ref, there.pid, "the end"),
    }


@on_stage
async def test_a_demonitor_does_not_overtake_its_monitor(stage: Stage) -> None:
    here, there = await stage.both()
    for _ in range(20):
        ref = await here.do(monitor, there.pid)
        here.tell(demonitor, ref)
    await stage.settle(here, there)
    assert (await here.do(ties), await there.do(ties)) == (NOTHING, NOTHING)


@on_stage
async def test_a_signal_acts_when_it_is_received_and_not_when_the_receiver_looks(stage: Stage) -> None:
    here, there = await stage.both()
    address = await there.do(alias)
    await here.do(send_all, address, ["before"])
    await stage.settle(here, there)
    await there.do(unalias, address)
    await here.do(send_all, address, ["after"])
    await stage.settle(here, there)
    assert await there.do(hear_all) == ["before"]


# To nobody


@on_stage
async def test_sending_to_the_dead_is_silent(stage: Stage) -> None:
    here, there = await stage.both()
    address = await there.do(alias)
    there.tell(leave, "gone")
    await there.ended()
    assert [await here.do(send, to, "x") for to in (there.pid, address)] == [None, None]


@on_stage
async def test_a_name_that_nobody_has_is_an_error_at_home_and_silent_where_a_node_is_named(stage: Stage) -> None:
    here = await stage.here()
    assert await here.do(send, "nobody", "x") == Refused("UnknownName")
    assert [await here.do(send, ("nobody", node), "x") for node in (here.pid.node, stage.far)] == [None, None]


@on_stage
async def test_pids_and_aliases_of_an_earlier_life_of_a_node_reach_nobody(stage: Stage) -> None:
    here, there = await stage.both()
    ghost = Pid(there.pid.node, there.pid.number, there.pid.creation - 1)
    address = await there.do(alias)
    for to in (ghost, Alias(ghost, address.ref)):
        await here.do(send, to, "x")
    await here.do(exit, ghost, "x")
    await stage.settle(here, there)
    assert await there.do(hear_all) == []


# Names


@on_stage
async def test_a_process_has_one_name_and_a_name_one_process(stage: Stage) -> None:
    one, other = await stage.there(), await stage.there()
    assert await one.do(register, "name", one.pid) is None
    assert await other.do(register, "name", other.pid) == Refused("NameTaken")
    assert await one.do(register, "second", one.pid) == Refused("NameTaken")
    assert [await other.do(whereis, name) for name in ("name", "second")] == [one.pid, None]
    await one.do(unregister, "name")
    assert await other.do(register, "name", other.pid) is None


@pytest.mark.parametrize("seen_by", ["down", "exit"])
@on_stage
async def test_when_the_end_of_a_process_is_seen_its_name_is_free(stage: Stage, seen_by: str) -> None:
    here, there = await stage.both()
    heir = await stage.there()
    await there.do(register, "heirloom", there.pid)
    await here.do(trap_exit, True)
    await here.do(monitor if seen_by == "down" else link, there.pid)
    there.tell(leave, "gone")
    await here.do(hear, 1)
    assert await heir.do(register, "heirloom", heir.pid) is None


@on_stage
async def test_a_message_by_name_goes_to_who_has_it_when_it_arrives(stage: Stage) -> None:
    here, first = await stage.both()
    second = await stage.there()
    await first.do(register, "relay", first.pid)
    await here.do(send, ("relay", stage.far), 1)
    assert await first.do(hear, 1) == [1]
    await first.do(unregister, "relay")
    await second.do(register, "relay", second.pid)
    await here.do(send, ("relay", stage.far), 2)
    assert await second.do(hear, 1) == [2]


# Receiving


@on_stage
async def test_a_receive_takes_the_first_that_matches_and_leaves_the_others_in_order(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(send_all, there.pid, [1, ("b", 2), ("a", 3), ("b", 4), ("a", 5), 6])
    taken = [await there.do(first_of_kind, kind) for kind in ("a", "b", "a")]
    assert taken == [("a", 3), ("b", 2), ("a", 5)]
    assert await there.do(hear, 3) == [1, ("b", 4), 6]


@on_stage
async def test_a_receive_that_waits_takes_what_comes_later_and_leaves_what_was_there(stage: Stage) -> None:
    here, there = await stage.both()
    await here.do(send_all, there.pid, [1, 2])
    there.tell(take, "awaited")
    await here.do(send_all, there.pid, [3, "awaited", 4])
    assert await there.do(hear, 4) == [1, 2, 3, 4]


@on_stage
async def test_a_receive_with_no_time_takes_what_is_there_and_does_not_wait(stage: Stage) -> None:
    here, there = await stage.both()
    assert await there.do(hear_all) == []
    await here.do(send_all, there.pid, [1, 2])
    await stage.settle(here, there)
    assert await there.do(hear_all) == [1, 2]
    with pytest.raises(TimeoutError):
        await receive(tuple, 0)
