"""What tests of processes and behaviours share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeAlias

from pydist import (
    Crash,
    Down,
    Pid,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    spawn,
)
from pydist.messaging import current
from pydist.process import Process
from tests.virtual_time import run_process

P = ParamSpec("P")


def in_process(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test whose body is a process of its own node, in virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_process(partial(test, *args, **kwargs))

    return run


def now() -> float:
    """The loop's time in seconds."""
    return current().get_loop().time()


async def ended(pid: Pid) -> Any:
    """Wait for the end of a process; its reason."""
    down: Down = await receive(monitor(pid))
    return down.reason


async def end(pid: Pid, reason: Any) -> Any:
    """Send an exit signal, and wait for the end."""
    ref = monitor(pid)
    exit(pid, reason)
    return (await receive(ref)).reason


async def passed(seconds: float) -> None:
    """Let virtual time pass, and leave the mailbox alone."""
    try:
        await receive(_nothing, seconds)
    except TimeoutError:
        return


def _nothing(_message: object) -> bool:
    return False


def plain(reason: Any) -> Any:
    """An exit reason; of a crash without the traceback."""
    return (reason.error, reason.message) if isinstance(reason, Crash) else reason


def mailbox(pid: Pid | None = None) -> list[Any]:
    """What waits in the mailbox of a process of this node, oldest first: of the calling one by default."""
    return _process(pid).mailbox.messages()


def _process(pid: Pid | None) -> Process:
    me = current()
    process = me if pid is None else me.home.process(pid)
    assert process is not None
    return process


def links_and_monitors(pid: Pid | None = None) -> tuple[int, int, int, int]:
    """How many links, monitors, watchers and open aliases a process of this node has: the calling one by default."""
    process = _process(pid)
    aliases = len(process.aliases or ())
    tables = process.relations
    if tables is None:
        return 0, 0, 0, aliases
    return len(tables.links), len(tables.monitors), len(tables.watchers), aliases


Waits: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


async def wait_for_message() -> None:
    await receive()


async def wait_for_future() -> None:
    await asyncio.sleep(1000)


async def wait_for_tasks() -> None:
    async with asyncio.timeout(1000), asyncio.TaskGroup() as group:
        group.create_task(wait_for_future())


WAITS: Final[list[Waits]] = [wait_for_message, wait_for_future, wait_for_tasks]


def end_of(function: Waits, *signals: object) -> Any:
    """The reason with which a process that runs `function` ends, after exit signals sent while it waits."""

    async def main() -> Any:
        pid, ref = spawn(function, monitor=True)
        await asyncio.sleep(1)
        for reason in signals:
            exit(pid, reason)
            await asyncio.sleep(0)
        return (await receive(ref, 3600.0)).reason

    return run_process(main)


def cleaning(waits: Waits, seen: list[object]) -> Waits:
    """A function that waits, and then cleans up; it notes what has ended the wait, and that it has cleaned up."""

    async def cleans() -> None:
        try:
            await waits()
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(5)
            seen.append("cleaned")

    return cleans
