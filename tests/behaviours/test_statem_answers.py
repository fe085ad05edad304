"""What a handler answers: what is wrong with it is an error of the line that makes it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from pydist import (
    After,
    At,
    Call,
    Caller,
    Cast,
    Enter,
    EventTimeout,
    Info,
    Internal,
    NamedTimeout,
    Pid,
    StateTimeout,
    Transition,
    Update,
    call,
    keep_state,
    next_state,
    receive,
    repeat_state,
    self_pid,
    spawn,
    stop_machine,
)
from pydist.core.transition import EVENT_TIMEOUT, KEEP, STATE_TIMEOUT
from tests.helpers import in_process
from tests.machines import Ask


async def a_caller() -> Caller:
    """Somebody who waits for a reply."""

    async def ask(server: Pid) -> None:
        await call(server, Ask())

    spawn(ask, self_pid())
    return (await receive(Call)).caller


def test_answers_are_values_that_can_be_compared() -> None:
    assert next_state("b") == Transition("b")
    assert next_state("b", 1) == Transition("b", 1)
    assert keep_state() == Transition()
    assert keep_state(None) == Transition(KEEP, None)
    assert repeat_state(1) == Transition(KEEP, 1, repeat=True)
    assert stop_machine("why", 1) == Transition(KEEP, 1, stop=("why",))
    assert next_state("b", state_timeout=1.0) != next_state("b", state_timeout=2.0)


@in_process
async def test_one_reply_or_event_is_the_same_as_a_list_of_one() -> None:
    caller = await a_caller()
    assert keep_state(reply=(caller, 1)) == keep_state(reply=[(caller, 1)])
    assert keep_state(next_event=Internal(1)) == keep_state(next_event=[Internal(1)])
    assert keep_state(reply=[], next_event=[], timeouts={}) == keep_state()
    assert stop_machine(reply=(caller, 1)) == stop_machine(reply=[(caller, 1)])


@in_process
async def test_every_event_but_a_state_enter_call_can_be_inserted() -> None:
    events: list[Any] = [
        Call(await a_caller(), "x"),
        Cast("x"),
        Info("x"),
        Internal("x"),
        StateTimeout("x"),
        EventTimeout("x"),
        NamedTimeout("n", "x"),
    ]
    assert keep_state(next_event=events).next_events == tuple(events)


def test_a_time_is_a_number_of_seconds_or_says_more_and_none_or_infinity_cancels() -> None:
    def timeout(time: Any) -> Any:
        ((_, given),) = keep_state(state_timeout=time).timeouts
        return given

    assert timeout(5) == timeout(5.0) == timeout(After(5.0)) == After(5.0)
    assert timeout(After(5.0, "x")) == After(5.0, "x")
    assert timeout(At(5.0, "x")) == At(5.0, "x")
    assert timeout(Update("x")) == Update("x")
    assert [timeout(each) for each in (None, inf, After(inf), At(inf))] == [None] * 4


def test_the_event_timeout_is_started_first_and_the_named_ones_last() -> None:
    answer = keep_state(timeouts={"y": 1.0, "x": None}, state_timeout=2.0, event_timeout=3.0)
    assert answer.timeouts == (
        (EVENT_TIMEOUT, After(3.0)),
        (STATE_TIMEOUT, After(2.0)),
        ((NamedTimeout, "y"), After(1.0)),
        ((NamedTimeout, "x"), None),
    )


def going(**actions: Any) -> Any:
    return next_state("b", **actions)


def staying(**actions: Any) -> Any:
    return keep_state(**actions)


def repeating(**actions: Any) -> Any:
    return repeat_state(**actions)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ({"postponed": True}, "'postponed' is no action: there are reply, postpone, next_event, state_timeout, "),
        ({"reply": "hello"}, "reply= takes (caller, value), or a list of such pairs, not 'hello'"),
        ({"reply": ("caller", 1)}, "reply= takes (caller, value), or a list of such pairs, not ('caller', 1)"),
        ({"reply": [1]}, "reply= takes (caller, value), or a list of such pairs, not 1"),
        ({"postpone": 1}, "postpone= takes True or False, not 1"),
        ({"next_event": "x"}, "next_event= takes an event, Internal('x') say, or a list of such, not 'x'"),
        ({"next_event": Enter("a")}, "next_event= takes an event, Internal(Enter(old_state='a')) say, or a list of"),
        ({"state_timeout": "5"}, "state_timeout takes seconds, After, At, Update, or None, not '5'"),
        ({"event_timeout": True}, "event_timeout takes seconds, After, At, Update, or None, not True"),
        ({"timeouts": 5}, "timeouts= takes a dict of names and times, not 5"),
        ({"timeouts": {"n": "5"}}, "timeouts['n'] takes seconds, After, At, Update, or None, not '5'"),
    ],
)
@pytest.mark.parametrize("make", [going, staying, repeating])
def test_what_is_no_action_is_an_error_that_says_what_is(make: Any, action: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError) as error:
        make(**action)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize("seconds", [-1, -0.001, nan, -inf])
def test_a_timeout_is_not_in_the_past(seconds: float) -> None:
    for make in (lambda: After(seconds), lambda: keep_state(event_timeout=seconds)):
        with pytest.raises(ValueError, match="a timeout comes after a number of seconds, at least 0, not"):
            make()


def test_a_fixed_time_may_be_past_but_is_a_number() -> None:
    assert At(-5.0).when == -5.0
    with pytest.raises(ValueError, match="in seconds, not at nan"):
        At(nan)
