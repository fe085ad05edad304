from __future__ import annotations

from math import inf, nan
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.restart import (
    AUTO_SHUTDOWNS,
    RESTARTS,
    STRATEGIES,
    AutoShutdown,
    Plan,
    Restart,
    RestartBudget,
    RestartPolicy,
    Strategy,
    affected,
    must_restart,
    stopped_as_asked,
)
from pydist.terms import KILLED, NOPROC, NORMAL, SHUTDOWN, Atom, Crash

CRASH = Crash("ValueError", "bad", "")


@pytest.mark.parametrize(
    ("reason", "restarted"),
    [
        (NORMAL, {"permanent"}),
        (SHUTDOWN, {"permanent"}),
        ((SHUTDOWN, "told to"), {"permanent"}),
        (KILLED, {"permanent", "transient"}),
        (NOPROC, {"permanent", "transient"}),
        (CRASH, {"permanent", "transient"}),
        ("normal", {"permanent", "transient"}),
        ("shutdown", {"permanent", "transient"}),
        ((SHUTDOWN, "two", "details"), {"permanent", "transient"}),
        ((Atom("other"), SHUTDOWN), {"permanent", "transient"}),
        (None, {"permanent", "transient"}),
    ],
)
def test_who_is_started_again_depends_on_its_restart_type_and_on_how_it_ended(reason: Any, restarted: set[str]) -> None:
    kinds: tuple[Restart, ...] = get_args(Restart)
    assert {kind for kind in kinds if must_restart(kind, reason)} == restarted


@attrs.define(eq=False)
class Kid:
    """A child as the decisions see it."""

    name: str
    restart: Restart = "permanent"
    significant: bool = False
    running: bool = True

    def __repr__(self) -> str:
        return self.name


def _policy(strategy: Strategy = "one_for_one", auto_shutdown: AutoShutdown = "never", intensity: int = 9) -> Any:
    return RestartPolicy(strategy, RestartBudget(intensity, 5), auto_shutdown)


@pytest.mark.parametrize(
    ("strategy", "concerned"),
    [
        ("one_for_one", ["a", "b", "c"]),
        ("rest_for_one", ["abc", "bc", "c"]),
        ("one_for_all", ["abc", "abc", "abc"]),
    ],
)
def test_the_strategy_says_who_is_stopped_and_started_with_a_child(strategy: Strategy, concerned: list[str]) -> None:
    kids = [Kid(name) for name in "abc"]
    assert ["".join(map(repr, affected(strategy, kids, each))) for each in kids] == concerned


def test_the_names_of_strategies_and_restart_types_are_those_of_the_types() -> None:
    assert STRATEGIES == ("one_for_one", "one_for_all", "rest_for_one")
    assert RESTARTS == ("permanent", "transient", "temporary")
    assert AUTO_SHUTDOWNS == ("never", "any_significant", "all_significant")


# -- plans


def _words(plan: Plan[Any]) -> dict[str, Any]:
    """A plan without what it leaves empty."""
    full = {"report": plan.report, "stop": plan.stop, "drop": plan.drop, "end": plan.end, "start": plan.start}
    return {
        key: "".join(map(repr, value)) if isinstance(value, tuple) else value for key, value in full.items() if value
    }


def test_a_group_stops_in_reverse_without_the_one_that_ended_and_starts_in_order_without_the_temporary() -> None:
    a, b, _, d = kids = [Kid("a"), Kid("b"), Kid("c", "temporary"), Kid("d")]
    assert [_words(_policy("one_for_all").ended(each, CRASH, kids, 0.0)) for each in (a, b, d)] == [
        {"report": True, "stop": "dcb", "drop": "c", "start": "abd"},
        {"report": True, "stop": "dca", "drop": "c", "start": "abd"},
        {"report": True, "stop": "cba", "drop": "c", "start": "abd"},
    ]
    assert _words(_policy("rest_for_one").again(b, kids, 0.0)) == {"stop": "dc", "drop": "c", "start": "bd"}
    assert _words(_policy().again(d, kids, 0.0)) == {"start": "d"}


def test_a_temporary_child_that_ends_is_dropped_and_a_transient_one_kept() -> None:
    a, b = kids = [Kid("a", "temporary"), Kid("b", "transient")]
    assert _words(_policy("one_for_all").ended(a, CRASH, kids, 0.0)) == {"report": True, "drop": "a"}
    assert _words(_policy("one_for_all").ended(b, NORMAL, kids, 0.0)) == {}


