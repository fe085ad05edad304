from __future__ import annotations

from typing import Any

import pytest

from pydist.core.node_monitors import NodeMonitors, Wish

VISIBLE, HIDDEN, ALL = Wish("visible"), Wish("hidden"), Wish("all")


def test_who_asks_twice_is_told_twice_until_both_are_taken_back() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    told: list[list[str]] = []
    for wanted in (True, True, False, False, False, True):
        monitors.monitor_nodes("p", VISIBLE, wanted=wanted)
        told.append(monitors.of_nodes("visible"))
    assert told == [["p"], ["p", "p"], ["p"], [], [], ["p"]]


def test_each_is_told_of_the_nodes_that_it_asked_for() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    for process, wish in [("v", VISIBLE), ("h", HIDDEN), ("a", ALL), ("a", VISIBLE)]:
        monitors.monitor_nodes(process, wish, wanted=True)
    assert (monitors.of_nodes("visible"), monitors.of_nodes("hidden")) == (["v", "a", "a"], ["h", "a"])


def test_what_was_asked_for_is_taken_back_with_the_same_arguments() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    monitors.monitor_nodes("p", ALL, wanted=True)
    monitors.monitor_nodes("p", VISIBLE, wanted=False)
    assert monitors.of_nodes("visible") == ["p"]
    monitors.monitor_nodes("p", ALL, wanted=False)
    assert monitors.of_nodes("visible") == []


def test_of_suspects_only_those_are_told_who_asked_for_them() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    monitors.monitor_nodes("p", VISIBLE, wanted=True)
    monitors.monitor_nodes("s", Wish("visible", suspects=True), wanted=True)
    assert monitors.of_nodes("visible", suspects=True) == ["s"]
    assert monitors.of_nodes("hidden", suspects=True) == []
    assert monitors.of_nodes("visible") == ["p", "s"]


def test_monitors_of_one_node_are_counted_and_end_with_it() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    for process, wanted in [("p", True), ("p", True), ("q", True), ("p", False), ("q", True), ("r", False)]:
        monitors.monitor_node(process, "a@h", wanted=wanted)
    monitors.monitor_node("p", "b@h", wanted=True)
    assert monitors.take("a@h") == ["p", "q", "q"]
    assert monitors.take("a@h") == []
    assert monitors.take("b@h") == ["p"]


def test_who_has_ended_is_forgotten() -> None:
    monitors: NodeMonitors[str] = NodeMonitors()
    for process in ("p", "q"):
        monitors.monitor_nodes(process, VISIBLE, wanted=True)
        monitors.monitor_node(process, "a@h", wanted=True)
    monitors.forget("p")
    monitors.forget("p")
    assert (monitors.of_nodes("visible"), monitors.take("a@h")) == (["q"], ["q"])


@pytest.mark.parametrize(("wrong", "error"), [(("normal", False), ValueError), (("all", 1), TypeError)])
def test_what_is_no_wish_is_refused(wrong: tuple[Any, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"node_type is one of visible, hidden, all|suspects is True or False"):
        Wish(*wrong)
