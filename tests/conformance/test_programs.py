"""What only programs have: one is killed, started anew, or stopped for a while."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pydist import NOCONNECTION, NOPROC, Down, Exited, Node, link, monitor, register, send, trap_exit
from tests.conformance.deeds import hear, hear_all, speak_and_leave, take
from tests.conformance.far import Far
from tests.conformance.stage import Stage, on_stage, opposite

pytestmark = pytest.mark.real

StartNode = Callable[..., Awaitable[Node]]
StartFar = Callable[..., Far]

TICKTIME = 2.0


@pytest.fixture
def start_far(far_epmd_port: int, tmp_path: Path) -> Iterator[StartFar]:
    """Starts a program of the test's own, which it may harm."""
    programs: list[Far] = []

    def start(net_ticktime: float = 60.0) -> Far:
        programs.append(Far("victim@127.0.0.1", far_epmd_port, tmp_path / "log", net_ticktime=net_ticktime))
        return programs[-1]

    yield start
    for program in programs:
        program.popen.send_signal(signal.SIGCONT)
        program.kill()


@pytest.fixture
def program(start_far: StartFar) -> Far:
    return start_far()


@pytest.fixture
async def stage(program: Far, start_node: StartNode) -> Stage:
    return await opposite(program, start_node)


@on_stage
async def test_links_and_monitors_of_a_killed_program_hear_noconnection_exactly_once(
    stage: Stage, program: Far
) -> None:
    here, there = await stage.both()
    other = await stage.there()
    await here.do(trap_exit, True)
    refs = [await here.do(monitor, there.pid) for _ in range(3)]
    for actor in (there, other):
        await here.do(link, actor.pid)
    await stage.settle(here, there)
    program.kill()
    heard = await here.do(hear, 5)
    assert {m.pid: m for m in heard if isinstance(m, Exited)} == {
        actor.pid: Exited(actor.pid, NOCONNECTION) for actor in (there, other)
    }
    assert {m.ref: m for m in heard if isinstance(m, Down)} == {ref: Down(ref, there.pid, NOCONNECTION) for ref in refs}
    in_vain = await here.do(monitor, there.pid)
    assert await here.do(hear, 1) == [Down(in_vain, there.pid, NOCONNECTION)]
    assert await here.do(hear_all) == []


@on_stage
async def test_who_does_not_trap_exits_dies_with_the_program_that_it_is_linked_to(stage: Stage, program: Far) -> None:
    here, there = await stage.both()
    await here.do(link, there.pid)
    await stage.settle(here, there)
    program.kill()
    assert await here.ended() == NOCONNECTION


@on_stage
async def test_pids_of_a_killed_program_reach_nobody_in_the_one_that_takes_its_name(
    stage: Stage, program: Far, start_far: StartFar
) -> None:
    here, old = await stage.both()
    await old.do(register, "name", old.pid)
    program.kill()
    await old.ended()
    start_far()
    new = await stage.there()
    assert (new.pid.node, new.pid.creation == old.pid.creation) == (old.pid.node, False)
    await new.do(register, "name", new.pid)
    await here.do(trap_exit, True)
    ref = await here.do(monitor, old.pid)
    await here.do(link, old.pid)
    await here.do(send, old.pid, "for the dead")
    await here.do(send, ("name", stage.far), "for the living")
    await stage.settle(here, new)
    assert await here.do(hear_all) == [Down(ref, old.pid, NOPROC), Exited(old.pid, NOPROC)]
    assert await new.do(hear_all) == ["for the living"]


@on_stage
async def test_a_program_that_is_stopped_and_goes_on_has_lost_nothing_and_all_is_in_order(
    stage: Stage, program: Far
) -> None:
    here, there = await stage.both()
    await there.do(trap_exit, True)
    await here.do(monitor, there.pid)
    await stage.settle(here, there)
    program.popen.send_signal(signal.SIGSTOP)
    for number in range(300):
        await here.do(send, there.pid, number)
    await here.do(link, there.pid)
    here.tell(speak_and_leave, there.pid, ["last words"], "the end")
    assert await here.ended() == "the end"
    program.popen.send_signal(signal.SIGCONT)
    assert await there.do(hear, 302) == [*range(300), "last words", Exited(here.pid, "the end")]


async def test_a_program_that_is_stopped_for_longer_than_the_ticktime_is_noconnection_and_comes_back(
    start_far: StartFar, start_node: StartNode
) -> None:
    program = start_far(TICKTIME)
    stage = await opposite(program, start_node, net_ticktime=TICKTIME)
    await stage.node.run(stage.play, lambda: _stopped_for_long(stage, program))


async def _stopped_for_long(stage: Stage, program: Far) -> None:
    here, there = await stage.both()
    await there.do(trap_exit, True)
    await there.do(link, here.pid)
    await stage.settle(here, there)
    program.popen.send_signal(signal.SIGSTOP)
    await here.do(send, there.pid, "into the silence")
    assert await here.ended() == NOCONNECTION
    watcher = await stage.here()
    program.popen.send_signal(signal.SIGCONT)
    await stage.settle(watcher, there)
    await watcher.do(send, there.pid, "afterwards")
    await there.do(take, "afterwards")
    assert [m for m in await there.do(hear_all) if m != "into the silence"] == [Exited(here.pid, NOCONNECTION)]
