"""State machines for the tests of GenStatem: they do as they are told, and keep a journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydist import (
    Answer,
    Event,
    GenStatem,
    Pid,
    Request,
    Transition,
    in_state,
    next_state,
    trap_exit,
)

Handler = Callable[[Event, str, Any], Awaitable[Any]]
Journal = list[tuple[Any, str]]


class Ask(Request[Any]):
    """Asks a machine something."""

    what: Any = None


class Told(GenStatem[str, Any]):
    """Handles all events in one place: as the function does that it is started with."""

    async def init(
        self,
        handler: Handler,
        journal: Journal,
        first: Transition[str, Any] | None = None,
        *,
        trap: bool = False,
    ) -> Transition[str, Any]:
        self.handler = handler
        self.journal = journal
        trap_exit(trap)
        return first or next_state("a", 0)

    async def handle_event(self, event: Event, state: str, data: Any, /) -> Answer[str, Any]:
        self.journal.append((event, state))
        answer: Answer[str, Any] = await self.handler(event, state, data)
        return answer

    async def terminate(self, reason: Any, state: str, data: Any, /) -> None:
        self.journal.append((("terminate", reason, data), state))


class Entering(Told, state_enter=True):
    """As `Told`, with state enter calls."""


class ByState(GenStatem[str, Any], state_enter=True):
    """Does the same by a method for each state."""

    async def init(self, handler: Handler, journal: Journal) -> Transition[str, Any]:
        self.handler = handler
        self.journal = journal
        return next_state("a", 0)

    @in_state("a")
    async def first(self, event: Event, data: Any) -> Answer[str, Any]:
        self.journal.append((event, "a"))
        answer: Answer[str, Any] = await self.handler(event, "a", data)
        return answer

    @in_state("b", "c")
    async def others(self, event: Event, data: Any) -> Answer[str, Any]:
        self.journal.append((event, "b"))
        answer: Answer[str, Any] = await self.handler(event, "b", data)
        return answer


def answers(**by_name: Any) -> Handler:
    """Answers what is cast or sent by its name, or by state and name; all else with None. Errors are raised."""

    async def handler(event: Event, state: str, _data: Any) -> Any:
        name = getattr(event, "message", None) or getattr(event, "content", None)
        answer = by_name.get(f"{state}_{name}", by_name.get(str(name)))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return handler


async def started(handler: Handler, first: Transition[str, Any] | None = None, **more: Any) -> tuple[Pid, Journal]:
    """A machine, and its journal."""
    journal: Journal = []
    return await Told.start(handler, journal, first, **more), journal


def end_of_journal(journal: Journal) -> Any:
    """What `terminate` was called with: reason, state, data; None if it was not."""
    match journal:
        case [*_, (("terminate", reason, data), state)]:
            return reason, state, data
        case _:
            return None
