"""Random senders on one node, random mailboxes that block on another, and a network that stalls: all arrives in order,
and nobody is held for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import attrs
import pytest

from pydist import Node, Pid, bound_mailbox, receive, self_pid, send
from pydist.transport.memory import MemoryNetwork

StartNode = Callable[..., Awaitable[Node]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

RECEIVERS, SENDERS, MESSAGES = 3, 5, 60
FILL = b"x" * 300


@attrs.define
class World:
    random: Random
    pids: list[Pid] = attrs.field(factory=list[Pid])
    took: dict[tuple[int, int], list[int]] = attrs.field(factory=dict[tuple[int, int], list[int]])
    sent: dict[tuple[int, int], int] = attrs.field(factory=dict[tuple[int, int], int])
    at_end: int = 0

    def receiver(self, me: int, bound: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def process() -> None:
            bound_mailbox(bound, "block")
            self.pids.append(self_pid())
            while True:
                sender, number, _ = await receive(None)
                self.took.setdefault((sender, me), []).append(number)
                for _ in range(self.random.choice((0, 0, 1, 5, 20))):
                    await asyncio.sleep(0)

        return process

    def sender(self, me: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def process() -> None:
            for _ in range(MESSAGES):
                to = self.random.randrange(RECEIVERS)
                number = self.sent.get((me, to), 0)
                self.sent[me, to] = number + 1
                send(self.pids[to], (me, number, FILL))
                for _ in range(self.random.choice((0, 0, 1, 3))):
                    await asyncio.sleep(0)
            self.at_end += 1

        return process

    def all_took(self) -> bool:
        return {pair: len(numbers) for pair, numbers in self.took.items()} == self.sent


@pytest.mark.parametrize("seed", range(12))
async def test_all_arrives_in_order_and_nobody_is_held_for_ever(
    start_node: StartNode, network: MemoryNetwork, until: Until, seed: int
) -> None:
    world = World(Random(seed))  # noqa: S311  # no secret
    a, b = await start_node("a", busy_limit=2048), await start_node("b")
    bounds = [world.random.choice((1, 2, 5, 20)) for _ in range(RECEIVERS)]
    for me, bound in enumerate(bounds):
        b.spawn(world.receiver(me, bound))
        await until(lambda: len(world.pids) == me + 1)  # noqa: B023  # it is waited for at once
    for me in range(SENDERS):
        (b if me == 0 else a).spawn(world.sender(me))
    for _ in range(20):
        network.stall()
        for _ in range(world.random.choice((1, 10))):
            await asyncio.sleep(0)
        network.go_on()
        for _ in range(world.random.choice((1, 10, 50))):
            await asyncio.sleep(0)
    await until(lambda: world.at_end == SENDERS and world.all_took())
    assert world.took == {pair: list(range(count)) for pair, count in world.sent.items()}
