"""Requests to a server, and the replies: the way of every generic behaviour (OTP's `gen:call`, `cast` and `reply`).

A call monitors the server, and its monitor is an alias as well: what comes after the call has ended is dropped before
the mailbox (EEP 53). So a call leaves nothing behind, however it ends. A server that is called finds a `Call` in its
mailbox, and answers its `caller` by `reply`; what is `cast` comes as a `Cast`.

A call that has timed out is still worked on, unless the server asks `caller.waiting()` before it begins. Its late reply
is dropped, and never seen.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final, TypeVar

import attrs

from pydist.core.shown import shown
from pydist.errors import CallError, CallingSelf, CallTimeout, NodeDisconnected, NoProcess
from pydist.gen.addresses import Server, Via, locate
from pydist.mailbox import MISSING
from pydist.message import UNSENT, Asks, Message
from pydist.messaging import acting, current, receive, send
from pydist.primitives import demonitor
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.terms import NOCONNECTION, NOPROC, Alias, Atom, Down, Pid, Reason, Ref, RegisteredName

M = TypeVar("M")
Q = TypeVar("Q")
R = TypeVar("R")

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a call waits (OTP's default)."""


class Caller(Message, tag="$caller"):
    """Who waits for a reply. Hand it to `reply`, in this process or another, now or later."""

    pid: Pid
    """The process that asks."""
    ref: Ref
    """Distinguishes this request from all others."""
    timeout: float | None
    """Seconds that it waits in all; None for as long as it takes."""
    node: str
    """Where the server lives that was asked."""
    asked: float | None = attrs.field(default=None, eq=False, repr=False, metadata={UNSENT: True})
    """When it asked, by its own clock, if it did not begin to wait at once; other nodes are not told."""

    @property
    def alias(self) -> Alias:
        """Where the reply goes."""
        return Alias(self.pid, self.ref)

    def waiting(self) -> bool:
        """Whether the reply still has a reader. If not, the work can be skipped: return `NO_REPLY`.

        The caller's monitor tells, for it goes when the call ends. So this is exact for a caller on this node. For one
        elsewhere it is what was last heard from there, and on a third node, which hears nothing, it is always true.
        """
        _, runtime = acting()
        if runtime.is_local(self.pid):
            asker = runtime.process(self.pid)
            return asker is not None and asker.aliases is not None and self.ref.number in asker.aliases
        return runtime.node != self.node or runtime.outward.watched_from(self.pid.node, self.ref)

    def remaining(self) -> float:
        """Seconds until the caller gives up, for what the server itself has to wait for; infinite if it never does.

        For a caller on another node it is the time it waits in all, as long as it waits: the clocks of two nodes are
        not compared, so what has passed on the way and in the mailbox is not known.
        """
        if not self.waiting():
            return 0.0
        if self.timeout is None:
            return inf
        _, runtime = acting()
        if not runtime.is_local(self.pid):
            return self.timeout
        if self.asked is None:
            asker = runtime.process(self.pid)
            until = inf if asker is None else asker.deadline  # it has done nothing since but wait
        else:
            until = self.asked + self.timeout
        return min(self.timeout, max(0.0, until - runtime.loop.time()))


class Call(Message, tag="$call"):
    """A request on its way; also the event that a `GenStatem` gets."""

    caller: Caller
    request: Any

    def __asker__(self) -> Alias | None:
        """Where the caller waits. What has come from another node may be anything."""
        caller: object = self.caller
        if type(caller) is not Caller:
            return None
        pid: object = caller.pid
        ref: object = caller.ref
        return Alias(pid, ref) if type(pid) is Pid and type(ref) is Ref else None


def is_answerable(caller: object) -> bool:
    """Whether it can be answered. What has come from another node may be anything."""
    if type(caller) is not Caller:
        return False
    pid: object = caller.pid
    ref: object = caller.ref
    timeout: object = caller.timeout
    node: object = caller.node
    known = type(pid) is Pid and type(ref) is Ref and type(node) is str
    return known and (timeout is None or type(timeout) in (int, float))


def drop_malformed(message: Any) -> None:
    """Nobody can be answered: let who watches for dead letters see it."""
    process = current()
    process.home.dead_letter(process.pid, message, "malformed")


class Cast(Message, tag="$cast"):
    """A message for `handle_cast` on its way; also the event that a `GenStatem` gets."""

    message: Any


class Reply(Message, tag="$reply"):
    """A reply on its way."""

    ref: Ref
    value: Any


