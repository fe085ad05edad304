"""A state machine as a process: what it gets, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    After,
    At,
    Call,
    Cast,
    Down,
    Enter,
    Event,
    EventTimeout,
    GenStatem,
    Info,
    Internal,
    NamedTimeout,
    StateTimeout,
    call,
    cast,
    keep_state,
    monitor,
    next_state,
    repeat_state,
    reply,
    self_pid,
    send,
    spawn,
    start_timer,
)
from pydist.messaging import acting
from tests.helpers import end, in_process, now, passed
from tests.machines import Ask, ByState, Entering, Journal, answers, started


async def nothing(event: Event, state: str, data: Any) -> Any:
    return None


def timers() -> int:
    """How many timers run on this node."""
    return len(acting()[1].message_timers._running)


# -- events


@in_process
async def test_calls_casts_and_all_other_messages_come_as_events_of_their_kind() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        return keep_state(reply=(event.caller, "answer")) if isinstance(event, Call) else None

    pid, journal = await started(handler)
    assert await call(pid, Ask("question")) == "answer"
    cast(pid, "told")
    send(pid, "sent")
    send(pid, Down(monitor(pid), pid, "why"))
    await passed(1)
    (asked, _), *others = journal
    assert isinstance(asked, Call)
    assert asked.request == Ask("question")
    told, sent, down = (event for event, _ in others)
    assert (told, sent) == (Cast("told"), Info("sent"))
    assert isinstance(down, Info)
    assert isinstance(down.message, Down)


@in_process
async def test_a_timer_that_the_machine_has_started_itself_is_a_message_like_others() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        if event == Cast("start"):
            return keep_state(start_timer(1.0, self_pid(), "mine"))
        return None

    pid, journal = await started(handler)
    cast(pid, "start")
    await passed(2)
    (last, _) = journal[-1]
    assert isinstance(last, Info)
    assert last.message.message == "mine"


@pytest.mark.parametrize("kind", [Entering, ByState])
@in_process
async def test_one_handler_for_all_states_and_one_for_each_are_called_alike(kind: type[GenStatem[str, Any]]) -> None:
    journal: Journal = []
    handler = answers(a_go=next_state("b"), a_wait=keep_state(postpone=True), again=repeat_state())
    pid = await kind.start_link(handler, journal)
    for each in ("wait", "go", "again"):
        cast(pid, each)
    await passed(1)
    assert journal == [
        (Enter("a"), "a"),
        (Cast("wait"), "a"),
        (Cast("go"), "a"),
        (Enter("a"), "b"),
        (Cast("wait"), "b"),
        (Cast("again"), "b"),
        (Enter("b"), "b"),
    ]


@in_process
async def test_a_call_can_be_postponed_and_is_answered_in_the_next_state() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        match event:
            case Call(caller) if state == "b":
                return keep_state(reply=(caller, now()))
            case Call():
                return keep_state(postpone=True, state_timeout=3.0)
            case _:
                return next_state("b")

    pid, _ = await started(handler)
    begin = now()
    assert await call(pid, Ask()) == begin + 3


@in_process
async def test_a_reply_may_come_later_and_from_another_process() -> None:
    async def answer(event: Call) -> None:
        await asyncio.sleep(2)
        reply(event.caller, "at last")

    async def handler(event: Event, state: str, data: Any) -> Any:
        if isinstance(event, Call):
            spawn(answer, event)

    pid, _ = await started(handler)
    assert await call(pid, Ask()) == "at last"


@in_process
async def test_several_calls_are_answered_at_once_before_the_machine_does_anything_else() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        match event:
            case Call(caller):
                return keep_state((*data, caller))
            case Cast():
                return next_state("b", reply=[(caller, number) for number, caller in enumerate(data)])
            case Enter("a") if state == "b":
                await asyncio.sleep(10)
            case _:
                pass
        return None

    replies: list[Any] = []

    async def ask(pid: Any, number: int) -> None:
        replies.append((number, await call(pid, Ask(number)), now()))

    pid = await Entering.start_link(handler, [], next_state("a", ()))
    for number in range(2):
        spawn(ask, pid, number)
    await passed(1)
    cast(pid, "answer")
    begin = now()
    await passed(1)
    assert replies == [(0, 0, begin), (1, 1, begin)]


@in_process
async def test_the_start_does_not_wait_for_the_first_state_enter_call() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        await asyncio.sleep(10)

    begin = now()
    journal: Journal = []
    await Entering.start_link(handler, journal)
    assert (now(), journal) == (begin, [(Enter("a"), "a")])


# -- timeouts


@in_process
async def test_timeouts_come_at_their_time_with_their_content() -> None:
    pid, journal = await started(
        answers(start=keep_state(state_timeout=After(2.0, "s"), event_timeout=1.0, timeouts={"n": After(3.0, "c")}))
    )
    cast(pid, "start")
    expected = [(EventTimeout(), "a"), (StateTimeout("s"), "a"), (NamedTimeout("n", "c"), "a")]
    await passed(0.9)
    for number in range(3):
        assert journal[1:] == expected[:number]
        await passed(1)
    assert journal[1:] == expected
    assert timers() == 0


@in_process
async def test_a_timeout_at_a_fixed_time_is_of_the_loops_clock() -> None:
    pid, journal = await started(answers(start=keep_state(state_timeout=At(now() + 5, "now"))))
    await passed(3)
    cast(pid, "start")
    await passed(1.9)
    assert journal == [(Cast("start"), "a")]
    await passed(0.2)
    assert journal[1:] == [(StateTimeout("now"), "a")]


@in_process
async def test_a_timeout_that_comes_while_a_handler_works_stands_behind_earlier_messages_and_before_later_ones() -> (
    None
):
    async def handler(event: Event, state: str, data: Any) -> Any:
        match event:
            case Cast("start"):
                return keep_state(timeouts={"n": 5.0}, next_event=Internal("work"))
            case Internal():
                await asyncio.sleep(10)
            case _:
                pass
        return None

    pid, journal = await started(handler)
    cast(pid, "start")
    await passed(2)
    cast(pid, "earlier")
    await passed(5)
    cast(pid, "later")
    await passed(10)
    assert [event for event, _ in journal[2:]] == [Cast("earlier"), NamedTimeout("n"), Cast("later")]


@in_process
async def test_a_state_timeout_that_is_over_does_not_come_if_a_message_before_it_changes_the_state() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        match event:
            case Cast("start"):
                return keep_state(state_timeout=5.0, next_event=Internal("work"))
            case Internal():
                await asyncio.sleep(10)
            case Cast("go"):
                return next_state("b")
            case _:
                pass
        return None

    pid, journal = await started(handler)
    cast(pid, "start")
    await passed(2)
    cast(pid, "go")
    await passed(20)
    assert [event for event, _ in journal[2:]] == [Cast("go")]


@in_process
async def test_a_timeout_of_zero_comes_before_messages_that_are_in_the_mailbox_already() -> None:
    pid, journal = await started(answers(start=keep_state(state_timeout=0)))
    cast(pid, "start")
    cast(pid, "waits already")
    await passed(1)
    assert journal == [(Cast("start"), "a"), (StateTimeout(), "a"), (Cast("waits already"), "a")]


@in_process
async def test_timers_that_are_cancelled_or_left_behind_by_the_end_are_gone() -> None:
    many = keep_state(state_timeout=50.0, event_timeout=50.0, timeouts=dict.fromkeys("xyz", 50.0))
    pid, _ = await started(answers(start=many, cancel=keep_state(timeouts={"x": None, "y": None})))
    cast(pid, "start")
    await passed(1)
    assert timers() == 5
    cast(pid, "cancel")
    await passed(1)
    assert timers() == 2
    await end(pid, "enough")
    assert timers() == 0


# -- turns


@in_process
async def test_a_machine_that_is_busy_with_itself_leaves_others_their_turn_and_can_be_ended() -> None:
    pid, journal = await started(answers(go=keep_state(next_event=Internal("go"))))
    cast(pid, "go")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(journal) > 1
    assert await end(pid, "enough") == "enough"
