"""What reports say, in OTP's shapes, and what they keep quiet about."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
import structlog
from structlog.typing import EventDict

from pydist import (
    NORMAL,
    SHUTDOWN,
    Atom,
    Crash,
    Exit,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    receive,
    reports,
    self_pid,
    send,
    spawn,
)
from pydist.messaging import current
from tests.helpers import ended, in_process
from tests.virtual_time import run_process

SILENT: Final = [NORMAL, SHUTDOWN, (SHUTDOWN, "detail")]


@attrs.frozen
class Spec:
    """A child's description, as far as reports need one."""

    id: str = "cache"
    restart: str = "permanent"
    shutdown: float | None = 5.0
    kind: str = "worker"


def of(event: str, logs: list[EventDict]) -> list[EventDict]:
    return [line for line in logs if line["event"] == event]


async def crashes_in_company() -> None:
    """Crash with a name, a partner, something monitored, and twelve messages unread."""
    partner = spawn(_waits, name="partner")
    link(partner)
    monitor("partner")
    for number in range(12):
        send(self_pid(), number)
    raise ValueError("boom")


async def _waits() -> None:
    await receive()


@in_process
async def test_a_crash_report_says_who_has_crashed_whose_child_it_was_and_what_it_held(logs: list[EventDict]) -> None:
    pids: list[Pid] = []

    async def parent() -> None:
        pid, ref = spawn(crashes_in_company, monitor=True, name="victim")
        pids.append(pid)
        pids.append((await receive(ref)).reason)

    middle = spawn(parent, name="middle")
    await ended(middle)
    pid, reason = pids
    [line] = of("crash_report", logs)
    partner = line["links"][0]
    assert isinstance(reason, Crash)
    assert line == {
        "event": "crash_report",
        "log_level": "error",
        "pid": pid,
        "name": "victim",
        "label": "crashes_in_company",
        "reason": reason,
        "error": "ValueError",
        "exception": reason.traceback,
        "ancestors": ["middle", self_pid()],
        "links": [partner],
        "monitors": [partner],
        "trap_exit": False,
        "message_queue_len": 12,
        "messages": list(range(10)),
    }


@in_process
async def test_ancestors_end_with_the_first_that_lives_no_longer(logs: list[EventDict]) -> None:
    async def orphan() -> None:
        await receive()
        raise ValueError("boom")

    async def parent(children: list[Pid]) -> None:
        children.append(spawn(orphan))

    children: list[Pid] = []
    dead = spawn(parent, children)
    await ended(dead)
    send(children[0], "go on")
    await ended(children[0])
    assert [line["ancestors"] for line in of("crash_report", logs)] == [[dead]]


@in_process
async def test_a_crash_report_shows_the_message_that_a_behaviour_was_at(logs: list[EventDict]) -> None:
    async def behaviour() -> None:
        current().last_message = "the last"
        raise ValueError("boom")

    await ended(spawn(behaviour))
    assert [line["last_message"] for line in of("crash_report", logs)] == ["the last"]


@in_process
async def test_a_crash_report_of_an_exit_says_where_it_was_raised(logs: list[EventDict]) -> None:
    async def leaves() -> None:
        raise Exit("boom")

    await ended(spawn(leaves))
    [line] = of("crash_report", logs)
    assert line["reason"] == "boom"
    assert 'raise Exit("boom")' in line["exception"]
    assert "error" not in line


@in_process
async def test_a_traceback_begins_with_the_function_that_the_process_runs() -> None:
    async def fails() -> None:
        raise ValueError("boom")

    crash: Crash = await ended(spawn(fails))
    lines = crash.traceback.splitlines()
    assert [line.split(" in ")[1] for line in lines if line.startswith("  File")] == ["fails"]
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "ValueError: boom")


@in_process
async def test_who_is_ended_by_a_signal_has_not_crashed(logs: list[EventDict]) -> None:
    pid = spawn(_waits)
    ref = monitor(pid)
    exit(pid, "boom")
    await receive(ref)
    assert of("crash_report", logs) == []


def test_an_error_that_goes_to_who_waits_for_it_is_not_reported_too(logs: list[EventDict]) -> None:
    async def fails() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        run_process(fails)
    assert of("crash_report", logs) == []


@in_process
async def test_a_terminate_report_says_what_the_server_was_at(logs: list[EventDict]) -> None:
    reason, client = Crash("ValueError", "boom", "Traceback"), Pid("a@host", 7, 1)
    reports.terminate_report(
        current(), reason, behaviour="GenServer", state=lambda: {"value": 3}, last_message="ask", client=client
    )
    assert logs == [
        {
            "event": "terminate_report",
            "log_level": "error",
            "behaviour": "GenServer",
            "pid": self_pid(),
            "name": None,
            "label": current().label,
            "reason": reason,
            "error": "ValueError",
            "exception": "Traceback",
            "state": {"value": 3},
            "last_message": "ask",
            "client": client,
        }
    ]


@pytest.mark.parametrize("reason", SILENT)
def test_a_server_that_ends_as_it_should_is_not_reported(reason: Any, logs: list[EventDict]) -> None:
    @in_process
    async def body() -> None:
        reports.terminate_report(current(), reason, behaviour="GenServer", state=lambda: None)
        assert logs == []

    body()


@in_process
async def test_a_supervisor_report_names_the_offender(logs: list[EventDict]) -> None:
    child = Pid("a@host", 7, 1)
    reports.supervisor_report(current(), "child_terminated", Atom("killed"), Spec(shutdown=None), child)
    assert logs == [
        {
            "event": "supervisor_report",
            "log_level": "error",
            "supervisor": self_pid(),
            "name": None,
            "context": "child_terminated",
            "reason": Atom("killed"),
            "offender": {
                "id": "cache",
                "pid": child,
                "restart": "permanent",
                "significant": False,
                "shutdown": "infinity",
                "kind": "worker",
            },
        }
    ]


@in_process
async def test_a_progress_report_says_what_has_started_and_only_to_those_who_debug(logs: list[EventDict]) -> None:
    child = Pid("a@host", 7, 1)
    reports.progress_report(current(), Spec(), child)
    assert logs == [
        {
            "event": "progress_report",
            "log_level": "debug",
            "supervisor": self_pid(),
            "name": None,
            "started": {
                "id": "cache",
                "pid": child,
                "restart": "permanent",
                "significant": False,
                "shutdown": 5.0,
                "kind": "worker",
            },
        }
    ]


@in_process
async def test_a_message_that_a_server_has_no_use_for_is_reported(logs: list[EventDict]) -> None:
    reports.unexpected_message(current(), "hello")
    assert logs == [
        {
            "event": "unexpected_message",
            "log_level": "warning",
            "pid": self_pid(),
            "name": None,
            "label": current().label,
            "message": "hello",
        }
    ]


@in_process
async def test_a_log_that_fails_ends_nobody_who_reports() -> None:
    def closed(*_: Any) -> Any:
        raise BrokenPipeError

    structlog.configure(processors=[closed])
    try:
        reports.supervisor_report(current(), "start_error", "boom", Spec())
        reports.progress_report(current(), Spec(), None)
        reports.terminate_report(current(), "boom", behaviour="GenServer", state=lambda: None)
        reports.unexpected_message(current(), "hello")
        reports.resists_exit(current(), "boom")
    finally:
        structlog.reset_defaults()
