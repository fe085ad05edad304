"""`GenServer`: a process that keeps state and answers requests, one at a time (OTP's `gen_server`).

    class Counter(GenServer):
        async def init(self, start: int = 0) -> None:
            self.value = start

        async def handle_call(self, request: Request[Any], caller: Caller) -> object:
            match request:
                case Increment(by):
                    self.value += by
                    return self.value

    counter = await Counter.start_link(10)
    assert await call(counter, Increment(2)) == 12

The contract:

- `start_link` returns when `init` has; a server that traps exits still ends when its parent does.
- A handler that raises ends the server with a `Crash`; one that raises `Stop(reason)` ends it with that reason.
- `terminate` runs after `Stop`, after an error in a handler, and when the parent ends; other exit signals of a server
  that traps exits come to `handle_info`, and end one that does not without `terminate`, as `KILL` ends any.
- A call that has timed out is still worked on: the server does not know. Its late reply is dropped, and never seen.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import structlog

from pydist.errors import (
    AlreadyStarted,
    CallError,
    CallingSelf,
    CallTimeout,
    Exit,
    NodeDisconnected,
    NoProcess,
    StartError,
)
from pydist.mailbox import MISSING
from pydist.message import Message, Request
from pydist.primitives import (
    acting,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    receive,
    self_pid,
    send,
    spawn,
    unlink,
)
from pydist.process import Process, crash_of
from pydist.runtime import Runtime
from pydist.terms import (
    KILL,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Alias,
    Atom,
    Crash,
    Down,
    Exited,
    Pid,
    Reason,
    Ref,
    RegisteredName,
)

log = structlog.get_logger("pydist")

R = TypeVar("R")
Server = Pid | str | RegisteredName
"""Where a server can be called: its pid, its name here, or `(name, node)`."""

NO_REPLY: Final = object()
"""What `handle_call` returns when the reply will come later, by `reply(caller, value)`."""

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a call waits (OTP's default)."""


class Caller(Message, tag="$caller"):
    """Who waits for a reply. Hand it to `reply`, in this process or another, now or later."""

    alias: Alias


class Call(Message, tag="$call"):
    """A request on its way."""

    caller: Caller
    request: Any


class Cast(Message, tag="$cast"):
    """A message for `handle_cast` on its way."""

    message: Any


class Reply(Message, tag="$reply"):
    """A reply on its way."""

    ref: Ref
    value: Any


class Started(Message, tag="$started"):
    """`init` has returned."""

    ref: Ref


class Stop(Exception):  # it is no error
    """Raised in a handler: end the server with `reason`, after `terminate`."""

    def __init__(self, reason: Reason, *, reply: Any = NO_REPLY) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply
        """In `handle_call`: what the caller still gets."""
        self.caller: Caller | None = None


class Ignore(Exception):  # it is no error
    """Raised in `init`: don't start, and don't call it a failure. `start` then returns None."""


