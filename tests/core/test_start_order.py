"""In which order applications start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.start_order import check_needs, start_order

NEEDS = {"shop": ["web", "database"], "web": ["net"], "database": ["disk"], "net": [], "disk": [], "game": ["net"]}


def test_each_starts_after_all_it_needs_and_only_what_is_needed_starts() -> None:
    order = start_order(NEEDS, ["shop"])

    assert sorted(order) == ["database", "disk", "net", "shop", "web"]
    for name in order:
        assert all(order.index(other) < order.index(name) for other in NEEDS[name])


def test_what_needs_nothing_starts_in_the_order_in_which_it_is_wanted() -> None:
    assert start_order({"a": [], "b": [], "c": []}, ["c", "a", "b"]) == ["c", "a", "b"]
    assert start_order(NEEDS, []) == []


def test_what_is_needed_and_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="the application 'shop' needs 'database', which is not among shop, web"):
        check_needs({"shop": ["web", "database"], "web": []})


def test_a_ring_is_named_as_it_goes_round() -> None:
    with pytest.raises(ValueError, match="in a ring: a needs b needs c needs a"):
        check_needs({"a": ["b"], "b": ["c"], "c": ["a"]})
    with pytest.raises(ValueError, match="in a ring: a needs a"):
        check_needs({"a": ["a"]})


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=10), st.data())
def test_whatever_needs_what_the_order_holds(earlier: list[list[int]], data: st.DataObject) -> None:
    needs = {str(number): [str(other) for other in others if other < number] for number, others in enumerate(earlier)}
    wanted = data.draw(st.lists(st.sampled_from(sorted(needs))))
    check_needs(needs)

    order = start_order(needs, wanted)

    assert (len(set(order)), set(wanted) <= set(order)) == (len(order), True)
    for name in order:
        assert all(other in order and order.index(other) < order.index(name) for other in needs[name])
        assert name in wanted or any(name in needs[other] for other in order)
