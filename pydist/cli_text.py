"""What `python -m pydist` prints: the answers of a node as lines for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydist.core.shown import shown
from pydist.core.tables import amount, fitted, table
from pydist.inspection import Detail, Listing, Neighbour, Tree
from pydist.message import Message
from pydist.terms import Pid, is_pid


def pid_text(pid: Pid | None) -> str:
    """A pid as `inspect` takes it: its number, which is known where its node is."""
    return "-" if pid is None else f"{pid.number}"


def names_lines(nodes: Sequence[dict[str, Any]], width: int) -> list[str]:
    """The nodes that a port mapper knows."""
    if not nodes:
        return ["no node is registered"]
    rows = [(each["name"], str(each["port"]), each["kind"]) for each in nodes]
    return table(("NAME", "PORT", "KIND"), rows, width, frozenset({1}))


def nodes_lines(node: str, found: Sequence[Neighbour], width: int) -> list[str]:
    """The nodes that one is connected with."""
    if not found:
        return [f"{node} is connected with no other node"]
    return table(("NODE", "KIND"), [(each.node, each.kind) for each in found], width, frozenset())


def listing_lines(listing: Listing, width: int) -> list[str]:
    """A list of processes."""
    head = ("PID", "MAILBOX", "MEMORY", "REDUCTIONS", "STATUS", "NAME", "RUNS")
    rows = [
        (
            pid_text(each.pid),
            str(each.message_queue_len),
            amount(each.memory),
            str(each.reductions),
            each.status,
            each.name or "-",
            each.label,
        )
        for each in listing.lines
    ]
    shown = f"{listing.node}: {listing.count} processes"
    if len(rows) < listing.count:
        shown += f", the first {len(rows)}"
    return [fitted(shown, width), *table(head, rows, width, frozenset({0, 1, 2, 3}))]


def tree_lines(tree: Tree, width: int) -> list[str]:
    """The supervision trees."""
    if not tree.branches:
        return [f"{tree.node} has no supervisor"]
    lines: list[str] = []
    for each in tree.branches:
        state = "restarting" if each.restarting else "does not run" if each.pid is None else each.label
        pid = "" if each.pid is None else f" <{pid_text(each.pid)}>"
        mark = "+" if each.kind == "supervisor" else "-"
        lines.append(fitted("  " * min(each.depth, width) + f"{mark} {each.id or '(no name)'}{pid} {state}", width))
    return [*lines, "... and more"] if tree.cut else lines


def detail_lines(detail: Detail, width: int) -> list[str]:
    """One process."""
    info, here = detail.info, detail.info.pid.node
    fields = [
        ("pid", f"{pid_text(info.pid)} on {info.pid.node}"),
        ("name", info.name or "-"),
        ("runs", info.label),
        ("parent", _address(here, info.parent)),
        ("status", info.status),
        ("mailbox", f"{info.message_queue_len}{_kinds(detail)}"),
        ("memory", f"about {amount(detail.memory)} bytes"),
        ("reductions", str(info.reductions)),
        ("traps exits", "yes" if info.trap_exit else "no"),
        ("aliases", str(info.aliases)),
        ("links", _several(here, info.links, detail.links)),
        ("monitors", _several(here, info.monitors, detail.monitors)),
        ("monitored by", _several(here, info.monitored_by, detail.monitored_by)),
    ]
    lines = [f"{name:<13} {value}" for name, value in fields]
    lines += [f"{'stands at' if place is info.stack[0] else '':<13} {place}" for place in info.stack]
    return [fitted(line, width) for line in lines]


def _kinds(detail: Detail) -> str:
    return f" ({', '.join(f'{count} {kind}' for kind, count in detail.kinds)})" if detail.kinds else ""


def _several(here: str, found: Sequence[Any], count: int) -> str:
    shown = ", ".join(_address(here, each) for each in found) or "-"
    return shown if len(found) == count else f"{shown}, ... {count - len(found)} more"


def _address(here: str, value: object) -> str:
    if is_pid(value):
        return pid_text(value) if value.node == here else f"{value.number} on {value.node}"
    match value:
        case (str(name), str(node)):
            return f"{name} on {node}"
        case _:
            return "-"


def as_json(value: object) -> Any:
    """What an answer is in JSON: messages as objects, pids as `{"node": ..., "number": ..., "creation": ...}`."""
    if isinstance(value, Pid):
        return {"node": value.node, "number": value.number, "creation": value.creation}
    if isinstance(value, Message):
        return {name: as_json(getattr(value, name)) for name in value.__fields__}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in cast("Sequence[object]", value)]
    return value if value is None or type(value) in (str, int, float, bool) else shown(value)
