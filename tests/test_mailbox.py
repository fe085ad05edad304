from __future__ import annotations

import gc
import tracemalloc
import typing
from collections.abc import Callable
from functools import partial
from operator import eq, is_
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
        self.urgent = 0
        """How many of them are urgent."""
        self.refs: list[Ref] = []
        self.count = 0

    def deliver(self, kind: object) -> None:
        self.count += 1
        self.box.append((kind, self.count))
        self.list.append((kind, self.count))

    def deliver_urgent(self, kind: object) -> None:
        self.count += 1
        self.box.append_urgent((kind, self.count))
        self.list.insert(self.urgent, (kind, self.count))
        self.urgent += 1

    def first(self, kind: object) -> Any:
        found = next((message for message in self.list if message[0] == kind), None)
        if found is None:
            return MISSING
        self.urgent -= self.list.index(found) < self.urgent
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
        self.urgent = max(self.urgent - 1, 0)
        assert self.box.take_first() == expected

    def take(self, kind: int) -> None:
        assert self.box.take(of_kind(kind)) == self.first(kind)

    def take_ref(self, which: int) -> None:
        if self.refs:
            ref = self.refs[-1 - which % len(self.refs)]
            assert self.box.take(ref) == self.first(ref)

    def wait(self, kind: int) -> None:
        """A receive that waits while one of each kind comes."""
        found = self.box.take(of_kind(kind))
        assert found == self.first(kind)
        for new in range(3):
            if found is MISSING:
                self.deliver_urgent(new) if new == 1 else self.deliver(new)
                found = self.box.take_new(of_kind(kind))
                assert found == self.first(kind)

    def flush(self, kind: int) -> None:
        assert self.box.flush(of_kind(kind)) == self.first(kind)


def of_kind(kind: object) -> Callable[[Any], bool]:
    return lambda message: message[0] == kind


ACTIONS = [
    Model.deliver,
    Model.deliver_urgent,
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
        assert (len(model.box), model.box.messages()) == (len(model.list), model.list)
    assert drained(model.box) == model.list


@pytest.mark.parametrize("taken", [1, 2, 200])
def test_a_pattern_that_takes_messages_out_is_an_error(taken: int) -> None:
    box = filled(*range(200))

    def takes(message: int) -> bool:
        for _ in range(taken if message == 1 else 0):
            box.take_first()
        return message == 1

    with pytest.raises(RuntimeError, match="has taken messages out of the mailbox"):
        box.take(takes)
    assert drained(box) == list(range(taken, 200))


def test_what_comes_by_what_a_pattern_does_is_looked_at_too() -> None:
    box = filled("ordinary")

    def lets_in(message: str) -> bool:
        if message == "ordinary":
            box.append("other")
        if message == "other":
            box.append_urgent("wanted")
        return message == "wanted"

    assert box.take(lets_in) == "wanted"
    assert drained(box) == ["ordinary", "other"]


class Grows:
    """A cycle whose end lets messages into a mailbox."""

    def __init__(self, box: Mailbox) -> None:
        self.box = box
        self.me = self

    def __del__(self) -> None:
        self.box.extend(range(100))


def test_to_list_the_messages_may_start_the_garbage_collector_and_that_any_code() -> None:
    gc.collect()
    box = filled(1, 2, 3)
    threshold = gc.get_threshold()
    gc.disable()
    Grows(box)
    kept: list[list[int]] = [[] for _ in range(100)]  # so that no list that was freed before is used again
    gc.set_threshold(1)
    gc.enable()
    try:
        listed = box.messages()
    finally:
        gc.set_threshold(*threshold)
    assert len(kept) == 100
    assert listed == [1, 2, 3, *range(100)][: len(listed)]


def nothing(_message: object) -> bool:
    return False


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
    assert box.take(nothing) is MISSING
    box.extend(older[passed_over:])
    ref = Ref("a@h", 1, 1)
    box.mark(ref)
    newer = Watched()
    box.append(newer)
    box.append((ref, "answer"))
    Watched.looks = 0
    assert box.take(ref) == (ref, "answer")
    assert Watched.looks == 1
    assert drained(box) == [*older, newer]


@pytest.mark.parametrize("taken", ["first", "middle", "all"])
def test_a_reference_stays_fresh_whatever_older_messages_are_taken_meanwhile(taken: str) -> None:
    older = [Watched() for _ in range(10)]
    box = filled(*older)
    ref = Ref("a@h", 1, 1)
    box.mark(ref)
    box.append((ref, "answer"))
    left = {"first": older[1:], "middle": [*older[:5], *older[6:]], "all": []}[taken]
    for gone in [each for each in older if each not in left]:
        assert box.take(partial(is_, gone)) is gone
    Watched.looks = 0
    assert (box.take(ref), Watched.looks) == ((ref, "answer"), 0)
    assert drained(box) == left


def test_urgent_messages_stand_before_all_others_in_the_order_of_their_arrival() -> None:
    box = filled("a", "b")
    box.append_urgent("U")
    box.append("c")
    box.append_urgent("V")
    assert (len(box), box.messages()) == (5, ["U", "V", "a", "b", "c"])
    assert drained(box) == ["U", "V", "a", "b", "c"]


def test_a_receive_that_waits_looks_at_an_urgent_message_too_and_not_again_at_those_before() -> None:
    looked_at: list[str] = []

    def matches(message: str) -> bool:
        looked_at.append(message)
        return message == "V"

    box = filled("a", "b")
    box.append_urgent("T")
    assert box.take(matches) is MISSING
    box.append_urgent("U")
    box.append("c")
    assert box.take_new(matches) is MISSING
    box.append_urgent("V")
    assert (box.take_new(matches), looked_at) == ("V", ["T", "a", "b", "U", "c", "V"])
    assert drained(box) == ["T", "U", "a", "b", "c"]


def test_a_reference_is_looked_for_among_urgent_messages_too() -> None:
    box = filled("a")
    ref = Ref("a@h", 1, 1)
    box.mark(ref)
    box.append_urgent((ref, "urgent"))
    box.append((ref, "answer"))
    assert (box.take(ref), box.take(ref), drained(box)) == ((ref, "urgent"), (ref, "answer"), ["a"])


def test_a_place_in_the_middle_is_found_in_a_ring_that_has_turned() -> None:
    box = filled(*range(7))
    for number in range(5):
        assert box.take_first() == number
    box.extend(range(7, 13))
    assert [box.take(partial(eq, wanted)) for wanted in (11, 6, 9)] == [11, 6, 9]
    assert drained(box) == [5, 7, 8, 10, 12]


def test_a_mailbox_that_was_long_and_is_empty_gives_its_memory_back() -> None:
    box = filled(*range(100_000))
    drained(box)
    tracemalloc.start()
    box.append("x")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (grown < 2_000, drained(box)) == (True, ["x"])


def test_a_receive_that_waits_looks_at_new_messages_only() -> None:
    looked_at: list[int] = []

    def matches(message: int) -> bool:
        looked_at.append(message)
        return message == 1003

    box = filled(*range(1000))
    assert box.take(matches) is MISSING
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
        assert box.take(nothing) is MISSING
    with pytest.raises(ValueError, match="b"):
        box.take(breaks)
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
