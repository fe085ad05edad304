"""Everything pydist raises, in one tree; the second column says whose fault it is.

PydistError
├── NotInProcess            the caller: called outside a process
├── EncodeError             the sender: the value can't cross the wire
├── WireError               the peer: what it sent breaks the protocol; costs it its connection
│   ├── DecodeError             bytes that are no term, or too deep
│   ├── FrameTooLarge           announces more than the limit
│   ├── FragmentError           fragments that make up no message
│   ├── TickTimeout             says nothing for the whole net_ticktime
│   └── HandshakeError          no pydist node, a wrong cookie, or too slow
├── NotExported             the caller, or the operator over there: no such function or class is exported to it
├── NameTaken               the caller: the name, or the process, is registered already
│   └── AlreadyRegistered       a living process has this key of a registry
├── UnknownName             the caller: nobody on this node has the name
├── StartError              the callee: a process that was being started did not come up
│   └── AlreadyStarted          the name it was to have belongs to a living process
├── ChildError              the caller: a supervisor can't do that with this child now
├── CallError               the callee, or the way there: no answer will come
│   ├── CallTimeout             none came in time; the server may still do the work
│   ├── CallingSelf             the caller: would wait for itself for ever
│   ├── NoProcess               nobody is there
│   └── NodeDisconnected        the connection was lost, or could not be made
├── RemoteError             the callee: a function that was called on another node has raised, or was ended
├── TaskError               the task: it ended without a result
│   └── TaskTimeout             no result in time; the task still works
├── TaskMisused             the caller: not the task's owner, or it has taken the outcome before
├── BadTransition           the callee: a handler of a state machine answered what is not allowed there
├── ApplicationError        the caller: that can't be done with this application now
├── ApplicationTerminated   the application: it ended, and the node is not to go on without it
├── ConnectionFull          the sender: more is waiting for that node than the limit allows
├── Unreachable             the way there: nobody answers at that address, or not in time
└── NodeStartError          the operator: a node can't come up as asked
    ├── BadNodeName             not name@host
    ├── NodeNameTaken           the port mapper has this name already
    ├── PortInUse               another program listens there
    ├── TailscaleError          tailscaled is not there, is not ready, or its answer makes no sense
    └── PortMapperError         no port mapper, or an answer that makes no sense
        └── NoPortMapper        nobody answers where one should be

`Exit` stands outside the tree: it is no error but an exit signal, and an `asyncio.CancelledError`, so that libraries
clean up and `except Exception` does not stop it.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any, ClassVar, Final


class PydistError(Exception):
    """Base of all errors that pydist raises."""


class NotInProcess(PydistError, RuntimeError):
    """A function that needs a current process was called outside one."""


class EncodeError(PydistError, TypeError):
    """The value can't cross the wire; raised at the sender, who still holds it."""


class WireError(PydistError):
    """What the peer sent breaks the protocol."""


class DecodeError(WireError):
    """Bytes that do not decode to a term, or that nest too deep."""


class FrameTooLarge(WireError):
    """A frame or message that announces more bytes than the limit."""


class FragmentError(WireError):
    """A fragment of a message that has not begun, or more of one than was announced."""


class TickTimeout(WireError):
    """Nothing was heard of the peer for the whole `net_ticktime`."""


class HandshakeError(WireError):
    """The other side is no pydist node, has another cookie, or took too long."""


class NotExported(PydistError):
    """The node `node` exports nothing by the name `export`, or not to the node that has asked. None: nobody was asked,
    for it is not marked here."""

    def __init__(self, export: str, node: str | None) -> None:
        where = "" if node is None else f" by {node} to this node"
        super().__init__(
            f"{export!r} is not exported{where}: mark the function or class with @pydist.export, import its module on "
            "the node where it is to run, and ask for it by its name, which is 'module:qualname' if it has no other. "
            "Lists may leave this node out: `to` in @export(to=...), and `exports` in Node(exports=...)"
        )
        self.export = export
        self.node = node


class NameTaken(PydistError, ValueError):
    """The name belongs to another process, or the process has a name already."""


class AlreadyRegistered(NameTaken):
    """The living process `pid` has `key` in a registry with unique keys."""

    def __init__(self, key: Any, pid: Any) -> None:
        super().__init__(f"the key {key!r} belongs to {pid!r}, which is alive")
        self.key = key
        self.pid = pid


class UnknownName(PydistError, LookupError):
    """Nobody on this node is registered under the name."""


class StartError(PydistError):
    """A process did not come up. `reason` is its exit reason, as OTP's `{error, Reason}`."""

    def __init__(self, reason: Any, message: str = "") -> None:
        super().__init__(message or f"the process did not start: {reason!r}")
        self.reason = reason


class AlreadyStarted(StartError):
    """The name the process was to have belongs to `pid`."""

    def __init__(self, name: Any, pid: Any) -> None:
        super().__init__(("already_started", pid), f"{name!r} is taken by {pid!r}, which is running")
        self.name = name
        self.pid = pid


class ChildError(PydistError):
    """A supervisor can't do that with the child `id`. `reason` is OTP's: one of those in `_CHILD_TROUBLES`.

    `pid` is that of the child that is there, if it is "already_started".
    """

    def __init__(self, id: Any, reason: str, pid: Any = None) -> None:  # noqa: A002  # OTP's name
        advice = _CHILD_TROUBLES.get(reason)
        super().__init__(f"child {id!r}: {reason}" + (f" ({advice})" if advice else ""))
        self.id = id
        self.reason = reason
        self.pid = pid


