"""Who is in which groups, of one node: each process as often as it has joined.

To join or leave is O(1), however many a group has.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from pydist.terms import Pid

Shares: TypeAlias = Sequence[tuple[Any, Sequence[Pid]]]
"""Groups, and processes in each, as often as they are meant."""


class Members:
    """See the head of this file."""

    def __init__(self) -> None:
        self._members: dict[Hashable, dict[Pid, int]] = {}
        """How often each has joined. No group is empty."""
        self._groups: dict[Pid, dict[Hashable, None]] = {}
        """The groups of each; dicts for sets that keep their order. None is empty."""
        self.size = 0
        """How often anybody has joined anything."""

    def __contains__(self, pid: Pid) -> bool:
        return pid in self._groups

    def of(self, group: Hashable) -> list[Pid]:
        """The members of a group, each as often as it has joined."""
        members = self._members.get(group, {})
        if sum(members.values()) == len(members):
            return list(members)
        return [pid for pid, times in members.items() for _ in range(times)]

    def groups(self) -> list[Any]:
        """All groups, oldest first."""
        return list(self._members)

    def shares(self) -> list[tuple[Any, list[Pid]]]:
        """The members of all groups."""
        return [(group, self.of(group)) for group in self._members]

    def join(self, group: Hashable, pids: Iterable[Pid]) -> None:
        """Each of `pids` joins, as often as it stands there."""
        for pid in pids:
            members = self._members.setdefault(group, {})
            members[pid] = members.get(pid, 0) + 1
            self._groups.setdefault(pid, {})[group] = None
            self.size += 1

    def leave(self, group: Hashable, pids: Iterable[Pid]) -> list[Pid]:
        """Each of `pids` leaves once for each time it stands there and is a member; those that did."""
        return [pid for pid in pids if self._leave_once(group, pid)]

    def _leave_once(self, group: Hashable, pid: Pid) -> bool:
        members = self._members.get(group, {})
        if pid not in members:
            return False
        members[pid] -= 1
        self.size -= 1
        if not members[pid]:
            self._forget(group, pid)
        return True

    def _forget(self, group: Hashable, pid: Pid) -> None:
        del self._members[group][pid], self._groups[pid][group]
        if not self._members[group]:
            del self._members[group]
        if not self._groups[pid]:
            del self._groups[pid]

    def leave_all(self, pid: Pid) -> list[tuple[Any, list[Pid]]]:
        """`pid` leaves all its groups; those, and how often it was in each."""
        groups = list(self._groups.get(pid, ()))
        return [(group, self.leave(group, [pid] * self._members[group][pid])) for group in groups]
