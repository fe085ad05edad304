"""What a process can do beside sending and receiving: spawn, link, monitor, exit. Behaviours are built on it.

Every function here acts for the process that calls it, and raises `NotInProcess` elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, TypeAlias, TypeVar, TypeVarTuple, overload

from pydist.bounds import Bound, WhenFull
from pydist.core.names import check_name
from pydist.errors import Exit
from pydist.messaging import acting, current
from pydist.process import Process
from pydist.terms import Alias, Down, Pid, Reason, Ref, RegisteredName

MonitorAlias: TypeAlias = Literal["explicit_unalias", "demonitor", "reply_demonitor"]
_MONITOR_ALIASES: Final = ("explicit_unalias", "demonitor", "reply_demonitor")

M = TypeVar("M")
Ts = TypeVarTuple("Ts")


def self_pid() -> Pid:
    """The pid of the calling process (Erlang's `self/0`)."""
    return current().pid


def node_name() -> str:
    """The name of the node that the calling process runs on (Erlang's `node/0`)."""
    return current().pid.node


@overload
def spawn(
    function: Callable[[*Ts], Coroutine[Any, Any, Any]],
    *args: *Ts,
    link: bool = ...,
    monitor: Literal[False] = ...,
    name: str | None = ...,
) -> Pid: ...
@overload
def spawn(
    function: Callable[[*Ts], Coroutine[Any, Any, Any]],
    *args: *Ts,
    link: bool = ...,
    monitor: Literal[True],
    name: str | None = ...,
) -> tuple[Pid, Ref]: ...
def spawn(
    function: Callable[[*Ts], Coroutine[Any, Any, Any]],
    *args: *Ts,
    link: bool = False,
    monitor: bool = False,
    name: str | None = None,
) -> Pid | tuple[Pid, Ref]:
    """Start a process that runs `function(*args)` (Erlang's `spawn/3`, `spawn_link/3`, `spawn_monitor/3`).

    Link, monitor and name are in place before its first step, so that no end of it goes unseen.

    Args:
        function: an async function; the process ends with it, with the reason `NORMAL` if it returns.
        *args: its arguments.
        link: link the two processes.
        monitor: monitor the new process; the result is then `(pid, ref)`.
        name: register the new process under this name.

    Raises:
        NameTaken: the name belongs to another process; nothing is started.
        TypeError: not an async function, or the wrong arguments for it.
    """
    parent, runtime = acting()
    if link or monitor:
        parent.related()  # one that was killed has none, and starts nothing that it could not look after
    child = runtime.spawn(function, args, parent.pid, name)
    if link:
        runtime.link(parent, child.pid)
    return (child.pid, runtime.monitor(parent, child.pid)) if monitor else child.pid


def check_pid(function: str, pid: object) -> None:
    """Raise TypeError for what is no pid."""
    if type(pid) is not Pid:
        raise TypeError(f"{function} takes a Pid, not {pid!r}: look a name up with whereis(), or monitor() it")


def check_flag(function: str, flag: object) -> None:
    """Raise TypeError for what is neither True nor False."""
    if type(flag) is not bool:
        raise TypeError(f"{function} takes True or False, not {flag!r}")


def link(pid: Pid, *, priority: bool = False) -> None:
    """Link the calling process with `pid`: when one dies, the other gets an exit signal (Erlang's `link/1`).

    At most one link per pair. If there is no such process, the exit signal comes with the reason `NOPROC`; if its node
    can't be reached, `NOCONNECTION`.

    Args:
        pid: whom to link with.
        priority: an `Exited` by this link goes before all ordinary messages (OTP 28, EEP 76). To link again changes
            it.

    Raises:
        Exit: that signal has come at once, and the caller does not trap exits.
    """
    check_pid("link", pid)
    process, runtime = acting()
    exits = process.dying
    if priority:
        process.hurry(pid)
    else:
        process.calm(pid)
    runtime.link(process, pid)
    if process.dying and not exits:
        raise _interrupting(process)


def unlink(pid: Pid) -> None:
    """Remove the link with `pid`; no exit signal comes by it after this call (Erlang's `unlink/1`).

    When the caller traps exits, an `Exited` from before may stand in its mailbox.
    """
    check_pid("unlink", pid)
    process, runtime = acting()
    runtime.unlink(process, pid)


@overload
def monitor(target: Pid | str | RegisteredName, *, alias: None = ..., priority: bool = ...) -> Ref: ...
@overload
def monitor(target: Pid | str | RegisteredName, *, alias: MonitorAlias, priority: bool = ...) -> tuple[Ref, Alias]: ...
def monitor(
    target: Pid | str | RegisteredName, *, alias: MonitorAlias | None = None, priority: bool = False
) -> Ref | tuple[Ref, Alias]:
    """Monitor a process: a `Down` with the returned ref comes when it ends (Erlang's `monitor/3`).

    Monitors stack, each gives its own `Down`. It comes at once, with `NOPROC`, if there is no such process, and with
    `NOCONNECTION` when the connection is lost or can't be made. Monitoring by name watches who has the name now.

    Args:
        target: a pid, a name on this node, or `(name, node)`.
        alias: also make an alias of the calling process that bears the same ref; the result is then `(ref, alias)`.
            It is active until `unalias`; with "demonitor" also no longer than the monitor, that is until `demonitor` or
            the `Down`; with "reply_demonitor" until the first message that comes by it, too, which ends the monitor.
        priority: the `Down`, and what comes by the alias with `send(..., priority=True)`, goes before all ordinary
            messages (OTP 28, EEP 76). It may then overtake the last messages of the dead.

    Raises:
        BadNodeName: the node is not of the form name@host.
        ConnectionFull: too much is waiting for that node; nothing is monitored.
        TypeError, ValueError: no such target, or no such way to end an alias.
    """
    process, runtime = acting()
    _check_monitor(target, alias)
    ref = runtime.monitor(process, target, alias, priority)
    return ref if alias is None else (ref, Alias(process.pid, ref))


def _check_monitor(target: object, alias: object) -> None:
    if not isinstance(target, Pid | str | tuple):
        raise TypeError(f"monitor takes a Pid, a name or a pair (name, node), not {target!r}")
    if alias is not None and alias not in _MONITOR_ALIASES:
        raise ValueError(f"the alias of a monitor is one of {', '.join(_MONITOR_ALIASES)}, not {alias!r}")


def demonitor(ref: Ref, *, flush: bool = False) -> bool:
    """Remove a monitor of the calling process; no `Down` comes by it after this call (Erlang's `demonitor/2`).

    Args:
        ref: what `monitor` returned. One that this process does not monitor by, or no longer, is ignored.
        flush: also take its `Down` out of the mailbox, should it have come already.

    Returns:
        True if there was such a monitor; False if there was none, or it has fired: its `Down` has come before.

    Raises:
        ValueError: the ref was made on another node, so no process of this one has such a monitor.
    """
    if type(ref) is not Ref:
        raise TypeError(f"demonitor takes the Ref that monitor has returned, not {ref!r}")
    process = current()
    if ref.node != process.pid.node:
        raise ValueError(f"{ref} is of another node: only the process that has made a monitor can remove it")
    removed = process.remove_monitor(ref)
    if flush and not removed:
        process.mailbox.flush(lambda message: type(message) is Down and message.ref == ref)
    return removed


def exit(pid: Pid, reason: Reason) -> None:  # noqa: A001  # OTP's name
    """Send an exit signal (Erlang's `exit/2`).

    `KILL` can't be trapped, and ends with the reason `KILLED`. `NORMAL` from another process has no effect unless it
    traps exits. To end the calling process itself, raise `Exit(reason)`.

    Raises:
        Exit: the signal ends the caller itself: it was sent to it, or has come back by a link with a killed process.
    """
    check_pid("exit", pid)
    process, runtime = acting()
    exits = process.dying
    runtime.exit(process.pid, pid, reason)
    if (process.dying and not exits) or (pid == process.pid and (process.dying or process.over)):
        raise _interrupting(process)


def _interrupting(process: Process) -> Exit:
    """What the running process raises when a signal that its own call has brought about ends it: it goes no further."""
    process.thrown = None  # so that its clean-up may await
    return Exit(process.exit_reason)


def bound_mailbox(limit: int | None, when_full: WhenFull = "drop_newest") -> None:
    """Bound the mailbox of the calling process: `when_full` says what becomes of what others send to its pid or name
    while `limit` messages wait. Each dropped message is a dead letter (`mailbox_full`).

    What the process has asked for is let in and kept however full the mailbox is: `Down`, `Exited`, replies, timeouts.

    Args:
        limit: messages; None for no bound, as it is in the beginning. Those that wait already stay.
        when_full: "drop_newest" drops what comes; "drop_oldest" drops what has waited longest; "exit" ends the process
            with the reason `MAILBOX_FULL`, for its supervisor to see. "block" takes the message, and holds its sender
            at its next await until there is room: so each sender may be one message over, or as many as it sends
            between two awaits. Nobody is held by a process that waits for him, not even through others; what comes
            from outside any process holds nobody.

    Raises:
        TypeError, ValueError: no such bound.
    """
    process = current()
    process.bound = None if limit is None else Bound(limit, when_full)
    process.mailbox.limit = sys.maxsize if limit is None else min(limit, sys.maxsize)
    if process.flow is not None and (limit is None or when_full != "block"):
        process.flow.let_in()


def async_dist(flag: bool) -> bool:
    """From now on, the calling process is not held when it sends to a node for which too much waits, or again it is;
    the old setting (Erlang's `process_flag(async_dist, Flag)`).

    It is responsible then for what it sends: behind `pending_limit` of its node a message raises `ConnectionFull`.
    """
    check_flag("async_dist", flag)
    flow = current().flows()
    before, flow.async_dist = flow.async_dist, flag
    return before


def send_nosuspend(target: Pid[M] | Alias | str | RegisteredName, message: M) -> bool:
    """Send `message`, unless the caller would be held for it at its next await (Erlang's `erlang:send_nosuspend/2`).

    Returns:
        False if nothing was sent: too much waits for the node of `target`, or its mailbox is full and is to block. What
        comes of the message is as unknown as with `send` otherwise.

    Raises:
        UnknownName, TypeError, ValueError, EncodeError, ConnectionFull: as `send`.
    """
    _, runtime = acting()
    if runtime.would_hold(target):
        return False
    runtime.send(target, message)
    return True


def trap_exit(flag: bool) -> bool:
    """From now on, exit signals become `Exited` messages, or no longer; the old setting (Erlang's `process_flag/2`)."""
    check_flag("trap_exit", flag)
    process = current()
    before, process.trapping = process.trapping, flag
    return before


def register(name: str, pid: Pid) -> None:
    """Give a process of this node a name (Erlang's `register/2`). It is free again when the process ends.

    Raises:
        NameTaken: the name belongs to another process, or the process has one already.
        ValueError: no such process on this node.
    """
    check_pid("register", pid)
    _, runtime = acting()
    process = runtime.process(pid)
    if process is None or process.dying:
        raise ValueError(f"{pid} is no living process of this node: only such can be registered")
    runtime.register(name, process)


def unregister(name: str) -> None:
    """Free a name (Erlang's `unregister/1`).

    Raises:
        UnknownName: nobody has it.
        TypeError, ValueError: it can't be a name.
    """
    check_name(name)
    _, runtime = acting()
    runtime.names.unregister(name)


def whereis(name: str) -> Pid | None:
    """Who has the name on this node, or None (Erlang's `whereis/1`).

    Raises:
        TypeError, ValueError: it can't be a name.
    """
    check_name(name)
    _, runtime = acting()
    process = runtime.names.holder(name)
    return None if process is None else process.pid


def publish(value: Any) -> None:
    """Let the other processes of this node read `value` by the name of the calling process, until it dies (what ETS
    tables are for in Erlang).

    They get the object itself: who may change it is for its owner to say. A second call replaces the first.
    """
    process, runtime = acting()
    process.related()  # one that was killed has none: what it publishes would stay
    runtime.published[process.pid.number] = value
    process.holding = True


def published(owner: str | Pid) -> Any:
    """What the process of this name or pid has published on this node; None if there is no such process, or it has not.

    It sends no message and does not wait, however busy that process is.
    """
    _, runtime = acting()
    process = runtime.process(owner) if isinstance(owner, Pid) else runtime.names.holder(owner)
    return None if process is None else runtime.published.get(process.pid.number)


def is_alive(pid: Pid) -> bool:
    """Whether a process of this node is alive (Erlang's `is_process_alive/1`); one that cleans up after an exit is not.

    Raises:
        ValueError: it is a process of another node.
    """
    check_pid("is_alive", pid)
    _, runtime = acting()
    if not runtime.is_local(pid):
        raise ValueError(f"{pid} lives on another node: monitor it instead")
    process = runtime.process(pid)
    return process is not None and not process.dying
