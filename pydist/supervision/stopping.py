"""How a supervisor stops its children: one after the other, or all at once with one timer for each shutdown time.

A child is monitored and told to shut down; when its time has passed it is killed. Its `Down` is waited for and not its
exit signal, so that one that has unlinked itself can't hang its supervisor. The link stays until then, so that a
supervisor that is killed meanwhile takes the child along. If the exit signal was on its way before, it has the truer
reason. Source: OTP's `supervisor.erl` (`shutdown/1`, `unlink_flush/2`, `terminate_dynamic_children/1`), and Elixir's
`dynamic_supervisor.ex` for children with times of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from pydist.core.restart import Shutdown
from pydist.mailbox import MISSING
from pydist.messaging import acting, receive
from pydist.primitives import (
    exit,  # noqa: A004  # OTP's name
    monitor,
    unlink,
)
from pydist.terms import KILL, SHUTDOWN, Down, Exited, Pid, Reason, Ref

_BATCH: Final = 100
"""How many children are told to stop before others get their turn."""


class Stoppable(Protocol):
    """What stopping needs to know of a child."""

    @property
    def pid(self) -> Pid | None:
        """Its process; None if it has none."""
        ...

    @property
    def shutdown(self) -> Shutdown:
        """How it is stopped."""
        ...


S = TypeVar("S", bound=Stoppable)
Stopped: TypeAlias = Callable[[S, Reason], object]
"""Takes a child that has been stopped, and the reason it ended with."""


async def stop(child: S, stopped: Stopped[S]) -> None:
    """Stop one child, if it runs. Other messages stay in the mailbox."""
    pid = child.pid
    if pid is None:
        return
    down: Down = await shut_down(pid, monitor(pid), child.shutdown)
    unlink(pid)  # no exit signal comes any more
    process, _ = acting()
    exited = process.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
    stopped(child, down.reason if exited is MISSING else exited.reason)


async def shut_down(pid: Pid, ref: Ref, shutdown: Shutdown) -> Any:
    """Tell a process to stop, and kill it when its time has passed; what comes of it by `ref`, a monitor of it."""
    _tell(pid, shutdown)
    try:
        return await receive(ref, _seconds(shutdown))
    except TimeoutError:
        exit(pid, KILL)
        return await receive(ref)


async def stop_all(children: Iterable[S], stopped: Stopped[S]) -> None:
    """Stop children at the same time, each with its own time. For a supervisor that ends: it drops all other messages.

    So each message is looked at once, however many children there are, and whoever still calls the supervisor.
    """
    waiting: dict[Ref, S] = {}
    for number, child in enumerate(children, 1):
        if child.pid is not None:
            waiting[monitor(child.pid)] = child
            _tell(child.pid, child.shutdown)
        if number % _BATCH == 0:
            await asyncio.sleep(0)
    deadlines = _Deadlines(waiting)
    reasons: dict[Pid, Reason] = {}
    while waiting:
        message: Any = await deadlines.receive(waiting)
        if type(message) is Exited:
            reasons[message.pid] = message.reason
        elif type(message) is Down and message.ref in waiting:
            child = waiting.pop(message.ref)
            assert child.pid is not None  # noqa: S101  # or it would not be waited for
            stopped(child, reasons.pop(child.pid, message.reason))


class _Deadlines:
    """When children that still run are killed: those with the same shutdown time together."""

    def __init__(self, waiting: dict[Ref, S]) -> None:
        _, runtime = acting()
        self._now = runtime.loop.time
        by_time: dict[float, list[Ref]] = {}
        for ref, child in waiting.items():
            seconds = _seconds(child.shutdown)
            if seconds is not None:
                by_time.setdefault(seconds, []).append(ref)
        began = self._now()
        self._due = [(began + seconds, by_time[seconds]) for seconds in sorted(by_time, reverse=True)]

    async def receive(self, waiting: dict[Ref, S]) -> Any:
        """The next message, or None when some have been killed instead."""
        if not self._due:
            return await receive()
        when, refs = self._due[-1]
        left = when - self._now()
        if left > 0:
            with suppress(TimeoutError):
                return await receive(None, left)
        self._due.pop()
        for child in (waiting[ref] for ref in refs if ref in waiting):
            if child.pid is not None:
                exit(child.pid, KILL)
        return None


def _tell(pid: Pid, shutdown: Shutdown) -> None:
    exit(pid, KILL if shutdown == "brutal_kill" else SHUTDOWN)


def _seconds(shutdown: Shutdown) -> float | None:
    return None if isinstance(shutdown, str) else shutdown
