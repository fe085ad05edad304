"""How a supervisor stops a child, and children that make it hard."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Exit,
    Exited,
    GenServer,
    Restart,
    Supervisor,
    cast,
    child,
    count_children,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    receive,
    send,
    spawn,
    start_child,
    terminate_child,
    trap_exit,
    unlink,
    which_children,
)
from tests.helpers import ended, in_process, now, passed
from tests.supervised import Journal, downs, listed, pid_of, reported, ups, worker, workers

# -- how long a child may take to stop


async def _end_of_child(spec: ChildSpec) -> tuple[Any, float]:
    """Stop a child: its reason, and how many seconds that took."""
    supervisor = await Supervisor.start_link([spec])
    ref, began = monitor(pid_of("a")), now()
    await terminate_child(supervisor, "a")
    took = round(now() - began, 6)
    return (await receive(ref)).reason, took


@pytest.mark.parametrize(
    ("shutdown", "stop_time", "expected"),
    [
        (5.0, 4.9, (SHUTDOWN, 4.9)),
        (5.0, 5.1, (KILLED, 5.0)),
        (0.5, 9, (KILLED, 0.5)),
        (20, 9, (SHUTDOWN, 9)),
        (0, 9, (KILLED, 0)),
        (None, 100_000, (SHUTDOWN, 100_000)),
        ("default", 4.9, (SHUTDOWN, 4.9)),
        ("default", 5.1, (KILLED, 5.0)),
        ("brutal_kill", 9, (KILLED, 0)),
    ],
)
def test_a_child_has_its_shutdown_time_to_stop_and_is_killed_then(
    shutdown: Any, stop_time: float, expected: tuple[Any, float]
) -> None:
    @in_process
    async def check() -> None:
        spec = worker(Journal(), "a", stop_time=stop_time, shutdown=shutdown)
        assert await _end_of_child(spec) == expected

    check()


@in_process
async def test_a_child_that_is_killed_brutally_does_not_clean_up() -> None:
    journal = Journal()
    await _end_of_child(worker(journal, "a", shutdown="brutal_kill"))
    assert journal == ups("a")


@in_process
async def test_a_supervisor_as_a_child_has_all_the_time_it_takes() -> None:
    journal = Journal()
    inner = child(Supervisor, [worker(journal, "b", stop_time=1000, shutdown=None)], name="a")
    assert await _end_of_child(inner) == (SHUTDOWN, 1000)


@pytest.mark.parametrize(
    ("spec", "logged"),
    [
        (partial(worker, stop_time=9), [KILLED]),
        (partial(worker, stop_time=1), []),
        (partial(worker, shutdown="brutal_kill"), []),
        (partial(worker, restart="temporary", stop_time=9), [KILLED]),
    ],
)
def test_a_child_that_does_not_stop_as_it_should_is_logged(spec: Any, logged: list[Any], logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        await _end_of_child(spec(Journal(), "a"))

    check()
    assert reported(logs, "shutdown_error") == [("a", reason) for reason in logged]


async def _returns_when_told_to_stop() -> None:
    trap_exit(True)
    await receive(Exited)


@pytest.mark.parametrize(("restart", "logged"), [("permanent", [NORMAL]), ("transient", []), ("temporary", [])])
def test_only_of_a_permanent_child_a_normal_end_is_not_what_was_asked_for(
    restart: Restart, logged: list[Any], logs: list[EventDict]
) -> None:
    @in_process
    async def check() -> None:
        await _end_of_child(child(_returns_when_told_to_stop, name="a", restart=restart))

    check()
    assert reported(logs, "shutdown_error") == [("a", reason) for reason in logged]


def test_of_a_child_that_died_before_it_was_stopped_the_true_reason_is_logged(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        await Supervisor.start_link(workers(Journal(), "ab"), strategy="one_for_all")
        a, b = pid_of("a"), pid_of("b")
        exit(a, KILL)
        exit(b, KILL)
        await passed(1)

    check()
    assert reported(logs, "shutdown_error") == [("b", KILLED)]


async def _ignores_exit() -> None:
    while True:
        try:
            await receive("never".__eq__)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)


@in_process
async def test_a_plain_process_that_resists_is_killed_after_its_time() -> None:
    spec = child(_ignores_exit, name="a", shutdown=3)
    assert await _end_of_child(spec) == (KILLED, 3)


# -- children that make it hard


class Unlinked(GenServer):
    """Is no longer linked to its supervisor, and not in a hurry to stop."""

    async def init(self, stop_time: float = 0.0) -> None:
        self.stop_time = stop_time
        trap_exit(True)
        unlink(pid_of("top"))

    async def handle_cast(self, message: Any, /) -> None:
        raise message

    async def terminate(self, reason: Any, /) -> None:
        await asyncio.sleep(self.stop_time)


@pytest.mark.parametrize("shutdown", [5.0, "brutal_kill"])
def test_a_child_that_has_unlinked_itself_does_not_hang_its_supervisor(shutdown: Any) -> None:
    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link(name="top")
        pid = await start_child(supervisor, child(Unlinked, 3.0, id="a", shutdown=shutdown))
        assert pid is not None
        began = now()
        await terminate_child(supervisor, "a")
        assert (is_alive(pid), now() - began) == (False, 0.0 if shutdown == "brutal_kill" else 3.0)
        assert await listed(supervisor) == [("a", False)]

    check()


@in_process
async def test_a_child_that_has_unlinked_itself_and_died_unseen_can_be_stopped() -> None:
    supervisor = await Supervisor.start_link(name="top")
    pid = await start_child(supervisor, child(Unlinked, id="a"))
    assert pid is not None
    cast(pid, ValueError("unseen"))
    await passed(1)
    assert (is_alive(pid), await listed(supervisor)) == (False, [("a", True)])
    assert (await count_children(supervisor))["active"] == 0
    await terminate_child(supervisor, "a")
    assert await listed(supervisor) == [("a", False)]


@in_process
async def test_a_child_that_ends_by_itself_while_it_is_to_be_stopped_is_not_restarted() -> None:
    journal = Journal()
    supervisor = await Supervisor.start_link(workers(journal, "ab"))
    mark = len(journal)
    spawn(terminate_child, supervisor, "b")
    spawn(terminate_child, supervisor, "a")
    await passed(0.5)
    exit(pid_of("a"), KILL)
    await passed(10)
    assert await listed(supervisor) == [("a", False), ("b", False)]
    assert (journal.since(mark), is_alive(supervisor)) == (downs("b"), True)


async def _ends_with_its_supervisor_only() -> None:
    trap_exit(True)
    await receive(lambda message: type(message) is Exited and message.reason is KILLED)


@in_process
async def test_a_supervisor_that_is_killed_while_it_stops_a_child_takes_it_along() -> None:
    spec = child(_ends_with_its_supervisor_only, name="a", shutdown=None)
    supervisor = await Supervisor.start([spec])
    spawn(terminate_child, supervisor, "a")
    await passed(60)
    ref = monitor(pid_of("a"))
    exit(supervisor, KILL)
    assert (await receive(ref)).reason is NORMAL


async def _ends_when_told(reason: Any) -> None:
    trap_exit(True)
    await receive("go".__eq__)
    raise Exit(reason)


def test_children_that_end_by_themselves_while_the_supervisor_stops_others_do_not_disturb_it(
    logs: list[EventDict],
) -> None:
    @in_process
    async def check() -> None:
        children: list[ChildSpec] = [
            child(_ends_when_told, reason, id=f"{restart} {reason}", restart=restart)
            for restart in RESTARTS
            for reason in (NORMAL, SHUTDOWN, "other")
        ]
        last = worker(Journal(), "last", stop_time=4.0)
        supervisor = await Supervisor.start_link([*children, last])
        pids = [each.pid for each in await which_children(supervisor) if each.pid is not None]
        unlink(supervisor)
        exit(supervisor, SHUTDOWN)
        await passed(1)
        for pid in pids[:-1]:
            send(pid, "go")
        began = now()
        assert await ended(supervisor) is SHUTDOWN
        assert (now() - began, [is_alive(pid) for pid in pids]) == (3, [False] * 10)

    check()
    others = [(f"{restart} other", "other") for restart in reversed(RESTARTS)]
    assert reported(logs, "shutdown_error") == [*others, (f"permanent {NORMAL}", NORMAL)]


RESTARTS: list[Restart] = ["permanent", "transient", "temporary"]
