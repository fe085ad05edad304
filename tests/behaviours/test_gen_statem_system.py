"""What system messages and reports say of a state machine."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pydist import (
    After,
    Call,
    CallError,
    Cast,
    Event,
    NamedTimeout,
    Pid,
    StateTimeout,
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
    sys_messages,
)
from tests.helpers import ended, in_process, passed, plain
from tests.machines import Ask, Entering, Journal, Told, answers, end_of_journal, started


@in_process
async def test_the_state_of_a_machine_is_the_pair_of_state_and_data() -> None:
    pid, _ = await started(answers(go=next_state("b", 1)))
    assert await sys_messages.get_state(pid) == ("a", 0)
    cast(pid, "go")
    assert await sys_messages.get_state(pid) == ("b", 1)


@in_process
async def test_the_state_can_be_replaced_without_anything_else_that_belongs_to_a_change() -> None:
    journal: Journal = []
    pid = await Entering.start(answers(a_old=keep_state(postpone=True, state_timeout=5.0)), journal)
    cast(pid, "old")
    assert await sys_messages.replace_state(pid, lambda pair: ("b", pair[1] + 1)) == ("b", 1)
    before = len(journal)
    await passed(6)
    assert journal[before:] == [(StateTimeout(), "b")]


@pytest.mark.parametrize("wrong", ["b", ("b",), ("b", 1, 2)])
@in_process
async def test_a_state_that_is_no_pair_is_refused_and_nothing_is_replaced(wrong: Any) -> None:
    pid, _ = await started(answers())
    with pytest.raises(CallError) as error:
        await sys_messages.replace_state(pid, lambda _pair: wrong)
    what, crash = error.value.reason
    text = f"the state of a state machine is a pair (state, data), not {wrong!r}"
    assert (what, plain(crash)) == ("callback_failed", ("TypeError", text))
    assert await sys_messages.get_state(pid) == ("a", 0)


@in_process
async def test_a_suspended_machine_keeps_all_events_for_later_its_timeouts_too() -> None:
    pid, journal = await started(answers(start=keep_state(state_timeout=2.0)))
    cast(pid, "start")
    await sys_messages.suspend(pid)
    cast(pid, "while suspended")
    await passed(5)
    cast(pid, "after the timeout")
    await passed(1)
    assert journal == [(Cast("start"), "a")]
    await sys_messages.resume(pid)
    await passed(1)
    assert [event for event, _ in journal[1:]] == [Cast("while suspended"), StateTimeout(), Cast("after the timeout")]


@in_process
async def test_a_suspended_machine_ends_with_its_parent() -> None:
    journal: Journal = []
    pids: list[Pid] = []

    async def parent() -> None:
        pids.append(await Told.start_link(answers(), journal, trap=True))
        await receive()

    first = spawn(parent)
    await passed(1)
    await sys_messages.suspend(pids[0])
    ref = monitor(pids[0])
    exit(first, "over")
    assert ((await receive(ref)).reason, end_of_journal(journal)) == ("over", ("over", "a", 0))


@in_process
async def test_stop_ends_a_machine_after_what_was_sent_before_with_clean_up() -> None:
    pid, journal = await started(answers(go=next_state("b", 1)))
    cast(pid, "go")
    await sys_messages.stop(pid, "enough")
    assert journal == [(Cast("go"), "a"), (("terminate", "enough", 1), "b")]


@in_process
async def test_the_status_shows_what_waits() -> None:
    pid, _ = await started(
        answers(wait=keep_state(postpone=True), start=keep_state(state_timeout=9.0, timeouts={"n": After(9.0, "c")}))
    )
    cast(pid, "wait")
    cast(pid, "start")
    status = await sys_messages.get_status(pid)
    assert (status.behaviour, status.label, status.suspended) == ("GenStatem", "Told", False)
    assert status.state == {
        "state": "a",
        "data": 0,
        "queue": [],
        "postponed": [Cast("wait")],
        "timeouts": [StateTimeout(), NamedTimeout("n", "c")],
    }


class Discreet(Told):
    """Shows nothing but its state."""

    def format_status(self, status: dict[str, Any], /) -> Any:
        return status["state"]


class Clumsy(Told):
    def format_status(self, status: dict[str, Any], /) -> Any:
        raise ValueError(status)


@pytest.mark.parametrize(
    ("kind", "shown"), [(Discreet, "a"), (Clumsy, "<format_status of Clumsy has raised ValueError>")]
)
@in_process
async def test_a_machine_may_say_what_is_shown_of_it(kind: type[Told], shown: str) -> None:
    pid = await kind.start(answers(), [])
    assert (await sys_messages.get_status(pid)).state == shown


@in_process
async def test_events_and_what_became_of_them_are_noted_for_those_who_ask() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        if isinstance(event, Call):
            return keep_state(reply=(event.caller, "answer"))
        return next_state("b") if event == Cast("go") else keep_state(postpone=state == "a")

    pid, _ = await started(handler)
    await sys_messages.log(pid, True)
    cast(pid, "wait")
    cast(pid, "go")
    await call(pid, Ask())
    noted = [(event.kind, event.term, event.peer) for event in await sys_messages.log(pid, "get")]
    assert noted[:6] == [
        ("in", Cast("wait"), None),
        ("postpone", (Cast("wait"), "a", "a"), None),
        ("in", Cast("go"), None),
        ("consume", (Cast("go"), "a", "b"), None),
        ("consume", (Cast("wait"), "b", "b"), None),
        ("in", noted[5][1], None),
    ]
    assert noted[7:] == [("out", "answer", self_pid())]


# -- the report of its end


def reports_of(logs: list[EventDict]) -> list[dict[str, Any]]:
    return [dict(each) for each in logs if each["event"] == "terminate_report"]


@in_process
async def test_a_machine_that_ends_by_an_error_reports_what_it_was_at() -> None:
    pid, _ = await started(answers(wait=keep_state(postpone=True), boom=ValueError("bad")))
    with capture_logs() as logs:
        cast(pid, "wait")
        cast(pid, "boom")
        await ended(pid)
    (report,) = reports_of(logs)
    assert (report["behaviour"], report["pid"], report["label"], report["last_message"], report["client"]) == (
        "GenStatem",
        pid,
        "Told",
        Cast("boom"),
        None,
    )
    assert (plain(report["reason"]), report["error"]) == (("ValueError", "bad"), "ValueError")
    assert report["state"] == {
        "state": "a",
        "data": 0,
        "queue": [Cast("boom")],
        "postponed": [Cast("wait")],
        "timeouts": [],
    }
    assert "ValueError: bad" in report["exception"]


@in_process
async def test_the_report_names_the_client_whose_call_was_at_hand() -> None:
    async def handler(event: Event, state: str, data: Any) -> Any:
        return stop_machine("broken")

    pid, _ = await started(handler)
    with capture_logs() as logs, pytest.raises(CallError):
        await call(pid, Ask())
    (report,) = reports_of(logs)
    assert (report["client"], report["reason"]) == (self_pid(), "broken")


@in_process
async def test_an_end_as_it_should_be_is_not_reported() -> None:
    with capture_logs() as logs:
        pid, _ = await started(answers(stop=stop_machine()))
        ref = monitor(pid)
        cast(pid, "stop")
        await receive(ref)
    assert reports_of(logs) == []