class GenServer:
    """Subclass it and write the handlers you need; see the head of this file."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("init", "handle_call", "handle_cast", "handle_info", "terminate"):
            if name in vars(cls) and not iscoroutinefunction(vars(cls)[name]):
                raise TypeError(f"{cls.__qualname__}.{name} is no async function: write `async def {name}`")

    async def init(self, *args: Any, **kwargs: Any) -> None:
        """Set up the state; runs in the new process before `start_link` returns.

        Raise `Stop(reason)` to fail, `Ignore()` not to start at all.
        """

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Answer a request.

        Returns:
            The reply, or `NO_REPLY` when `reply(caller, value)` follows later.
        """
        raise TypeError(f"{type(self).__qualname__} has no handle_call for {request!r} of {caller.alias.pid}")

    async def handle_cast(self, message: Any, /) -> None:
        """Take a message sent by `cast`."""
        raise TypeError(f"{type(self).__qualname__} has no handle_cast for {message!r}")

    async def handle_info(self, message: Any, /) -> None:
        """Take any other message: what was sent by `send`, `Down`, `Exited`, `NodeUp`, `NodeDown`."""
        log.warning("unexpected_message", server=type(self).__qualname__, pid=self_pid(), message=message)

    async def terminate(self, reason: Reason, /) -> None:
        """Clean up before the end. Not called when the server is killed, nor by exit signals it does not trap."""

    @classmethod
    async def start_link(cls, *args: Any, name: str | None = None, **kwargs: Any) -> Pid:
        """Start a server linked to the caller; returns when its `init(*args, **kwargs)` has.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            StartError: `init` failed, with its exit reason. A caller that does not trap exits gets the exit signal too.
        """
        pid: Pid = await _start(cls, lambda server: server.init(*args, **kwargs), name, link=True)
        return pid

    @classmethod
    async def start(cls, *args: Any, name: str | None = None, **kwargs: Any) -> Pid:
        """As `start_link`, without a link."""
        pid: Pid = await _start(cls, lambda server: server.init(*args, **kwargs), name, link=False)
        return pid


async def call(
    server: Server,
    request: Request[R],
    timeout: float | None = DEFAULT_TIMEOUT,  # OTP's; asyncio.timeout would not look once more
) -> R:
    """Send a request and wait for its reply (OTP's `gen_server:call/3`).

    Args:
        server: a pid, a name on this node, or `(name, node)`.
        request: what is asked; its class says what the reply is.
        timeout: seconds to wait, None for ever. The server is not told when they have passed, and does the work still.

    Raises:
        CallTimeout: no reply in time.
        NoProcess: the server does not exist.
        NodeDisconnected: its node can't be reached, or was lost meanwhile.
        CallError: the server ended before it replied; `reason` says how.
        CallingSelf: a process can't wait for itself.
        EncodeError: the request can't cross the wire; it was not sent.
    """
    process, runtime = acting()
    target = server if isinstance(server, Pid) else runtime.address(server)
    if _is_self(process, runtime, target):
        raise CallingSelf(Atom("calling_self"), server, request, f"a process can't call itself: {request!r}")
    ref = runtime.monitor(process, target)
    process.open_alias(ref)
    try:
        runtime.send(target, Call(Caller(Alias(process.pid, ref)), request))
        answer: Any = await receive(ref, timeout)
    except TimeoutError:
        answer = _late_reply(process, ref)
        if answer is MISSING:
            text = f"no reply from {server!r} within {timeout} s to {request!r}; it may still do the work"
            raise CallTimeout(Atom("timeout"), server, request, text) from None
    except BaseException:
        _late_reply(process, ref)  # nobody waits for it any more
        raise
    demonitor(ref, flush=True)
    if type(answer) is Down:
        _fail(answer.reason, runtime, target, server, request)
    value: R = answer.value
    return value


def cast(server: Server, message: Any) -> None:
    """Send a message to `handle_cast`; says nothing about delivery, not even for a local name that nobody has.

    Raises:
        EncodeError: it can't cross the wire.
    """
    _, runtime = acting()
    runtime.send(server if isinstance(server, Pid) else runtime.address(server), Cast(message))


def reply(caller: Caller, value: Any) -> None:
    """Answer a call whose `handle_call` returned `NO_REPLY`. Silent if the caller waits no longer."""
    send(caller.alias, Reply(caller.alias.ref, value))


def _is_self(process: Process, runtime: Runtime, target: Pid | RegisteredName) -> bool:
    if isinstance(target, Pid):
        return target == process.pid
    return target[1] == runtime.node and runtime.names.holder(target[0]) is process


def _late_reply(process: Process, ref: Ref) -> Any:
    """Give the call up, but look once more: the reply may have come between the timeout and now."""
    demonitor(ref, flush=True)
    return process.mailbox.flush(lambda message: type(message) is Reply and message.ref == ref)


