"""Who has which name in the cluster, as one node knows it.

A name belongs to the node of its process: that one alone adds it, and tells the others. So each node holds the names of
its own processes, and of each other node a copy. Where two nodes both have a name, for a moment after they have met, or
for long where they don't meet, the process on the lesser node is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydist.terms import Pid


class NameTable:
    """See the head of this file."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._holders: dict[Any, dict[str, Pid]] = {}
        """By name, and then by node."""
        self._of: dict[str, dict[Any, Pid]] = {me: {}}
        """By node, and then by name."""
        self._names: dict[Pid, Any] = {}
        """The names of the processes of this node."""

    def find(self, name: Any) -> Pid | None:
        """Who has the name."""
        holders = self._holders.get(name)
        return None if holders is None else holders[min(holders)]

    def holders(self, name: Any) -> list[Pid]:
        """All that have it: two, where it is not yet settled which one shall."""
        return list(self._holders.get(name, {}).values())

    def names(self) -> list[Any]:
        """All names."""
        return list(self._holders)

    def of(self, node: str) -> list[tuple[Any, Pid]]:
        """The names of the processes of one node."""
        return list(self._of.get(node, {}).items())

    def size_of(self, node: str) -> int:
        """How many those are."""
        return len(self._of.get(node, ()))

    def name_of(self, pid: Pid) -> Any:
        """The name of a process of this node; None if it has none."""
        return self._names.get(pid)

    def clashes(self, node: str) -> list[tuple[Any, Pid, Pid]]:
        """The names that both this node and that one have: each with the process here, and the one there."""
        own, theirs = self._of[self._me], self._of.get(node, {})
        return [(name, own[name], pid) for name, pid in theirs.items() if name in own]

    def add(self, name: Any, pid: Pid) -> None:
        """A process has the name now."""
        self.remove(name, self._of.get(pid.node, {}).get(name))
        self._of.setdefault(pid.node, {})[name] = pid
        self._holders.setdefault(name, {})[pid.node] = pid
        if pid.node == self._me:
            self._names[pid] = name

    def remove(self, name: Any, pid: Pid | None) -> bool:
        """A process has the name no longer; whether it had."""
        if pid is None or self._of.get(pid.node, {}).get(name) != pid:
            return False
        del self._of[pid.node][name]
        holders = self._holders[name]
        del holders[pid.node]
        if not holders:
            del self._holders[name]
        self._names.pop(pid, None)
        return True

    def replace(self, node: str, names: Iterable[tuple[Any, Pid]]) -> None:
        """All names of another node, as it tells them."""
        self.forget(node)
        for name, pid in names:
            if pid.node == node:
                self.add(name, pid)

    def forget(self, node: str) -> None:
        """Another node is gone."""
        for name, pid in self.of(node):
            self.remove(name, pid)
        self._of.pop(node, None)
