from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.restart import (
    RESTARTS,
    STRATEGIES,
    Restart,
    RestartBudget,
    Strategy,
    affected,
    must_restart,
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


@pytest.mark.parametrize(
    ("strategy", "concerned"),
    [
        ("one_for_one", ["a", "b", "c"]),
        ("rest_for_one", ["abc", "bc", "c"]),
        ("one_for_all", ["abc", "abc", "abc"]),
    ],
)
def test_the_strategy_says_who_is_stopped_and_started_with_a_child(strategy: Strategy, concerned: list[str]) -> None:
    assert ["".join(affected(strategy, "abc", index)) for index in range(3)] == concerned


def test_the_names_of_strategies_and_restart_types_are_those_of_the_types() -> None:
    assert STRATEGIES == ("one_for_one", "one_for_all", "rest_for_one")
    assert RESTARTS == ("permanent", "transient", "temporary")


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


@pytest.mark.parametrize(("intensity", "period"), [(-1, 5), (1, 0), (1, -5)])
def test_a_budget_that_makes_no_sense_is_refused(intensity: int, period: int) -> None:
    with pytest.raises(
        ValueError, match=f"intensity is at least 0 and period at least 1 second, not {intensity} and {period}"
    ):
        RestartBudget(intensity, period)