def test_where_children_are_not_kept_one_that_leaves_for_good_is_dropped() -> None:
    a, b = kids = [Kid("a", "transient"), Kid("b")]
    policy = RestartPolicy("one_for_one", RestartBudget(9, 5), keep=False)
    assert [_words(policy.ended(a, reason, kids, 0.0)) for reason in (NORMAL, CRASH)] == [
        {"drop": "a"},
        {"report": True, "start": "a"},
    ]
    assert [policy.forgets(b), _policy().forgets(b), _policy().forgets(Kid("c", "temporary"))] == [True, False, True]


@pytest.mark.parametrize(
    ("auto_shutdown", "restart", "reason", "ends"),
    [
        ("never", "transient", NORMAL, {"a": False, "b": False, "c": False}),
        ("any_significant", "transient", NORMAL, {"a": True, "b": True, "c": False}),
        ("any_significant", "transient", CRASH, {"a": False, "b": False, "c": False}),
        ("any_significant", "temporary", CRASH, {"a": True, "b": True, "c": False}),
        ("all_significant", "transient", SHUTDOWN, {"a": False, "b": True, "c": False}),
        ("all_significant", "temporary", CRASH, {"a": False, "b": True, "c": False}),
    ],
)
def test_a_significant_child_that_leaves_for_good_may_end_the_supervisor(
    auto_shutdown: AutoShutdown, restart: Restart, reason: Any, ends: dict[str, bool]
) -> None:
    """a and b are significant; they and c leave one after the other, first a while b runs."""
    kids = [Kid("a", restart, significant=True), Kid("b", restart, significant=True), Kid("c", restart)]
    found = {}
    for kid in kids:
        kid.running = False
        found[kid.name] = _policy(auto_shutdown=auto_shutdown).ended(kid, reason, kids, 0.0).end == "auto_shutdown"
    assert found == ends


def test_a_significant_child_that_is_being_restarted_has_not_left() -> None:
    a, b = kids = [Kid("a", "transient", significant=True), Kid("b", "transient", significant=True, running=True)]
    a.running = False
    policy = _policy(auto_shutdown="all_significant")
    assert policy.ended(a, NORMAL, kids, 0.0).end is None
    b.running = False
    assert policy.ended(a, NORMAL, kids, 0.0).end == "auto_shutdown"


REASONS: list[Any] = [NORMAL, SHUTDOWN, (SHUTDOWN, "told to"), KILLED, CRASH]

kids_strategy = st.lists(st.tuples(st.sampled_from(RESTARTS), st.booleans(), st.booleans()), min_size=1, max_size=6)


@given(
    drawn=kids_strategy,
    place=st.integers(0, 5),
    rules=st.tuples(st.sampled_from(STRATEGIES), st.sampled_from(AUTO_SHUTDOWNS), st.integers(0, 1)),
    reason=st.sampled_from(REASONS),
)
def test_a_plan_is_what_the_rules_say_of_each_child_by_itself(
    drawn: list[Any], place: int, rules: tuple[Any, Any, int], reason: Any
) -> None:
    kids = [
        Kid(str(index), restart, significant=significant and restart != "permanent", running=running)
        for index, (restart, significant, running) in enumerate(drawn)
    ]
    gone = place % len(kids)
    kids[gone].running = False

    plan = _policy(*rules).ended(kids[gone], reason, kids, 100.0)

    assert _words(plan) == _by_the_rules(kids, gone, rules, reason)


def _by_the_rules(kids: list[Kid], gone: int, rules: tuple[str, str, int], reason: Any) -> dict[str, Any]:
    """The rules of supervisor.erl, asked of one child after the other."""
    strategy, auto_shutdown, intensity = rules
    calm = any(reason == each for each in REASONS[:3])
    kind = kids[gone].restart
    plan: dict[str, Any] = {"report": True} if kind == "permanent" or not calm else {}
    if kind == "temporary" or (kind == "transient" and calm):
        others = [kid for index, kid in enumerate(kids) if index != gone and kid.significant and kid.running]
        enough = {"never": False, "any_significant": True, "all_significant": not others}[auto_shutdown]
        plan |= {"drop": str(gone)} if kind == "temporary" else {}
        return plan | ({"end": "auto_shutdown"} if enough and kids[gone].significant else {})
    if intensity == 0:
        return plan | {"end": "intensity"}
    for index, kid in enumerate(kids):
        with_it = strategy == "one_for_all" or (strategy == "rest_for_one" and index > gone)
        if with_it and index != gone:
            plan["stop"] = str(index) + plan.get("stop", "")
        if index == gone or with_it:
            what = "drop" if kid.restart == "temporary" else "start"
            plan[what] = plan.get(what, "") + str(index)
    return plan


