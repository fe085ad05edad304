"""Requests to a server, and the replies: the way of every generic behaviour (OTP's `gen:call`, `cast` and `reply`).

A call monitors the server, and its monitor is an alias as well: what comes after the call has ended is dropped before
the mailbox (EEP 53). So a call leaves nothing behind, however it ends. A server that is called finds a `Call` in its
mailbox, and answers its `caller` by `reply`; what is `cast` comes as a `Cast`.

A call that has timed out is still worked on: the server is not told. Its late reply is dropped, and never seen.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

from pydist.addresses import Server, locate
from pydist.errors import CallError, CallingSelf, CallTimeout, NodeDisconnected, NoProcess
from pydist.mailbox import MISSING
from pydist.message import Message, Request
from pydist.messaging import acting, receive, send
from pydist.primitives import (
    demonitor,
)
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.terms import NOCONNECTION, NOPROC, Alias, Atom, Down, Pid, Reason, Ref, RegisteredName

R = TypeVar("R")

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


async def call(
    server: Server,
    request: Request[R],
    timeout: float | None = DEFAULT_TIMEOUT,  # OTP's; asyncio.timeout would not look once more
) -> R:
    """Send a request and wait for its reply (OTP's `gen_server:call/3`).

    Args:
        server: a pid, a name on this node, `(name, node)`, or a `Via`.
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
    target = server if isinstance(server, Pid) else locate(server)
    if target is None:
        raise _nobody(server, request)
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
    target = locate(server)
    if target is not None:
        runtime.send(target, Cast(message))


def reply(caller: Caller, value: Any) -> None:
    """Answer a call whose handler has not. Silent if the caller waits no longer."""
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
        raise _nobody(server, request)
    raise CallError(reason, server, request)


def _nobody(server: Server, request: Request[Any]) -> NoProcess:
    return NoProcess(NOPROC, server, request, f"there is no process {server!r} to take {request!r}")