def _fail(
    reason: Reason, runtime: Runtime, target: Pid | RegisteredName, server: Server, request: Request[Any]
) -> NoReturn:
    if reason is NOCONNECTION:
        node = target.node if isinstance(target, Pid) else target[1]
        trouble = runtime.outward.trouble(node)
        text = f"the connection to {node} was lost; whether {request!r} was done is unknown"
        if trouble is not None:
            text = f"no connection to {node}: {trouble}; {request!r} was not sent"
        raise NodeDisconnected(("nodedown", node), server, request, text)
    if reason is NOPROC:
        raise NoProcess(reason, server, request, f"there is no process {server!r} to take {request!r}")
    raise CallError(reason, server, request)


Init: TypeAlias = Callable[[GenServer], Awaitable[None]]


class _Starter:
    """Who waits for `init`, by which reference, and what it has come to."""

    __slots__ = ("ignored", "linked", "pid", "ref")

    def __init__(self, pid: Pid, *, linked: bool) -> None:
        self.pid = pid
        self.linked = linked
        self.ref: Ref | None = None
        self.ignored = False


async def _start(cls: type[GenServer], init: Init, name: str | None, *, link: bool) -> Any:
    process, runtime = acting()
    holder = None if name is None else runtime.names.holder(name)
    if holder is not None:
        raise AlreadyStarted(name, holder.pid)
    starter = _Starter(process.pid, linked=link)
    pid, ref = spawn(_serve, cls, init, starter, link=link, monitor=True, name=name)
    starter.ref = ref  # before the child's first step
    started = runtime.process(pid)
    if started is not None:
        started.label = cls.__qualname__
    try:
        answer = await receive(ref)
    except CancelledError:
        if not process.dying:
            _abandon(process, pid, ref)
        raise
    if type(answer) is Started:
        demonitor(ref, flush=True)
        return pid
    if link:
        process.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
    if starter.ignored:
        return None
    raise StartError(answer.reason, f"{cls.__qualname__} did not start: {_in_words(answer.reason)}")


def _abandon(process: Process, pid: Pid, ref: Ref) -> None:
    """The caller waits no longer: kill what it was starting, as OTP does when the time to start is over."""
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
            return f"its child {child!r} did not: {_in_words(why)}"
        case Crash(error, message):
            return f"{error}: {message}"
        case _:
            return repr(reason)


async def _serve(cls: type[GenServer], init: Init, starter: _Starter) -> None:
    server = cls()
    try:
        await init(server)
    except Stop as stop:
        raise Exit(stop.reason) from None
    except Ignore:
        starter.ignored = True
        raise Exit(NORMAL) from None
    assert starter.ref is not None  # noqa: S101  # set before the first step
    send(starter.pid, Started(starter.ref))
    process, _ = acting()
    try:
        await _loop(server, starter.pid if starter.linked else None)
    except Stop as stop:
        try:
            await server.terminate(stop.reason)
        finally:
            if stop.caller is not None:
                reply(stop.caller, stop.reply)
        raise Exit(stop.reason) from None
    except Exit as signal:
        if not process.dying:
            await server.terminate(signal.reason)
        raise
    except Exception as error:
        await server.terminate(crash_of(error))
        raise


async def _loop(server: GenServer, parent: Pid | None) -> NoReturn:
    while True:
        message: object = await receive()
        if type(message) is Call:
            await _answer(server, message)
        elif type(message) is Cast:
            await server.handle_cast(message.message)
        elif type(message) is Exited and message.pid == parent:
            raise Stop(message.reason)
        else:
            await server.handle_info(message)


async def _answer(server: GenServer, message: Call) -> None:
    try:
        value = await server.handle_call(message.request, message.caller)
    except Stop as stop:
        if stop.reply is not NO_REPLY:
            stop.caller = message.caller  # answered after `terminate`, as OTP does
        raise
    if value is not NO_REPLY:
        reply(message.caller, value)
