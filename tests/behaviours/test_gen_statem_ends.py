"""What ends a state machine, and what it does then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Call,
    CallError,
    Enter,
    Event,
    Exit,
    Exited,
    NoProcess,
    Pid,
    Stop,
    call,
    cast,
    exit,  # noqa: A004  # OTP's name
    keep_state,
    monitor,
    next_state,
    receive,
    self_pid,
    spawn,
    stop_machine,
)
from tests.helpers import end, in_process, now, passed, plain
from tests.machines import Ask, Entering, Journal, Told, answers, end_of_journal, started


async def ended_by(message: Any, answer: Any) -> tuple[Any, Any]:
    """The reason with which a machine ends that answers a message so, and what its `terminate` was called with."""
    pid, journal = await started(answers(go=next_state("b", 1), **{message: answer}))
    cast(pid, "go")
    ref = monitor(pid)
    cast(pid, message)
    return plain((await receive(ref)).reason), end_of_journal(journal)


@pytest.mark.parametrize(
    ("answer", "reason", "data"),
    [
        (stop_machine(), NORMAL, 1),
        (stop_machine("reason"), "reason", 1),
        (stop_machine("reason", "last"), "reason", "last"),
        (Stop("reason"), "reason", 1),
        (Exit("reason"), "reason", 1),
        (ValueError("text"), ("ValueError", "text"), 1),
    ],
)
@in_process
async def test_a_handler_ends_the_machine_and_it_cleans_up_with_its_last_state_and_data(
    answer: Any, reason: Any, data: Any
) -> None:
    seen, cleaned_up = await ended_by("stop", answer)
    assert (seen, (plain(cleaned_up[0]), *cleaned_up[1:])) == (reason, (reason, "b", data))


@in_process
async def test_to_stop_and_reply_is_to_reply_before_the_clean_up() -> None:
    class Slow(Told):
        async def terminate(self, reason: Any, state: str, data: Any, /) -> None:
            await asyncio.sleep(10)

    async def handler(event: Event, state: str, data: Any) -> Any:
        return stop_machine("done", reply=(event.caller, "bye")) if isinstance(event, Call) else None

    pid = await Slow.start(handler, [])
    begin, ref = now(), monitor(pid)
    assert (await call(pid, Ask()), now()) == ("bye", begin)
    assert ((await receive(ref)).reason, now()) == ("done", begin + 10)


@in_process
async def test_stop_with_a_reply_answers_the_call_that_is_handled() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        raise Stop("done", reply="bye")

    pid, _ = await started(handler)
    ref = monitor(pid)
    assert await call(pid, Ask()) == "bye"
    assert (await receive(ref)).reason == "done"


@in_process
async def test_stop_with_a_reply_is_an_error_where_there_is_no_call() -> None:
    reason, _ = await ended_by("go2", Stop("done", reply="bye"))
    assert reason == ("TypeError", "Stop(reply=...) answers a call, and the event was Cast(message='go2')")


@in_process
async def test_a_call_fails_with_the_reason_of_a_machine_that_ends_meanwhile() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        return stop_machine("done")

    pid, _ = await started(handler)
    with pytest.raises(CallError) as error:
        await call(pid, Ask())
    assert error.value.reason == "done"
    with pytest.raises(NoProcess):
        await call(pid, Ask())


@pytest.mark.parametrize("trap", [True, False])
@in_process
async def test_a_machine_ends_with_its_parent_and_cleans_up_if_it_traps(*, trap: bool) -> None:
    journal: Journal = []
    pids: list[Pid] = []

    async def parent() -> None:
        pids.append(await Told.start_link(answers(), journal, trap=trap))
        await receive()

    first = spawn(parent)
    await passed(1)
    ref = monitor(pids[0])
    exit(first, "over")
    assert (await receive(ref)).reason == "over"
    assert end_of_journal(journal) == (("over", "a", 0) if trap else None)


@in_process
async def test_other_exit_signals_are_events_of_a_machine_that_traps() -> None:
    pid, journal = await started(answers(), trap=True)
    exit(pid, "signal")
    await passed(1)
    assert [event.message for event, _ in journal] == [Exited(self_pid(), "signal")]


@pytest.mark.parametrize(("signal", "reason"), [("signal", "signal"), (SHUTDOWN, SHUTDOWN), (KILL, KILLED)])
@in_process
async def test_exit_signals_that_are_not_trapped_end_a_machine_without_clean_up(signal: Any, reason: Any) -> None:
    pid, journal = await started(answers(), trap=signal is KILL)
    assert (await end(pid, signal), journal) == (reason, [])


@in_process
async def test_an_error_in_the_clean_up_is_the_reason() -> None:
    class Clumsy(Told):
        async def terminate(self, reason: Any, state: str, data: Any, /) -> None:
            raise ValueError("too late")

    pid = await Clumsy.start(answers(stop=stop_machine("reason")), [])
    ref = monitor(pid)
    cast(pid, "stop")
    assert plain((await receive(ref)).reason) == ("ValueError", "too late")


@in_process
async def test_an_answer_that_is_not_allowed_is_an_error_that_says_where_and_what_to_do() -> None:
    reason, cleaned_up = await ended_by("oops", "b")
    text = (
        "Told, Cast(message='oops') in the state 'b': a handler returns next_state(...), keep_state(...), "
        "repeat_state(...), stop_machine(...), or None to keep state and data, not 'b'"
    )
    assert (reason, cleaned_up[1:]) == (("pydist.errors.BadTransition", text), ("b", 1))


@in_process
async def test_a_state_enter_call_that_changes_the_state_ends_the_machine() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        if isinstance(event, Enter):
            return next_state("c") if state == "b" else None
        return next_state("b")

    pid = await Entering.start(handler, [])
    ref = monitor(pid)
    cast(pid, "go")
    text = "a state enter call can't change the state, here from 'b' to 'c'"
    assert plain((await receive(ref)).reason) == (
        "pydist.errors.BadTransition",
        f"Entering, Enter(old_state='a') in the state 'b': {text}",
    )


@in_process
async def test_what_waits_when_the_machine_ends_is_lost_with_it() -> None:
    pid, journal = await started(answers(wait=keep_state(postpone=True), stop=stop_machine("done")))
    ref = monitor(pid)
    for each in ("wait", "stop", "later"):
        cast(pid, each)
    assert (await receive(ref)).reason == "done"
    assert [event.message for event, _ in journal[:-1]] == ["wait", "stop"]
