"""A process's mailbox: messages in the order of their arrival, taken from the head or by pattern.

Rules (Erlang's selective receive, EEP 76):

- The first message that matches is taken; those passed over keep their order.
- A receive that waits looks at new messages only, never again at those it has passed over.
- A receive for a fresh reference does not look at what arrived before the reference was made. One reference is
  remembered, the one marked last, however many messages are taken meanwhile.
- Urgent messages stand before all ordinary ones, in the order of their arrival (OTP 28's priority messages).

Places in the queue are what is remembered: how far a waiting receive has looked, and where the fresh reference was
made. Taking a message before such a place moves it. Taking from the head is O(1); by pattern, O(messages standing
before the match); by a fresh reference, O(1) whatever the length, for the queue is entered at its tail.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from pydist.speedups import native
from pydist.terms import Ref

Match: TypeAlias = Callable[[Any], bool]
Pattern: TypeAlias = "type[Any] | UnionType | tuple[type[Any], ...] | Ref | Match | None"

MISSING: Final = object()
"""What `take` returns when no message matches; a message can be None."""


class Mailbox:
    """See the head of this file."""

    __slots__ = ("_fresh", "_looked", "_looked_urgent", "_older", "_ordinary", "_urgent", "limit")

    def __init__(self) -> None:
        self._ordinary: deque[Any] = deque()
        self._urgent: deque[Any] = deque()
        self._looked = 0
        """How many of the ordinary messages a waiting receive has passed over."""
        self._looked_urgent = 0
        self._fresh: Ref | None = None
        """The reference marked last."""
        self._older = 0
        """How many of the ordinary messages were there before it."""
        self.limit = sys.maxsize
        """From how many waiting messages on a sender must ask what is to become of one more."""

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary)

    def messages(self) -> list[Any]:
        """All that wait, in the order in which `take_first` would give them."""
        return [*self._urgent, *self._ordinary]

    def append(self, message: Any) -> None:
        """An ordinary message has arrived."""
        self._ordinary.append(message)

    def extend(self, messages: Iterable[Any]) -> None:
        """Ordinary messages have arrived, in this order."""
        self._ordinary.extend(messages)

    def append_urgent(self, message: Any) -> None:
        """An urgent message has arrived: it goes before all ordinary ones, and behind earlier urgent ones."""
        self._urgent.append(message)

    def mark(self, ref: Ref) -> None:
        """`ref` has just been made: no ordinary message that is here already can carry it."""
        self._fresh = ref
        self._older = len(self._ordinary)

    def take_first(self) -> Any:
        """The message at the head, or MISSING."""
        if self._urgent:
            return self._take_urgent(0)
        return self._take_ordinary(0) if self._ordinary else MISSING

    def take(self, pattern: Pattern) -> Any:
        """The first message that matches, or MISSING; then those passed over are not looked at by `take_new`."""
        start = self._older if pattern is not None and pattern is self._fresh else 0
        return self._take(matcher(pattern), 0, start)

    def flush(self, matches: Match) -> Any:
        """Take the first message that `matches` out, or MISSING. A receive may wait meanwhile: how far it has looked is
        left alone."""
        looked = self._looked_urgent, self._looked
        message = self.take(matches)
        if message is MISSING:
            self._looked_urgent, self._looked = looked
        return message

    def take_new(self, pattern: Pattern) -> Any:
        """The first message that matches among those that arrived since the last `take` found none, or MISSING."""
        return self._take(matcher(pattern), self._looked_urgent, self._looked)

    def _take(self, matches: Match, urgent_from: int, ordinary_from: int) -> Any:
        while True:
            index = _find(self._urgent, urgent_from, matches)
            if index is not None:
                return self._take_urgent(index)
            urgent_from = len(self._urgent)
            index = _find(self._ordinary, ordinary_from, matches)
            if index is not None:
                return self._take_ordinary(index)
            ordinary_from = len(self._ordinary)
            if len(self._urgent) == urgent_from:  # otherwise an urgent one has come by what the pattern did
                break
        self._looked_urgent, self._looked = urgent_from, ordinary_from
        return MISSING

    def _take_urgent(self, index: int) -> Any:
        message = self._urgent[index]
        del self._urgent[index]
        self._looked_urgent -= index < self._looked_urgent
        return message

    def _take_ordinary(self, index: int) -> Any:
        message = self._ordinary[index]
        del self._ordinary[index]
        self._older -= index < self._older
        self._looked -= index < self._looked
        return message


def _find(queue: deque[Any], start: int, matches: Match) -> int | None:
    """The index of the first match. By index, since near its tail a deque finds a place at once."""
    index = start
    while index < len(queue):  # a pattern is the user's code: it may send to this very mailbox, but take nothing out
        message = queue[index]
        found = matches(message)
        if index >= len(queue) or queue[index] is not message:
            raise RuntimeError(
                "a pattern has taken messages out of the mailbox that it looks at: it may only look at them"
            )
        if found:
            return index
        index += 1
    return None


if not TYPE_CHECKING and native is not None:
    Mailbox = native.Mailbox


def matcher(pattern: Pattern) -> Match:
    """The predicate that a pattern stands for.

    Args:
        pattern: None: any message; a type, a union or a tuple of types: instances of it; a `Ref`: what carries it as
            its `ref`, or a tuple that starts with it; a function: what it returns true for.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(pattern, Ref):
        return _carries(pattern)
    if isinstance(pattern, type | UnionType | tuple):
        return partial(_is_a, cast("Any", pattern))
    if callable(pattern) and not hasattr(pattern, "__origin__"):  # list[int] and typing.Union are callable, too
        return pattern
    if pattern is None:
        return _any
    raise TypeError(f"receive takes a type, a Ref or a predicate, not {pattern!r}")


def _any(_message: object) -> bool:
    return True


def _is_a(classes: Any, message: object) -> bool:
    return isinstance(message, classes)


def _carries(ref: Ref) -> Match:
    def matches(message: Any) -> bool:
        carried = carried_by(message)
        return type(carried) is Ref and carried == ref

    return matches


def carried_by(message: Any) -> object:
    """What might be the reference that a message carries; code of the message's own must not hurt who waits."""
    if isinstance(message, tuple):
        return next(iter(cast("tuple[object, ...]", message)), None)
    try:
        return getattr(message, "ref", None)
    except Exception:  # noqa: BLE001  # a property may raise anything
        return None


if native is not None:
    native.connect(missing=MISSING, union_type=UnionType)