async def call(
    server: Pid[Q] | str | RegisteredName | Via,
    request: Asks[Q, R],
    timeout: float | None = DEFAULT_TIMEOUT,  # OTP's; asyncio.timeout would not look once more
) -> R:
    """Send a request and wait for its reply (OTP's `gen_server:call/3`).

    Args:
        server: a pid, a name on this node, `(name, node)`, or a `Via`.
        request: what is asked; its class says what the reply is. Any other value can be asked too, but type checkers
            don't know what its reply is, and refuse it. They also do if `server` is a `Pid[M]` and this no `M`.
        timeout: seconds to wait, None for ever. When they have passed, the server may do the work still.

    Raises:
        CallTimeout: no reply in time.
        NoProcess: the server does not exist.
        NodeDisconnected: its node can't be reached, or was lost meanwhile.
        CallError: the server ended before it replied; `reason` says how.
        CallingSelf: a process can't wait for itself.
        EncodeError: the request can't cross the wire; it was not sent.
    """
    process, runtime = acting()
    target: Pid | RegisteredName | None = server if type(server) is Pid else locate(server)
    if target is None:
        raise nobody(server, request)
    pid = process.pid
    if target == pid or (type(target) is not Pid and is_self(process, runtime, target)):
        raise calling_self(server, request)
    node = target.node if type(target) is Pid else node_of(target)  # written out, as above: calls are in a hurry
    ref = process.ask(target)
    if ref is None:
        ref = runtime.new_ref()
        runtime.ask(process, target, ref, Call(Caller(pid, ref, timeout, node), request))
    else:
        send(target, Call(Caller(pid, ref, timeout, node), request))
    try:
        answer: Any = await receive(ref, timeout)
    except TimeoutError:
        answer = give_up(process, ref)
        if answer is MISSING:
            raise too_late(server, request, timeout) from None
    except BaseException:
        give_up(process, ref)
        raise
    if type(answer) is Down:
        raise failure(answer.reason, runtime, target, server, request)
    value: R = answer.value
    return value


def cast(server: Pid[M] | str | RegisteredName | Via, message: M) -> None:
    """Send a message to `handle_cast`; says nothing about delivery, not even for a local name that nobody has.

    Raises:
        EncodeError: it can't cross the wire.
    """
    target = locate(server)
    if target is not None:
        send(target, Cast(message))
    else:
        current().home.dead_letter(server, Cast(message), "unknown_name")


def reply(caller: Caller, value: Any) -> None:
    """Answer a call whose handler has not. Silent if the caller waits no longer.

    Raises:
        EncodeError: the caller is on another node, and the value can't cross the wire.
        TypeError: no `Caller`.
    """
    try:
        ref, asker = caller.ref, caller.pid.process
    except AttributeError:
        raise TypeError(f"reply takes the Caller that the handler was given, not {caller!r}") from None
    runtime = acting()[1]
    if asker is not None and asker.home is runtime:
        asker.deliver_alias(ref, Reply(ref, value))
    else:
        runtime.send_alias(caller.alias, Reply(ref, value))


# -- the parts of which calls, and requests that are awaited later, are made


def node_of(target: Pid | RegisteredName) -> str:
    """Where it lives."""
    return target.node if isinstance(target, Pid) else target[1]


def is_self(process: Process, runtime: Runtime, target: Pid | RegisteredName) -> bool:
    """Whether `process` would ask itself."""
    if isinstance(target, Pid):
        return target == process.pid
    return target[1] == runtime.node and runtime.names.holder(target[0]) is process


def give_up(process: Process, ref: Ref) -> Any:
    """Wait no longer, but look once more, for the reply may have come between the timeout and now: it, or MISSING."""
    demonitor(ref, flush=True)
    return process.mailbox.flush(lambda message: type(message) is Reply and message.ref == ref)


# A request is shown cut, for the user's code makes its `repr`: that may raise, and may be of any length.


def too_late(server: Server, request: Any, timeout: float | None) -> CallTimeout:
    """No reply in time."""
    text = f"no reply from {server!r} within {timeout} s to {shown(request)}; it may still do the work"
    return CallTimeout(Atom("timeout"), server, request, text)


def calling_self(server: Server, request: Any) -> CallingSelf:
    """A process has asked itself."""
    text = f"a process can't call itself, for it would wait for its own reply: {shown(request)} was not sent"
    return CallingSelf(Atom("calling_self"), server, request, text)


def nobody(server: Server, request: Any) -> NoProcess:
    """There is no such server."""
    return NoProcess(NOPROC, server, request, f"there is no process {server!r} to take {shown(request)}")


def failed_call(reason: Reason, server: Server, request: Any) -> CallError:
    """There will be no reply, and `reason` says why."""
    text = f"call to {server!r} failed: {shown(reason)}; the request was {shown(request)}"
    return CallError(reason, server, request, text)


def failure(reason: Reason, runtime: Runtime, target: Pid | RegisteredName, server: Server, request: Any) -> CallError:
    """What a request comes to whose server has ended for `reason`."""
    if reason is NOPROC:
        return nobody(server, request)
    if reason is not NOCONNECTION:
        return failed_call(reason, server, request)
    node = node_of(target)
    trouble = runtime.outward.trouble(node)
    text = f"the connection to {node} was lost; whether {shown(request)} was done is unknown"
    if trouble is not None:
        text = f"no connection to {node}: {trouble}; {shown(request)} was not sent"
    return NodeDisconnected(("nodedown", node), server, request, text)
