"""Whoever is interrupted in the middle of an operation, at whichever of its steps, leaves nothing behind."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, TypeAlias

import pytest

from pydist import (
    KILL,
    CallTimeout,
    GenServer,
    Pid,
    Registry,
    Request,
    Supervisor,
    Task,
    TaskSupervisor,
    call,
    child,
    exit,  # noqa: A004  # OTP's name
    get_state,
    is_alive,
    multi_call,
    pg,
    receive,
    receive_response,
    send_request,
    spawn,
    trap_exit,
    unlink,
)
from pydist.messaging import acting, current
from pydist.scheduler import NEXT
from tests.helpers import in_process, links_and_monitors, mailbox, passed

Operation: TypeAlias = Callable[[], Awaitable[object]]
"""What is interrupted. When it is not, it leaves nothing behind either."""


class Ask(Request[int], tag="test_interrupted.Ask"):
    pass


class Slow(GenServer):
    """Takes its time for all it does."""

    async def init(self, *, trap: bool = False) -> None:
        trap_exit(trap)
        await asyncio.sleep(0.01)

    async def handle_call(self, request: Any, caller: Any, /) -> int:
        await asyncio.sleep(0.01)
        return 7


async def works(value: int = 1) -> int:
    await asyncio.sleep(0.01)
    return value


async def waits() -> None:
    await receive()


async def _killed(start: Awaitable[Pid]) -> None:
    pid = await start
    unlink(pid)
    exit(pid, KILL)


async def _too_late() -> None:
    with pytest.raises(CallTimeout):
        await call("slow", Ask(), 0.005)


async def _all_of(stream: Any) -> list[Any]:
    return [outcome async for outcome in stream]


OPERATIONS: Final[dict[str, Operation]] = {
    "start": lambda: _killed(Slow.start_link(name="new")),
    "start one that traps exits": lambda: _killed(Slow.start_link(name="new", trap=True)),
    "start by way of a registry": lambda: _killed(Slow.start_link(name=Registry("registry").via("new"))),
    "start a supervisor": lambda: _killed(Supervisor.start_link([child(Slow, id="a"), child(Slow, id="b")])),
    "call": lambda: call("slow", Ask()),
    "call for too short a time": _too_late,
    "call by way of a registry": lambda: call(Registry("registry").via("slow"), Ask()),
    "request": lambda: receive_response(send_request("slow", Ask())),
    "call many": lambda: multi_call("slow", Ask(), timeout=1),
    "look inside": lambda: get_state("slow"),
    "task": lambda: Task.async_(works).await_(),
    "tasks": lambda: Task.await_many([Task.async_(works, number) for number in range(3)]),
    "shutdown of a task": lambda: Task.async_(waits).shutdown(),
    "stream": lambda: _all_of(Task.async_stream(works, range(4), max_concurrency=2)),
    "supervised stream": lambda: _all_of(TaskSupervisor.async_stream("tasks", works, range(4), max_concurrency=2)),
    "supervised stream without links": lambda: _all_of(
        TaskSupervisor.async_stream_nolink("tasks", works, range(4), max_concurrency=2)
    ),
}


async def _set_up() -> None:
    await Slow.start_link(name="slow")
    await Registry.start_link(keys="unique", name="registry")
    await Slow.start_link(name=Registry("registry").via("slow"))
    await TaskSupervisor.start_link(name="tasks")
    await pg.start_link("chat")
    await passed(0.1)


def _all_there_is() -> list[Any]:
    """The processes, what they hold, and the timers that run."""
    me, runtime = acting()
    processes = [each for each in runtime.table.values() if each is not me]
    held = [(each.label, links_and_monitors(each.pid), each.mailbox.messages()) for each in processes]
    return [*held, Registry("registry").count(), dict(runtime.message_timers._running)]


@types.coroutine
def _step() -> Generator[object, None, None]:
    """Let each process that is ready take a step."""
    yield NEXT


async def _steps(number: int) -> None:
    """So many steps of all others; from time to time that is some milliseconds."""
    for each in range(1, number + 1):
        await (_step() if each % 8 else passed(0.003))


def _cancel(pid: Pid) -> None:
    process = acting()[1].process(pid)
    assert process is not None
    process.cancel()


STRIKES: Final[dict[str, Callable[[Pid], object]]] = {
    "exit": lambda pid: exit(pid, "enough"),
    "kill": lambda pid: exit(pid, KILL),
    "cancel": _cancel,
}


async def _interrupted(operation: Operation, held: list[Any]) -> None:
    """Lives on if it was cancelled, and then tells what it holds."""
    try:
        await _step()
        await operation()
    except asyncio.CancelledError:
        if current().dying:
            raise
        current().uncancel()
        await passed(10)  # a task that nobody waits for any more goes on until it is done
    held.append((mailbox(), links_and_monitors()))


@pytest.mark.parametrize("strike", STRIKES)
@pytest.mark.parametrize("operation", OPERATIONS)
@in_process
async def test_who_is_interrupted_at_any_step_leaves_nothing_behind(operation: str, strike: str) -> None:
    await _set_up()
    before = _all_there_is()
    steps = 0
    while True:
        steps += 1
        held: list[Any] = []
        pid = spawn(_interrupted, OPERATIONS[operation], held)
        await _steps(steps)
        if not is_alive(pid):
            break
        STRIKES[strike](pid)
        await passed(100)
        assert _all_there_is() == before, f"after {steps} steps"
        assert held == ([([], (0, 0, 0, 0))] if strike == "cancel" else []), f"after {steps} steps"
    assert steps > 2
