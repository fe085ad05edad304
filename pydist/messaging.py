"""Sending and receiving: what processes do most, and nothing else.

Every function here acts for the process that calls it, and raises `NotInProcess` elsewhere. `send` writes out what
`Runtime.send` and `Process.deliver` do for a local pid, since that is the way of nearly every message.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from pydist.mailbox import MISSING, Match, Pattern
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.scheduler import IDLE, NEXT, PARK, running
from pydist.speedups import native
from pydist.task_state import REDUCTIONS
from pydist.terms import Alias, Pid, Ref, RegisteredName

T = TypeVar("T")
M = TypeVar("M")


def current() -> Process:
    """The process that is running.

    Raises:
        NotInProcess: the caller is no process, but a plain task or no coroutine at all.
    """
    process: Process = getattr(running, "scheduler", IDLE).current
    return process


def acting() -> tuple[Process, Runtime]:
    """The process that is running, and the runtime it belongs to."""
    process = current()
    return process, cast("Runtime", process.home)


def send(target: Pid[M] | Alias | str | RegisteredName, message: M, *, priority: bool = False) -> None:
    """Send `message`; returns at once, and says nothing about delivery (Erlang's `!`).

    Between a pair of processes the order of sending is the order of arrival. To a process that is dead, or a node that
    can't be reached, it is silently lost. A local receiver gets the very object: treat what you have sent as frozen.

    Args:
        target: a pid, an alias, a name on this node, or `(name, node)`.
        message: any value; for another node one that can cross the wire.
        priority: put it before all ordinary messages, if `target` is an alias whose owner has made it for that (see
            `alias`); otherwise it changes nothing.

    Raises:
        UnknownName: nobody on this node has the name.
        TypeError, ValueError: no such target.
        EncodeError: the message can't cross the wire; nothing was sent.
        ConnectionFull: too much is waiting for that node; nothing was sent.
    """
    if priority and type(target) is Alias:
        current().home.send_urgently(target, message)
        return
    if type(target) is Pid:
        receiver: Process | None = target.process
        scheduler: Any = getattr(running, "scheduler", IDLE)
        if receiver is not None and receiver.scheduler is scheduler:
            box = receiver.mailbox
            if len(box) < box.limit:
                box.append(message)
                if receiver.parked:
                    receiver.parked = False
                    scheduler.push(receiver)
                return
    current().home.send(target, message)


@overload
def receive(pattern: None = None, timeout: float | None = None) -> Coroutine[Any, Any, Any]: ...
@overload
def receive(pattern: type[T], timeout: float | None = None) -> Coroutine[Any, Any, T]: ...
@overload
def receive(pattern: Match, timeout: float | None = None) -> Coroutine[Any, Any, Any]: ...
@overload
def receive(
    pattern: types.UnionType | tuple[type[Any], ...] | Ref | None, timeout: float | None = None
) -> Coroutine[Any, Any, Any]: ...
def receive(pattern: Pattern = None, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
    """Take the first message that matches, and wait for one if there is none (Erlang's `receive ... after`).

    Without the `await` nothing is received; a type checker warns of that. Each `await` of what it returns is a receive.

    Args:
        pattern: None for any message; a type, a union or a tuple of types; a `Ref` for what carries it (a `Down`, a
            reply, a tuple that starts with it); or a predicate, which looks at messages and does nothing else. Messages
            that don't match stay, in order.
        timeout: seconds to wait at most; 0 looks once at what is there; None waits for ever.

    Raises:
        TimeoutError: no such message in time.
        TypeError, ValueError: no such pattern; the timeout is not a number.
        Exit: the process has got an exit signal; let it pass.
    """
    return _Receive(pattern, timeout)


class _Receive(Coroutine[Any, Any, Any]):
    """What `receive` returns."""

    __slots__ = ("_driven", "_pattern", "_timeout")

    def __init__(self, pattern: Pattern, timeout: float | None) -> None:
        self._pattern = pattern
        self._timeout = timeout
        self._driven: Generator[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        process = current()
        mailbox = process.mailbox
        pattern, timeout = self._pattern, self._timeout
        process.reductions -= 1
        if process.reductions <= 0:
            yield from _interrupted(process)
        message = mailbox.take_first() if pattern is None else mailbox.take(pattern)
        if message is not MISSING:
            return message
        if timeout is not None:
            _arm(process, timeout)
        try:
            while True:
                yield PARK
                message = mailbox.take_new(pattern)
                if message is not MISSING:
                    return message
                if process.timed_out:
                    raise TimeoutError(f"no message within {timeout} s")
        finally:
            process.deadline = inf
            process.timed_out = False

    __iter__ = __await__  # for `yield from`

    # -- for who awaits nothing, and drives it as asyncio drives a coroutine

    def send(self, value: Any, /) -> Any:
        return self._steps().send(value)

    def throw(self, *error: Any) -> Any:
        return self._steps().throw(*error)

    def close(self) -> None:
        self._steps().close()

    def _steps(self) -> Generator[Any, Any, Any]:
        if self._driven is None:
            self._driven = self.__await__()
        return self._driven


def _interrupted(process: Process) -> Generator[Any, Any, None]:
    """Let others have their turn; go no further if an exit signal has come."""
    if process.dying:
        yield PARK
    process.spent += REDUCTIONS
    process.reductions = REDUCTIONS
    yield NEXT


def _arm(process: Process, timeout: float) -> None:
    check_timeout(timeout)
    if timeout <= 0:
        raise TimeoutError("no message is there")
    if timeout < inf:
        process.home.timers.arm(process, timeout)


def check_timeout(timeout: object) -> None:
    """Raise TypeError for what is no number, ValueError for what is no time."""
    if timeout is not None and not isinstance(timeout, int | float):
        raise TypeError(f"a timeout is a number of seconds or None, not {timeout!r}")
    if timeout != timeout:  # noqa: PLR0124  # it is not a number
        raise ValueError(f"a timeout is a number of seconds or None, not {timeout!r}")


if not TYPE_CHECKING and native is not None:
    native.connect(send_slowly=send)
    current, acting, send, receive = native.current, native.acting, native.send, native.receive
