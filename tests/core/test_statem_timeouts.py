from __future__ import annotations

from typing import Any

import pytest

from pydist.core.transition import (
    EVENT_TIMEOUT,
    STATE_TIMEOUT,
    After,
    At,
    EventTimeout,
    Key,
    NamedTimeout,
    StateTimeout,
    Update,
)
from tests.statem import REPEATING, Drive, going, named, script, staying, timeouts


def test_a_timeout_comes_once_when_its_time_is_over_with_its_content() -> None:
    drive = Drive(script(start=timeouts((STATE_TIMEOUT, After(5.0, "late")))))
    drive.hear("start")
    assert drive.wait(4.9) == []
    assert drive.wait(0.1) == [(StateTimeout("late"), "a")]
    assert drive.wait(100) == []


def test_a_state_timeout_is_cancelled_by_a_change_of_state_and_by_nothing_else() -> None:
    five = (STATE_TIMEOUT, After(5.0))
    drive = Drive(script(start=timeouts(five), go=going("b"), again=REPEATING), state_enter=True)
    drive.hear("start", "nothing", "again")
    assert drive.wait(5) == [(StateTimeout(), "a")]
    drive.hear("start", "go")
    assert (drive.wait(100), drive.timers) == ([], {})


def test_a_state_timeout_that_the_change_itself_starts_counts_for_the_new_state() -> None:
    drive = Drive(script(a_go=going("b", timeouts=((STATE_TIMEOUT, After(5.0, "of b")),))))
    drive.hear("go")
    assert drive.wait(5) == [(StateTimeout("of b"), "b")]


@pytest.mark.parametrize("event", ["anything", "go", "again"])
def test_an_event_timeout_is_cancelled_by_any_event(event: str) -> None:
    drive = Drive(
        script(start=timeouts((EVENT_TIMEOUT, After(5.0))), go=going("b"), again=REPEATING),
        state_enter=True,
    )
    drive.hear("start")
    assert drive.wait(4) == []
    drive.hear(event)
    assert (drive.wait(100), drive.timers) == ([], {})
    drive.hear("start")
    assert [event for event, _ in drive.wait(5)] == [EventTimeout()]


def test_an_event_timeout_is_cancelled_by_another_timeout() -> None:
    drive = Drive(script(start=timeouts((EVENT_TIMEOUT, After(5.0)), (named("n"), After(3.0)))))
    drive.hear("start")
    assert drive.wait(100) == [(NamedTimeout("n"), "a")]


def test_named_timeouts_run_side_by_side_and_nothing_but_their_name_cancels_them() -> None:
    drive = Drive(
        script(
            start=timeouts((named("x"), After(3.0, 1)), (named("y"), After(2.0, 2))),
            go=going("b"),
            stop=timeouts((named("x"), None)),
        )
    )
    drive.hear("start", "go", "anything")
    assert drive.wait(100) == [(NamedTimeout("y", 2), "b"), (NamedTimeout("x", 1), "b")]
    drive.hear("start", "stop")
    assert drive.wait(100) == [(NamedTimeout("y", 2), "b")]


@pytest.mark.parametrize("key", [STATE_TIMEOUT, EVENT_TIMEOUT, named("n")])
def test_starting_a_timeout_again_replaces_it(key: Key) -> None:
    drive = Drive(script(start=timeouts((key, After(5.0, "old"))), again=timeouts((key, After(5.0, "new")))))
    drive.hear("start")
    drive.wait(4)
    drive.hear("again")
    assert drive.wait(4.9) == []
    assert [event.content for event, _ in drive.wait(100)] == ["new"]


def test_a_timeout_that_has_been_cancelled_never_comes_though_its_time_be_over_already() -> None:
    drive = Drive(script(start=timeouts((STATE_TIMEOUT, After(5.0))), stop=timeouts((STATE_TIMEOUT, None))))
    drive.hear("start")
    (number,) = drive.timers
    drive.hear("stop")
    drive.machine.expire(number)
    drive.settle()
    assert drive.calls == [("start", "a"), ("stop", "a")]


def test_an_update_changes_the_content_of_a_timeout_and_leaves_its_time() -> None:
    drive = Drive(
        script(start=timeouts((STATE_TIMEOUT, After(5.0, "old"))), up=timeouts((STATE_TIMEOUT, Update("new"))))
    )
    drive.hear("start")
    drive.wait(3)
    assert drive.hear("up") == [("up", "a")]
    assert drive.wait(2) == [(StateTimeout("new"), "a")]


def test_an_update_of_a_timeout_that_does_not_run_comes_at_once() -> None:
    drive = Drive(script(up=timeouts((named("n"), Update("now")))))
    assert drive.hear("up") == [("up", "a"), (NamedTimeout("n", "now"), "a")]


def test_a_timeout_at_a_fixed_time_comes_then_and_at_once_if_that_is_past() -> None:
    drive = Drive(script(start=timeouts((STATE_TIMEOUT, At(103.0)))))
    drive.wait(1)
    drive.hear("start")
    assert drive.wait(1.9) == []
    assert drive.wait(0.1) == [(StateTimeout(), "a")]
    drive.hear("start")
    assert drive.wait(0) == [(StateTimeout(), "a")]


def test_a_timeout_of_zero_comes_after_inserted_and_postponed_events_and_before_those_from_outside() -> None:
    zero = (STATE_TIMEOUT, After(0.0))
    drive = Drive(script(a_old=staying(postpone=True), go=going("b", next_events=("x",), timeouts=(zero,))))
    drive.hear("old")
    assert drive.hear("go", "new") == [("go", "a"), ("x", "b"), ("old", "b"), (StateTimeout(), "b"), ("new", "b")]
    assert drive.timers == {}


def test_timeouts_of_zero_come_in_the_order_of_their_actions() -> None:
    zero = After(0.0)
    drive = Drive(
        script(start=timeouts((named("y"), zero), (STATE_TIMEOUT, zero), (named("x"), zero), (named("y"), zero)))
    )
    assert drive.hear("start")[1:] == [(StateTimeout(), "a"), (NamedTimeout("x"), "a"), (NamedTimeout("y"), "a")]


def test_a_timeout_of_zero_can_be_cancelled_as_any_other_before_it_comes() -> None:
    zero = After(0.0)
    drive = Drive(
        script(
            start=staying(
                next_events=("go",), timeouts=((STATE_TIMEOUT, zero), (named("n"), zero), (EVENT_TIMEOUT, zero))
            ),
            go=going("b", timeouts=((named("n"), None),)),
        )
    )
    assert drive.hear("start") == [("start", "a"), ("go", "a")]


def test_a_timeout_of_zero_can_be_given_more_time_before_it_comes() -> None:
    # OTP 25.2 forgets the timer's reference here, and takes its message for a foreign one.
    drive = Drive(
        script(
            start=staying(next_events=("slower",), timeouts=((named("n"), After(0.0)),)),
            slower=timeouts((named("n"), After(5.0, "late"))),
        )
    )
    assert drive.hear("start") == [("start", "a"), ("slower", "a")]
    assert drive.wait(5) == [(NamedTimeout("n", "late"), "a")]


def test_what_comes_of_a_timeout_of_zero_is_handled_before_the_next_one() -> None:
    zero = After(0.0)

    def handler(event: Any, state: str, data: Any) -> Any:
        if event == "start":
            return timeouts((named("x"), zero), (named("y"), zero))
        return staying(next_events=("first",)) if event == NamedTimeout("x") else None

    assert [event for event, _ in Drive(handler).hear("start")] == [
        "start",
        NamedTimeout("x"),
        "first",
        NamedTimeout("y"),
    ]
