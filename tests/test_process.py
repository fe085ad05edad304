from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from pydist import (
    KILL,
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Exited,
    Pid,
    is_alive,
    link,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    whereis,
)
from pydist import exit as send_exit
from pydist.messaging import current
from tests.exit_signals import ROWS, Row, outcome
from tests.helpers import WAITS, Waits, cleaning, end_of, wait_for_message
from tests.virtual_time import run_process

ELSEWHERE = Pid("other@host", 1, 1)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_an_exit_signal_does(row: Row) -> None:
    assert outcome(row.how, row.reason, trapping=row.trapping) == row.expected


def test_returning_is_normal() -> None:
    async def returns() -> str:
        return "a value"

    assert end_of(returns) is NORMAL


def test_a_kill_travels_on_by_links_as_killed() -> None:
    async def linked(partner: Pid) -> None:
        link(partner)
        await receive()

    async def main() -> list[object]:
        victim = spawn(wait_for_message)
        trap_exit(True)
        link(victim)
        _, ref = spawn(linked, victim, monitor=True)
        await asyncio.sleep(0)
        send_exit(victim, KILL)
        return [await receive(Exited) == Exited(victim, KILLED), (await receive(ref)).reason]

    assert run_process(main) == [True, KILLED]


def test_an_uncaught_error_is_a_crash_and_logged_once_with_its_traceback() -> None:
    async def faulty() -> None:
        raise KeyError("missing")

    with capture_logs() as logs:
        reason = end_of(faulty)
    assert isinstance(reason, Crash)
    assert (reason.error, reason.message) == ("KeyError", "'missing'")
    assert 'raise KeyError("missing")' in reason.traceback
    assert [entry["exception"] for entry in logs if entry["event"] == "crash_report"] == [reason.traceback]


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, (SHUTDOWN, 1)])
def test_an_exit_that_is_as_it_should_be_is_not_reported(reason: object) -> None:
    async def leaves() -> None:
        raise Exit(reason)

    with capture_logs() as logs:
        assert end_of(leaves) == reason
    assert [entry["event"] for entry in logs] == ["node_stopped"]


@pytest.mark.parametrize("reason", ["boom", ("shutdown", 1), Crash("E", "m", "t")])
def test_another_exit_that_is_raised_is_reported(reason: object) -> None:
    async def leaves() -> None:
        raise Exit(reason)

    with capture_logs() as logs:
        assert end_of(leaves) == reason
    assert [(entry["event"], entry.get("reason")) for entry in logs] == [
        ("crash_report", reason),
        ("node_stopped", None),
    ]


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_error_that_has_no_text_ends_its_process_like_others() -> None:
    async def faulty() -> None:
        raise UnspeakableError

    reason = end_of(faulty)
    assert isinstance(reason, Crash)
    assert reason.error.endswith("UnspeakableError")


@pytest.mark.parametrize("error", [IndexError, StopAsyncIteration, asyncio.CancelledError, GeneratorExit])
def test_no_error_of_a_process_is_mistaken_for_one_of_the_scheduler(error: type[BaseException]) -> None:
    async def faulty() -> None:
        raise error("odd")

    reason = end_of(faulty)
    assert isinstance(reason, Crash)
    assert (reason.error.rpartition(".")[2], reason.message) == (error.__name__, "odd")


# How a process leaves


@pytest.mark.parametrize("waits", WAITS)
def test_clean_up_runs_on_an_exit_signal_and_may_await(waits: Waits) -> None:
    seen: list[object] = []
    assert (end_of(cleaning(waits, seen), "boom"), seen) == ("boom", [Exit, "cleaned"])


def test_clean_up_may_await_after_an_exit_of_ones_own() -> None:
    async def ends_itself() -> None:
        send_exit(self_pid(), "boom")

    seen: list[object] = []
    assert (end_of(cleaning(ends_itself, seen)), seen) == ("boom", [Exit, "cleaned"])


def test_the_first_exit_signal_decides_and_later_ones_do_not_disturb_the_clean_up() -> None:
    seen: list[object] = []
    assert (end_of(cleaning(wait_for_message, seen), "first", "second"), seen) == ("first", [Exit, "cleaned"])


def test_an_error_in_the_clean_up_does_not_change_the_reason() -> None:
    async def cleans_badly() -> None:
        try:
            await receive()
        finally:
            raise ValueError("in the clean-up")

    assert end_of(cleans_badly, "boom") == "boom"


def test_returning_from_the_clean_up_does_not_change_the_reason() -> None:
    async def swallows() -> None:
        try:
            await receive()
        except Exit:
            return

    assert end_of(swallows, "boom") == "boom"


def test_an_exit_signal_passes_where_errors_are_handled() -> None:
    async def handles_errors() -> None:
        while True:
            try:
                await receive()
            except Exception:  # noqa: BLE001, S112  # what it must not catch is the point
                continue

    assert end_of(handles_errors, "boom") == "boom"


def test_a_process_that_exits_gets_no_more_messages_even_if_some_are_there() -> None:
    got: list[object] = []

    async def greedy() -> None:
        try:
            await asyncio.sleep(1000)
        except Exit:
            got.append(await receive())

    async def main() -> object:
        pid, ref = spawn(greedy, monitor=True)
        await asyncio.sleep(1)
        send(pid, "too late")
        send_exit(pid, "boom")
        return (await receive(ref)).reason

    assert (run_process(main), got) == ("boom", [])