@pytest.mark.parametrize(
    ("shutdown", "restart", "as_asked"),
    [
        (5.0, "permanent", [SHUTDOWN]),
        (None, "permanent", [SHUTDOWN]),
        ("brutal_kill", "permanent", [KILLED]),
        (5.0, "transient", [NORMAL, SHUTDOWN, (SHUTDOWN, "told to")]),
        (0, "temporary", [NORMAL, SHUTDOWN, (SHUTDOWN, "told to")]),
        ("brutal_kill", "temporary", [NORMAL, SHUTDOWN, (SHUTDOWN, "told to"), KILLED]),
    ],
)
def test_how_a_child_that_is_stopped_should_end(shutdown: Any, restart: Restart, as_asked: list[Any]) -> None:
    assert [reason for reason in REASONS if stopped_as_asked(restart, shutdown, reason)] == as_asked


# -- the budget


def _answers(intensity: int, period: int, times: list[float]) -> list[bool]:
    budget = RestartBudget(intensity, period)
    return [budget.spend(now) for now in times]


@pytest.mark.parametrize(
    ("intensity", "period", "times", "answers"),
    [
        pytest.param(0, 5, [100.0], [False], id="an intensity of 0 allows no restart"),
        pytest.param(1, 5, [100.0, 106.0, 112.0], [True, True, True], id="rare restarts are allowed for ever"),
        pytest.param(1, 5, [100.0, 105.9], [True, False], id="the edge second counts, all of it"),
        pytest.param(1, 5, [100.9, 106.0], [True, True], id="time is in whole seconds"),
        pytest.param(2, 5, [1.0, 1.0, 1.0], [True, True, False], id="restarts of one instant count each"),
        pytest.param(2, 1, [1.5, 2.5, 3.5, 4.5], [True, True, True, True], id="the window slides"),
        pytest.param(1, 1, [1.5, 2.5, 3.5, 4.5], [True, False, False, False], id="refused ones count too"),
    ],
)
def test_a_budget_allows_so_many_restarts_in_its_period(
    intensity: int, period: int, times: list[float], answers: list[bool]
) -> None:
    assert _answers(intensity, period, times) == answers


@given(
    intensity=st.integers(0, 5),
    period=st.integers(1, 10),
    steps=st.lists(st.floats(0, 4), max_size=40),
)
def test_a_restart_is_refused_exactly_when_too_many_lie_within_the_period(
    intensity: int, period: int, steps: list[float]
) -> None:
    times = [sum(steps[: index + 1]) for index in range(len(steps))]
    expected = [
        sum(int(past) >= int(now) - period for past in times[: index + 1]) <= intensity
        for index, now in enumerate(times)
    ]
    assert _answers(intensity, period, times) == expected


@given(steps=st.lists(st.floats(0, 4), max_size=200))
def test_a_budget_forgets_what_no_longer_counts(steps: list[float]) -> None:
    budget = RestartBudget(3, 5)
    now = 0.0
    for step in steps:
        now += step
        budget.spend(now)
        assert all(past >= int(now) - 5 for past in budget.restarts)


@pytest.mark.parametrize(
    ("intensity", "period", "error", "words"),
    [
        (-1, 5, ValueError, "intensity is a whole number of restarts from 0, not -1"),
        (1, 0, ValueError, "period is a whole number of seconds from 1, not 0"),
        (1, -5, ValueError, "period is a whole number of seconds from 1, not -5"),
        (True, 5, TypeError, "intensity is a whole number of restarts from 0, not True"),
        (1.0, 5, TypeError, "intensity is a whole number of restarts from 0, not 1.0"),
        (nan, 5, TypeError, "intensity is a whole number of restarts from 0, not nan"),
        (inf, 5, TypeError, "intensity is a whole number of restarts from 0, not inf"),
        (None, 5, TypeError, "intensity is a whole number of restarts from 0, not None"),
        (1, 2.5, TypeError, "period is a whole number of seconds from 1, not 2.5"),
        (1, "5", TypeError, "period is a whole number of seconds from 1, not '5'"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(
    intensity: Any, period: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        RestartBudget(intensity, period)
    assert str(caught.value) == words


def test_a_policy_that_makes_no_sense_is_refused() -> None:
    strategy: Any = "simple_one_for_one"
    with pytest.raises(ValueError, match=r"strategy is one of .*, not 'simple_one_for_one': .* DynamicSupervisor"):
        _policy(strategy)
    auto_shutdown: Any = True
    with pytest.raises(ValueError, match="auto_shutdown is one of never, any_significant, all_significant, not True"):
        _policy(auto_shutdown=auto_shutdown)
