"""Who is told of nodes that come and go, and how often (OTP: `net_kernel:monitor_nodes/2`, `erlang:monitor_node/2`).

Both are counted: who asks twice is told twice, and has to take it back twice. `monitor_nodes` goes on until it is taken
back, `monitor_node` ends with the `NodeDown` that it brings.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

import attrs

from pydist.terms import NodeType

P = TypeVar("P")

NodeTypes: TypeAlias = Literal["visible", "hidden", "all"]


@attrs.frozen
class Wish:
    """Of which nodes a process wants to hear, and whether also when they are suspect."""

    node_type: NodeTypes = "visible"
    suspects: bool = False

    def __attrs_post_init__(self) -> None:
        """Raise ValueError and TypeError for what is none."""
        if self.node_type not in get_args(NodeTypes):
            raise ValueError(f"the node_type is one of {', '.join(get_args(NodeTypes))}, not {self.node_type!r}")
        if type(self.suspects) is not bool:
            raise TypeError(f"suspects is True or False, not {self.suspects!r}")

    def covers(self, node_type: NodeType) -> bool:
        """Whether nodes of this type are among those."""
        return self.node_type in (node_type, "all")


class NodeMonitors(Generic[P]):
    """The table of one node; `P` are its processes."""

    def __init__(self) -> None:
        self._wishes: dict[P, Counter[Wish]] = {}
        self._watchers: dict[str, Counter[P]] = {}

    def __contains__(self, process: P) -> bool:
        return process in self._wishes or any(process in watchers for watchers in self._watchers.values())

    def monitor_nodes(self, process: P, wish: Wish, *, wanted: bool) -> None:
        """Tell `process` of nodes once more, or once less."""
        wishes = self._wishes.setdefault(process, Counter())
        _count(wishes, wish, wanted=wanted)
        if not wishes:
            del self._wishes[process]

    def monitor_node(self, process: P, node: str, *, wanted: bool) -> None:
        """Tell `process` once more, or once less, when `node` goes."""
        watchers = self._watchers.setdefault(node, Counter())
        _count(watchers, process, wanted=wanted)
        if not watchers:
            del self._watchers[node]

    def forget(self, process: P) -> None:
        """The process has ended."""
        self._wishes.pop(process, None)
        for node, watchers in list(self._watchers.items()):
            watchers.pop(process, None)
            if not watchers:
                del self._watchers[node]

    def of_nodes(self, node_type: NodeType, *, suspects: bool = False) -> list[P]:
        """Who is told of what befalls a node of this type; as often as it is told."""
        return [
            process
            for process, wishes in self._wishes.items()
            for wish in wishes.elements()
            if wish.covers(node_type) and (wish.suspects or not suspects)
        ]

    def take(self, node: str) -> list[P]:
        """Who is told that this node is gone; as often as it is told. They are not told again."""
        return list(self._watchers.pop(node, Counter[P]()).elements())


def _count(table: Counter[P], key: P, *, wanted: bool) -> None:
    table[key] += 1 if wanted else -1
    if table[key] <= 0:
        del table[key]