@pytest.mark.parametrize("waits", WAITS)
def test_an_exit_signal_that_comes_while_a_process_runs_interrupts_its_next_await(waits: Waits) -> None:
    async def links_to_nobody() -> None:
        link(Pid("nonode@nohost", 4711, 1))
        await waits()

    async def main() -> tuple[object, float]:
        before = asyncio.get_running_loop().time()
        _, ref = spawn(links_to_nobody, monitor=True)
        return (await receive(ref)).reason, asyncio.get_running_loop().time() - before

    assert run_process(main) == (NOPROC, 0.0)


def _linked_and_killed() -> None:
    partner = spawn(wait_for_message, link=True)
    send_exit(partner, KILL)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda: link(Pid("nonode@nohost", 4711, 1)), NOPROC),
        (lambda: link(ELSEWHERE), NOCONNECTION),
        (_linked_and_killed, KILLED),
    ],
)
def test_a_process_goes_no_further_than_the_call_that_brings_an_exit_signal_upon_it(
    act: Callable[[], None], reason: object
) -> None:
    seen: list[object] = []

    async def acts() -> None:
        try:
            act()
            seen.append("went on")
        finally:
            seen.append("cleans")
            link(Pid("nonode@nohost", 4712, 1))  # it exits already: nothing more happens to it
            await asyncio.sleep(1)
            seen.append("cleaned")

    assert (end_of(acts), seen) == (reason, ["cleans", "cleaned"])


def test_exit_signals_that_come_before_the_first_step_end_a_process_that_never_ran() -> None:
    ran: list[str] = []

    async def runs() -> None:
        ran.append("ran")

    async def main() -> list[object]:
        reasons: list[object] = []
        for reason in ("boom", KILL):
            pid, ref = spawn(runs, monitor=True)
            send_exit(pid, reason)
            reasons.append((await receive(ref)).reason)
        return reasons

    assert (run_process(main), ran) == (["boom", KILLED], [])


def test_a_process_that_swallows_its_exit_and_goes_on_is_closed_and_reported() -> None:
    caught: list[BaseException] = []

    async def stubborn() -> None:
        while len(caught) < 100:
            try:
                await receive()
            except Exit as signal:
                caught.append(signal)

    with capture_logs() as logs:
        assert end_of(stubborn, "boom") == "boom"
    assert [str(signal) for signal in caught] == ["boom"] * 3
    assert [{**entry, "pid": "?"} for entry in logs if entry["event"] == "process_resists_exit"] == [
        {
            "event": "process_resists_exit",
            "log_level": "warning",
            "pid": "?",
            "name": None,
            "label": stubborn.__qualname__,
            "reason": "boom",
        }
    ]


async def _takes_its_exit_for_a_cancellation() -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)


def test_a_process_that_was_told_to_exit_and_awaits_on_is_reported_again_and_again_until_it_is_killed() -> None:
    async def main() -> object:
        pid, ref = spawn(_takes_its_exit_for_a_cancellation, monitor=True, name="stubborn")
        await asyncio.sleep(0)
        send_exit(pid, "boom")
        await asyncio.sleep(30)
        send_exit(pid, KILL)
        await asyncio.sleep(100)
        return (await receive(ref)).reason

    with capture_logs() as logs:
        assert run_process(main) == KILLED
    told = [entry for entry in logs if entry["event"] == "process_still_exiting"]
    assert [entry.pop("stack").count("await asyncio.sleep(1000)") for entry in told] == [1, 1, 1]
    assert [{**entry, "pid": "?"} for entry in told] == [
        {
            "event": "process_still_exiting",
            "log_level": "warning",
            "pid": "?",
            "name": "stubborn",
            "label": "_takes_its_exit_for_a_cancellation",
            "reason": "boom",
            "seconds": seconds,
        }
        for seconds in (5.0, 10.0, 20.0)
    ]


def test_a_process_that_cleans_up_in_time_is_not_reported() -> None:
    async def cleans() -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(4.5)

    with capture_logs() as logs:
        assert end_of(cleans, "boom") == "boom"
    assert [entry["event"] for entry in logs] == ["node_stopped"]


def test_kill_acts_at_once() -> None:
    async def main() -> list[object]:
        pid, ref = spawn(wait_for_message, monitor=True, name="victim")
        await asyncio.sleep(0)
        send_exit(pid, KILL)
        return [is_alive(pid), whereis("victim"), await receive(ref, 0) == Down(ref, pid, KILLED)]

    assert run_process(main) == [False, None, True]


def test_the_dead_leave_nothing_in_the_tables() -> None:
    async def linked(partner: Pid) -> None:
        link(partner)
        monitor(partner)
        await receive(timeout=1000.0)

    async def main() -> list[object]:
        me = current()
        reasons: list[object] = []
        for reason in ("boom", KILL):
            trap_exit(True)
            pid, ref = spawn(linked, self_pid(), monitor=True, name="linked")
            await asyncio.sleep(0)
            send_exit(pid, reason)
            reasons.append((await receive(ref)).reason)
        relations = me.related()
        waiting = [entry for entry in me.home.timers._heap if entry.waiter is not None]
        return [reasons, relations.links, relations.monitors, relations.watchers, waiting]

    assert run_process(main) == [["boom", KILLED], {}, {}, {}, []]
