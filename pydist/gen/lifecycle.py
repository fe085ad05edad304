"""How a generic behaviour starts and ends: what `GenServer`, `GenStatem` and their like share (OTP's `gen`).

    class Echo:
        @classmethod
        async def start_link(cls, name: Name | None = None) -> Pid:
            return await start(cls._serve, name, label="Echo", link=True)

        @classmethod
        async def _serve(cls, starter: Starter) -> NoReturn:
            echo = cls()
            await starter.run(echo.init)  # `start` returns here, or raises
            try:
                await echo.loop(starter.parent)
            except Stop as stop:
                await stopped(stop, echo.terminate, echo.report)
            except (CancelledError, Exception) as error:
                await failed(error, echo.terminate, echo.report)
                raise

`start` returns when `init` has. A start that fails has freed the name and left nothing in the mailbox before it raises.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, Final, NoReturn, TypeAlias, TypeGuard, TypeVar

from pydist import reports
from pydist.core.shown import shown
from pydist.errors import AlreadyStarted, Exit, StartError
from pydist.gen.addresses import Name, Via, holder
from pydist.gen.calls import Call, Caller, reply
from pydist.message import Message
from pydist.messaging import acting, check_timeout, current, receive, send
from pydist.primitives import (
    demonitor,
    exit,  # noqa: A004  # OTP's name
    node_name,
    self_pid,
    spawn,
    unlink,
)
from pydist.process import Process, crash_of
from pydist.terms import KILL, NODE, NORMAL, Alias, Atom, Crash, Exited, Pid, Reason, Ref

T = TypeVar("T")

NO_REPLY: Final = object()
"""What a handler of calls returns when the reply will come later, by `reply(caller, value)`."""


class Started(Message, tag="$started"):
    """`init` has returned."""

    ref: Ref


class Stop(Exception):  # it is no error
    """Raised in a handler: end the server with `reason`, after `terminate`."""

    def __init__(self, reason: Reason, *, reply: Any = NO_REPLY) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply
        """In a handler of calls: what the caller still gets, when `terminate` has run."""
        self.caller: Caller | None = None


class Ignore(Exception):  # it is no error
    """Raised in `init`: don't start, and don't call it a failure. `start` then returns None."""


class Starter:
    """What a starting process and the one that waits for it know of each other."""

    __slots__ = ("_ignored", "_name", "_taken", "parent", "pid", "ref")

    def __init__(self, pid: Pid, name: Name | None, *, link: bool) -> None:
        self.pid: Final = pid
        """Who waits."""
        self.parent: Final = pid if link else None
        """Who the new process is linked to; with its end the behaviour ends too."""
        self.ref: Ref | None = None
        """By which it waits; set before the new process's first step."""
        self._name = name
        self._taken = False
        self._ignored = False

    async def run(self, init: Callable[[], Awaitable[T]]) -> T:
        """In the new process: take the name, run `init`, and say that the behaviour is up; what `init` returned."""
        await self._register()
        try:
            result = await init()
        except Stop as stop:
            await self._unregister()
            raise Exit(stop.reason) from None
        except Ignore:
            self._ignored = True
            await self._unregister()
            raise Exit(NORMAL) from None
        except (CancelledError, Exception):
            await self._unregister()
            raise
        assert self.ref is not None  # noqa: S101  # see there
        send(Alias(self.pid, self.ref), Started(self.ref))
        return result

    async def _register(self) -> None:
        """A name of this node came with the process; others it takes itself, since who has a name has to know it."""
        name = self._name
        if isinstance(name, Via) and not await _value(name.module.register_name(name.key, self_pid())):
            self._taken = True
            raise Exit(NORMAL)

    async def _unregister(self) -> None:
        """Before anybody hears of the failure, as OTP does; an exit signal leaves it to the module."""
        if isinstance(self._name, Via) and not current().dying:
            await _value(self._name.module.unregister_name(self._name.key))

    def failure(self, label: str, reason: Reason) -> StartError | None:
        """What the start comes to when the new process has ended; None if that is no failure."""
        if self._taken and self._name is not None:
            return AlreadyStarted(self._name, holder(self._name))
        return None if self._ignored else StartError(reason, f"{label} did not start: {_in_words(reason)}")


async def _value(result: Any) -> Any:
    """What a function returns that may be async or not."""
    return await result if isawaitable(result) else result


Serve: TypeAlias = Callable[[Starter], Coroutine[Any, Any, Any]]
"""The whole life of a behaviour's process."""


async def start(
    serve: Serve, name: Name | None = None, *, label: str, link: bool = False, timeout: float | None = None
) -> Any:
    """Start a behaviour: a process that runs `serve(starter)`; returns when that has come through `starter.run`.

    Args:
        serve: initialises the behaviour by `await starter.run(init)`, and then goes on until it ends.
        name: what it is registered as before its first step.
        label: what it is called in logs and errors: the class's name.
        link: link it to the caller.
        timeout: seconds it has to start; then it is killed. None for as long as it takes.

    Returns:
        Its pid; None if its `init` raised `Ignore`.

    Raises:
        AlreadyStarted: `name` belongs to a living process.
        StartError: it ended before it was up, with its exit reason; `Atom("timeout")` if it took too long. A linked
            caller that does not trap exits gets the exit signal too.
    """
    started = await _start(serve, name, label, link=link, timeout=timeout)
    if started is None:
        return None
    pid, ref = started
    demonitor(ref, flush=True)
    return pid


