"""What other nodes may see of the processes of this one: for `python -m pydist inspect`, and for tools like it.

Each function here is an export of pydist's own, `pydist.inspect.NAME`, and so is there for every node that holds the
cookie, unless `Node(exports=...)` leaves it out. They read, and change nothing. They tell names, numbers, and where in
the code a process stands; never what a message, a state or an argument holds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from pydist.core.shown import bare
from pydist.exports import export
from pydist.memory_use import memory_of
from pydist.message import Message
from pydist.messaging import acting
from pydist.net_kernel import nodes
from pydist.process import Process
from pydist.process_info import ProcessInfo, Status, process_info
from pydist.runtime import Runtime
from pydist.supervision.supervising import Supervising
from pydist.terms import Pid

Sort: TypeAlias = Literal["mailbox", "memory", "reductions"]

MOST_LINES: Final = 1_000
"""The longest list that is told."""
MOST_RELATIONS: Final = 100
"""Of the links and monitors of a process so many are told."""
MOST_MESSAGES: Final = 10_000
"""Of so many waiting messages the kinds are counted."""
WIDTH: Final = 200
"""Characters of a name or label."""
BATCH: Final = 100
"""So many processes are looked at before others have their turn."""


class Line(Message, tag="$inspect.line"):
    """One process in a list."""

    pid: Pid
    name: str | None
    label: str
    status: Status
    message_queue_len: int
    memory: int
    """Bytes, about."""
    reductions: int


class Listing(Message, tag="$inspect.listing"):
    """The processes of a node that come first."""

    node: str
    count: int
    """How many there are."""
    lines: list[Line]


class Branch(Message, tag="$inspect.branch"):
    """A supervisor or a child of one, in the tree: those below it follow it, one deeper."""

    depth: int
    id: str
    """By which its supervisor knows it."""
    pid: Pid | None
    """None while it does not run."""
    kind: Literal["supervisor", "worker"]
    label: str
    restarting: bool = False


class Tree(Message, tag="$inspect.tree"):
    """The supervision trees of a node."""

    node: str
    branches: list[Branch]
    cut: bool
    """There are more."""


class Detail(Message, tag="$inspect.detail"):
    """One process."""

    info: ProcessInfo
    """With some links and monitors at most."""
    links: int
    monitors: int
    monitored_by: int
    memory: int
    """Bytes, about."""
    kinds: list[tuple[str, int]]
    """The classes of the messages that wait, and how many of each."""


class Neighbour(Message, tag="$inspect.neighbour"):
    """A node that is connected."""

    node: str
    kind: Literal["visible", "hidden"]


@export(name="pydist.inspect.nodes")
def connected_nodes() -> list[Neighbour]:
    """Which nodes this one is connected with."""
    visible = [Neighbour(node, "visible") for node in nodes("visible")]
    return visible + [Neighbour(node, "hidden") for node in nodes("hidden")]


@export(name="pydist.inspect.processes")
async def list_processes(sort: Sort, limit: int) -> Listing:
    """The processes with the longest mailboxes, the most memory, or the most work done.

    Raises:
        ValueError: no such order.
    """
    _, runtime = acting()
    keys = {"mailbox": _waiting, "memory": memory_of, "reductions": Process.work}
    key = keys.get(sort)
    if key is None:
        raise ValueError(f"processes are sorted by {', '.join(keys)}, not {sort!r}")
    found = [(key(process), process) async for process in _living(runtime)]
    found.sort(key=lambda pair: -pair[0])
    first = [process for _, process in found[: max(0, min(limit, MOST_LINES))] if not process.over]
    return Listing(runtime.node, len(found), [_line(process) for process in first])


async def _living(runtime: Runtime) -> AsyncIterator[Process]:
    """All processes, with a turn for others from time to time."""
    for number, process in enumerate(list(runtime.table.values())):
        if number % BATCH == BATCH - 1:
            await asyncio.sleep(0)
        if not process.over:
            yield process


def _waiting(process: Process) -> int:
    return len(process.mailbox)


def _line(process: Process) -> Line:
    info = process_info(process.pid)
    assert info is not None  # noqa: S101  # nothing has run since it was found alive
    return Line(
        pid=info.pid,
        name=None if info.name is None else bare(info.name, WIDTH),
        label=bare(info.label, WIDTH),
        status=info.status,
        message_queue_len=info.message_queue_len,
        memory=memory_of(process),
        reductions=info.reductions,
    )


@export(name="pydist.inspect.process")
def look_at(which: str | int) -> Detail | None:
    """A process, by its name or the number of its pid; None if there is none."""
    _, runtime = acting()
    process = runtime.table.get(which) if isinstance(which, int) else runtime.names.holder(which)
    info = None if process is None else process_info(process.pid)
    if process is None or info is None:
        return None
    told = ProcessInfo(
        pid=info.pid,
        name=None if info.name is None else bare(info.name, WIDTH),
        label=bare(info.label, WIDTH),
        parent=info.parent,
        status=info.status,
        message_queue_len=info.message_queue_len,
        links=info.links[:MOST_RELATIONS],
        monitors=info.monitors[:MOST_RELATIONS],
        monitored_by=info.monitored_by[:MOST_RELATIONS],
        trap_exit=info.trap_exit,
        aliases=info.aliases,
        stack=[bare(place, 2 * WIDTH) for place in info.stack[:MOST_RELATIONS]],
        reductions=info.reductions,
    )
    return Detail(
        info=told,
        links=len(info.links),
        monitors=len(info.monitors),
        monitored_by=len(info.monitored_by),
        memory=memory_of(process),
        kinds=_kinds(process.mailbox.messages()[:MOST_MESSAGES]),
    )


def _kinds(messages: list[Any]) -> list[tuple[str, int]]:
    return [(bare(kind.__qualname__, WIDTH), count) for kind, count in Counter(map(type, messages)).most_common(20)]


@export(name="pydist.inspect.tree")
async def supervision_tree() -> Tree:
    """Who supervises whom."""
    _, runtime = acting()
    supervisors: dict[Pid, Supervising] = {}
    parents: dict[Pid, Pid | None] = {}
    async for process in _living(runtime):
        found = _supervisor_in(process)
        if found is not None:
            supervisors[process.pid], parents[process.pid] = found, process.parent
    roots = [
        Branch(0, _title(runtime, pid), pid, "supervisor", _label(runtime, pid))
        for pid, parent in parents.items()
        if parent not in supervisors
    ]
    branches: list[Branch] = []
    for branch in _walk(runtime, supervisors, roots):
        if len(branches) == MOST_LINES:
            return Tree(runtime.node, branches, cut=True)
        branches.append(branch)
    return Tree(runtime.node, branches, cut=False)


def _walk(runtime: Runtime, supervisors: dict[Pid, Supervising], roots: list[Branch]) -> Iterator[Branch]:
    """Each before those below it. Nobody is shown twice, whatever the supervisors hold."""
    waiting, seen = roots[::-1], set[Pid]()
    while waiting:
        branch = waiting.pop()
        yield branch
        if branch.pid is None or branch.pid in seen or branch.pid not in supervisors:
            continue
        seen.add(branch.pid)
        children = [
            Branch(
                branch.depth + 1, bare(each.id, WIDTH), each.pid, each.kind, _label(runtime, each.pid), each.restarting
            )
            for each in islice(supervisors[branch.pid].child_infos(), MOST_LINES + 1)
        ]
        waiting.extend(children[::-1])


def _supervisor_in(process: Process) -> Supervising | None:
    """The supervisor that a process is: what its outermost function holds. Nobody is asked, so nobody is waited for."""
    outermost = process.get_stack(limit=1)
    held = outermost[0].f_locals.values() if outermost else ()
    return next((value for value in held if isinstance(value, Supervising)), None)


def _label(runtime: Runtime, pid: Pid | None) -> str:
    process = None if pid is None else runtime.process(pid)
    return "" if process is None else bare(process.label, WIDTH)


def _title(runtime: Runtime, pid: Pid) -> str:
    process = runtime.process(pid)
    name = None if process is None else process.registered_name()
    return "" if name is None else bare(name, WIDTH)
