"""Whom a supervisor restarts when a child ends, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Restart,
    Strategy,
    Supervisor,
    count_children,
    is_alive,
    start_child,
)
from tests.helpers import in_process, mailbox, now, passed
from tests.supervised import Journal, downs, kill, listed, pid_of, reported, stop_itself, ups, worker, workers

# -- strategies


@pytest.mark.parametrize(
    ("strategy", "victim", "expected"),
    [
        ("one_for_one", "a", ups("a")),
        ("one_for_one", "b", ups("b")),
        ("one_for_one", "c", ups("c")),
        ("rest_for_one", "a", downs("cb") + ups("abc")),
        ("rest_for_one", "b", downs("c") + ups("bc")),
        ("rest_for_one", "c", ups("c")),
        ("one_for_all", "a", downs("cb") + ups("abc")),
        ("one_for_all", "b", downs("ca") + ups("abc")),
        ("one_for_all", "c", downs("ba") + ups("abc")),
    ],
)
def test_those_concerned_stop_in_reverse_and_then_start_in_order_each_after_the_other(
    strategy: Strategy, victim: str, expected: list[str]
) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        supervisor = await Supervisor.start_link(workers(journal, "abc"), strategy=strategy)
        journal.start_time = 1.0
        before = {name: pid_of(name) for name in "abc"}
        began, mark = now(), len(journal)
        await kill(victim)
        await passed(60)
        assert journal.since(mark) == expected
        started = {name for name in "abc" if f"{name} is up" in expected}
        assert {name for name in "abc" if pid_of(name) != before[name]} == started
        assert await listed(supervisor) == [("a", True), ("b", True), ("c", True)]
        assert now() - began == 60

    check()


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_temporary_children_that_a_group_restart_stops_are_dropped(strategy: Strategy) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        specs = [worker(journal, "a"), worker(journal, "t", restart="temporary"), worker(journal, "b")]
        supervisor = await Supervisor.start_link(specs, strategy=strategy)
        mark = len(journal)
        await kill("a")
        await passed(60)
        assert journal.since(mark) == downs("bt") + ups("ab")
        assert await listed(supervisor) == [("a", True), ("b", True)]

    check()


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_transient_children_that_had_ended_start_again_with_their_group(strategy: Strategy) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        specs = [worker(journal, "a"), worker(journal, "b", restart="transient")]
        supervisor = await Supervisor.start_link(specs, strategy=strategy)
        await stop_itself("b", NORMAL)
        assert await listed(supervisor) == [("a", True), ("b", False)]
        await kill("a")
        await passed(60)
        assert await listed(supervisor) == [("a", True), ("b", True)]

    check()


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_children_of_a_group_that_crash_together_cost_one_restart(strategy: Strategy) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        supervisor = await Supervisor.start_link(workers(journal, "abc"), strategy=strategy, intensity=1)
        mark = len(journal)
        await kill("a", "b", "c")
        await passed(60)
        assert journal.since(mark) == ups("abc")
        assert await listed(supervisor) == [("a", True), ("b", True), ("c", True)]

    check()


@in_process
async def test_a_child_that_crashes_while_its_group_is_stopped_is_restarted_once_with_it() -> None:
    journal = Journal()
    specs = [*workers(journal, "ab"), worker(journal, "c", stop_time=3.0)]
    await Supervisor.start_link(specs, strategy="one_for_all", intensity=1)
    mark = len(journal)
    await kill("a")
    await passed(1)
    await kill("b")
    await passed(60)
    assert journal.since(mark) == downs("c") + ups("abc")


@in_process
async def test_a_child_is_started_again_with_the_same_arguments_and_under_its_name() -> None:
    journal = Journal()
    supervisor = await Supervisor.start_link([worker(journal, "a")])
    first = pid_of("a")
    await kill("a")
    await passed(1)
    assert (journal, pid_of("a") != first) == (ups("a") + ups("a"), True)
    assert (is_alive(supervisor), mailbox()) == (True, [])


# -- restart types

RESTARTED, KEPT, DROPPED = [("a", True)], [("a", False)], list[tuple[str, bool]]()


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
@pytest.mark.parametrize(
    ("restart", "reason", "outcome"),
    [
        ("permanent", NORMAL, RESTARTED),
        ("permanent", SHUTDOWN, RESTARTED),
        ("permanent", (SHUTDOWN, "info"), RESTARTED),
        ("permanent", "crash", RESTARTED),
        ("permanent", KILLED, RESTARTED),
        ("transient", NORMAL, KEPT),
        ("transient", SHUTDOWN, KEPT),
        ("transient", (SHUTDOWN, "info"), KEPT),
        ("transient", "crash", RESTARTED),
        ("transient", KILLED, RESTARTED),
        ("temporary", NORMAL, DROPPED),
        ("temporary", SHUTDOWN, DROPPED),
        ("temporary", (SHUTDOWN, "info"), DROPPED),
        ("temporary", "crash", DROPPED),
        ("temporary", KILLED, DROPPED),
    ],
)
def test_what_becomes_of_a_child_that_ends(
    strategy: Strategy, restart: Restart, reason: Any, outcome: list[tuple[str, bool]]
) -> None:
    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link([worker(Journal(), "a", restart=restart)], strategy=strategy)
        await (kill("a") if reason is KILLED else stop_itself("a", reason))
        assert await listed(supervisor) == outcome
        running = sum(runs for _, runs in outcome)
        assert await count_children(supervisor) == {
            "specs": len(outcome),
            "active": running,
            "supervisors": 0,
            "workers": len(outcome),
        }

    check()


@in_process
async def test_a_temporary_child_that_ended_can_be_started_anew() -> None:
    journal = Journal()
    supervisor = await Supervisor.start_link()
    for _ in range(3):
        await start_child(supervisor, worker(journal, "t", restart="temporary"))
        await kill("t")
    assert (await listed(supervisor), journal) == ([], ups("ttt"))


@pytest.mark.parametrize(
    ("restart", "reason", "times"),
    [
        ("permanent", NORMAL, 1),
        ("permanent", SHUTDOWN, 1),
        ("transient", NORMAL, 0),
        ("transient", (SHUTDOWN, 1), 0),
        ("transient", "crash", 1),
        ("temporary", SHUTDOWN, 0),
        ("temporary", "crash", 1),
    ],
)
def test_an_end_that_was_not_expected_is_reported(
    restart: Restart, reason: Any, times: int, logs: list[EventDict]
) -> None:
    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link([worker(Journal(), "a", restart=restart)])
        await stop_itself("a", reason)
        await listed(supervisor)

    check()
    assert reported(logs, "child_terminated") == [("a", reason)] * times
