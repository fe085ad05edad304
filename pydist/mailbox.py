"""A process's mailbox: messages in the order of their arrival, taken from the head or by pattern.

Rules (Erlang's selective receive, EEP 76):

- The first message that matches is taken; those passed over keep their order.
- A receive that waits looks at new messages only, never again at those it has passed over.
- A receive for a fresh reference does not look at what arrived before the reference was made.

Two queues do it. The mailbox itself, a deque, holds what nobody has looked at; a selective receive moves what it passes
over to `saved`. So each message moves at most once, and a receive that waits need only look at what is new. Taking from
the head is O(1); by pattern, O(messages standing before the match); by a fresh reference, O(1) amortised whatever the
length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from types import UnionType
from typing import Any, Final, TypeAlias, cast

from pydist.terms import Ref

Match: TypeAlias = Callable[[Any], bool]
Pattern: TypeAlias = "type[Any] | UnionType | tuple[type[Any], ...] | Ref | Match | None"

MISSING: Final = object()
"""What `take` returns when no message matches; a message can be None."""


class Mailbox(deque[Any]):
    """See the head of this file. A deque itself, so that to deliver is to append. Not bounded yet."""

    __slots__ = ("_fresh", "_older", "saved", "simple")

    def __init__(self) -> None:
        super().__init__()
        self.saved: deque[Any] | None = None
        """What a selective receive has passed over; older than all in the mailbox itself."""
        self.simple = True
        """Nothing is saved and no reference is fresh: the head of the deque is the head of the mailbox."""
        self._fresh: Ref | None = None
        """The reference made last, if no message has been taken since."""
        self._older = 0

    def length(self) -> int:
        """How many messages wait."""
        return len(self) + (len(self.saved) if self.saved else 0)

    def mark(self, ref: Ref) -> None:
        """`ref` has just been made: nothing that is here already can carry it."""
        self._fresh = ref
        self.simple = False
        self._older = self.length()

    def take_first(self) -> Any:
        """The message at the head, or MISSING."""
        self._fresh = None
        if self.saved:
            return self.saved.popleft()
        self.simple = True
        return self.popleft() if self else MISSING

    def take(self, pattern: Pattern, matches: Match) -> Any:
        """The first message that `matches`, or MISSING; those passed over are not looked at by `take_new`."""
        skip = self._older if pattern is not None and pattern is self._fresh else 0
        self._fresh = None
        found = self._take_saved(skip, matches)
        if found is not MISSING:
            return found
        self._pass_over(skip - (len(self.saved) if self.saved else 0))
        return self.take_new(matches)

    def take_new(self, matches: Match) -> Any:
        """The first message that `matches` among those nobody has looked at, or MISSING."""
        while self:
            message = self.popleft()
            try:
                found = matches(message)
            except BaseException:
                self.appendleft(message)
                raise
            if found:
                return message
            self._save(message)
        return MISSING

    def flush(self, matches: Match) -> Any:
        """Take the first message that `matches` without disturbing the order of any other, or MISSING."""
        for queue in (self.saved, self):
            found = _remove_first(queue, 0, matches) if queue else MISSING
            if found is not MISSING:
                self._fresh = None
                return found
        return MISSING

    def _take_saved(self, skip: int, matches: Match) -> Any:
        if not self.saved or skip >= len(self.saved):
            return MISSING
        return _remove_first(self.saved, skip, matches)

    def _pass_over(self, count: int) -> None:
        for _ in range(min(count, len(self))):
            self._save(self.popleft())

    def _save(self, message: Any) -> None:
        if self.saved is None:
            self.saved = deque()
        self.simple = False
        self.saved.append(message)


def _remove_first(queue: deque[Any], start: int, matches: Match) -> Any:
    for index, message in enumerate(islice(queue, start, None), start):
        if matches(message):
            del queue[index]
            return message
    return MISSING


def matcher(pattern: Pattern) -> Match:
    """The predicate that a pattern stands for.

    Args:
        pattern: a type, a union or a tuple of types: instances of it; a `Ref`: what carries it as its `ref`, or a
            tuple that starts with it; a function: what it returns true for.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(pattern, Ref):
        return _carries(pattern)
    if isinstance(pattern, type | UnionType | tuple):
        return partial(_is_a, cast("Any", pattern))
    if callable(pattern) and not hasattr(pattern, "__origin__"):  # list[int] and typing.Union are callable, too
        return pattern
    raise TypeError(f"receive takes a type, a Ref or a predicate, not {pattern!r}")


def _is_a(classes: Any, message: object) -> bool:
    return isinstance(message, classes)


def _carries(ref: Ref) -> Match:
    def matches(message: Any) -> bool:
        if isinstance(message, tuple):
            first: object = next(iter(cast("tuple[object, ...]", message)), None)
            return first == ref
        carried = getattr(message, "ref", None)
        return carried is ref or carried == ref

    return matches
