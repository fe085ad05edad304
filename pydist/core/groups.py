"""Who is in which group of one scope, on all nodes, and who is told of changes (OTP's `pg`).

Pure. The processes of this node and those of each other node stand in a table of their own (`members.py`), so that what
a node tells of its own touches no other's. A group is there while it has members anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from pydist.core.members import Members, Shares
from pydist.message import Message
from pydist.terms import Pid, Ref


class Joined(Message, tag="$pg_joined"):
    """To one that monitors: these processes have joined the group, each as often as it stands here."""

    ref: Ref
    group: Any
    pids: Sequence[Pid]


class Left(Message, tag="$pg_left"):
    """To one that monitors: these processes have left the group, or died, or their node is lost."""

    ref: Ref
    group: Any
    pids: Sequence[Pid]


Events: TypeAlias = tuple[tuple[Pid, Joined | Left], ...]
"""Whom to send what, in this order."""

_ALL: Final = object()
"""Stands for the group of those who monitor all groups."""


class Groups:
    """See the head of this file."""

    def __init__(self) -> None:
        self.local = Members()
        self._remote: dict[str, Members] = {}
        self._watchers: dict[Hashable, dict[Ref, Pid]] = {}
        self._watched: dict[Ref, Hashable] = {}

    # -- reading

    def remote_members(self, group: Hashable) -> list[Pid]:
        """The members of a group on other nodes, each as often as it has joined."""
        return list(chain.from_iterable(members.of(group) for members in self._remote.values()))

    def members(self, group: Hashable) -> list[Pid]:
        """The members of a group, those of this node first."""
        return self.local.of(group) + self.remote_members(group)

    def groups(self) -> list[Any]:
        """All groups, those of this node first."""
        tables = (self.local, *self._remote.values())
        return list(dict.fromkeys(chain.from_iterable(members.groups() for members in tables)))

    def all(self) -> dict[Any, list[Pid]]:
        """The members of all groups."""
        return {group: self.members(group) for group in self.groups()}

    def size_of(self, node: str) -> int:
        """How many memberships another node has."""
        return self._remote[node].size if node in self._remote else 0

    # -- changes on this node

    def join(self, group: Hashable, pids: Sequence[Pid]) -> Events:
        """Each of `pids` joins, as often as it stands there."""
        self.local.join(group, pids)
        return self._events(Joined, [(group, pids)])

    def leave(self, group: Hashable, pids: Iterable[Pid]) -> tuple[list[Pid], Events]:
        """Each of `pids` leaves once for each time it stands there and is a member; who did, and who is told."""
        left = self.local.leave(group, pids)
        return left, self._events(Left, [(group, left)])

    def ended(self, pid: Pid) -> tuple[list[tuple[Any, list[Pid]]], Events]:
        """`pid` has died: it leaves all its groups."""
        left = self.local.leave_all(pid)
        return left, self._events(Left, left)

    # -- changes on other nodes

    def joined(self, node: str, shares: Shares) -> Events:
        """Processes of another node have joined."""
        members = self._remote.setdefault(node, Members())
        for group, pids in shares:
            members.join(group, pids)
        return self._events(Joined, shares)

    def left(self, node: str, shares: Shares) -> Events:
        """Processes of another node have left."""
        members = self._remote.get(node, Members())
        return self._events(Left, [(group, members.leave(group, pids)) for group, pids in shares])

    def replace(self, node: str, shares: Shares) -> Events:
        """These are all members that another node has; told is what is new in that."""
        members = self._remote.setdefault(node, Members())
        new: dict[Any, Counter[Pid]] = {}
        for group, pids in shares:
            new.setdefault(group, Counter()).update(pids)
        old = {group: Counter(pids) for group, pids in members.shares()}
        none = Counter[Pid]()
        gone = [(group, list((pids - new.get(group, none)).elements())) for group, pids in old.items()]
        come = [(group, list((pids - old.get(group, none)).elements())) for group, pids in new.items()]
        return self.left(node, gone) + self.joined(node, come)

    def lost(self, node: str) -> Events:
        """Nothing is known of another node any more: its members have left."""
        members = self._remote.pop(node, None)
        return () if members is None else self._events(Left, members.shares())

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

    def _events(self, event: type[Joined | Left], shares: Shares) -> Events:
        if not self._watchers:
            return ()
        return tuple(
            (watcher, event(ref, group, list(pids)))
            for group, pids in shares
            if pids
            for told in (self._watchers.get(_ALL, {}), self._watchers.get(group, {}))
            for ref, watcher in told.items()
        )
