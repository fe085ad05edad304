from __future__ import annotations

from typing import Any

import attrs
import pytest

from pydist.core.statem import StateMachine
from pydist.core.transition import (
    STATE_TIMEOUT,
    After,
    Enter,
    NamedTimeout,
    StateTimeout,
)
from pydist.errors import BadTransition
from tests.statem import REPEATING, Answer, Drive, going, named, script, staying

# -- states and data


def test_an_event_is_given_with_state_and_data_and_may_change_both() -> None:
    seen: list[tuple[Any, str, Any]] = []

    def handler(event: Any, state: str, data: int) -> Answer:
        seen.append((event, state, data))
        return going("b", data + 1) if event == "on" else staying(data=data + 10)

    Drive(handler).hear("on", "stay", "on")
    assert seen == [("on", "a", 0), ("stay", "b", 1), ("on", "b", 11)]


def test_none_keeps_state_and_data_and_what_is_not_mentioned_stays_as_it_is() -> None:
    drive = Drive(script(to_b=going("b"), data=staying(data=7)))
    drive.hear("nothing")
    assert (drive.machine.state, drive.machine.data) == ("a", 0)
    drive.hear("to_b")
    assert (drive.machine.state, drive.machine.data) == ("b", 0)
    drive.hear("data")
    assert (drive.machine.state, drive.machine.data) == ("b", 7)


def test_replies_go_out_in_order_and_before_the_state_enter_call() -> None:
    replied_at_enter: list[list[Any]] = []

    def handler(event: Any, state: str, data: Any) -> Any:
        if isinstance(event, Enter):
            replied_at_enter.append(list(drive.replies) if state == "b" else [])
            return None
        return going("b", replies=(("first", 1), ("second", 2)))

    drive = Drive(handler, state_enter=True)
    drive.hear("go")
    assert replied_at_enter == [[], [("first", 1), ("second", 2)]]


# -- the order of events


def test_what_is_postponed_is_retried_after_a_change_of_state_oldest_first_and_before_newer_events() -> None:
    later = staying(postpone=True)
    drive = Drive(script(a_1=later, a_2=later, go=going("b")))
    assert drive.hear("1", "2", "3") == [("1", "a"), ("2", "a"), ("3", "a")]
    assert drive.hear("go", "4") == [("go", "a"), ("1", "b"), ("2", "b"), ("4", "b")]


@pytest.mark.parametrize("answer", [None, staying(data=1), going("a"), REPEATING])
def test_what_is_postponed_waits_as_long_as_the_state_is_the_same(answer: Any) -> None:
    drive = Drive(script(a_1=staying(postpone=True), same=answer), state_enter=True)
    drive.hear("1")
    assert [event for event, _ in drive.hear("same") if not isinstance(event, Enter)] == ["same"]


def test_the_event_that_changes_the_state_can_be_postponed_too_and_is_retried_last() -> None:
    drive = Drive(script(a_1=staying(postpone=True), a_go=going("b", postpone=True)))
    assert drive.hear("1", "go") == [("1", "a"), ("go", "a"), ("1", "b"), ("go", "b")]


def test_what_is_postponed_again_waits_for_the_next_change() -> None:
    later = staying(postpone=True)
    drive = Drive(script(a_1=later, b_1=later, a_2=later, go=going("b"), on=going("c")))
    assert drive.hear("1", "2", "go") == [("1", "a"), ("2", "a"), ("go", "a"), ("1", "b"), ("2", "b")]
    assert drive.hear("on") == [("on", "b"), ("1", "c")]


def test_inserted_events_come_in_order_and_before_all_that_waits_postponed_ones_too() -> None:
    drive = Drive(
        script(a_old=staying(postpone=True), go=going("b", next_events=("x", "y")), x=staying(next_events=("z",)))
    )
    assert drive.hear("old", "go", "new") == [
        ("old", "a"),
        ("go", "a"),
        ("x", "b"),
        ("z", "b"),
        ("y", "b"),
        ("old", "b"),
        ("new", "b"),
    ]


