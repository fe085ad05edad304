"""Tasks under a supervisor. What Elixir's task/supervisor_test.exs asks; README.md has the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
    Died,
    Down,
    EncodeError,
    Exit,
    GenServer,
    Node,
    NoProcess,
    Outcome,
    Pid,
    Returned,
    Supervisor,
    Task,
    TaskError,
    TaskReply,
    TaskStream,
    TaskSupervisor,
    TaskTimeout,
    cast,
    child,
    count_children,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    start_child,
    terminate_child,
    trap_exit,
    whereis,
)
from pydist.messaging import current
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, now, passed, plain
from tests.tasks import double, when_told
from tests.virtual_time import run_process

ALONE = (1, 0, 0, 0)
"""Nothing but the link with the supervisor."""

Starts = Callable[..., Any]
BOTH = pytest.mark.parametrize("start", [TaskSupervisor.async_, TaskSupervisor.async_nolink])


async def sleep(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def leave(reason: Any) -> None:
    raise Exit(reason)


async def stubborn(told: Pid) -> None:
    trap_exit(True)
    send(told, "ready")
    while True:
        await receive()


async def all_of(stream: TaskStream[Any]) -> list[Outcome[Any]]:
    return [outcome async for outcome in stream]


def returned(*values: Any) -> list[Returned[Any]]:
    return [Returned(value) for value in values]


def links_of(pid: Pid) -> int:
    return links_and_monitors(pid)[0]


class Slow(GenServer):
    async def init(self) -> None:
        await asyncio.sleep(2)


async def keep_busy(supervisor: Pid) -> None:
    """For two seconds the supervisor answers nobody, and has a child more after that."""

    async def ask() -> None:
        await start_child(supervisor, child(Slow))

    spawn(ask)
    await asyncio.sleep(0)


# -- the supervisor


@in_process
async def test_it_is_a_child_of_a_supervisor() -> None:
    trap_exit(True)
    specs = [child(TaskSupervisor, name="a", max_children=1), child(TaskSupervisor, name="b")]
    top = await Supervisor.start_link(specs)

    task = await TaskSupervisor.async_nolink("a", when_told)
    assert await TaskSupervisor.children("a") == [task.pid]
    assert await end(top, SHUTDOWN) is SHUTDOWN
    assert (whereis("a"), is_alive(task.pid)) == (None, False)


@in_process
async def test_it_counts_and_lists_its_tasks() -> None:
    supervisor = await TaskSupervisor.start_link()
    assert await TaskSupervisor.children(supervisor) == []

    tasks = [await TaskSupervisor.async_(supervisor, when_told) for _ in range(3)]

    assert await TaskSupervisor.children(supervisor) == [task.pid for task in tasks]
    assert await count_children(supervisor) == {"specs": 3, "active": 3, "supervisors": 0, "workers": 3}


# -- async_ and async_nolink


@in_process
async def test_a_task_is_linked_to_its_supervisor_and_its_owner() -> None:
    supervisor = await TaskSupervisor.start_link()

    linked = await TaskSupervisor.async_(supervisor, when_told)
    alone = await TaskSupervisor.async_nolink(supervisor, when_told)
    await passed(1)

    assert (links_of(linked.pid), links_of(alone.pid), links_and_monitors()) == (2, 1, (2, 2, 0, 2))


@BOTH
def test_a_task_answers_its_owner_and_leaves_nothing(start: Starts) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()

        task = await start(supervisor, double, 21)

        assert (type(task), task.owner, repr(task)) == (Task, self_pid(), f"<Task double {task.pid}>")
        assert await task.await_() == 42
        assert (mailbox(), links_and_monitors(), await TaskSupervisor.children(supervisor)) == ([], ALONE, [])

    test()


@in_process
async def test_a_task_bears_the_name_of_its_function_and_is_its_supervisors_child() -> None:
    async def who() -> tuple[str, Pid | None]:
        return current().label, current().parent

    supervisor = await TaskSupervisor.start_link()
    task = await TaskSupervisor.async_(supervisor, who)
    assert await task.await_() == (who.__qualname__, supervisor)


@in_process
async def test_the_crash_of_a_linked_task_reaches_its_owner() -> None:
    supervisor = await TaskSupervisor.start_link()

    async def owner() -> None:
        task = await TaskSupervisor.async_(supervisor, leave, "oops")
        await task.await_()

    assert (await ended(spawn(owner)), is_alive(supervisor)) == ("oops", True)


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, "oops"])
def test_the_crash_of_a_task_without_link_is_an_outcome(reason: Any) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()

        with pytest.raises(TaskError) as caught:
            await (await TaskSupervisor.async_nolink(supervisor, leave, reason)).await_()
        died = await (await TaskSupervisor.async_nolink(supervisor, leave, reason)).yield_()

        assert (caught.value.reason, died, mailbox(), links_and_monitors()) == (reason, Died(reason), [], ALONE)

    test()


@in_process
async def test_a_task_without_link_survives_its_owner() -> None:
    supervisor = await TaskSupervisor.start_link()

    async def owner() -> None:
        await TaskSupervisor.async_(supervisor, when_told)
        await TaskSupervisor.async_nolink(supervisor, when_told)
        raise Exit("enough")

    pid, ref = spawn(owner, monitor=True)
    await receive(ref)
    await passed(1)

    [survivor] = await TaskSupervisor.children(supervisor)
    assert pid != survivor


@BOTH
def test_an_await_that_took_too_long_leaves_nothing_to_come(start: Starts) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()
        task = await start(supervisor, when_told)
        with pytest.raises(TaskTimeout):
            await task.await_(0)

        send(task.pid, "done")
        await ended(task.pid)

        assert (mailbox(), links_and_monitors()) == ([], ALONE)

    test()


@BOTH
def test_more_tasks_than_may_be_are_an_error(start: Starts) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link(max_children=1)
        task = await start(supervisor, when_told)

        with pytest.raises(ChildError, match="child 'double': max_children"):
            await start(supervisor, double, 1)

        assert await task.shutdown() is None
        await passed(1)
        assert await (await start(supervisor, double, 1)).await_() == 2

    test()


@BOTH
def test_a_task_has_its_own_time_to_stop_with_the_supervisor(start: Starts) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)
        supervisor = await TaskSupervisor.start_link()
        patient = await start(supervisor, stubborn, self_pid(), shutdown=3)
        killed = await start(supervisor, stubborn, self_pid(), shutdown="brutal_kill")
        for _ in range(2):
            await receive(str)
        began = now()

        exit(supervisor, SHUTDOWN)

        assert (await killed.yield_(), now() - began) == (Died(KILLED), 0)
        assert (await patient.yield_(), now() - began) == (Died(KILLED), 3)

    test()


@in_process
async def test_without_a_supervisor_there_is_no_task() -> None:
    with pytest.raises(NoProcess):
        await TaskSupervisor.async_("nobody", double, 1)
    wrong: Any = double(1)
    with pytest.raises(TypeError, match=r"double, \.\.\. and not double"):
        await TaskSupervisor.async_("nobody", wrong)


def test_an_owner_that_is_interrupted_while_it_starts_a_task_leaves_none(logs: list[EventDict]) -> None:
    run_process(interrupted_start)
    assert [each for each in logs if each["log_level"] == "error"] == []


async def interrupted_start() -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    supervisor = await TaskSupervisor.start_link(max_children=2)
    await keep_busy(supervisor)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await TaskSupervisor.async_(supervisor, work)
    await passed(10)

    assert (ran, mailbox(), links_and_monitors()) == ([], [], ALONE)
    assert len(await TaskSupervisor.children(supervisor)) == 1


@in_process
async def test_a_task_whose_owner_dies_before_it_has_its_order_ends() -> None:
    supervisor = await TaskSupervisor.start_link()
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    async def owner() -> None:
        await TaskSupervisor.async_nolink(supervisor, work)

    await keep_busy(supervisor)
    pid = spawn(owner)
    await passed(1)
    await end(pid, KILL)
    await passed(2)

    assert (ran, len(await TaskSupervisor.children(supervisor))) == ([], 1)


# -- children


@in_process
async def test_a_child_runs_for_its_effects_under_the_supervisor_only() -> None:
    supervisor = await TaskSupervisor.start_link()

    pid = await TaskSupervisor.start_child(supervisor, when_told)

    assert (await TaskSupervisor.children(supervisor), links_of(pid), links_and_monitors()) == ([pid], 1, ALONE)
    ref = monitor(pid)
    send(pid, "done")
    assert (await receive(ref)).reason is NORMAL
    assert await TaskSupervisor.children(supervisor) == []


@pytest.mark.parametrize(
    ("restart", "reason", "again"),
    [
        ("temporary", "oops", False),
        ("transient", "oops", True),
        ("transient", SHUTDOWN, False),
        ("permanent", SHUTDOWN, True),
    ],
)
def test_a_child_is_restarted_as_it_is_said(restart: Any, reason: Any, again: bool) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()
        pid = await TaskSupervisor.start_child(supervisor, sleep, 1000, restart=restart)

        await end(pid, reason)
        await passed(1)

        children = await TaskSupervisor.children(supervisor)
        assert (len(children), pid in children) == (int(again), False)

    test()


@in_process
async def test_a_child_can_be_terminated() -> None:
    supervisor = await TaskSupervisor.start_link()
    pid = await TaskSupervisor.start_child(supervisor, when_told)

    await terminate_child(supervisor, pid)

    assert (await TaskSupervisor.children(supervisor), is_alive(pid)) == ([], False)
    with pytest.raises(ChildError, match="not_found"):
        await terminate_child(supervisor, pid)


# -- streams


STREAMS = pytest.mark.parametrize("stream", [TaskSupervisor.async_stream, TaskSupervisor.async_stream_nolink])


@STREAMS
@pytest.mark.parametrize("inputs", [[1, 2, 3, 4], [4, 3, 2, 1]])
def test_outcomes_come_in_order_and_nothing_is_left(stream: Any, inputs: list[float]) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()

        assert await all_of(stream(supervisor, sleep, inputs, max_concurrency=2)) == returned(*inputs)
        assert (mailbox(), links_and_monitors(), await TaskSupervisor.children(supervisor)) == ([], ALONE, [])

    test()


@STREAMS
def test_a_stream_that_is_left_stops_its_tasks(stream: Any) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()

        async for outcome in stream(supervisor, sleep, [0, 1000, 1000, 1000]):
            assert outcome == Returned(0)
            break

        assert (mailbox(), links_and_monitors()) == ([], ALONE)
        assert await TaskSupervisor.children(supervisor) == []

    test()


@in_process
async def test_without_links_reasons_are_outcomes_for_a_consumer_that_does_not_trap_exits() -> None:
    supervisor = await TaskSupervisor.start_link()
    stream = TaskSupervisor.async_stream_nolink(supervisor, leave, [1, 2, 3], zip_input_on_exit=True)
    assert await all_of(stream) == [Died((1, 1)), Died((2, 2)), Died((3, 3))]


@in_process
async def test_with_links_a_crash_ends_the_consumer() -> None:
    supervisor = await TaskSupervisor.start_link()

    async def consumer() -> None:
        await all_of(TaskSupervisor.async_stream(supervisor, leave, ["oops"]))

    assert plain(await ended(spawn(consumer))) == "oops"


@STREAMS
def test_more_tasks_than_may_be_end_the_stream_and_leave_nothing(stream: Any) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link(max_children=1)

        with pytest.raises(ChildError, match="max_children"):
            await all_of(stream(supervisor, sleep, [1000, 1000], max_concurrency=2))

        assert (mailbox(), links_and_monitors(), await TaskSupervisor.children(supervisor)) == ([], ALONE, [])

    test()


@STREAMS
def test_a_task_that_takes_too_long_is_killed_under_its_supervisor_too(stream: Any) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()
        outcomes = stream(supervisor, sleep, [1, 100], timeout=5, on_timeout="kill_task", zip_input_on_exit=True)

        assert await all_of(outcomes) == [Returned(1), Died((100, Atom("timeout")))]
        assert await TaskSupervisor.children(supervisor) == []

    test()


@STREAMS
def test_an_input_is_not_lost_when_its_start_is_interrupted(stream: Any) -> None:
    @in_process
    async def test() -> None:
        supervisor = await TaskSupervisor.start_link()
        outcomes = stream(supervisor, double, [1, 2, 3])
        await keep_busy(supervisor)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(outcomes)

        assert await all_of(outcomes) == returned(2, 4, 6)

    test()


# -- in a server, and between nodes


class Fetches(GenServer):
    """Starts tasks, stays free, and keeps what becomes of them."""

    async def init(self, supervisor: Pid, told: Pid) -> None:
        self.supervisor = supervisor
        self.told = told

    async def handle_cast(self, message: Any, /) -> None:
        function, *args = message
        await TaskSupervisor.async_nolink(self.supervisor, function, *args)

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case TaskReply(_, value):
                send(self.told, ("ok", value))
            case Down(_, _, reason):
                send(self.told, ("exit", reason))
            case _:
                await super().handle_info(message)


@in_process
async def test_a_server_hears_once_of_each_task() -> None:
    server = await Fetches.start_link(await TaskSupervisor.start_link(), self_pid())
    cast(server, (double, 4))
    cast(server, (leave, "oops"))
    await passed(1)

    assert mailbox() == [("ok", 8), ("exit", "oops")]


async def test_a_supervisor_on_another_node_is_an_error_that_says_so(pair: tuple[Node, Node]) -> None:
    a, b = pair

    async def supervise() -> None:
        await TaskSupervisor.start(name="tasks")

    async def ask() -> None:
        with pytest.raises(EncodeError, match="ChildSpec, which can't be sent"):
            await TaskSupervisor.async_(("tasks", b.name), double, 1)

    await b.run(supervise)
    await a.run(ask)
