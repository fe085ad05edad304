"""A transition of a state machine as a value: what a handler has answered, and the events the machine itself makes.

Users make transitions by the functions of `statem_answers.py`, which check what they are given.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from math import isnan
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import attrs

from pydist.terms import Reason

S_co = TypeVar("S_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)


class Keep(enum.Enum):
    """Stands for the state or the data that the machine has already."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
_Keep: TypeAlias = Literal[Keep.KEEP]


@attrs.frozen
class Enter:
    """A state enter call: the machine comes from `old_state`, which is the same one at its start and when repeated."""

    old_state: Any


@attrs.frozen
class StateTimeout:
    """The machine has been in this state for the time of `state_timeout`."""

    content: Any = None


@attrs.frozen
class EventTimeout:
    """No event has come for the time of `event_timeout`."""

    content: Any = None


@attrs.frozen
class NamedTimeout:
    """The time of one of the `timeouts` is over (OTP's generic time-outs)."""

    name: Hashable
    content: Any = None


@attrs.frozen
class After:
    """A time from now on, for a timeout that carries a content; where it carries none, the number alone will do."""

    seconds: float
    """At least 0; 0 comes before any event that is not in yet."""
    content: Any = None
    """What the event carries."""

    def __attrs_post_init__(self) -> None:
        if not self.seconds >= 0:  # nan is not
            raise ValueError(f"a timeout comes after a number of seconds, at least 0, not {self.seconds}")


@attrs.frozen
class At:
    """A time of the running loop's clock (`loop.time()`, in seconds), for a timeout; at once if it is past."""

    when: float
    content: Any = None
    """What the event carries."""

    def __attrs_post_init__(self) -> None:
        if isnan(self.when):
            raise ValueError("a timeout comes at a time of the loop's clock, in seconds, not at nan")


@attrs.frozen
class Update:
    """The timeout that runs, with another content and the same time; if none runs, one that comes at once."""

    content: Any = None
    """What the event carries."""


Timeout: TypeAlias = After | At | Update | None
"""None cancels the timeout that runs."""

Key: TypeAlias = tuple[type[StateTimeout] | type[EventTimeout] | type[NamedTimeout], Hashable]
"""Which timeout: there is one of each at most."""

STATE_TIMEOUT: Final[Key] = (StateTimeout, None)
EVENT_TIMEOUT: Final[Key] = (EventTimeout, None)


class Transition(NamedTuple, Generic[S_co, D_co]):
    """What a handler answers; made by `next_state`, `keep_state`, `repeat_state` and `stop_machine`."""

    state: S_co | _Keep = KEEP
    data: D_co | _Keep = KEEP
    repeat: bool = False
    stop: tuple[Reason] | None = None
    replies: tuple[tuple[Any, Any], ...] = ()
    postpone: bool | None = None
    next_events: tuple[Any, ...] = ()
    timeouts: tuple[tuple[Key, Timeout], ...] = ()
