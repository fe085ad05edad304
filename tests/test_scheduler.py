from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    Crash,
    Node,
    Pid,
    exit,  # noqa: A004  # OTP's name
    receive,
    self_pid,
    send,
    spawn,
)
from pydist.messaging import acting, current
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.scheduler import ROUNDS, STEPS
from pydist.task_state import REDUCTIONS
from tests.virtual_time import VirtualLoop, run_process


async def wait() -> None:
    await receive()


def test_processes_that_wake_together_run_in_the_order_they_woke() -> None:
    async def says(to: Pid, what: int) -> None:
        await receive()
        send(to, what)

    async def main() -> list[int]:
        pids = [spawn(says, self_pid(), number) for number in range(100)]
        await asyncio.sleep(0)
        for pid in reversed(pids):
            send(pid, "go")
        return [await receive() for _ in pids]

    assert run_process(main) == list(reversed(range(100)))


class Looker:
    """A process that is woken behind a busy one, and notes how far that one is by then."""

    def __init__(self) -> None:
        self.done = 0
        self.seen: list[int] = []

    async def look(self, tell: Pid) -> None:
        await receive()
        self.seen.append(self.done)
        send(tell, "seen")


@pytest.mark.parametrize("pattern", [None, int])
def test_a_full_mailbox_does_not_keep_others_waiting(pattern: Any) -> None:
    looker = Looker()

    async def busy() -> None:
        while True:
            await receive(pattern)
            looker.done += 1

    async def main() -> None:
        pid, other = spawn(busy), spawn(looker.look, self_pid())
        await asyncio.sleep(0)
        for number in range(10 * REDUCTIONS):
            send(pid, number)
        send(other, "look")
        await receive()

    run_process(main)
    assert 0 < looker.seen[0] <= REDUCTIONS


def test_who_sends_to_itself_for_ever_does_not_keep_others_waiting() -> None:
    looker = Looker()

    async def restless() -> None:
        while True:
            send(self_pid(), "again")
            await receive()
            looker.done += 1

    async def main() -> None:
        other = spawn(looker.look, self_pid())
        await asyncio.sleep(0)
        spawn(restless)
        send(other, "look")
        await receive()

    run_process(main)
    assert 0 < looker.seen[0] <= REDUCTIONS


def test_processes_that_always_have_work_leave_the_event_loop_its_turn() -> None:
    steps = 0

    async def throws_back() -> None:
        nonlocal steps
        while True:
            send(await receive(), self_pid())
            steps += 1

    async def main() -> int:
        loop = asyncio.get_running_loop()
        first, second = spawn(throws_back), spawn(throws_back)
        send(first, second)
        seen: asyncio.Future[int] = loop.create_future()
        loop.call_soon(lambda: loop.call_soon(lambda: seen.set_result(steps)))
        return await seen

    assert 0 < run_process(main) <= 2 * ROUNDS * STEPS


def test_who_yields_for_ever_does_not_keep_others_waiting() -> None:
    turns = 0

    async def yields() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> int:
        spawn(yields)
        for _ in range(10):
            await asyncio.sleep(0)
        return turns

    assert 5 <= run_process(main) <= 15


def test_a_process_is_the_current_task_while_it_runs_and_no_longer() -> None:
    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        outside: asyncio.Future[object] = loop.create_future()
        loop.call_soon(lambda: outside.set_result(asyncio.current_task()))
        before = asyncio.current_task()
        seen = await outside
        return [id(before) == id(current()), seen, asyncio.current_task() is before]

    assert run_process(main) == [True, None, True]


def test_a_woken_process_has_left_the_queue_when_it_waits_again() -> None:
    async def main() -> list[int]:
        pids = [spawn(wait) for _ in range(50)]
        await asyncio.sleep(1)
        for pid in pids:
            send(pid, 1)
            send(pid, 2)
        _, runtime = acting()
        queued = runtime.scheduler.ready
        await asyncio.sleep(1)
        return [queued, runtime.scheduler.ready, len(runtime.table)]

    assert run_process(main) == [50, 0, 1]


@types.coroutine
def foreign(value: object) -> Generator[object, Any, Any]:
    return (yield value)


