"""Priority messages (OTP 28, EEP 76): urgent in the mailbox if both sides ask for it, in order on the way."""

from __future__ import annotations

import pytest

from pydist import Down, Exited, send, trap_exit
from tests.conformance.deeds import (
    alias,
    hear_all,
    leave,
    link_urgently,
    monitor_urgently,
    send_all,
    send_urgently,
    urgent_alias,
)
from tests.conformance.stage import Stage, on_stage


@pytest.mark.parametrize("opted_in", [True, False])
@pytest.mark.parametrize("asked_for", [True, False])
@on_stage
async def test_a_message_goes_before_ordinary_ones_if_both_sides_ask_for_it(
    stage: Stage, opted_in: bool, asked_for: bool
) -> None:
    here, there = await stage.both()
    address = await there.do(urgent_alias if opted_in else alias)
    for ordinary, word in ((1, "U"), (2, "V")):
        await here.do(send, there.pid, ordinary)
        await here.do(send_urgently if asked_for else send, address, word)
    await stage.settle(here, there)
    carried = stage.setting != "version 1"  # which knows no priority between nodes
    urgent = opted_in and asked_for and carried
    assert await there.do(hear_all) == (["U", "V", 1, 2] if urgent else [1, "U", 2, "V"])


@on_stage
async def test_a_down_and_an_exit_go_first_where_the_receiver_asked_for_it(stage: Stage) -> None:
    here, there = await stage.both()
    other = await stage.there()
    await here.do(trap_exit, True)
    await here.do(link_urgently, there.pid)
    ref = await here.do(monitor_urgently, other.pid)
    await other.do(send_all, here.pid, [1, 2])
    there.tell(leave, "linked")
    await there.ended()
    await stage.settle(other, here)
    other.tell(leave, "watched")
    await other.ended()
    await stage.settle(await stage.there(), here)
    assert await here.do(hear_all) == [Exited(there.pid, "linked"), Down(ref, other.pid, "watched"), 1, 2]
