from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.strangers import Strangers


def test_one_too_many_and_who_has_waited_longest_goes() -> None:
    strangers: Strangers[str] = Strangers(2)
    assert [strangers.admit(name, "1.1.1.1") for name in "abc"] == [None, None, "a"]
    strangers.leave("a")
    assert list(strangers) == ["b", "c"]


def test_where_nobody_may_be_the_newcomer_goes() -> None:
    assert Strangers[str](0).admit("a", "1.1.1.1") == "a"


def test_silence_takes_no_place_of_those_who_have_introduced_themselves() -> None:
    strangers: Strangers[str] = Strangers(2)
    strangers.admit("node", "1.1.1.1")
    assert strangers.introduce("node") is None
    for number in range(1000):
        gone = strangers.admit(f"silent {number}", "1.1.1.1")
        if gone is not None:
            strangers.leave(gone)
    assert list(strangers) == ["silent 998", "silent 999", "node"]


def test_those_who_have_introduced_themselves_take_no_place_of_a_newcomer() -> None:
    strangers: Strangers[str] = Strangers(2)
    for name in "ab":
        strangers.admit(name, "1.1.1.1")
        assert strangers.introduce(name) is None
    assert strangers.admit("c", "1.1.1.1") is None
    assert strangers.introduce("c") == "a"


def test_of_the_address_from_which_most_come_one_goes() -> None:
    strangers: Strangers[str] = Strangers(3)
    strangers.admit("node", "2.2.2.2")
    assert [strangers.admit(name, "1.1.1.1") for name in "abc"] == [None, None, "a"]


def test_all_addresses_of_one_ipv6_network_count_as_one() -> None:
    strangers: Strangers[str] = Strangers(3)
    strangers.admit("node", "2001:db8:0:1::1")
    assert [strangers.admit(name, f"2001:db8:0:2::{name}") for name in "abc"] == [None, None, "a"]
    strangers = Strangers(3)
    strangers.admit("node", "::ffff:2.2.2.2")
    assert [strangers.admit(name, "::ffff:1.1.1.1") for name in "abc"] == [None, None, "a"]


def test_introducing_oneself_twice_or_after_leaving_changes_nothing() -> None:
    strangers: Strangers[str] = Strangers(1)
    strangers.admit("a", "?")
    assert (strangers.introduce("a"), strangers.introduce("a")) == (None, None)
    strangers.leave("a")
    strangers.leave("a")
    assert (strangers.introduce("a"), len(strangers)) == (None, 0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.sampled_from(["admit", "introduce", "leave"]))))
def test_there_are_never_more_than_may_be_and_nothing_is_left_of_those_who_left(
    story: list[tuple[int, int, str]],
) -> None:
    strangers: Strangers[int] = Strangers(3)
    for who, host, what in story:
        gone: int | None = None
        match what:
            case "admit" if who not in strangers:
                gone = strangers.admit(who, f"10.0.0.{host}")
            case "introduce":
                gone = strangers.introduce(who)
            case _:
                strangers.leave(who)
        if gone is not None:
            strangers.leave(gone)
        assert len(strangers) <= 6
    for who in list(strangers):
        strangers.leave(who)
    for room in (strangers._silent, strangers._introduced):
        assert (room.sources, room._of_source) == ({}, {})