_CHILD_TROUBLES: Final = {
    "already_started": "a child of this id runs: give the new one another id",
    "already_present": "a child of this id is known, and does not run: restart_child or delete_child it",
    "not_found": "the supervisor has no such child",
    "running": "terminate_child it first",
    "restarting": "its restart is being tried: terminate_child ends that",
    "max_children": "the supervisor has as many as it may",
    "bad_combination": "it is significant, and the auto_shutdown of its supervisor is never",
    "simple_one_for_one": "under a DynamicSupervisor a child can be started and stopped, and nothing else",
    "not_here": "it is on another node, and how a child starts can't cross",
}


class CallError(PydistError):
    """No answer will come. `reason` is OTP's reason; `destination` and `request` are the call's."""

    def __init__(self, reason: Any, destination: Any, request: Any, message: str = "") -> None:
        super().__init__(message or f"call to {destination!r} failed: {reason!r}; the request was {request!r}")
        self.reason = reason
        self.destination = destination
        self.request = request


class CallTimeout(CallError, TimeoutError):
    """No answer in time. The server may still do the work: unlike a cancelled coroutine it was not told to stop."""


class CallingSelf(CallError):
    """A process called itself; it would wait for ever."""


class NoProcess(CallError):
    """The process does not exist, or no longer."""


class NodeDisconnected(CallError):
    """The connection to the server's node was lost or could not be made. Whether the request was done is unknown."""


class RemoteError(PydistError):
    """The function `function`, called on `node`, has raised, or its process was ended. `reason` is its exit reason.

    `type` and `message` are those of the exception, and `traceback` is the one over there: of a `Crash`. For any other
    exit reason `type` is "Exit", `message` shows the reason, and there is no traceback. `signal` is true if an exit
    signal ended it, and false if it has raised that by itself.
    """

    def __init__(
        self, node: str, function: str, reason: Any, *, error: str, message: str, traceback: str, signal: bool = False
    ) -> None:
        super().__init__(f"{function} on {node}: {error}: {message}")
        self.node = node
        self.function = function
        self.reason = reason
        self.type = error
        self.message = message
        self.traceback = traceback
        self.signal = signal
        if traceback:
            self.add_note(f"The traceback on {node}:\n{traceback}")


class TaskError(PydistError):
    """The task ended without a result. `reason` is its exit reason."""

    def __init__(self, reason: Any, task: Any, message: str = "") -> None:
        super().__init__(message or f"{task!r} ended without a result: {reason!r}")
        self.reason = reason
        self.task = task


class TaskTimeout(TaskError, TimeoutError):
    """No result in time. The task still works: unlike a cancelled coroutine it was not told to stop."""


class TaskMisused(PydistError, RuntimeError):
    """Only the process that started a task may ask for its outcome, and take it once."""


class BadTransition(PydistError, TypeError):
    """What a handler of a `GenStatem` has returned is no transition, or not allowed in a state enter call."""


class ApplicationError(PydistError):
    """That can't be done with the application now. `reason` is OTP's: one of those in `_APPLICATION_TROUBLES`."""

    def __init__(self, application: str | None, reason: str, message: str = "") -> None:
        super().__init__(message or f"application {application!r}: {reason} ({_APPLICATION_TROUBLES[reason]})")
        self.application = application
        self.reason = reason


_APPLICATION_TROUBLES: Final = {
    "not_loaded": "this node was not started with it",
    "already_started": "it runs, or is about to",
    "not_started": "it does not run",
    "stopping": "it is being stopped",
    "undefined": "it has no such value in its env",
}


class ApplicationTerminated(PydistError):
    """An application has ended without which the node is not to go on. `reason` is its exit reason."""

    def __init__(self, application: str, reason: Any) -> None:
        super().__init__(f"the application {application!r} has ended: {reason!r}")
        self.application = application
        self.reason = reason


class ConnectionFull(PydistError):
    """More bytes wait for that node than the limit allows; the message was not sent."""


class Unreachable(PydistError):
    """No connection to the address: nobody listens there, there is no way, or it took too long."""


class NodeStartError(PydistError):
    """A node can't come up as asked."""


class BadNodeName(NodeStartError, ValueError):
    """Not of the form name@host."""


class NodeNameTaken(NodeStartError):
    """The port mapper has a living node of this name."""


class PortInUse(NodeStartError):
    """Another program listens on the port."""


class TailscaleError(NodeStartError):
    """tailscaled can't be asked, does not answer in time, is not logged in, or what it answers makes no sense."""


class PortMapperError(NodeStartError):
    """No port mapper answers, or its answer makes no sense."""


class NoPortMapper(PortMapperError):
    """No connection to a port mapper came about, as against one on which nonsense was heard."""


class Exit(CancelledError):
    """Ends the process with `reason`: thrown at its await by an exit signal, or raised by it (Erlang's `exit/1`).

    One that is raised is reported, as any crash is, unless the reason is `NORMAL`, `SHUTDOWN` or `(SHUTDOWN, detail)`.
    """

    silent: ClassVar[bool] = False
    """Whether the end is told otherwise than by a crash report."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason
