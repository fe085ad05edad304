"""The engine of a state machine: which handler is called next, and what follows from its answer (OTP's `gen_statem`).

Its driver makes the calls, sends the replies and keeps the timers:

    effects = machine.start(first, now)
    while True:
        ...                                          # perform the effects
        if (call := machine.next_call()) is None:
            machine.receive(event)                   # or machine.expire(number): wait for either
        else:
            effects = machine.take(answer_of(call), now)

The rules, which are those of `gen_statem.erl`:

- Events that wait stand in one queue. What an action inserts goes to its head, in the order given. When the state has
  changed, all that was postponed goes to the head too, oldest first, but after what was inserted.
- There is at most one timeout of each kind and name; starting it again replaces it, and one that has been cancelled or
  replaced never comes, though its time be over already. The state timeout is cancelled when the state changes, the
  event timeout by every event.
- A timeout of 0 is no timer. It comes when the queue is empty, before any event from outside.
- State enter calls belong to the transition: only when the last of them has answered has the state changed, and their
  actions count as if the first answer had had them. They can't change the state, postpone, or insert events.
- To stop, or to fail, is to leave all that as it is.

A state has changed when the new one is not equal to the old one.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any, Final, Generic, NamedTuple, Never, TypeAlias, TypeVar

import attrs

from pydist.core.transition import (
    EVENT_TIMEOUT,
    KEEP,
    STATE_TIMEOUT,
    After,
    At,
    Enter,
    Key,
    NamedTimeout,
    Timeout,
    Transition,
    Update,
)
from pydist.errors import BadTransition
from pydist.terms import Reason

S = TypeVar("S")
D = TypeVar("D")


@attrs.frozen
class Reply:
    """Answer a call."""

    caller: Any
    value: Any


@attrs.frozen
class StartTimer:
    """Call `expire(number)` when it is `when`, in the seconds of `now`."""

    number: int
    when: float


@attrs.frozen
class CancelTimer:
    """The timer is no longer wanted; what it says hereafter is ignored."""

    number: int


@attrs.frozen
class End:
    """The machine ends with `reason`."""

    reason: Reason


Event: TypeAlias = Any
"""An event from outside, or inserted by a handler, is whatever the driver takes for one."""

Effect: TypeAlias = Reply | StartTimer | CancelTimer | End


class Callback(NamedTuple, Generic[S, D]):
    """Call the handler with these, and give its answer to `take`."""

    event: Event
    state: S
    data: D


@attrs.define
class _Timer:
    number: int | None
    """None: its time is 0, and it stands in the list of those that are due."""
    content: Any


@attrs.define
class _Pending(Generic[S, D]):
    """A transition of which not all has been said yet."""

    state: S
    data: D
    postpone: bool = False
    next_events: tuple[Event, ...] = ()
    timeouts: tuple[tuple[Key, Timeout], ...] = ()

    def add(self, answer: Transition[S, D]) -> None:
        if answer.state is not KEEP:
            self.state = answer.state
        if answer.data is not KEEP:
            self.data = answer.data
        if answer.postpone is not None:
            self.postpone = answer.postpone
        self.next_events += answer.next_events
        self.timeouts += answer.timeouts


class StateMachine(Generic[S, D]):
    """See the head of this file.

    Args:
        first: what `init` has answered: the first state and data, and actions.
        state_enter: make state enter calls.

    Raises:
        BadTransition: `first` lacks state or data, or says what has no meaning at the start.
    """

    __slots__ = (
        "_due",
        "_first",
        "_numbers",
        "_pending",
        "_postponed",
        "_queue",
        "_running",
        "_state_enter",
        "_timers",
        "data",
        "event",
        "state",
    )

    def __init__(self, first: Transition[S, D], *, state_enter: bool = False) -> None:
        self._first = first
        self._state_enter = state_enter
        self.state, self.data = _check_first(first)
        self.event: Event | None = None
        """The one that the handler has; None between two."""
        self._pending: _Pending[S, D] | None = None
        """The transition of which a state enter call is to be made, or is under way."""
        self._queue: deque[Event] = deque()
        self._postponed: list[Event] = []
        self._timers: dict[Key, _Timer] = {}
        self._running: dict[int, Key] = {}
        self._due: list[Key] = []
        self._numbers = count(1)

    # -- what the driver asks

    def start(self, now: float) -> list[Effect]:
        """Begin with what `init` has answered."""
        return self._proceed(_Pending(self.state, self.data), self._first, enter=True, now=now)

    def receive(self, event: Event) -> None:
        """An event from outside. To be given when `next_call` has none to make."""
        self._queue.append(event)

    def expire(self, number: int) -> None:
        """The time of a timer is over. As `receive`; ignored if the timer is no longer wanted."""
        key = self._running.pop(number, None)
        if key is not None:
            self._queue.append(_event(key, self._timers.pop(key)))

    def next_call(self) -> Callback[S, D] | None:
        """The call to make now; None if an event or a timer has to come first."""
        pending = self._pending
        if pending is not None:
            return Callback(Enter(self.state), pending.state, pending.data)
        if self._queue:
            self.event = self._queue.popleft()
        elif self._due:
            key = self._due.pop(0)
            self.event = _event(key, self._timers.pop(key))
        else:
            return None
        return Callback(self.event, self.state, self.data)

    def take(self, answer: Any, now: float) -> list[Effect]:
        """What follows from the handler's answer to the call.

        Raises:
            BadTransition: it is none, or not allowed in a state enter call.
        """
        transition: Transition[S, D] = _NOTHING if answer is None else answer
        pending, self._pending = self._pending, None
        problem = _no_transition(transition)
        if pending is None:
            pending = _Pending(self.state, self.data)
        elif problem is None:
            problem = _not_entering(transition, pending.state)
        if problem is not None:
            self.state, self.data = pending.state, pending.data
            raise BadTransition(problem)
        if transition.stop is not None:
            pending.add(transition)
            self.state, self.data = pending.state, pending.data
            return [*_replies(transition), End(*transition.stop)]
        changed = transition.state is not KEEP and _differ(transition.state, pending.state)
        return self._proceed(pending, transition, enter=changed or transition.repeat, now=now)

    def describe(self) -> dict[str, Any]:
        """How it stands, for people: "state", "data", and the events in "queue", "postponed" and "timeouts"."""
        handled = [] if self.event is None else [self.event]
        return {
            "state": self.state,
            "data": self.data,
            "queue": [*handled, *self._queue],
            "postponed": list(self._postponed),
            "timeouts": [_event(key, timer) for key, timer in self._timers.items()],
        }

    # -- the transition

    def _proceed(self, pending: _Pending[S, D], answer: Transition[S, D], *, enter: bool, now: float) -> list[Effect]:
        pending.add(answer)
        effects = _replies(answer)
        if enter and self._state_enter:
            self._pending = pending
        else:
            self._complete(pending, now, effects)
        return effects

    def _complete(self, pending: _Pending[S, D], now: float, effects: list[Effect]) -> None:
        if pending.postpone and self.event is not None:
            self._postponed.append(self.event)
        self.event = None
        changed = _differ(pending.state, self.state)
        self.state, self.data = pending.state, pending.data
        if self._timers:
            self._cancel(EVENT_TIMEOUT, effects)
        if changed:
            self._cancel(STATE_TIMEOUT, effects)
            self._queue.extendleft(reversed(self._postponed))
            self._postponed.clear()
        if pending.timeouts:
            self._restart_all(pending.timeouts, now, effects)
        self._queue.extendleft(reversed(pending.next_events))

    # -- timeouts

    def _restart_all(self, timeouts: tuple[tuple[Key, Timeout], ...], now: float, effects: list[Effect]) -> None:
        last: dict[Key, Timeout] = {}
        for key, timeout in timeouts:
            last.pop(key, None)  # of several for the same timeout the last one counts, and where it stands
            last[key] = timeout
        for key, timeout in last.items():
            self._restart(key, timeout, now, effects)

    def _restart(self, key: Key, timeout: Timeout, now: float, effects: list[Effect]) -> None:
        running = self._timers.get(key)
        if isinstance(timeout, Update) and running is not None:
            running.content = timeout.content
            return
        self._cancel(key, effects)
        match timeout:
            case None:
                return
            case Update(content) | After(0, content):
                self._timers[key] = _Timer(None, content)
                self._due.append(key)
            case After(seconds, content):
                self._run(key, now + seconds, content, effects)
            case At(when, content):
                self._run(key, when, content, effects)

    def _run(self, key: Key, when: float, content: Any, effects: list[Effect]) -> None:
        number = next(self._numbers)
        self._timers[key] = _Timer(number, content)
        self._running[number] = key
        effects.append(StartTimer(number, when))

    def _cancel(self, key: Key, effects: list[Effect]) -> None:
        timer = self._timers.pop(key, None)
        if timer is None:
            return
        if timer.number is None:
            self._due.remove(key)
        else:
            del self._running[timer.number]
            effects.append(CancelTimer(timer.number))


def _differ(state: object, other: object) -> bool:
    """Whether they are two states. One that is kept need not be comparable."""
    return state is not other and bool(state != other)


_NOTHING: Final[Transition[Never, Never]] = Transition()


def _replies(answer: Transition[Any, Any]) -> list[Effect]:
    return [Reply(caller, value) for caller, value in answer.replies]


def _event(key: Key, timer: _Timer) -> Event:
    kind, name = key
    return NamedTimeout(name, timer.content) if kind is NamedTimeout else kind(timer.content)


# -- what is not allowed


def _check_first(first: Transition[S, D]) -> tuple[S, D]:
    problem = _no_transition(first)
    if problem is not None or first.state is KEEP or first.data is KEEP:
        raise BadTransition(f"init returns next_state(state, data), with the first state and data, not {first!r}")
    if first.postpone:
        raise BadTransition("init can't postpone: there is no event yet")
    return first.state, first.data


def _no_transition(answer: object) -> str | None:
    """What is wrong with an answer whenever it comes, or None."""
    if isinstance(answer, Transition):
        return None
    return (
        "a handler returns next_state(...), keep_state(...), repeat_state(...), stop_machine(...), or None to keep "
        f"state and data, not {answer!r}"
    )


def _not_entering(answer: Transition[Any, Any], entered: object) -> str | None:
    """What is wrong with the answer to a state enter call, or None."""
    if answer.state is not KEEP and _differ(answer.state, entered):
        return f"a state enter call can't change the state, here from {entered!r} to {answer.state!r}"
    if answer.postpone:
        return f"a state enter call can't postpone the event that led to {entered!r}: the handler of the event can"
    if answer.next_events:
        return f"a state enter call can't insert events, here in {entered!r}: state_timeout=0 comes near to that"
    return None
