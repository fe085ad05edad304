from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.mailbox import MISSING, Mailbox, matcher
from pydist.message import Message
from pydist.terms import NORMAL, Down, Pid, Ref

ME = Pid("a@h", 1, 1)


class Tell(Message, tag="test_mailbox.Tell"):
    text: str


def drained(box: Mailbox) -> list[Any]:
    return list(iter(box.take_first, MISSING))


def filled(*messages: Any) -> Mailbox:
    box = Mailbox()
    box.extend(messages)
    return box


class Model:
    """The oracle: one list, always searched from its head. Messages are (kind or ref, number)."""

    def __init__(self) -> None:
        self.box = Mailbox()
        self.list: list[tuple[Any, int]] = []
        self.refs: list[Ref] = []
        self.count = 0

    def deliver(self, kind: object) -> None:
        self.count += 1
        self.box.append((kind, self.count))
        self.list.append((kind, self.count))

    def first(self, kind: object) -> Any:
        found = next((message for message in self.list if message[0] == kind), None)
        if found is None:
            return MISSING
        self.list.remove(found)
        return found

    def mark(self, _: int) -> None:
        self.refs.append(Ref("a@h", len(self.refs) + 1, 1))
        self.box.mark(self.refs[-1])

    def answer(self, which: int) -> None:
        if self.refs:
            self.deliver(self.refs[-1 - which % len(self.refs)])

    def take_first(self, _: int) -> None:
        expected = self.list.pop(0) if self.list else MISSING
        assert self.box.take_first() == expected

    def take(self, kind: int) -> None:
        assert self.box.take(of_kind(kind), of_kind(kind)) == self.first(kind)

    def take_ref(self, which: int) -> None:
        if self.refs:
            ref = self.refs[-1 - which % len(self.refs)]
            assert self.box.take(ref, matcher(ref)) == self.first(ref)

    def wait(self, kind: int) -> None:
        """A receive that waits while one of each kind comes."""
        found = self.box.take(of_kind(kind), of_kind(kind))
        assert found == self.first(kind)
        for new in range(3):
            if found is MISSING:
                self.deliver(new)
                found = self.box.take_new(of_kind(kind))
                assert found == self.first(kind)

    def flush(self, kind: int) -> None:
        assert self.box.flush(of_kind(kind)) == self.first(kind)


def of_kind(kind: object) -> Callable[[Any], bool]:
    return lambda message: message[0] == kind


ACTIONS = [
    Model.deliver,
    Model.mark,
    Model.answer,
    Model.take_first,
    Model.take,
    Model.take_ref,
    Model.wait,
    Model.flush,
]


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2)), max_size=60))
def test_a_mailbox_is_a_list_that_is_searched_from_its_head(history: list[tuple[Callable[..., None], int]]) -> None:
    model = Model()
    for action, argument in history:
        action(model, argument)
        assert model.box.length() == len(model.list)
    assert drained(model.box) == model.list


class Watched:
    """A message that counts how often somebody looks whether it carries a reference."""

    looks = 0

    @property
    def ref(self) -> Ref | None:
        type(self).looks += 1
        return None


@pytest.mark.parametrize("passed_over", [0, 500, 1000])
def test_a_fresh_reference_is_looked_for_in_newer_messages_only(passed_over: int) -> None:
    older = [Watched() for _ in range(1000)]
    box = filled(*older[:passed_over])
    assert box.take(of_kind(0), lambda _: False) is MISSING
    box.extend(older[passed_over:])
    ref = Ref("a@h", 1, 1)
    box.mark(ref)
    newer = Watched()
    box.append(newer)
    box.append((ref, "answer"))
    Watched.looks = 0
    assert box.take(ref, matcher(ref)) == (ref, "answer")
    assert Watched.looks == 1
    assert drained(box) == [*older, newer]


def test_a_reference_is_fresh_no_longer_once_a_message_was_taken() -> None:
    box = filled("old")
    ref = Ref("a@h", 1, 1)
    box.mark(ref)
    box.append((ref, "answer"))
    assert box.take_first() == "old"
    assert box.take(ref, matcher(ref)) == (ref, "answer")


def test_a_receive_that_waits_looks_at_new_messages_only() -> None:
    looked_at: list[int] = []

    def matches(message: int) -> bool:
        looked_at.append(message)
        return message == 1003

    box = filled(*range(1000))
    assert box.take(matches, matches) is MISSING
    taken: list[object] = []
    for new in range(1000, 1004):
        box.append(new)
        taken.append(box.take_new(matches))
    assert (taken, looked_at) == ([MISSING, MISSING, MISSING, 1003], list(range(1004)))
    assert drained(box) == list(range(1003))


@pytest.mark.parametrize("passed_over", [False, True])
def test_a_predicate_that_raises_loses_no_message(passed_over: bool) -> None:
    def breaks(message: str) -> bool:
        if message == "b":
            raise ValueError(message)
        return False

    box = filled("a", "b", "c")
    if passed_over:
        assert box.take(of_kind(0), lambda _: False) is MISSING
    with pytest.raises(ValueError, match="b"):
        box.take(breaks, breaks)
    assert drained(box) == ["a", "b", "c"]


def test_none_is_a_message() -> None:
    box = filled(None)
    assert (box.take_first(), box.take_first()) == (None, MISSING)


REF = Ref("a@h", 7, 1)
EQUAL = Ref("a@h", 7, 1)
OTHER = Ref("a@h", 8, 1)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        (str, "x", True),
        (str, 1, False),
        (int | str, "x", True),
        ((int, str), 1, True),
        ((int, str), 1.5, False),
        (Tell, Tell("x"), True),
        (REF, Down(EQUAL, ME, NORMAL), True),
        (REF, Down(OTHER, ME, NORMAL), False),
        (REF, (EQUAL, "x"), True),
        (REF, (OTHER, REF), False),
        (REF, (), False),
        (REF, [REF], False),
        (REF, REF, False),
        (REF, "x", False),
        (len, "x", True),
        (len, "", False),
    ],
)
def test_what_a_pattern_matches(pattern: Any, message: Any, expected: bool) -> None:
    assert bool(matcher(pattern)(message)) is expected


@pytest.mark.parametrize("pattern", [5, "name", [str], list[int], typing.Union[int, str], typing.Optional[int]])  # noqa: UP007, UP045  # as users write it
def test_what_is_no_pattern_is_refused(pattern: Any) -> None:
    with pytest.raises(TypeError, match="receive takes a type, a Ref or a predicate, not"):
        matcher(pattern)
