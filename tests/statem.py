"""Drives a state machine without a process: a clock of its own, and a handler that answers by a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydist.core.statem import CancelTimer, Effect, End, Reply, StartTimer, StateMachine
from pydist.core.transition import KEEP, Key, NamedTimeout, Timeout, Transition

Answer = Transition[Any, Any]
Handler = Callable[[Any, Any, Any], Any]


def going(state: Any, data: Any = KEEP, **more: Any) -> Answer:
    return Transition(state, data, **more)


def staying(**more: Any) -> Answer:
    return Transition(**more)


def named(name: str) -> Key:
    return NamedTimeout, name


def timeouts(*each: tuple[Key, Timeout]) -> Answer:
    return staying(timeouts=each)


class Drive:
    """Drives a machine by a clock of its own, and keeps what it was called with and what it has replied."""

    def __init__(self, handler: Handler, first: Answer | None = None, *, state_enter: bool = False) -> None:
        self.now = 100.0
        self.calls: list[tuple[Any, Any]] = []
        self.replies: list[tuple[Any, Any]] = []
        self.timers: dict[int, float] = {}
        self.ended: list[Any] = []
        self.handler = handler
        self.machine: StateMachine[Any, Any] = StateMachine(first or going("a", 0), state_enter=state_enter)
        self.perform(self.machine.start(self.now))
        self.settle()

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply(caller, value):
                    self.replies.append((caller, value))
                case StartTimer(number, when):
                    self.timers[number] = when
                case CancelTimer(number):
                    self.timers.pop(number, None)
                case End(reason):
                    self.ended.append(reason)

    def settle(self) -> None:
        while not self.ended and (call := self.machine.next_call()) is not None:
            self.calls.append((call.event, call.state))
            self.perform(self.machine.take(self.handler(call.event, call.state, call.data), self.now))

    def hear(self, *events: Any) -> list[tuple[Any, Any]]:
        """Events from outside, one after the other; the calls they lead to."""
        before = len(self.calls)
        for event in events:
            self.machine.receive(event)
            self.settle()
        return self.calls[before:]

    def wait(self, seconds: float) -> list[tuple[Any, Any]]:
        """Let time pass; the calls it leads to."""
        before = len(self.calls)
        end = self.now + seconds
        while self.timers and (when := min(self.timers.values())) <= end:
            number = min(number for number, due in self.timers.items() if due == when)
            del self.timers[number]
            self.now = max(self.now, when)
            self.machine.expire(number)
            self.settle()
        self.now = end
        return self.calls[before:]


REPEATING = staying(repeat=True)


def script(**answers: Any) -> Handler:
    """Answers events by their name, or by state and name; all others with None."""

    def handler(event: Any, state: str, data: Any) -> Any:
        return answers.get(f"{state}_{event}", answers.get(str(event)))

    return handler