def test_a_change_of_state_amid_the_queue_puts_what_was_postponed_before_the_rest_of_it() -> None:
    drive = Drive(
        script(
            start=staying(next_events=("p", "go", "rest")),
            a_p=staying(postpone=True),
            go=going("b"),
        )
    )
    assert drive.hear("start") == [("start", "a"), ("p", "a"), ("go", "a"), ("p", "b"), ("rest", "b")]


def test_an_inserted_event_can_be_postponed() -> None:
    drive = Drive(script(start=staying(next_events=("x",)), a_x=staying(postpone=True), go=going("b")))
    assert drive.hear("start", "go") == [("start", "a"), ("x", "a"), ("go", "a"), ("x", "b")]


# -- state enter calls


def test_a_state_enter_call_is_made_at_the_start_on_each_change_and_when_repeated() -> None:
    drive = Drive(script(go=going("b", 1), same=going("b"), again=REPEATING), state_enter=True)
    assert drive.calls == [(Enter("a"), "a")]
    assert drive.hear("go") == [("go", "a"), (Enter("a"), "b")]
    assert drive.hear("same") == [("same", "b")]
    assert drive.hear("again") == [("again", "b"), (Enter("b"), "b")]


def test_there_are_no_state_enter_calls_unless_asked_for() -> None:
    drive = Drive(script(go=going("b"), again=REPEATING))
    assert [*drive.calls, *drive.hear("go", "again")] == [("go", "a"), ("again", "b")]


def test_a_state_enter_call_sees_the_new_data_and_may_change_them() -> None:
    seen: list[Any] = []

    def handler(event: Any, state: str, data: Any) -> Any:
        seen.append((event, data))
        return staying(data=f"entered {state}") if isinstance(event, Enter) else going("b", "changed")

    drive = Drive(handler, state_enter=True)
    drive.hear("go")
    assert seen == [(Enter("a"), 0), ("go", "entered a"), (Enter("a"), "changed")]
    assert drive.machine.data == "entered b"


def test_a_state_enter_call_may_reply_start_timeouts_and_be_repeated() -> None:
    answers: list[Any] = [
        None,
        staying(repeat=True, replies=(("one", 1),), timeouts=((STATE_TIMEOUT, After(1.0)),)),
        staying(replies=(("two", 2),), timeouts=((STATE_TIMEOUT, After(9.0)), (named("n"), After(5.0)))),
    ]

    def handler(event: Any, state: str, data: Any) -> Any:
        return answers.pop(0) if isinstance(event, Enter) else going("b") if event == "go" else None

    drive = Drive(handler, state_enter=True)
    assert drive.hear("go") == [("go", "a"), (Enter("a"), "b"), (Enter("a"), "b")]
    assert drive.replies == [("one", 1), ("two", 2)]
    assert drive.wait(100) == [(NamedTimeout("n"), "b"), (StateTimeout(), "b")]


def test_inserted_and_postponed_events_wait_for_the_state_enter_call() -> None:
    drive = Drive(script(a_old=staying(postpone=True), go=going("b", next_events=("x",))), state_enter=True)
    drive.hear("old")
    assert drive.hear("go") == [("go", "a"), (Enter("a"), "b"), ("x", "b"), ("old", "b")]


