"""A step is told from the next by looks from outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.long_steps import LongSteps

A, B = object(), object()


def looks(*seen: tuple[float, object, int]) -> list[float]:
    """What looks in time give, at each time, at who runs in which step."""
    found = LongSteps()
    return [found.look(now, now, runs, steps) for now, runs, steps in seen]


def test_a_step_has_run_since_the_look_that_found_it_first() -> None:
    assert looks((10.0, A, 1), (10.5, A, 1), (12.0, A, 1)) == [0.0, 0.5, 2.0]


def test_another_process_or_another_step_of_the_same_is_another() -> None:
    assert looks((10.0, A, 1), (11.0, B, 2), (12.0, B, 3), (13.0, B, 3)) == [0.0, 0.0, 0.0, 1.0]


def test_where_nobody_runs_nothing_takes_long() -> None:
    assert looks((10.0, None, 1), (90.0, None, 1), (91.0, A, 2)) == [0.0, 0.0, 0.0]


def test_a_look_that_comes_late_was_held_up_by_what_it_finds() -> None:
    found = LongSteps()
    found.look(10.0, 10.0, None, 0)
    assert found.look(13.0, 10.5, A, 1) == 2.5
    assert found.look(13.5, 13.5, A, 1) == 3.0


def test_each_step_that_is_found_has_a_number_of_its_own() -> None:
    found = LongSteps()
    numbers: list[int] = []
    for runs, steps in [(A, 1), (A, 1), (A, 2), (None, 2), (B, 3)]:
        found.look(0.0, 0.0, runs, steps)
        numbers.append(found.number)
    assert numbers == [1, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.floats(0.001, 10), st.floats(0, 10)), min_size=1))
def test_whatever_steps_follow_each_other_none_is_held_to_be_longer_than_it_was(
    steps: list[tuple[float, float]],
) -> None:
    """Each step has a length, and is looked at as often as the interval fits."""
    found, now, began, interval = LongSteps(), 0.0, 0.0, 0.25
    for number, (length, pause) in enumerate(steps):
        while now < began + length:
            assert found.look(now, now, A, number) <= now - began
            now += interval
        began += length + pause
        while now < began:
            assert found.look(now, now, None, number) == 0.0
            now += interval
