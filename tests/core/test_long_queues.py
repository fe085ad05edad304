"""Which mailboxes are long, and that each process is looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.long_queues import LongQueues, Sweep


def test_a_mailbox_is_told_of_when_it_passes_a_limit_and_not_in_between() -> None:
    queues = LongQueues(10, 100)
    lengths = [0, 99, 100, 500, 11, 10, 50, 99, 100]
    assert [queues.look(1, length) for length in lengths] == [None, None, True, None, None, False, None, None, True]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6))))
def test_what_is_told_alternates_and_agrees_with_what_is_kept(looks: list[tuple[int, int]]) -> None:
    queues = LongQueues(2, 4)
    told: dict[int, bool] = {}
    for number, length in looks:
        long = queues.look(number, length)
        if long is not None:
            assert long is not told.get(number, False)
            told[number] = long
        assert (number in queues.long) == told.get(number, False)
        assert length <= 2 or length >= 4 or long is None


@given(st.sets(st.integers(0, 100), min_size=1), st.integers(1, 20))
def test_a_round_takes_everybody_once(numbers: set[int], count: int) -> None:
    sweep = Sweep()
    taken: list[int] = []
    while len(taken) < len(numbers):
        some = sweep.take(count, lambda: sorted(numbers))
        assert 0 < len(some) <= count
        taken += some
    assert sorted(taken) == sorted(numbers)


def test_those_that_come_during_a_round_are_taken_in_the_next() -> None:
    sweep, numbers = Sweep(), [1, 2, 3]
    assert sorted(sweep.take(2, lambda: numbers)) == [2, 3]
    numbers.append(4)
    assert sweep.take(2, lambda: numbers) == [1]
    assert sorted(sweep.take(9, lambda: numbers)) == [1, 2, 3, 4]


def test_where_nobody_is_nobody_is_taken() -> None:
    assert Sweep().take(5, list) == []
