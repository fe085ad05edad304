"""Processes that ask for it hear of long steps, long mailboxes, lag and dead letters of their node."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import pytest
import structlog

from pydist import (
    KILL,
    KILLED,
    DeadLetter,
    LongMessageQueue,
    LongSchedule,
    Node,
    NodeStartError,
    Pid,
    SchedulerLag,
    bound_mailbox,
    dead_letters,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    process_info,
    receive,
    run,
    self_pid,
    send,
    spawn,
    system_monitor,
)
from pydist.messaging import acting, current
from tests.helpers import end, ended, in_process, mailbox, passed
from tests.virtual_time import VirtualLoop


async def _waits() -> None:
    await receive()


async def _sleeps() -> None:
    await asyncio.sleep(1e9)


def lose_time(seconds: float) -> None:
    """The loop is held up for so long."""
    loop = current().get_loop()
    assert isinstance(loop, VirtualLoop)
    loop._virtual.now += seconds


# -- dead letters


@in_process
async def test_a_dead_letter_comes_as_a_message_and_is_counted() -> None:
    system_monitor(dead_letters=True)
    dead = spawn(_waits)
    await end(dead, "boom")
    send(dead, "hello")
    send(("nobody", dead.node), "hello")
    assert [await receive(), await receive()] == [
        DeadLetter(dead, "hello", "noproc"),
        DeadLetter(("nobody", dead.node), "hello", "unknown_name"),
    ]
    assert dead_letters() == {"noproc": 1, "unknown_name": 1}


@in_process
async def test_a_listener_whose_mailbox_is_full_hears_no_more_and_nothing_goes_round() -> None:
    bound_mailbox(1)
    system_monitor(dead_letters=True)
    dead = spawn(_waits)
    await end(dead, "boom")
    for number in range(3):
        send(dead, number)
    assert (mailbox(), dead_letters()) == ([DeadLetter(dead, 0, "noproc")], {"noproc": 3, "mailbox_full": 2})


@in_process
async def test_who_asks_again_gets_what_it_has_asked_for_last() -> None:
    dead = spawn(_waits)
    await end(dead, "boom")
    system_monitor(dead_letters=True)
    system_monitor(dead_letters=True)
    send(dead, "once")
    system_monitor()
    send(dead, "not at all")
    assert (mailbox(), dead_letters()) == ([DeadLetter(dead, "once", "noproc")], {"noproc": 2})


@in_process
async def test_several_may_listen_and_those_that_have_ended_leave_nothing_behind() -> None:
    async def listens() -> None:
        system_monitor(dead_letters=True, long_message_queue=(1, 2), scheduler_lag=1.0)
        await receive()

    _, runtime = acting()
    listeners = [spawn(listens), spawn(listens)]
    await passed(0.1)
    assert len(runtime.dead_letters.listeners) == 2
    for pid in listeners:
        await end(pid, "boom")
    await passed(1)
    assert (runtime.dead_letters.listeners, len(runtime.table)) == ({}, 1)


@in_process
async def test_who_listens_holds_nobody_however_full_its_mailbox_is() -> None:
    async def listens() -> None:
        bound_mailbox(1, "block")
        system_monitor(dead_letters=True)
        await receive(_never)

    listener = spawn(listens)
    dead = spawn(_waits)
    await end(dead, "boom")
    for number in range(3):
        send(dead, number)
        await asyncio.sleep(0)  # where it would be held for ever
    info = process_info(listener)
    assert info is not None
    assert info.message_queue_len == 3


def _never(_message: object) -> bool:
    return False


# -- long mailboxes


async def _keeps_until_told() -> None:
    """Reads nothing until it is told to, and then all."""
    await receive(lambda message: message == "go")
    while True:
        await receive()


@in_process
async def test_a_mailbox_is_told_of_once_when_it_becomes_long_and_once_when_it_is_no_longer() -> None:
    system_monitor(long_message_queue=(1, 10))
    pid = spawn(_keeps_until_told)
    told: list[list[Any]] = []
    for messages in [range(9), [9], [10], ["go"], range(3)]:
        for message in messages:
            send(pid, message)
        await passed(1.5)
        told.append([await receive(timeout=0) for _ in mailbox()])
    label = _keeps_until_told.__qualname__
    long = LongMessageQueue(pid, label, 10, long=True)
    assert told == [[], [long], [], [LongMessageQueue(pid, label, 0, long=False)], []]


@in_process
async def test_a_long_mailbox_that_ends_with_its_process_is_not_told_of() -> None:
    system_monitor(long_message_queue=(1, 10))
    pid = spawn(_sleeps)
    for number in range(20):
        send(pid, number)
    await passed(1.5)
    await end(pid, "boom")
    await passed(1.5)
    assert [event.long for event in mailbox()] == [True]


# -- lag


@in_process
async def test_a_loop_that_is_held_up_is_told_of() -> None:
    system_monitor(scheduler_lag=0.5)
    await passed(10)
    assert mailbox() == []
    lose_time(0.8)
    [event] = [await receive(SchedulerLag)]
    assert 0.5 <= event.seconds <= 0.8
    await passed(10)
    assert mailbox() == []


@in_process
async def test_a_full_run_queue_is_lag_too() -> None:
    """Each of these steps is short, and the loop has its turns between them."""

    async def step() -> None:
        for _ in range(10):
            lose_time(0.001)
            await asyncio.sleep(0)

    system_monitor(scheduler_lag=0.2)
    for _ in range(1000):
        spawn(step)
    event = await receive(SchedulerLag, 100.0)
    assert event.seconds >= 0.2


# -- long steps


class Noticed(structlog.testing.LogCapture):
    """The log; a step can wait in it until the watchdog has seen it."""

    def __init__(self) -> None:
        super().__init__()
        self._noticed: defaultdict[Pid, threading.Event] = defaultdict(threading.Event)

    def __call__(self, logger: Any, method: str, event: Any) -> NoReturn:
        if event["event"] == "long_schedule":
            self._noticed[event["pid"]].set()
        super().__call__(logger, method, event)

    def step(self) -> None:
        """A step that takes long."""
        assert self._noticed[self_pid()].wait(10), "the watchdog has not seen it"

    def of_long_steps(self, pid: Pid) -> list[Any]:
        """What was logged of one process; on a machine with much to do, another may take long too."""
        return [line for line in self.entries if line["event"].startswith("long_schedule") and line["pid"] == pid]


@pytest.fixture
def noticed() -> Iterator[Noticed]:
    capture = Noticed()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "pydist-watchdog"]


def test_a_long_step_is_logged_while_it_runs_with_its_stack_and_again_when_it_has_ended(noticed: Noticed) -> None:
    pids: list[Pid] = []

    async def takes_long() -> None:
        pids.append(self_pid())
        noticed.step()

    async def main() -> None:
        await ended(spawn(takes_long, name="slow"))

    run(main, long_schedule=0.01)
    first, second = noticed.of_long_steps(pids[0])
    assert {**first, "seconds": 0, "stack": ""} == {
        "event": "long_schedule",
        "log_level": "warning",
        "pid": pids[0],
        "name": "slow",
        "label": takes_long.__qualname__,
        "seconds": 0,
        "stack": "",
    }
    assert {**second, "seconds": 0} == {
        "event": "long_schedule_ended",
        "log_level": "warning",
        "pid": pids[0],
        "name": "slow",
        "label": takes_long.__qualname__,
        "seconds": 0,
    }
    assert 0.01 <= first["seconds"] <= second["seconds"]
    functions = [line.split(" in ")[1] for line in first["stack"].splitlines() if line.startswith("  File")]
    assert functions[:2] == ["takes_long", "step"]


def test_who_asks_hears_of_a_long_step_when_it_has_ended(noticed: Noticed) -> None:
    async def takes_long() -> None:
        noticed.step()

    async def main() -> tuple[Pid, Any]:
        system_monitor(long_schedule=0.001)
        pid = spawn(takes_long)
        return pid, await receive(lambda event: event.pid == pid)

    pid, event = run(main, long_schedule=0.01)
    assert event == LongSchedule(pid, takes_long.__qualname__, event.seconds, event.stack)
    assert event.seconds >= 0.01
    assert "noticed.step()" in event.stack


def test_who_is_killed_and_never_awaits_is_dead_at_once_and_its_step_is_reported(noticed: Noticed) -> None:
    seen: list[bool] = []

    async def kills_itself_and_goes_on() -> None:
        with suppress(BaseException):
            exit(self_pid(), KILL)
        seen.append(is_alive(self_pid()))
        noticed.step()

    async def main() -> tuple[Pid, Any, Any]:
        pid, ref = spawn(kills_itself_and_goes_on, monitor=True)
        return pid, (await receive(ref)).reason, seen

    pid, reason, alive = run(main, long_schedule=0.01)
    assert (reason, alive) == (KILLED, [False])
    assert [line["event"] for line in noticed.of_long_steps(pid)] == ["long_schedule", "long_schedule_ended"]


@pytest.mark.parametrize("options", [{}, {"long_schedule": None}])
def test_a_node_has_no_watchdog_unless_it_is_told_to(options: Any) -> None:
    async def main() -> list[str]:
        node = Node(**options)
        await node.start()
        before = threads()
        await node.stop()
        return before

    assert asyncio.run(main()) == []


def test_a_watchdog_ends_with_its_node() -> None:
    async def main() -> list[str]:
        return threads()

    assert (run(main), threads()) == (["pydist-watchdog"], [])
    assert run(main, long_schedule=None) == []


@in_process
async def test_a_watchdog_ends_with_the_last_that_wants_it() -> None:
    seen = [threads()]
    system_monitor(long_schedule=10.0)
    seen.append(threads())
    system_monitor()
    seen.append(threads())

    async def asks() -> None:
        system_monitor(long_schedule=10.0)
        seen.append(threads())

    await ended(spawn(asks))
    await passed(0.1)
    seen.append(threads())
    assert seen == [[], ["pydist-watchdog"], [], ["pydist-watchdog"], []]


# -- bad input


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"long_schedule": 0}, "long_schedule is a number of seconds above 0, not 0"),
        ({"long_schedule": float("nan")}, "long_schedule is a number of seconds above 0, not nan"),
        ({"long_schedule": "1"}, "long_schedule is a number of seconds above 0, not '1'"),
        ({"scheduler_lag": -1.0}, "scheduler_lag is a number of seconds above 0, not -1.0"),
        ({"long_message_queue": (10, 1)}, r"with 0 <= disable < enable, not \(10, 1\)"),
        ({"long_message_queue": 10}, "with 0 <= disable < enable, not 10"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: Any, text: str) -> None:
    @in_process
    async def body() -> None:
        with pytest.raises(ValueError, match=text):
            system_monitor(**options)

    body()


def test_a_node_refuses_a_limit_that_makes_no_sense() -> None:
    with pytest.raises(NodeStartError, match="long_schedule is a number of seconds above 0, not 0"):
        Node(long_schedule=0)
