"""Random programs of processes that block each other, meet busy connections and end: nobody is held for ever, nothing
is lost, and between each pair the order is kept."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from pydist import (
    KILL,
    Pid,
    bound_mailbox,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    send,
    spawn,
)
from pydist.gates import Gate
from pydist.messaging import current
from tests.virtual_time import run_process

SIZE = 4
LONG = 10_000.0
"""Seconds after which nothing comes any more."""

Step: TypeAlias = tuple[str, int, int]
Program: TypeAlias = list[Step]

steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("send"), st.integers(0, SIZE - 1), st.integers(1, 4)),
    st.tuples(st.just("sleep"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("take"), st.integers(1, 4), st.integers(0, 2)),
    st.tuples(st.just("future"), st.integers(1, 3), st.just(0)),
    st.tuples(st.just("busy"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("exit"), st.integers(0, SIZE - 1), st.integers(0, 1)),
)
programs = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 3)), st.lists(steps, max_size=12)), min_size=SIZE, max_size=SIZE
)


@attrs.define
class World:
    pids: list[Pid] = attrs.field(factory=list[Pid])
    gates: list[Gate] = attrs.field(factory=lambda: [Gate(), Gate()])
    sent: dict[tuple[int, int], list[int]] = attrs.field(factory=dict[tuple[int, int], list[int]])
    took: dict[tuple[int, int], list[int]] = attrs.field(factory=dict[tuple[int, int], list[int]])
    at_end: list[int] = attrs.field(factory=list[int])

    def send(self, me: int, to: int) -> None:
        sent = self.sent.setdefault((me, to), [])
        sent.append(len(sent))
        send(self.pids[to], (me, len(sent) - 1))

    async def take(self, me: int, timeout: float) -> bool:
        try:
            message: tuple[int, int] = await receive(None, timeout)
        except TimeoutError:
            return False
        sender, number = message
        self.took.setdefault((sender, me), []).append(number)
        return True

    async def run(self, me: int, bound: int | None, program: Program) -> None:
        if bound is not None:
            bound_mailbox(bound, "block")
        await asyncio.sleep(0)
        for step in program:
            await self.perform(me, step)
        while await self.take(me, LONG):
            pass
        self.at_end.append(me)

    async def perform(self, me: int, step: Step) -> None:
        match step:
            case ("send", to, times):
                for _ in range(times):
                    self.send(me, to)
            case ("sleep", seconds, _):
                await asyncio.sleep(seconds)
            case ("take", times, seconds):
                for _ in range(times):
                    await self.take(me, seconds)
            case ("future", seconds, _):
                loop = asyncio.get_running_loop()
                future: asyncio.Future[None] = loop.create_future()
                loop.call_later(seconds, future.set_result, None)
                await future
            case ("busy", gate, _):  # a connection takes no more: see Router.crowded
                self.gates[gate].hold(current().flows())
            case (_, to, kind):
                exit(self.pids[to], KILL if kind else "told")

    async def relieves(self) -> None:
        """The connections take more, now and then."""
        for turn in range(200):
            await asyncio.sleep(2.5)
            self.gates[turn % 2].open()


def played(world: World, scripts: list[tuple[int | None, Program]]) -> dict[int, Any]:
    async def main() -> dict[int, Any]:
        refs: dict[Any, int] = {}
        for me, (bound, program) in enumerate(scripts):
            pid = spawn(world.run, me, bound, program)
            world.pids.append(pid)
            refs[monitor(pid)] = me
        spawn(world.relieves)
        reasons: dict[int, Any] = {}
        while len(reasons) < len(scripts):
            down = await receive(None, 10 * LONG)
            reasons[refs[down.ref]] = down.reason
        return reasons

    return run_process(main)


@settings(max_examples=150, deadline=None)
@given(programs)
def test_nobody_is_held_for_ever_nothing_is_lost_and_each_pair_keeps_its_order(
    scripts: list[tuple[int | None, Program]],
) -> None:
    world = World()
    played(world, scripts)
    for (sender, receiver), sent in world.sent.items():
        took = world.took.get((sender, receiver), [])
        assert took == sent[: len(took)]
        assert receiver not in world.at_end or took == sent
    assert all(not gate.held for gate in world.gates)
