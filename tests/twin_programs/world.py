"""The processes of a random program, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import iscoroutine
from random import Random
from typing import Any, Final, TypeAlias, cast

from pydist import (
    Alias,
    Down,
    Exit,
    Exited,
    Pid,
    Ref,
    make_ref,
    self_pid,
    send,
    spawn,
)
from pydist.messaging import current
from tests.helpers import now, plain

NAMES: Final = ("red", "green", "blue")


class World:
    """What the actors of one program share."""

    def __init__(self, seed: int, verbs: tuple[Verb, ...]) -> None:
        self.seed = seed
        self.verbs = verbs
        self.pids: list[Pid] = []
        self.servers: list[Pid] = []
        self.aliases: list[Alias] = []
        self.history: list[str] = []

    def write(self, *what: object) -> None:
        self.history.append(f"{now()} {' '.join(map(str, what))}")

    def add(self, **how: Any) -> object:
        actor = Actor(self, len(self.pids))
        untyped: Any = spawn
        started = cast("Pid | tuple[Pid, Ref]", untyped(actor.live, **how))
        self.pids.append(started[0] if isinstance(started, tuple) else started)
        return started


class Actor:
    """One process."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.random = Random(f"{world.seed} {number}")  # noqa: S311  # no secret, but the same every time
        self.refs: list[Ref] = []
        self.timers: list[Ref] = []

    async def live(self) -> Any:
        """Do this and that; clean up in one way or another when told to exit."""
        patience = self.random.randrange(3)
        while True:
            try:
                return await self.act()
            except BaseException as error:
                reason = plain(error.reason) if isinstance(error, Exit) else error
                self.world.write(self.number, "leaves by", type(error).__name__, reason)
                patience -= 1
                if patience < 0:
                    raise
            finally:
                await asyncio.sleep(self.random.choice((0, 0, 1)))

    async def act(self) -> object:
        for _ in range(self.random.randrange(5, 60)):
            verb = self.random.choice(self.world.verbs)
            try:
                done = verb(self)
                outcome: object = await done if iscoroutine(done) else done
            except (ArithmeticError, LookupError, RuntimeError, TimeoutError, TypeError, ValueError) as error:
                outcome = f"{type(error).__name__}: {error}"
            me = current()
            self.world.write(self.number, verb.__name__, outcome, len(me.mailbox), me.reductions)
        return self.random.choice((None, "done"))

    # -- what it speaks of

    def somebody(self) -> Pid:
        return self.random.choice(self.world.pids)

    def seconds(self) -> float:
        return self.random.choice((0.5, 1.0, 1.0, 2.5, 7.0))

    def some_ref(self) -> Ref:
        return self.random.choice(self.refs[-4:]) if self.refs else make_ref()

    def something(self) -> Any:
        ref = self.some_ref()
        kind = self.random.randrange(100)
        return self.random.choice((kind, str(kind), (ref, kind), (kind, ref), (), None, Exit(kind), [kind], ref))

    def pattern(self) -> Any:
        patterns: tuple[Any, ...] = (None, int, str, int | str, (tuple, list), Down | Exited, self.some_ref(), 5)
        return self.random.choice((*patterns, self.judge, self.judge, self.fail))

    def judge(self, message: Any) -> bool:
        """A predicate that says no more often than not, and sometimes lets more in."""
        if self.random.randrange(20) == 0:
            send(self_pid(), self.random.randrange(100))
        if self.random.randrange(20) == 0 and self.world.aliases:
            send(self.world.aliases[-1], "urgent", priority=True)
        return isinstance(message, int) and message % 3 == 0

    def fail(self, message: Any) -> bool:
        if message == ():
            raise LookupError("no such message")
        return self.random.randrange(4) == 0


Verb: TypeAlias = Callable[[Actor], Any]
"""Something that an actor can do."""
