"""How a `DynamicSupervisor` that ends stops its children: all at the same time, each with its own time."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    CallError,
    DynamicSupervisor,
    Exit,
    Exited,
    GenServer,
    Pid,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    start_child,
    trap_exit,
    unlink,
    which_children,
)
from tests.helpers import ended, in_process, mailbox, now, passed
from tests.supervised import Journal, failing, kill, pid_of, reported, worker


async def _supervisor(*specs: Any) -> tuple[Pid, list[Pid]]:
    trap_exit(True)
    supervisor = await DynamicSupervisor.start_link(name="dyn")
    pids = [await start_child(supervisor, spec) for spec in specs]
    return supervisor, [pid for pid in pids if pid is not None]


async def _end(supervisor: Pid, children: list[Pid]) -> tuple[list[Any], float]:
    """Have it end as its parent does: the reasons of its children, and how many seconds that took."""
    refs, began = [monitor(pid) for pid in children], now()
    unlink(supervisor)
    exit(supervisor, SHUTDOWN)
    await ended(supervisor)
    took = round(now() - began, 6)
    return [(await receive(ref)).reason for ref in refs], took


@pytest.mark.parametrize(
    ("shutdown", "stop_time", "reason", "seconds"),
    [
        ("brutal_kill", 9, KILLED, 0),
        (None, 1000, SHUTDOWN, 1000),
        (5.0, 4, SHUTDOWN, 4),
        (5.0, 6, KILLED, 5),
        (0, 6, KILLED, 0),
        (float("inf"), 1000, SHUTDOWN, 1000),
    ],
)
def test_children_stop_at_the_same_time(shutdown: Any, stop_time: float, reason: Any, seconds: float) -> None:
    @in_process
    async def check() -> None:
        specs = [worker(Journal(), name, stop_time=stop_time, shutdown=shutdown) for name in "abc"]
        assert await _end(*await _supervisor(*specs)) == ([reason] * 3, seconds)

    check()


@in_process
async def test_each_child_has_its_own_time() -> None:
    specs = [
        worker(Journal(), "a", stop_time=10, shutdown=None),
        worker(Journal(), "b", stop_time=10, shutdown="brutal_kill"),
        worker(Journal(), "c", stop_time=10, shutdown=2.0),
        worker(Journal(), "d", stop_time=10, shutdown=3.0),
        worker(Journal(), "e", stop_time=1, shutdown=2.0),
        worker(Journal(), "f", stop_time=1, shutdown=3.0),
    ]
    supervisor, pids = await _supervisor(*specs)
    ends: list[tuple[int, Any, float]] = []
    refs = {monitor(pid): number for number, pid in enumerate(pids)}
    unlink(supervisor)
    began = now()
    exit(supervisor, SHUTDOWN)
    for _ in pids:
        down = await receive(lambda message: getattr(message, "ref", None) in refs)
        ends.append((refs[down.ref], down.reason, round(now() - began, 6)))
    assert sorted(ends) == [
        (0, SHUTDOWN, 10),
        (1, KILLED, 0),
        (2, KILLED, 2),
        (3, KILLED, 3),
        (4, SHUTDOWN, 1),
        (5, SHUTDOWN, 1),
    ]


async def _leaves(tell: Pid, reason: Any) -> None:
    trap_exit(True)
    send(tell, self_pid())
    await receive(Exited)
    raise Exit(reason)


@pytest.mark.parametrize(
    ("restart", "reason", "is_reported"),
    [
        ("permanent", SHUTDOWN, False),
        ("permanent", NORMAL, True),
        ("permanent", (SHUTDOWN, "oops"), True),
        ("transient", NORMAL, False),
        ("temporary", (SHUTDOWN, "oops"), False),
        ("temporary", "oops", True),
    ],
)
def test_children_that_end_in_another_way_than_asked_are_reported(
    restart: Any, reason: Any, is_reported: bool, logs: list[EventDict]
) -> None:
    @in_process
    async def check() -> None:
        spec = child(_leaves, self_pid(), reason, id="a", restart=restart)
        supervisor, pids = await _supervisor(spec, spec)
        for _ in pids:
            await receive(Pid)
        reasons, _ = await _end(supervisor, pids)
        assert reasons == [reason, reason]

    check()
    assert reported(logs, "shutdown_error") == [("a", reason)] * (2 if is_reported else 0)


def test_of_children_that_died_just_before_the_true_reason_is_reported(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        supervisor, pids = await _supervisor(*(worker(Journal(), name, restart="temporary") for name in "ab"))
        unlink(supervisor)
        exit(supervisor, SHUTDOWN)  # which it reads before it reads of the ends
        exit(pids[0], KILL)
        exit(pids[1], KILL)
        await ended(supervisor)

    check()
    assert reported(logs, "shutdown_error") == [("a", KILLED), ("b", KILLED)]


@in_process
async def test_a_child_whose_restart_is_being_tried_is_started_no_more() -> None:
    journal = Journal()
    trap_exit(True)
    supervisor = await DynamicSupervisor.start_link(intensity=1000)
    await start_child(supervisor, worker(journal, "a"))
    journal.start_time = 1.0
    journal.failures["a"] = failing(*range(100))
    await kill("a")
    await passed(2.5)
    await _end(supervisor, [])
    mark = len(journal)
    await passed(60)
    assert journal.since(mark) == []


class Unlinked(GenServer):
    """Is no longer linked to its supervisor."""

    async def init(self) -> None:
        unlink(pid_of("dyn"))

    async def handle_cast(self, message: Any, /) -> None:
        raise message


@in_process
async def test_children_that_have_unlinked_themselves_can_not_hang_it() -> None:
    supervisor, pids = await _supervisor(child(Unlinked), child(Unlinked))
    cast(pids[0], ValueError("unseen"))
    await passed(1)
    assert len(await which_children(supervisor)) == 2
    reasons, _ = await _end(supervisor, pids[1:])
    assert reasons == [SHUTDOWN]


@in_process
async def test_who_calls_meanwhile_is_not_answered_and_keeps_no_child_alive_longer() -> None:
    async def pesters() -> None:
        while True:
            send("dyn", "hello")
            await passed(0.1)

    async def asks() -> None:
        with pytest.raises(CallError) as caught:
            await which_children("dyn")
        send(parent, ("reason", caught.value.reason))

    parent = self_pid()
    supervisor, pids = await _supervisor(worker(Journal(), "a", stop_time=100, shutdown=5.0))
    spawn(pesters)
    exit(supervisor, SHUTDOWN)
    await passed(1)
    spawn(asks)
    began = now()
    assert await receive(tuple) == ("reason", SHUTDOWN)
    assert (round(now() - began, 6), is_alive(pids[0])) == (4, False)


@in_process
async def test_a_supervisor_that_is_killed_while_it_stops_its_children_takes_them_along() -> None:
    supervisor, pids = await _supervisor(worker(Journal(), "a", stop_time=1000, shutdown=None), child(_ignores))
    unlink(supervisor)
    exit(supervisor, SHUTDOWN)
    await passed(1)
    exit(supervisor, KILL)
    assert [await ended(pid) for pid in pids[1:]] == [KILLED]


async def _ignores() -> None:
    """Takes no notice of being told to stop, but ends with its supervisor."""
    trap_exit(True)
    await receive(lambda message: type(message) is Exited and message.reason is KILLED)
    raise Exit(KILLED)


@in_process
async def test_ten_thousand_children_stop_together() -> None:
    spec = child(_quiet, shutdown=5.0)
    supervisor, pids = await _supervisor(*([spec] * 10_000))
    began = now()
    exit(supervisor, SHUTDOWN)
    assert await ended(supervisor) is SHUTDOWN
    assert ([pid for pid in pids if is_alive(pid)], now() - began) == ([], 0)
    assert [type(message) for message in mailbox()] == [Exited]


async def _quiet() -> None:
    await receive("never".__eq__)
