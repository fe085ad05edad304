"""Whether what pydist has done is what the law allows.

One order at a time has one outcome, but for the order in which the signals of several senders arrive. Of orders that
are under way together there are many: then a way through the model is searched that leads to just what was seen.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from structlog.testing import capture_logs

from tests.model.orders import Key, Picture, Plan
from tests.model.signal_model import DEAD, DYING
from tests.model.stage import Stage, quiet
from tests.model.world import World
from tests.virtual_time import run_process

PATIENCE: Final = 1_000
"""How many states of a world are looked at before a search is given up. What is right is found within a hundred."""


def perform(plan: Plan, *, together: bool) -> list[Picture]:
    """Carry a plan out on pydist; what is to be seen after each batch, its orders done together or one by one."""

    async def main() -> list[Picture]:
        stage = Stage()
        pictures: list[Picture] = []
        for batch in plan:
            for part in [batch] if together else batch.one_by_one():
                stage.begin(part)
                await quiet()
            pictures.append(stage.picture())
        stage.clear()
        return pictures

    with capture_logs():  # of the crashes
        return run_process(main)


# -- one order at a time


def check_the_only_outcome(plan: Plan) -> None:
    """Do one order after the other, each of one action: fail unless model and pydist agree after each batch."""
    world, before = World(), Picture(frozenset(), {}, {}, {})
    for batch, seen in zip(plan, perform(plan, together=False), strict=True):
        for part in batch.one_by_one():
            world.begin(part)
            world.settle()
        _compare(world.picture(), seen, before)
        _adopt(world, seen)
        before = seen


def _compare(expected: Picture, seen: Picture, before: Picture) -> None:
    assert seen.living == expected.living
    assert seen.names == expected.names
    assert seen.portraits == expected.portraits
    for key, journal in seen.journals.items():
        old = before.journals.get(key, ())
        assert journal[: len(old)] == old
        if key in expected.living:
            assert Counter(journal) == Counter(expected.journals[key]), f"what {key} has got"


def _adopt(world: World, seen: Picture) -> None:
    """Go on with the journals as they were seen: within one outcome their order is free."""
    for key, journal in seen.journals.items():
        world.processes[key].journal = list(journal)


# -- many at a time


def check_a_possible_outcome(plan: Plan) -> None:
    """Fail unless for each batch there is a way through the model that leads to what was seen."""
    world = World()
    for batch, seen in zip(plan, perform(plan, together=True), strict=True):
        world.begin(batch)
        found = Search(seen).way_from(world)
        assert found is not None, f"the law does not allow {seen}\nafter {batch}"
        world = found


class Search:
    """Looks for a way to what was seen, depth first."""

    def __init__(self, seen: Picture) -> None:
        self.seen = seen
        self.known: set[Any] = set()

    def way_from(self, start: World) -> World | None:
        """The world at the end of the way, or None if there is none."""
        way = [(start, start.moves())]
        while way:
            world, moves = way[-1]
            move = next(moves, None)
            if move is None:
                if world.is_quiet() and world.picture() == self.seen:
                    return world
                way.pop()
                continue
            after = world.copy()
            after.make(move)
            if self._fits(after, move[2]) and self._is_new(after):
                way.append((after, after.moves()))
        return None

    def _fits(self, world: World, moved: Key) -> bool:
        """Whether what has become of the process that moved is not in contradiction to what was seen."""
        if world.processes.keys() - self.seen.portraits.keys():
            return False
        process, portrait = world.processes[moved], self.seen.portraits[moved]
        journal = self.seen.journals[moved]
        if process.state in {DYING, DEAD} and portrait.alive:
            return False
        if process.state == DEAD and (process.reason, len(process.journal)) != (portrait.reason, len(journal)):
            return False
        return tuple(process.journal) == journal[: len(process.journal)]

    def _is_new(self, world: World) -> bool:
        state = world.state()
        if state in self.known:
            return False
        assert len(self.known) < PATIENCE, "too many ways to try: the plan is too large, or PATIENCE too short"
        self.known.add(state)
        return True
