from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.redial import LONGEST_PAUSE, REMEMBERED, Redial


def pauses(redial: Redial, times: int) -> list[float]:
    """How long a node may not be dialled after each of so many failures in a row."""
    now, found = 0.0, list[float]()
    for _ in range(times):
        redial.failed("a@h", "no route", now)
        pause = 0.0
        while redial.refusal("a@h", now + pause) is not None:
            pause += 1 / 128
        found.append(pause)
        now += pause
    return found


def test_each_failure_in_a_row_doubles_the_pause_up_to_ten_seconds() -> None:
    assert pauses(Redial(lambda: 0.0), 8) == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_chance_takes_up_to_half_of_the_pause() -> None:
    assert pauses(Redial(lambda: 1.0), 3) == [0.125, 0.25, 0.5]


def test_during_the_pause_the_last_failure_is_what_is_said() -> None:
    redial = Redial(lambda: 0.0)
    assert (redial.refusal("a@h", 0.0), redial.trouble("a@h")) == (None, None)
    redial.failed("a@h", "no route", 0.0)
    assert (redial.refusal("a@h", 0.1), redial.refusal("b@h", 0.1)) == ("no route", None)
    assert (redial.refusal("a@h", 0.3), redial.trouble("a@h")) == (None, "no route")


def test_a_connection_ends_the_pause_and_all_memory_of_failures() -> None:
    redial = Redial(lambda: 0.0)
    for _ in range(5):
        redial.failed("a@h", "no route", 0.0)
    redial.reached("a@h")
    assert (redial.refusal("a@h", 0.0), redial.trouble("a@h")) == (None, None)
    assert pauses(redial, 1) == [0.25]


def test_a_failure_long_ago_does_not_count() -> None:
    redial = Redial(lambda: 0.0)
    for _ in range(9):
        redial.failed("a@h", "no route", 0.0)
    redial.failed("a@h", "no route", 1000.0)
    assert (redial.refusal("a@h", 1000.2), redial.refusal("a@h", 1000.3)) == ("no route", None)


def test_once_means_not_again_after_a_loss_until_it_was_connected() -> None:
    redial = Redial(lambda: 0.0, auto_connect="once")
    assert redial.refusal("a@h", 0.0) is None
    redial.reached("a@h")
    redial.lost("a@h", 0.0)
    assert redial.refusal("a@h", 1e9) == (
        "the connection was lost, and this node connects by itself only once (auto_connect='once')"
    )
    redial.reached("a@h")
    assert redial.refusal("a@h", 0.0) is None


def test_never_means_never() -> None:
    redial = Redial(lambda: 0.0, auto_connect="never")
    assert redial.refusal("a@h", 0.0) == ("this node connects to others only when it is told to (auto_connect='never')")


def test_a_node_to_keep_is_due_at_once_and_after_each_pause_and_after_a_loss() -> None:
    redial = Redial(lambda: 0.0, auto_connect="never", keep=["a@h", "b@h"])
    assert (redial.next_dial([]), redial.due(5.0, [])) == (0.0, ["a@h", "b@h"])
    assert (redial.next_dial(["a@h"]), redial.due(5.0, ["a@h"])) == (0.0, ["b@h"])
    redial.failed("a@h", "no route", 5.0)
    redial.reached("b@h")
    assert (redial.next_dial([]), redial.due(5.2, []), redial.due(5.25, [])) == (5.25, [], ["a@h"])
    redial.reached("a@h")
    assert redial.next_dial([]) is None
    redial.lost("b@h", 9.0)
    assert redial.next_dial([]) == 9.25
    redial.left("b@h")
    assert redial.next_dial([]) is None


def test_what_is_remembered_is_bounded_and_the_oldest_goes() -> None:
    redial = Redial(lambda: 0.0, auto_connect="once")
    for number in range(REMEMBERED + 10):
        redial.failed(f"f{number}@h", "no route", 0.0)
        redial.lost(f"l{number}@h", 0.0)
    assert len(redial.known()) == 2 * REMEMBERED
    assert (redial.trouble("f9@h"), redial.trouble("f10@h")) == (None, "no route")


@given(st.lists(st.floats(0.0, 50.0), max_size=30), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_no_pause_is_longer_than_the_longest(gaps: list[float], chances: list[float]) -> None:
    turns = iter(range(1000))
    redial = Redial(lambda: chances[next(turns) % len(chances)])
    now = 0.0
    for gap in gaps:
        redial.failed("a@h", "no route", now)
        assert redial.refusal("a@h", now + 0.12) == "no route"
        assert redial.refusal("a@h", now + LONGEST_PAUSE) is None
        now += gap


def test_an_auto_connect_that_there_is_not_is_refused() -> None:
    wrong: Any = "often"
    with pytest.raises(ValueError, match="auto_connect is one of always, once, never, not 'often'"):
        Redial(lambda: 0.0, auto_connect=wrong)


def test_a_node_that_is_kept_from_now_on_is_due_at_once_and_after_a_loss_until_it_is_forgotten() -> None:
    redial = Redial(lambda: 0.0, auto_connect="never")
    redial.keep("a@h", 5.0, connected=False)
    redial.keep("b@h", 5.0, connected=True)
    assert redial.due(5.0, []) == ["a@h"]
    redial.reached("a@h")
    redial.lost("a@h", 6.0)
    redial.lost("b@h", 6.0)
    assert redial.due(7.0, []) == ["a@h", "b@h"]
    redial.forget("a@h")
    redial.forget("nobody@h")
    assert redial.due(7.0, []) == ["b@h"]
    redial.lost("a@h", 8.0)
    assert redial.due(9.0, []) == ["b@h"]


def test_a_node_that_is_kept_from_the_beginning_is_never_forgotten() -> None:
    redial = Redial(lambda: 0.0, keep=["a@h"])
    redial.keep("a@h", 1.0, connected=False)
    redial.forget("a@h")
    assert redial.due(1.0, []) == ["a@h"]
