from __future__ import annotations

from collections import deque

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.credit import KNOWN, NAME_LENGTH, Credit, Window


def test_what_is_sent_to_who_has_granted_nothing_is_not_counted() -> None:
    credit = Credit()
    assert [credit.spend(7) for _ in range(3)] == [False] * 3
    assert (credit.left, credit.is_out(7)) == ({}, False)


def test_who_sends_without_credit_is_to_wait_and_the_debt_is_kept() -> None:
    credit = Credit()
    assert credit.grant(7, 2)
    assert [credit.spend(7) for _ in range(4)] == [False, False, True, True]
    assert (credit.left, credit.is_out(7)) == ({7: -2}, True)
    assert not credit.grant(7, 2)
    assert credit.grant(7, 1)
    assert not credit.is_out(7)


def test_a_grant_of_nothing_stops_at_once() -> None:
    credit = Credit()
    assert not credit.grant("name", 0)
    assert (credit.is_out("name"), credit.spend("name")) == (True, True)


def test_without_a_bound_all_may_be_sent_again() -> None:
    credit = Credit()
    credit.grant(7, 0)
    credit.end(7)
    credit.end(8)
    assert (credit.spend(7), credit.left) == (False, {})


@pytest.mark.parametrize("address", [KNOWN + 1, "name", "x" * (NAME_LENGTH + 1)])
def test_a_peer_can_make_us_keep_so_many_counts_and_no_more(address: int | str) -> None:
    credit = Credit()
    for number in range(KNOWN):
        credit.grant(number, 1)
    assert credit.grant(address, 0)
    assert (len(credit.left), credit.is_out(address)) == (KNOWN, False)
    assert not credit.grant(5, -1)


def test_a_name_that_is_too_long_is_not_kept() -> None:
    credit = Credit()
    assert credit.grant("x" * (NAME_LENGTH + 1), 0)
    assert not credit.grant("x" * NAME_LENGTH, 0)


def test_more_is_granted_when_half_is_used_up() -> None:
    window = Window()
    assert (window.is_low(10), window.fill(10, 10), window.open) == (True, 10, 10)
    window.received(4)
    assert not window.is_low(10)
    window.received(1)
    assert (window.is_low(10), window.fill(10, 9), window.fill(10, 10), window.open) == (True, 0, 5, 10)


def test_a_peer_that_has_nothing_left_is_granted_whatever_room_there_is() -> None:
    window = Window()
    window.received(3)
    assert (window.fill(10, 2), window.open, window.fill(10, 2), window.open) == (5, 2, 0, 2)


def test_a_window_follows_the_bound() -> None:
    window = Window()
    window.fill(10, 100)
    assert (window.fill(4, 100), window.open, window.fill(20, 100), window.open) == (0, 10, 10, 20)


@attrs.define
class Wire:
    """Both ends, and what is under way between them."""

    limit: int
    credit: Credit = attrs.field(factory=Credit)
    window: Window = attrs.field(factory=Window)
    to_receiver: int = 0
    to_sender: deque[int] = attrs.field(factory=deque[int])
    mailbox: int = 0
    sent: int = 0
    waits: bool = False
    begun: bool = False
    burst: int = 0
    """How many messages were under way, or there, when the first grant came."""

    def send(self) -> None:
        if not self.waits:
            self.sent += 1
            self.to_receiver += 1
            self.waits = self.credit.spend(1)

    def arrive(self) -> None:
        if self.to_receiver:
            self.to_receiver -= 1
            self.mailbox += 1
            self.window.received(1 if self.begun else 0)
            if not self.begun and self.mailbox >= self.limit:
                self.to_sender.append(0)
            self.begun = True
            self.look()

    def look(self) -> None:
        if self.window.is_low(self.limit) and self.mailbox < self.limit:
            more = self.window.fill(self.limit, self.limit - self.mailbox)
            if more:
                self.to_sender.append(more)

    def take(self) -> None:
        if self.mailbox:
            self.mailbox -= 1
            self.look()

    def hear(self) -> None:
        if self.to_sender:
            if not self.credit.left:
                self.burst = self.sent
            self.waits = not self.credit.grant(1, self.to_sender.popleft()) and self.waits


@given(st.integers(1, 12), st.lists(st.sampled_from(["send", "arrive", "take", "hear"]), max_size=200))
def test_the_bound_is_exceeded_by_what_was_sent_unknowing_alone_and_nobody_waits_for_ever(
    limit: int, steps: list[str]
) -> None:
    wire = Wire(limit)
    for step in steps:
        getattr(wire, step)()
        if wire.credit.left:
            assert wire.mailbox + wire.to_receiver <= wire.burst + limit + 1
    for _ in range(500):
        wire.arrive()
        wire.take()
        wire.hear()
    assert not wire.waits
    assert (wire.mailbox, wire.to_receiver) == (0, 0)
