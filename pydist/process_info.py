"""What is known of the processes of this node: for people, and for tools that watch them.

To look is not to disturb: nothing here sends a signal, and what comes back is a copy of how things stood.
"""

from __future__ import annotations

from types import FrameType
from typing import Literal, TypeAlias

from pydist.core.relations import Relations, Target
from pydist.message import Message
from pydist.messaging import acting
from pydist.primitives import check_pid
from pydist.process import Process
from pydist.terms import Pid

Status: TypeAlias = Literal["running", "runnable", "waiting", "suspended", "exiting"]


class ProcessInfo(Message, tag="$process_info"):
    """How a process stood when somebody looked."""

    pid: Pid
    name: str | None
    """The name it is registered by."""
    label: str
    """The function that it runs; of a server, its class."""
    parent: Pid | None
    """Who spawned it; None if that was no process."""
    status: Status
    """"running" for the one that looks; "runnable" while it waits for its turn; "waiting" for a message, or a future of
    asyncio; "suspended" when it is held at an await, since it has sent where there was no room; "exiting" when it has
    been told to exit, and cleans up."""
    message_queue_len: int
    links: list[Pid]
    """Oldest first."""
    monitors: list[Target]
    """Whom it monitors, once for each monitor: a pid, or `(name, node)` if it is on another node and monitored so."""
    monitored_by: list[Pid]
    """Who monitors it, once for each monitor."""
    trap_exit: bool
    aliases: int
    """How many aliases of it are active."""
    stack: list[str]
    """Where it stands, innermost last, each as `function (file:line)`; of the one that looks only the outermost."""
    reductions: int = 0
    """Its work so far: each step is one, and each message that it has taken or waited for. In a step there may be
    any amount of computing."""


def process_info(pid: Pid) -> ProcessInfo | None:
    """How a process of this node stands, or None if it has ended (Erlang's `process_info/1`).

    Raises:
        ValueError: it is a process of another node.
    """
    check_pid("process_info", pid)
    looker, runtime = acting()
    if not runtime.is_local(pid):
        raise ValueError(f"{pid} lives on another node: only a process of that node can look at it")
    process = runtime.process(pid)
    if process is None:
        return None
    relations = process.relations or Relations()
    return ProcessInfo(
        pid=pid,
        name=process.registered_name(),
        label=process.label,
        parent=process.parent,
        status=_status(process, looker),
        message_queue_len=len(process.mailbox),
        links=relations.active_links(),
        monitors=list(relations.monitors.values()),
        monitored_by=[watcher for watcher, _ in relations.watchers.values()],
        trap_exit=process.trapping,
        aliases=len(process.aliases or ()),
        stack=[_place(frame) for frame in process.get_stack()],
        reductions=process.work(),
    )


def processes() -> list[Pid]:
    """All processes of this node, oldest first (Erlang's `processes/0`).

    Those that clean up after an exit signal are among them, though `is_alive` is false for these.
    """
    _, runtime = acting()
    return [process.pid for process in runtime.table.values()]


def registered() -> list[str]:
    """All names that processes of this node have, oldest first (Erlang's `registered/0`)."""
    _, runtime = acting()
    return runtime.names.all()


def _status(process: Process, looker: Process) -> Status:
    if process.dying:
        return "exiting"
    if process is looker:
        return "running"
    if process.flow is not None and process.flow.gates:
        return "suspended"
    return "waiting" if process.waits() else "runnable"


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
