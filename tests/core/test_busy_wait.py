from __future__ import annotations

import pytest

from pydist.core.busy_wait import CREDIT_LIMIT, TURNS, WASTED, BusyWait

SECONDS = 0.0001


def turns_until_sleep(wait: BusyWait, now: float, step: float = SECONDS / 10) -> int:
    turns = 0
    while wait.goes_on(now + turns * step):
        turns += 1
    return turns


def test_what_hears_something_now_and_then_sleeps_at_once() -> None:
    wait = BusyWait(SECONDS)
    assert [wait.heard(now) for now in (1.0, 2.0, 3.0)] == [False, False, False]


def test_what_is_answered_quickly_looks_for_the_next_answer() -> None:
    wait = BusyWait(SECONDS)
    assert [wait.heard(now) for now in (1.0, 1.0003, 1.0006)] == [False, True, True]


def test_it_looks_for_so_many_seconds_after_the_last_input() -> None:
    wait = BusyWait(SECONDS)
    wait.heard(1.0)
    wait.heard(1.0001)
    assert wait.goes_on(1.0001 + SECONDS * 0.99)
    assert not wait.goes_on(1.0001 + SECONDS)


def test_time_that_was_wasted_spends_what_quick_answers_have_earned() -> None:
    wait = BusyWait(SECONDS)
    for round_trip in range(100):
        wait.heard(1.0 + round_trip * SECONDS)
    wasted = 0
    while wait.heard(10.0 + wasted):
        turns_until_sleep(wait, 10.0 + wasted)
        wasted += 1
    assert wasted == CREDIT_LIMIT / WASTED


def test_answers_that_are_always_a_little_late_are_looked_for_one_time_in_three() -> None:
    wait = BusyWait(SECONDS)
    looked = [
        wait.heard(answer * SECONDS * 2) and turns_until_sleep(wait, answer * SECONDS * 2) for answer in range(300)
    ]
    assert len([turns for turns in looked if turns]) == 300 // WASTED


def test_a_clock_that_stands_still_ends_it_too() -> None:
    wait = BusyWait(SECONDS)
    wait.heard(1.0)
    wait.heard(1.0)
    assert turns_until_sleep(wait, 1.0, step=0.0) == TURNS - 1


def test_zero_seconds_are_never() -> None:
    wait = BusyWait(0)
    assert [wait.heard(1.0), wait.heard(1.0)] == [False, False]


@pytest.mark.parametrize("seconds", [-1.0, 1.1, float("nan")])
def test_nonsense_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="busy_wait is a number of seconds from 0 to 1"):
        BusyWait(seconds)
