"""Processes that are started elsewhere: linked and monitored from before their first step."""

from __future__ import annotations

from pydist import Down, Exited, trap_exit
from tests.conformance.deeds import Refused, hear, spawn_far, ties
from tests.conformance.stage import Stage, on_stage

NOTHING = (0, 0, 0, 0)


@on_stage
async def test_what_it_says_and_why_it_ends_is_heard_in_order(stage: Stage) -> None:
    here = await stage.here()
    await here.do(trap_exit, True)
    for number in range(5):
        started = await here.do(spawn_far, stage.far, "conformance.speaker", [here.pid, ["x", number], "boom"])
        if stage.setting == "version 1":
            assert started == Refused("StartError")
            continue
        pid, ref = started
        words, ends = await here.do(hear, 2), await here.do(hear, 2)
        assert words == ["x", number]
        assert sorted(ends, key=lambda end: type(end).__name__) == [Down(ref, pid, "boom"), Exited(pid, "boom")]
    assert await here.do(ties) == NOTHING


@on_stage
async def test_what_is_not_exported_is_refused(stage: Stage) -> None:
    here = await stage.here()
    error = "StartError" if stage.setting == "version 1" else "NotExported"
    assert await here.do(spawn_far, stage.far, "os:system", ["true"]) == Refused(error)
    assert await here.do(ties) == NOTHING
