"""A transition of a state machine as a value: what a handler has answered, and the events the machine itself makes.

Users make transitions by the functions of `statem_answers.py`, which check what they are given.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from math import isnan
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

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
class Timeout:
    """A timeout with a content, or at a fixed time. Where neither is needed, a number of seconds says the same."""

    seconds: float
    """From now on; 0 comes before any event that is not in yet. If `absolute`, a time of the running loop's clock."""
    content: Any = None
    """What the event of this timeout carries."""
    absolute: bool = attrs.field(default=False, kw_only=True)
    updating: bool = attrs.field(default=False, kw_only=True)
    """Made by `update`."""

    def __attrs_post_init__(self) -> None:
        if isnan(self.seconds) or (self.seconds < 0 and not self.absolute):
            raise ValueError(f"a timeout is a number of seconds, at least 0, not {self.seconds}")

    @classmethod
    def update(cls, content: Any) -> Timeout:
        """Leave the time of the timeout that runs as it is, and change its content; if none runs, it comes at once."""
        return cls(0.0, content, updating=True)


Key: TypeAlias = tuple[type[StateTimeout] | type[EventTimeout] | type[NamedTimeout], Hashable]
"""Which timeout: there is one of each at most."""

STATE_TIMEOUT: Final[Key] = (StateTimeout, None)
EVENT_TIMEOUT: Final[Key] = (EventTimeout, None)


@attrs.frozen
class Transition(Generic[S_co, D_co]):
    """What a handler answers; made by `next_state`, `keep_state`, `repeat_state` and `stop_machine`."""

    state: S_co | _Keep = KEEP
    data: D_co | _Keep = KEEP
    repeat: bool = False
    stop: tuple[Reason] | None = None
    replies: tuple[tuple[Any, Any], ...] = ()
    postpone: bool | None = None
    next_events: tuple[Any, ...] = ()
    timeouts: tuple[tuple[Key, Timeout | None], ...] = ()