async def start_monitor(serve: Serve, name: Name | None = None, *, label: str, timeout: float | None = None) -> Any:
    """As `start`, and `(pid, ref)` with the ref of a monitor of the caller that is there from its first step."""
    return await _start(serve, name, label, link=False, timeout=timeout)


async def _start(
    serve: Serve, name: Name | None, label: str, *, link: bool, timeout: float | None
) -> tuple[Pid, Ref] | None:
    check_timeout(timeout)
    process, runtime = acting()
    taken_by = None if name is None else holder(name)
    if taken_by is not None:
        raise AlreadyStarted(name, taken_by)
    starter = Starter(process.pid, name, link=link)
    local_name = None if isinstance(name, Via) else name
    pid, starter.ref = spawn(serve, starter, link=link, monitor=True, name=local_name)
    started = runtime.process(pid)
    if started is not None:
        started.label = label
    answer = await _answer(process, pid, starter.ref, label, timeout)
    if type(answer) is Started:
        return pid, starter.ref
    process.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
    failure = starter.failure(label, answer.reason)
    if failure is not None:
        raise failure
    return None


async def _answer(process: Process, pid: Pid, ref: Ref, label: str, timeout: float | None) -> Any:
    """`Started` or `Down`. Who waits no longer, kills what it was starting."""
    process.open_alias(ref, "reply")  # what comes by it is let into a full mailbox, too
    try:
        return await receive(ref, timeout)
    except TimeoutError:
        _abandon(process, pid, ref)
        raise StartError(Atom("timeout"), f"{label} did not start: its init took longer than {timeout} s") from None
    except BaseException:
        if not (process.dying or process.over):
            _abandon(process, pid, ref)
        raise
    finally:
        process.close_alias(ref)


def _abandon(process: Process, pid: Pid, ref: Ref) -> None:
    unlink(pid)
    exit(pid, KILL)
    demonitor(ref, flush=True)
    process.mailbox.flush(
        lambda message: (
            (type(message) is Started and message.ref == ref) or (type(message) is Exited and message.pid == pid)
        )
    )


def _in_words(reason: Reason) -> str:
    match reason:
        case (_, ("failed_to_start_child", child, why)):
            return f"its child {shown(child)} did not: {_in_words(why)}"
        case Crash(error, message):
            return f"{error}: {message}"
        case _:
            return shown(reason)


def tells_to_end(message: Any, parent: Pid | None) -> TypeGuard[Exited]:
    """Whether a behaviour that traps exits ends by this message: its parent has ended, or its node stops."""
    return type(message) is Exited and (message.pid == parent or _is_own_node(message.pid))


def _is_own_node(pid: Pid) -> bool:
    """Whether it stands for the node itself: any peer may send signals from its own number 0."""
    return pid.number == NODE and pid.node == node_name()


Terminate: TypeAlias = Callable[[Reason], Awaitable[None]]
Report: TypeAlias = Callable[[Reason], None]
"""Makes the behaviour's terminate report, if the reason is worth one."""


def _no_report(_reason: Reason) -> None:
    pass


async def stopped(stop: Stop, terminate: Terminate, report: Report = _no_report) -> NoReturn:
    """A handler has raised `Stop`: clean up, give the last reply, and end with the reason."""
    try:
        await _clean_up(stop.reason, terminate, report)
    finally:
        if stop.caller is not None and stop.reply is not NO_REPLY:
            reply(stop.caller, stop.reply)
    raise Exit(stop.reason) from stop


async def failed(error: CancelledError | Exception, terminate: Terminate, report: Report = _no_report) -> None:
    """A handler has raised `error`: clean up. Not on an exit signal, which only ends a process that does not trap."""
    if not current().dying:
        await _clean_up(_reason_of(error), terminate, report)


def report_end(behaviour: str, message: Any, state: Callable[[], Any], reason: Reason) -> None:
    """Report that a behaviour ends at `message`; not for an ordinary reason, and `state` is not called then."""
    client = message.caller.pid if type(message) is Call else None
    reports.terminate_report(
        current(), reason, behaviour=behaviour, state=state, last_message=asked_in(message), client=client
    )


def asked_in(message: Any) -> Any:
    """A message as reports show it: of a call what is asked, since they tell the client apart."""
    return message.request if type(message) is Call else message


async def _clean_up(reason: Reason, terminate: Terminate, report: Report) -> None:
    """Report the end with its reason: that of the clean-up, if that fails."""
    try:
        await terminate(reason)
    except (CancelledError, Exception) as error:
        if not current().dying:
            report(_reason_of(error))
        raise
    report(reason)


def _reason_of(error: CancelledError | Exception) -> Reason:
    return error.reason if isinstance(error, Exit) else crash_of(error)
