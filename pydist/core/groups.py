"""Who is in which group of one scope, and who is told of changes (OTP's `pg`).

Pure: the process of the scope performs what a change asks for. A process may join a group several times, and is in it
until it has left as often. A group is there while it has members. To join or leave is O(1), however many a group has.
Only members of this node are known yet; those that other nodes tell of will stand beside them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import attrs

from pydist.message import Message
from pydist.terms import Pid, Ref


class Joined(Message, tag="$pg_joined"):
    """To one that monitors: these processes have joined the group, each as often as it stands here."""

    ref: Ref
    group: Any
    pids: Sequence[Pid]


class Left(Message, tag="$pg_left"):
    """To one that monitors: these processes have left the group, or died."""

    ref: Ref
    group: Any
    pids: Sequence[Pid]


Event: TypeAlias = type[Joined] | type[Left]

_ALL: Final = object()
"""Stands for the group of those who monitor all groups."""


@attrs.frozen
class Change:
    """What the process of the scope has to do after a change."""

    events: tuple[tuple[Pid, Joined | Left], ...] = ()
    """Whom to send what, in this order."""
    watch: tuple[Pid, ...] = ()
    """Now in some group: their end must be noticed."""
    unwatch: tuple[Pid, ...] = ()
    """In no group any more."""


class Groups:
    """See the head of this file."""

    def __init__(self) -> None:
        self._members: dict[Hashable, dict[Pid, int]] = {}
        """How often each has joined. No group is empty."""
        self._groups: dict[Pid, dict[Hashable, None]] = {}
        """The groups of each; dicts for sets that keep their order. None is empty."""
        self._watchers: dict[Hashable, dict[Ref, Pid]] = {}
        self._watched: dict[Ref, Hashable] = {}

    # -- reading

    def members(self, group: Hashable) -> list[Pid]:
        """The members of a group, each as often as it has joined."""
        return [pid for pid, times in self._members.get(group, {}).items() for _ in range(times)]

    def groups(self) -> list[Any]:
        """All groups, oldest first."""
        return list(self._members)

    def all(self) -> dict[Any, list[Pid]]:
        """The members of all groups."""
        return {group: self.members(group) for group in self._members}

    # -- changes

    def join(self, group: Hashable, pids: Sequence[Pid]) -> Change:
        """Each of `pids` joins, as often as it stands there."""
        new = tuple(pid for pid in dict.fromkeys(pids) if pid not in self._groups)
        for pid in pids:
            members = self._members.setdefault(group, {})
            members[pid] = members.get(pid, 0) + 1
            self._groups.setdefault(pid, {})[group] = None
        return Change(tuple(self._events(Joined, group, pids)), watch=new)

    def leave(self, group: Hashable, pids: Iterable[Pid]) -> Change | None:
        """Each of `pids` leaves once for each time it stands there and is a member; None if nobody was."""
        left = [pid for pid in pids if self._leave_once(group, pid)]
        if not left:
            return None
        gone = tuple(pid for pid in dict.fromkeys(left) if pid not in self._groups)
        return Change(tuple(self._events(Left, group, left)), unwatch=gone)

    def _leave_once(self, group: Hashable, pid: Pid) -> bool:
        members = self._members.get(group, {})
        if pid not in members:
            return False
        members[pid] -= 1
        if not members[pid]:
            self._remove(group, pid)
        return True

    def _remove(self, group: Hashable, pid: Pid) -> int:
        """How often it had joined."""
        times = self._members[group].pop(pid)
        if not self._members[group]:
            del self._members[group]
        del self._groups[pid][group]
        if not self._groups[pid]:
            del self._groups[pid]
        return times

    def ended(self, pid: Pid) -> Change:
        """`pid` has died: it leaves all its groups."""
        events: list[tuple[Pid, Joined | Left]] = []
        for group in list(self._groups.get(pid, ())):
            events += self._events(Left, group, [pid] * self._remove(group, pid))
        return Change(tuple(events))

    # -- monitoring

    def watch(self, ref: Ref, watcher: Pid, group: Hashable = _ALL) -> None:
        """From now on `watcher` gets the changes of a group, or of all, with this ref."""
        self._watchers.setdefault(group, {})[ref] = watcher
        self._watched[ref] = group

    def unwatch(self, ref: Ref) -> bool:
        """No longer; False if nobody had."""
        if ref not in self._watched:
            return False
        group = self._watched.pop(ref)
        del self._watchers[group][ref]
        if not self._watchers[group]:
            del self._watchers[group]
        return True

    def _events(self, event: Event, group: Hashable, pids: Sequence[Pid]) -> list[tuple[Pid, Joined | Left]]:
        if not pids:
            return []
        told = (self._watchers.get(_ALL, {}), self._watchers.get(group, {}))
        return [(watcher, event(ref, group, list(pids))) for each in told for ref, watcher in each.items()]
