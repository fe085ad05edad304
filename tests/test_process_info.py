from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    GenServer,
    Node,
    Pid,
    ProcessInfo,
    alias,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    process_info,
    processes,
    receive,
    registered,
    self_pid,
    send,
    spawn,
    trap_exit,
    unlink,
    unregister,
)
from tests.helpers import end, in_process, passed

HERE = "nonode@nohost"


async def wait() -> None:
    await receive()


async def take_all() -> None:
    while True:
        await receive()


async def sleep() -> None:
    await asyncio.sleep(1000)


async def clean_up_long() -> None:
    try:
        await receive()
    finally:
        await asyncio.sleep(1000)


def info(pid: Pid) -> ProcessInfo:
    found = process_info(pid)
    assert found is not None
    return found


@in_process
async def test_a_process_that_waits_is_seen_as_it_stands() -> None:
    async def busy(first: Pid, second: Pid) -> None:
        trap_exit(True)
        link(first)
        link(second)
        unlink(first)
        monitor(second)
        monitor(second)
        alias()
        await receive(str)

    first, second = spawn(wait), spawn(wait)
    pid, _ = spawn(busy, first, second, monitor=True, name="busy")
    send(pid, 1)
    send(pid, 2)
    await passed(1)
    found = info(pid)
    assert found.stack[0].startswith(f"{busy.__qualname__} ({__file__}:")
    assert found == ProcessInfo(
        pid=pid,
        name="busy",
        label=busy.__qualname__,
        parent=self_pid(),
        status="waiting",
        message_queue_len=2,
        links=[second],
        monitors=[second, second],
        monitored_by=[self_pid()],
        trap_exit=True,
        aliases=1,
        stack=found.stack,
        reductions=found.reductions,
    )


@in_process
async def test_a_process_without_anything_has_nothing_to_show() -> None:
    found = info(spawn(wait))
    assert (found.name, found.links, found.monitors, found.monitored_by) == (None, [], [], [])
    assert (found.message_queue_len, found.trap_exit, found.aliases) == (0, False, 0)


@in_process
async def test_to_look_changes_nothing() -> None:
    pid = spawn(wait)
    await passed(1)
    found = info(pid)
    found.links.append(self_pid())
    found.monitored_by.append(self_pid())
    assert info(pid).links == info(pid).monitored_by == []


@in_process
async def test_the_status_says_what_a_process_is_about() -> None:
    fresh, waits, sleeps, cleans = spawn(wait), spawn(wait), spawn(sleep), spawn(clean_up_long)
    statuses = [info(fresh).status, info(self_pid()).status]
    await passed(1)
    exit(cleans, "boom")
    statuses += [info(pid).status for pid in (waits, sleeps, cleans)]
    send(waits, "go on")
    statuses.append(info(waits).status)
    await passed(1)
    statuses += [info(cleans).status, process_info(waits)]  # type: ignore[list-item]  # there is none any more
    assert statuses == ["runnable", "running", "waiting", "waiting", "exiting", "runnable", "exiting", None]


@in_process
async def test_each_step_and_each_message_is_work() -> None:
    pid = spawn(take_all)
    worked = [info(pid).reductions]
    await passed(1)
    worked.append(info(pid).reductions)
    for number in range(2500):
        send(pid, number)
    await passed(1)
    worked.append(info(pid).reductions)
    assert (worked[0], worked[1] in {1, 2}) == (0, True)  # the twin counts a receive when its message is there
    assert 2500 < worked[2] < 2510  # it gave way twice, and waits for one more
    exit(pid, "enough")
    assert worked[2] - 2 <= info(pid).reductions <= worked[2] + 2


class Counter(GenServer):
    """Its label is its class."""


@in_process
async def test_the_label_of_a_server_is_its_class() -> None:
    assert info(await Counter.start()).label == "Counter"


@in_process
async def test_of_the_dead_and_of_an_earlier_life_there_is_nothing_to_see() -> None:
    pid = spawn(wait)
    await end(pid, "boom")
    assert [process_info(pid), process_info(Pid(HERE, self_pid().number, 7))] == [None, None]


@in_process
async def test_a_process_of_another_node_cannot_be_looked_at() -> None:
    with pytest.raises(ValueError, match="lives on another node: only a process of that node can look at it"):
        process_info(Pid("other@host", 1, 1))


@in_process
async def test_only_a_pid_can_be_looked_at() -> None:
    name: Any = "counter"
    with pytest.raises(TypeError, match="process_info takes a Pid, not 'counter'"):
        process_info(name)


@in_process
async def test_processes_are_all_that_have_not_ended_oldest_first() -> None:
    first, second, third = spawn(wait), spawn(clean_up_long), spawn(wait)
    await passed(1)
    exit(second, "boom")
    await end(first, "boom")
    assert processes() == [self_pid(), second, third]


@in_process
async def test_registered_are_all_names_oldest_first() -> None:
    pids = [spawn(wait, name=name) for name in ("c", "a", "b", "d")]
    unregister("a")
    await end(pids[3], "boom")
    assert registered() == ["c", "b"]


async def test_what_was_seen_can_be_sent_to_another_node(pair: tuple[Node, Node]) -> None:
    a, b = pair

    async def look_at(pid: Pid) -> ProcessInfo:
        link(pid)
        monitor(("watched", pid.node))
        return info(self_pid())

    async def ask() -> list[Any]:
        me, here = self_pid(), a.name
        there = b.spawn(tell, me)
        found = await receive(ProcessInfo, 5)
        return [found.pid == there, found.links == [me], found.monitors == [("watched", here)], found.parent]

    async def tell(asker: Pid) -> None:
        send(asker, await look_at(asker))

    assert await a.run(ask) == [True, True, True, None]
