"""What a handler of a `GenStatem` is called with, and what it answers: events and transitions (OTP's `gen_statem`).

An answer is a value, and nothing happens before the handler returns it:

    return next_state(Lock.OPEN, data, state_timeout=10.0, reply=(caller, "welcome"))

What is wrong with an answer by itself is an error of the line that makes it. What only the machine can know, that a
state enter call must not change the state say, is a `BadTransition` (`core/statem.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Never, TypeAlias, TypedDict, TypeVar, Unpack, overload

import attrs

from pydist.core.transition import (
    EVENT_TIMEOUT,
    KEEP,
    STATE_TIMEOUT,
    After,
    At,
    Enter,
    EventTimeout,
    Key,
    NamedTimeout,
    StateTimeout,
    Timeout,
    Transition,
    Update,
)
from pydist.gen.calls import Call, Caller, Cast
from pydist.terms import NORMAL, Reason

S = TypeVar("S")
D = TypeVar("D")


@attrs.frozen
class Info:
    """Any other message: what was sent by `send`, `Down`, `Exited`, `NodeUp`, `NodeDown`."""

    message: Any


@attrs.frozen
class Internal:
    """What the machine says to itself, by the action `next_event`."""

    content: Any = None


Event: TypeAlias = Call | Cast | Info | Internal | Enter | StateTimeout | EventTimeout | NamedTimeout
"""What a handler is called with."""

_INSERTABLE: Final = (Call, Cast, Info, Internal, StateTimeout, EventTimeout, NamedTimeout)


Time: TypeAlias = float | After | At | Update | None
"""Seconds, or one of these three; None (or inf) cancels the timeout that runs."""


class Actions(TypedDict, total=False):
    """What else is to be done with a transition. Each is a keyword of `next_state`, `keep_state` and `repeat_state`.

    Timeouts of 0 come in this order: that of the event, that of the state, those with names as they stand in the dict.
    """

    reply: tuple[Caller, Any] | list[tuple[Caller, Any]]
    """Answer these calls: `(caller, value)`, or a list of such."""
    postpone: bool
    """Try this event again when the state has changed. In a state enter call, False takes back what was said before."""
    next_event: Event | list[Event]
    """Handle these next, before all that waits."""
    state_timeout: Time
    """Restart the state timeout; a change of the state cancels it."""
    event_timeout: Time
    """Restart the event timeout; any event cancels it."""
    timeouts: Mapping[Any, Time]
    """Restart these timeouts, by name; only they themselves are cancelled by that."""


Answer: TypeAlias = Transition[S, D] | None
"""What a handler returns: a transition, or None, which keeps state and data as `keep_state()` does."""


@overload
def next_state(state: S, **actions: Unpack[Actions]) -> Transition[S, Never]: ...
@overload
def next_state(state: S, data: D, **actions: Unpack[Actions]) -> Transition[S, D]: ...
def next_state(state: Any, data: Any = KEEP, **actions: Unpack[Actions]) -> Transition[Any, Any]:
    """Go to `state`, which may be the one that the machine is in: then it is the same as `keep_state`.

    Args:
        state: the next state.
        data: the new data; without it they stay as they are.
        **actions: see `Actions`.

    Raises:
        TypeError, ValueError: an action that is none, or not of its type.
    """
    return Transition(state, data, **_checked(actions)) if actions else Transition(state, data)


@overload
def keep_state(**actions: Unpack[Actions]) -> Transition[Never, Never]: ...
@overload
def keep_state(data: D, **actions: Unpack[Actions]) -> Transition[Never, D]: ...
def keep_state(data: Any = KEEP, **actions: Unpack[Actions]) -> Transition[Any, Any]:
    """Stay in this state. See `next_state`."""
    return Transition(KEEP, data, **_checked(actions)) if actions else Transition(KEEP, data)


@overload
def repeat_state(**actions: Unpack[Actions]) -> Transition[Never, Never]: ...
@overload
def repeat_state(data: D, **actions: Unpack[Actions]) -> Transition[Never, D]: ...
def repeat_state(data: Any = KEEP, **actions: Unpack[Actions]) -> Transition[Any, Any]:
    """Stay in this state, but make its state enter call again. Nothing else is as if the state had changed.
    See `next_state`."""
    return Transition(KEEP, data, repeat=True, **_checked(actions))


_Replies: TypeAlias = tuple[Caller, Any] | list[tuple[Caller, Any]]


@overload
def stop_machine(reason: Reason = ..., *, reply: _Replies = ...) -> Transition[Never, Never]: ...
@overload
def stop_machine(reason: Reason, data: D, *, reply: _Replies = ...) -> Transition[Never, D]: ...
def stop_machine(reason: Reason = NORMAL, data: Any = KEEP, *, reply: _Replies | None = None) -> Transition[Any, Any]:
    """End the machine with `reason`; the replies go out before `terminate`, which gets the new data.

    `raise Stop(reason)` does the same from anywhere.
    """
    return Transition(KEEP, data, stop=(reason,), replies=() if reply is None else _replies(reply))


# -- checks


class _Checked(TypedDict, total=False):
    replies: tuple[tuple[Caller, Any], ...]
    postpone: bool
    next_events: tuple[Event, ...]
    timeouts: tuple[tuple[Key, Timeout], ...]


_ACTIONS: Final = frozenset(Actions.__annotations__)
_TIMEOUTS: Final = frozenset({"event_timeout", "state_timeout", "timeouts"})


def _checked(actions: Actions) -> _Checked:
    """The actions as the machine takes them."""
    checked: _Checked = {}
    if not actions.keys() <= _ACTIONS:
        unknown = min(actions.keys() - _ACTIONS)
        raise TypeError(f"{unknown!r} is no action: there are {', '.join(Actions.__annotations__)}")
    if "reply" in actions:
        checked["replies"] = _replies(actions["reply"])
    if "postpone" in actions:
        checked["postpone"] = _postpone(actions["postpone"])
    if "next_event" in actions:
        checked["next_events"] = _events(actions["next_event"])
    if not _TIMEOUTS.isdisjoint(actions):
        checked["timeouts"] = tuple(_timeouts(actions))
    return checked


def _replies(reply: _Replies) -> tuple[tuple[Caller, Any], ...]:
    replies = reply if isinstance(reply, list) else [reply]
    for each in replies:
        if not _is_reply(each):
            raise TypeError(f"reply= takes (caller, value), or a list of such pairs, not {each!r}")
    return tuple(replies)


def _is_reply(each: Any) -> bool:
    return each.__class__ is tuple and len(each) == 2 and isinstance(each[0], Caller)


def _postpone(postpone: object) -> bool:
    if not isinstance(postpone, bool):
        raise TypeError(f"postpone= takes True or False, not {postpone!r}")
    return postpone


def _events(next_event: Event | list[Event]) -> tuple[Event, ...]:
    events = next_event if isinstance(next_event, list) else [next_event]
    for each in events:
        if not isinstance(each, _INSERTABLE):
            raise TypeError(f"next_event= takes an event, Internal({each!r}) say, or a list of such, not {each!r}")
    return tuple(events)


def _timeouts(actions: Actions) -> Iterable[tuple[Key, Timeout]]:
    """The event timeout first: where several are 0 the others would cancel it."""
    if "event_timeout" in actions:
        yield EVENT_TIMEOUT, _timeout("event_timeout", actions["event_timeout"])
    if "state_timeout" in actions:
        yield STATE_TIMEOUT, _timeout("state_timeout", actions["state_timeout"])
    if "timeouts" in actions:
        _check_timeouts(actions["timeouts"])
        for name, time in actions["timeouts"].items():
            yield (NamedTimeout, name), _timeout(f"timeouts[{name!r}]", time)


def _check_timeouts(timeouts: object) -> None:
    if not isinstance(timeouts, Mapping):
        raise TypeError(f"timeouts= takes a dict of names and times, not {timeouts!r}")


def _timeout(action: str, time: object) -> Timeout:
    if isinstance(time, int | float) and not isinstance(time, bool):
        time = After(time)
    match time:
        case None | After(math.inf) | At(math.inf):
            return None
        case After() | At() | Update():
            return time
        case _:
            raise TypeError(f"{action} takes seconds, After, At, Update, or None, not {time!r}")