@pytest.mark.parametrize("value", ["trio would do this", 5, asyncio.CancelledError()])
def test_awaiting_what_belongs_to_another_library_is_an_error_at_that_await(value: object) -> None:
    async def main() -> str:
        with pytest.raises(RuntimeError, match="can't await what yields"):
            await foreign(value)
        send(self_pid(), "still alive")
        return str(await receive())

    assert run_process(main) == "still alive"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_to_end_the_program_ends_it_and_the_process_too(error: type[BaseException]) -> None:
    async def ends() -> None:
        raise error("now")

    ends_seen: list[object] = []
    loop = VirtualLoop()
    node = Node()

    async def watches() -> None:
        _, ref = spawn(ends, monitor=True)
        ends_seen.append((await receive(ref)).reason)

    loop.run_until_complete(node.start())
    with pytest.raises(error, match="now"):
        loop.run_until_complete(node.run(watches))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(1))
    loop.run_until_complete(node.stop())
    loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    (reason,) = ends_seen
    assert isinstance(reason, Crash)
    assert (reason.error, reason.message) == (error.__name__, "now")


async def notes(seen: list[object]) -> None:
    seen.append(self_pid())


def test_a_step_may_run_a_batch_and_goes_on_as_itself() -> None:
    async def main() -> list[bool]:
        me, task, seen = current(), asyncio.current_task(), list[object]()
        other = spawn(notes, seen)
        me.scheduler.run_batch()
        return [seen == [other], current() is me, asyncio.current_task() is task]

    assert run_process(main) == [True, True, True]


def test_a_step_may_run_a_batch_of_another_node_and_goes_on_as_itself() -> None:
    async def main() -> list[bool]:
        me, task, seen = current(), asyncio.current_task(), list[object]()
        runtime = Runtime(asyncio.get_running_loop())
        other = runtime.spawn(notes, (seen,))
        runtime.scheduler.run_batch()
        return [seen == [other.pid], current() is me, asyncio.current_task() is task]

    assert run_process(main) == [True, True, True]


def test_a_task_of_asyncio_may_run_a_batch_and_stays_the_current_one() -> None:
    async def main() -> list[bool]:
        task, seen = asyncio.current_task(), list[object]()
        runtime = Runtime(asyncio.get_running_loop())
        other = runtime.spawn(notes, (seen,))
        runtime.scheduler.run_batch()
        return [seen == [other.pid], asyncio.current_task() is task]

    assert asyncio.run(main()) == [True, True]


def test_who_is_killed_by_a_batch_that_its_own_step_runs_comes_to_its_next_await() -> None:
    async def kills(pid: Pid) -> None:
        exit(pid, KILL)

    async def victim(seen: list[str]) -> None:
        spawn(kills, self_pid())
        current().scheduler.run_batch()
        seen.append("goes on")
        await receive()
        seen.append("goes on for ever")

    async def main() -> tuple[Any, list[str]]:
        seen: list[str] = []
        _, ref = spawn(victim, seen, monitor=True)
        return (await receive(ref)).reason, seen

    assert run_process(main) == (KILLED, ["goes on"])


def test_an_error_of_the_runtime_itself_leaves_asyncio_as_it_was() -> None:
    class Broken(Runtime):
        def forget(self, process: Process) -> None:
            super().forget(process)
            raise ZeroDivisionError

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        seen: list[object] = []
        loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
        runtime = Broken(loop)
        runtime.spawn(raises, ())
        loop.call_soon(lambda: seen.append(asyncio.current_task()))
        await asyncio.sleep(0)
        return seen

    async def raises() -> None:
        raise ValueError

    assert asyncio.run(main()) == ["ZeroDivisionError()", None]


def test_nodes_on_one_loop_do_not_take_each_other_for_the_runner() -> None:
    async def name(of: Callable[[], Coroutine[Any, Any, None]]) -> Pid:
        await of()
        return self_pid()

    async def pause() -> None:
        await asyncio.sleep(1)

    async def main() -> list[bool]:
        nodes = [Node(), Node()]
        for node in nodes:
            await node.start()
        pids = [node.spawn(wait) for node in nodes]
        await asyncio.gather(*(node.run(name, pause) for node in nodes))
        for node in nodes:
            await node.stop()
        return [pids[0] == pids[1], pids[0] is pids[1]]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == [True, False]
