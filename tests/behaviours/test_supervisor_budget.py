"""How often a supervisor restarts, when it gives up, and how it tries again what has failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Atom,
    ChildError,
    ChildInfo,
    Crash,
    Exited,
    Ignore,
    Pid,
    Strategy,
    Supervisor,
    child,
    count_children,
    delete_child,
    exit,  # noqa: A004  # OTP's name
    get_state,
    is_alive,
    monitor,
    receive,
    restart_child,
    send,
    spawn,
    start_child,
    terminate_child,
    trap_exit,
    unlink,
    whereis,
    which_children,
)
from tests.helpers import ended, in_process, links_and_monitors, now, passed
from tests.supervised import (
    Journal,
    downs,
    failing,
    kill,
    listed,
    pid_of,
    reported,
    stop_itself,
    ups,
    worker,
    workers,
)

# -- the budget


async def _supervisor(journal: Journal, names: str, **options: Any) -> Pid:
    trap_exit(True)
    return await Supervisor.start_link([worker(journal, name, stop_time=0) for name in names], **options)


@in_process
async def test_a_supervisor_with_an_intensity_of_0_ends_with_the_first_crash() -> None:
    supervisor = await _supervisor(Journal(), "a", intensity=0)
    await kill("a")
    assert await receive() == Exited(supervisor, SHUTDOWN)


@in_process
async def test_a_supervisor_allows_one_restart_in_five_seconds_unless_told_otherwise() -> None:
    supervisor = await _supervisor(Journal(), "a")
    await kill("a")
    await passed(5)
    await kill("a")
    assert await receive() == Exited(supervisor, SHUTDOWN)


@in_process
async def test_restarts_longer_ago_than_the_period_do_not_count() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "a", intensity=2, period=5)
    for _ in range(10):
        await kill("a")
        await passed(3)
    assert (is_alive(supervisor), journal) == (True, ups("a" * 11))


@pytest.mark.parametrize(("seconds", "survives"), [(4.0, False), (5.0, False), (5.999, False), (6.0, True)])
def test_the_whole_edge_second_of_the_period_counts(seconds: float, survives: bool) -> None:
    @in_process
    async def check() -> None:
        supervisor = await _supervisor(Journal(), "a", intensity=1, period=5)
        await asyncio.sleep(1 - now() % 1)
        await kill("a")
        await passed(seconds)
        await kill("a")
        await passed(1)
        assert is_alive(supervisor) is survives

    check()


@in_process
async def test_all_children_share_one_budget() -> None:
    supervisor = await _supervisor(Journal(), "abc", intensity=2)
    await kill("a")
    await kill("b")
    assert await listed(supervisor) == [("a", True), ("b", True), ("c", True)]
    await kill("c")
    assert await receive() == Exited(supervisor, SHUTDOWN)


@in_process
async def test_ends_that_need_no_restart_cost_nothing() -> None:
    supervisor = await _supervisor(Journal(), "", intensity=0)
    for _ in range(5):
        await start_child(supervisor, worker(Journal(), "t", restart="temporary"))
        await kill("t")
    await start_child(supervisor, worker(Journal(), "q", restart="transient"))
    await stop_itself("q", NORMAL)
    assert await listed(supervisor) == [("q", False)]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_a_supervisor_that_gives_up_stops_all_in_reverse_and_ends_with_shutdown(
    strategy: Strategy, logs: list[EventDict]
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        journal = Journal()
        supervisor = await Supervisor.start_link(workers(journal, "abc"), strategy=strategy, intensity=0)
        mark = len(journal)
        await kill("b")
        assert await receive() == Exited(supervisor, SHUTDOWN)
        assert (journal.since(mark), [whereis(name) for name in "abc"]) == (downs("ca"), [None] * 3)

    check()
    assert reported(logs, "shutdown") == [("b", Atom("reached_max_restart_intensity"))]


# -- restarts that fail


@in_process
async def test_a_restart_that_fails_is_tried_again_and_each_try_costs_budget() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "ab", intensity=3)
    journal.failures["b"] = failing("one", "two")
    mark = len(journal)
    await kill("b")
    await passed(1)
    assert journal.since(mark) == ["b starts", "b starts", *ups("b")]
    assert await listed(supervisor) == [("a", True), ("b", True)]
    await kill("a")
    assert await receive() == Exited(supervisor, SHUTDOWN)


@in_process
async def test_a_supervisor_gives_up_when_a_restart_fails_too_often() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "ab", intensity=3)
    journal.failures["b"] = failing(*range(9))
    mark = len(journal)
    await kill("b")
    assert await receive() == Exited(supervisor, SHUTDOWN)
    assert journal.since(mark) == ["b starts"] * 3 + downs("a")


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_a_child_that_starts_no_more_takes_all_others_with_it(strategy: Strategy) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        supervisor = await _supervisor(journal, "abc", strategy=strategy, intensity=4)
        journal.failures["b"] = failing(*range(9))
        mark = len(journal)
        await kill("a")
        await kill("b")
        assert await receive() == Exited(supervisor, SHUTDOWN)
        assert ([whereis(name) for name in "abc"], journal.since(mark).count("b is up")) == ([None] * 3, 0)

    check()


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError("no")])
def test_a_restart_that_fails_is_logged(error: BaseException, logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        await _supervisor(journal, "a", intensity=5)
        journal.failures["a"] = [error]
        await kill("a")
        await passed(1)
        assert journal == [*ups("a"), "a starts", *ups("a")]

    check()
    assert [(child, type(reason)) for child, reason in reported(logs, "start_error")] == [("a", Crash)]


async def _failing_restart(journal: Journal, tries: int = 20) -> Pid:
    """A supervisor whose child b fails to start again, a second each time."""
    supervisor = await _supervisor(journal, "ab", intensity=50)
    journal.start_time = 1.0
    journal.failures["b"] = failing(*range(tries))
    await kill("b")
    await passed(2.5)
    return supervisor


@in_process
async def test_other_requests_are_served_between_the_tries() -> None:
    journal = Journal()
    supervisor = await _failing_restart(journal)
    b = worker(journal, "b")
    assert await which_children(supervisor) == [
        ChildInfo("a", pid_of("a"), "worker"),
        ChildInfo("b", None, "worker", restarting=True),
    ]
    assert (await count_children(supervisor))["active"] == 1
    for request, reason in (
        (start_child(supervisor, b), "already_present"),
        (restart_child(supervisor, "b"), "restarting"),
        (delete_child(supervisor, "b"), "restarting"),
    ):
        with pytest.raises(ChildError) as caught:
            await request
        assert (caught.value.id, caught.value.reason) == ("b", reason)
    tries = journal.count("b starts")
    assert await start_child(supervisor, worker(journal, "c")) == pid_of("c")
    assert tries < journal.count("b starts") < 10
    await passed(60)
    assert await listed(supervisor) == [("a", True), ("b", True), ("c", True)]


@in_process
async def test_those_after_a_child_whose_restart_fails_wait_for_it() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "abc", strategy="rest_for_one", intensity=50)
    journal.start_time = 1.0
    journal.failures["b"] = failing(*range(20))
    await kill("b")
    await passed(2.5)
    assert [(each.pid is not None, each.restarting) for each in await which_children(supervisor)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    await terminate_child(supervisor, "b")
    journal.failures.clear()
    assert await restart_child(supervisor, "b") == pid_of("b")
    assert await listed(supervisor) == [("a", True), ("b", True), ("c", False)]


@in_process
async def test_another_child_is_restarted_between_the_tries() -> None:
    journal = Journal()
    supervisor = await _failing_restart(journal)
    await kill("a")
    await passed(2.5)
    assert await listed(supervisor) == [("a", True), ("b", False)]


@in_process
async def test_a_child_whose_restart_fails_can_be_stopped_and_restarted_by_hand() -> None:
    journal = Journal()
    supervisor = await _failing_restart(journal)
    await terminate_child(supervisor, "b")
    mark = len(journal)
    await passed(60)
    assert (await listed(supervisor), journal.since(mark)) == ([("a", True), ("b", False)], [])
    journal.failures.clear()
    assert await restart_child(supervisor, "b") == pid_of("b")
    assert await listed(supervisor) == [("a", True), ("b", True)]


@in_process
async def test_a_supervisor_whose_restart_fails_again_and_again_stops_when_its_parent_ends() -> None:
    async def parent() -> None:
        await _failing_restart(journal, tries=10_000)
        trap_exit(False)
        await receive()

    journal = Journal()
    pid = spawn(parent)
    await passed(10)
    a = pid_of("a")
    unlink(a)
    began, ref = now(), monitor(a)
    exit(pid, "enough")
    assert (await receive(ref)).reason is SHUTDOWN
    assert now() - began <= 2


@in_process
async def test_one_for_all_stops_those_already_up_again_when_another_fails_to_restart() -> None:
    journal = Journal()
    await _supervisor(journal, "abc", strategy="one_for_all", intensity=5)
    journal.failures["b"] = failing("no")
    mark = len(journal)
    await kill("a")
    await passed(1)
    assert journal.since(mark) == downs("cb") + ups("a") + ["b starts"] + downs("a") + ups("abc")


@in_process
async def test_rest_for_one_keeps_those_already_up_when_another_fails_to_restart() -> None:
    journal = Journal()
    await _supervisor(journal, "abc", strategy="rest_for_one", intensity=5)
    journal.failures["b"] = failing("no")
    mark = len(journal)
    await kill("a")
    await passed(1)
    assert journal.since(mark) == downs("cb") + ups("a") + ["b starts"] + ups("bc")


@in_process
async def test_rest_for_one_never_starts_a_child_before_those_it_depends_on() -> None:
    journal = Journal()
    await _supervisor(journal, "ab", strategy="rest_for_one", intensity=9)
    journal.start_time = 1.0
    journal.failures = {"a": failing("no"), "b": failing("no")}
    mark = len(journal)
    await kill("b")
    await passed(0.5)
    await kill("a")
    await passed(60)
    assert journal.since(mark) == ["b starts", "a starts", *ups("ab")]


@in_process
async def test_a_restart_that_is_ignored_leaves_the_child_stopped() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "ab")
    journal.failures["a"] = [Ignore()]
    await kill("a")
    await passed(1)
    assert await listed(supervisor) == [("a", False), ("b", True)]


# -- what else comes


@in_process
async def test_exit_signals_of_strangers_and_other_messages_change_nothing() -> None:
    async def stranger() -> None:
        exit(supervisor, "enough")

    journal = Journal()
    supervisor = await _supervisor(journal, "a")
    mark = len(journal)
    spawn(stranger)
    send(supervisor, "hello")
    await passed(1)
    assert (await listed(supervisor), journal.since(mark)) == ([("a", True)], [])


@in_process
async def test_a_supervisor_that_has_restarted_much_keeps_no_links_or_monitors() -> None:
    journal = Journal()
    supervisor = await _supervisor(journal, "abc", strategy="one_for_all", intensity=100)
    before = links_and_monitors(supervisor)
    for _ in range(20):
        await kill("b")
        await passed(1)
    assert before == links_and_monitors(supervisor) == (4, 0, 0, 0)
    assert len((await get_state(supervisor))["_by_pid"]) == 3


@in_process
async def test_a_supervisor_that_gives_up_is_restarted_by_the_one_above_with_its_first_children_only() -> None:
    journal = Journal()
    inner = child(Supervisor, [worker(journal, "a", stop_time=0)], name="inner")
    outer = await _supervisor(journal, "", strategy="one_for_all", intensity=4)
    await start_child(outer, inner)
    await start_child(outer, worker(journal, "z", stop_time=0))
    await start_child("inner", worker(journal, "b", stop_time=0))
    first, mark = pid_of("inner"), len(journal)
    await kill("a")
    await passed(1)
    assert (pid_of("inner"), journal.since(mark)) == (first, ups("a"))
    await kill("b")
    await passed(1)
    assert journal.since(mark) == ups("a") + downs("a") + downs("z") + ups("az")
    assert (pid_of("inner") != first, await listed("inner")) == (True, [("a", True)])
    assert await listed(outer) == [("inner", True), ("z", True)]


async def _wait() -> None:
    await receive("never".__eq__)


@in_process
async def test_a_supervisor_that_is_killed_takes_its_children_along_and_is_restarted() -> None:
    outer = await _supervisor(Journal(), "")
    await start_child(outer, child(Supervisor, [child(_wait, id="a")], name="inner"))
    [a] = await which_children("inner")
    assert a.pid is not None
    exit(pid_of("inner"), KILL)
    assert await ended(a.pid) is KILLED
    await passed(1)
    assert (await listed("inner"), is_alive(outer)) == ([("a", True)], True)
