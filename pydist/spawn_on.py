"""Processes on other nodes: started there, of what those nodes export (Erlang's `spawn/4`, `spawn_request/5`).

    pid = await spawn_on("b@10.0.0.2", convert, path, link=True)
    room = await spawn_on("b@10.0.0.2", Room, "lobby", name="lobby")

Link, monitor and name are in place before the first step of the new process, on both sides: if it ends, its real reason
is heard, and if the connection is lost, both sides hear `NOCONNECTION`. What it sends is received after its pid is
known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from pydist.core.names import check_name
from pydist.core.shown import shown
from pydist.errors import NameTaken, NodeDisconnected, NotExported, PydistError, StartError
from pydist.exports import name_of_export
from pydist.gen.lifecycle import Started
from pydist.messaging import acting, check_timeout, current, receive
from pydist.primitives import demonitor
from pydist.process import Process
from pydist.remote_spawns import (
    BAD_ARGUMENTS,
    NAME_TAKEN,
    NOT_EXPORTED,
    NOT_SUPPORTED,
    Refused,
    SpawnReply,
    Wish,
    awaits_spawn,
)
from pydist.terms import NOCONNECTION, Atom, Crash, Down, Exited, Pid, Reason, Ref


def spawn_request(
    node: str,
    function: Callable[..., Any] | str,
    *args: Any,
    link: bool = False,
    monitor: bool = False,
    name: str | None = None,
) -> Ref:
    """Ask for a process on `node`, and go on: a `SpawnReply` with the returned ref comes (Erlang's `spawn_request/5`).

    With `monitor`, that ref is the monitor's, too. A class of a generic behaviour says `Started` with that ref, by its
    own, when its `init` is done, and is monitored until then at least; `spawn_on` sees to that.

    Raises:
        NotExported: `function` is not marked by `export` here.
        BadNodeName: `node` is not of the form name@host.
        EncodeError: the arguments can't cross the wire, or are larger than `message_limit`; nothing was sent.
        ConnectionFull: too much waits for that node; nothing was sent.
        TypeError, ValueError: nothing that could be exported, or no name.
    """
    process, runtime = acting()
    if name is not None:
        check_name(name)
    process.related()  # one that was killed has none, and starts nothing that it could not look after
    ref = runtime.new_ref()
    export = name_of_export(function)
    wish = Wish(asker=process.pid, ref=ref, export=export, args=args, link=link, monitor=monitor, name=name)
    runtime.spawn_on(process, node, wish)
    return ref


def spawn_request_abandon(ref: Ref) -> bool:
    """Give a request up: no `SpawnReply` comes after this (Erlang's `spawn_request_abandon/1`).

    A process that is started all the same exits with `Atom("abandoned")` if it was to be linked; else it runs.

    Returns:
        False if the reply has come already, or there is no such request.
    """
    process = current()
    return awaits_spawn(process, ref) and process.close_alias(ref)


@overload
async def spawn_on(
    node: str,
    function: Callable[..., Any] | str,
    *args: Any,
    link: bool = ...,
    monitor: Literal[False] = ...,
    name: str | None = ...,
    timeout: float | None = ...,
) -> Pid: ...
@overload
async def spawn_on(
    node: str,
    function: Callable[..., Any] | str,
    *args: Any,
    link: bool = ...,
    monitor: Literal[True],
    name: str | None = ...,
    timeout: float | None = ...,
) -> tuple[Pid, Ref]: ...
async def spawn_on(
    node: str,
    function: Callable[..., Any] | str,
    *args: Any,
    link: bool = False,
    monitor: bool = False,
    name: str | None = None,
    timeout: float | None = None,  # as call: it has to give the request up
) -> Pid | tuple[Pid, Ref]:
    """Start a process on `node` of what that node exports (Erlang's `spawn/4`, `spawn_link/4`, `spawn_monitor/4`).

    A function's process has been started when this returns; of a `GenServer` or `GenStatem`, `init` has returned. On
    the own node it does the same, and starts what is marked, too.

    Args:
        node: its name. It is connected to first, where `auto_connect` allows it.
        function: an exported function or process class, or the name of an export; see `export`.
        *args: its arguments; of a class, those of `init`.
        link: link the two processes.
        monitor: monitor the new process; the result is then `(pid, ref)`.
        name: register the new process over there under this name.
        timeout: seconds to wait at most. None for as long as it takes: until the connection is lost, at the latest,
            but for an `init` that never returns.

    Raises:
        NotExported: the node exports no such thing, or not to this one.
        NodeDisconnected: the node can't be reached, or was lost meanwhile; whether a process runs there is unknown.
        NameTaken: `name` belongs to another process there; nothing was started.
        TypeError: it does not take these arguments; nothing was started.
        StartError: with `Atom("notsup")`, the node knows of no remote spawns; with a pair that begins with
            `Atom("system_limit")`, this node has too many processes there (`spawn_limit`); with `Atom("timeout")`, it
            took too long: a process that is still started runs, or, with `link`, exits with `Atom("abandoned")`. Else
            the exit reason of a class's process, whose `init` has failed.
        BadNodeName, EncodeError, ConnectionFull, ValueError: as `spawn_request`; nothing was sent.
    """
    check_timeout(timeout)
    process, runtime = acting()
    until = None if timeout is None else runtime.loop.time() + timeout
    ref = spawn_request(node, function, *args, link=link, monitor=monitor, name=name)
    export = name_of_export(function)
    answer: SpawnReply = await _next(process, ref, until, export)
    if answer.pid is None:
        raise spawn_failure(process, node, export, answer.reason)
    if answer.starting:
        await _up(process, answer.pid, ref, until, export)
        if not monitor:
            demonitor(ref, flush=True)
    return (answer.pid, ref) if monitor else answer.pid


async def _next(process: Process, ref: Ref, until: float | None, export: str) -> Any:
    """What comes by `ref`. Who waits no longer, abandons the request."""
    left = None if until is None else max(0.0, until - process.get_loop().time())
    try:
        return await receive(ref, left)
    except BaseException as error:
        if not process.over:
            process.close_alias(ref)
            demonitor(ref, flush=True)
            process.mailbox.flush(lambda message: type(message) in (SpawnReply, Started) and message.ref == ref)
        if isinstance(error, TimeoutError):
            raise StartError(Atom("timeout"), f"{export} did not start in time") from None
        raise


async def _up(process: Process, pid: Pid, ref: Ref, until: float | None, export: str) -> None:
    """Wait until a behaviour has come up."""
    answer = await _next(process, ref, until, export)
    if type(answer) is not Down:
        return
    process.close_alias(ref)
    process.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
    if answer.reason is NOCONNECTION:
        raise spawn_failure(process, pid.node, export, NOCONNECTION)
    raise StartError(answer.reason, f"{export} on {pid.node} did not start: {_in_words(answer.reason)}")


def exported(name: str) -> Callable[..., Any]:
    """What this node exports by `name` to the node that has started the calling process.

    Raises:
        NotExported: nothing, or not to that node; it is written down, and told, as a refused start is.
    """
    process, runtime = acting()
    try:
        return runtime.spawns.admit(name, process.parent or process.pid).target
    except Refused:
        raise NotExported(name, runtime.node) from None


def _in_words(reason: Reason) -> str:
    return f"{reason.error}: {reason.message}" if isinstance(reason, Crash) else shown(reason)


def spawn_failure(process: Process, node: str, export: str, reason: Reason) -> PydistError | TypeError:
    """Why nothing was started on `node`: what `spawn_on` raises for the `reason` of a `SpawnReply`."""
    if reason is NOCONNECTION:
        _, runtime = acting()
        trouble = None if node == process.pid.node else runtime.outward.trouble(node)
        text = f"the connection to {node} was lost; whether {export} was started is unknown"
        if trouble is not None:
            text = f"no connection to {node}: {trouble}; {export} was not started"
        return NodeDisconnected(("nodedown", node), node, export, text)
    if reason is NOT_SUPPORTED:
        return StartError(reason, f"{node} knows of no remote spawns: its pydist is older; {export} was not started")
    match reason:
        case (kind, str()) if kind is NOT_EXPORTED:
            return NotExported(export, node)
        case (kind, str(text)) if kind is NAME_TAKEN:
            return NameTaken(f"on {node}: {text}")
        case (kind, str(text)) if kind is BAD_ARGUMENTS:
            return TypeError(f"on {node}: {text}")
        case (_, str(text)):
            return StartError(reason, f"on {node}: {text}")
        case _:
            return StartError(reason, f"{export} was not started on {node}: {shown(reason)}")