def test_a_state_enter_call_may_take_back_that_the_event_is_postponed() -> None:
    def handler(event: Any, state: str, data: Any) -> Any:
        return staying(postpone=False) if isinstance(event, Enter) else going("b", postpone=True)

    assert Drive(handler, state_enter=True).hear("go") == [("go", "a"), (Enter("a"), "b")]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (going("c"), "a state enter call can't change the state, here from 'b' to 'c'"),
        (
            staying(postpone=True),
            "a state enter call can't postpone the event that led to 'b': the handler of the event can",
        ),
        (
            staying(next_events=("x",)),
            "a state enter call can't insert events, here in 'b': state_timeout=0 comes near to that",
        ),
    ],
)
def test_what_a_state_enter_call_cannot_do_is_an_error(answer: Answer, text: str) -> None:
    def handler(event: Any, state: str, data: Any) -> Any:
        return None if state == "a" and isinstance(event, Enter) else going("b") if state == "a" else answer

    drive = Drive(handler, state_enter=True)
    with pytest.raises(BadTransition) as error:
        drive.hear("go")
    assert str(error.value) == text
    assert drive.machine.state == "b"


def test_a_state_enter_call_may_name_the_state_that_it_enters() -> None:
    def handler(event: Any, state: str, data: Any) -> Any:
        return going(state, "entered") if isinstance(event, Enter) else going("b")

    drive = Drive(handler, state_enter=True)
    drive.hear("go")
    assert (drive.machine.state, drive.machine.data) == ("b", "entered")


# -- the start


def test_the_machine_may_begin_with_actions() -> None:
    first = going("a", 0, replies=(("starter", "up"),), next_events=("x", "y"), timeouts=((STATE_TIMEOUT, After(3.0)),))
    drive = Drive(script(), first, state_enter=True)
    assert drive.calls == [(Enter("a"), "a"), ("x", "a"), ("y", "a")]
    assert drive.replies == [("starter", "up")]
    assert drive.wait(3) == [(StateTimeout(), "a")]


@pytest.mark.parametrize("first", [None, "a", ("a", 0), going("a"), staying(data=0), staying(stop=("reason",))])
def test_a_machine_does_not_begin_without_its_first_state_and_data(first: Any) -> None:
    with pytest.raises(BadTransition, match=r"^init returns next_state\(state, data\), with the first state and data"):
        StateMachine(first)


def test_there_is_no_event_that_init_could_postpone() -> None:
    with pytest.raises(BadTransition, match="init can't postpone: there is no event yet"):
        StateMachine(going("a", 0, postpone=True))


# -- the end


def test_to_stop_is_to_reply_first_and_then_to_end_with_the_new_data() -> None:
    drive = Drive(script(go=staying(data="last words", stop=("done",), replies=(("caller", "bye"),))))
    drive.hear("go")
    assert (drive.replies, drive.ended) == ([("caller", "bye")], ["done"])
    assert (drive.machine.state, drive.machine.data) == ("a", "last words")


def test_a_machine_that_stops_while_it_enters_a_state_is_in_that_state() -> None:
    def handler(event: Any, state: str, data: Any) -> Any:
        return staying(stop=("no",)) if state == "b" else None if isinstance(event, Enter) else going("b", 1)

    drive = Drive(handler, state_enter=True)
    drive.hear("go")
    assert (drive.ended, drive.machine.state, drive.machine.data) == (["no"], "b", 1)


def test_a_machine_whose_handler_fails_while_it_enters_a_state_is_still_in_the_old_one() -> None:
    def handler(event: Any, state: str, data: Any) -> Any:
        if state == "b":
            raise ArithmeticError
        return None if isinstance(event, Enter) else going("b", 1)

    drive = Drive(handler, state_enter=True)
    with pytest.raises(ArithmeticError):
        drive.hear("go")
    assert (drive.machine.state, drive.machine.data) == ("a", 0)


@pytest.mark.parametrize("answer", ["b", ("b", 1), Drive, False])
def test_an_answer_that_is_no_transition_is_an_error(answer: Any) -> None:
    drive = Drive(script(go=answer))
    with pytest.raises(BadTransition, match="a handler returns next_state"):
        drive.hear("go")


def test_states_are_compared_by_value() -> None:
    @attrs.frozen
    class Compound:
        name: str

    drive = Drive(script(go=going(Compound("x"))), going(Compound("x"), 0), state_enter=True)
    assert drive.hear("go") == [("go", Compound("x"))]
