"""The locks that processes have set at one node (OTP's `global:set_lock`).

A lock is on a resource, for a requester; all processes that name the same requester share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final

import attrs

from pydist.terms import Pid

LOCKS_LIMIT: Final = 100_000
"""So many locks the processes of one node may hold here."""


@attrs.define
class _Lock:
    requester: Hashable
    holders: dict[Pid, None] = attrs.field(factory=dict[Pid, None])


class LockTable:
    """See the head of this file."""

    def __init__(self, limit: int = LOCKS_LIMIT) -> None:
        self._limit = limit
        self._count: Counter[str] = Counter()
        """How many the processes of each node hold."""
        self._locks: dict[Hashable, _Lock] = {}
        self._held: dict[Pid, dict[Hashable, None]] = {}

    def set(self, resource: Hashable, requester: Hashable, holder: Pid) -> bool:
        """Whether the lock is theirs now; False if another requester has it, or their node too many."""
        if resource in self._held.get(holder, ()):
            return self._locks[resource].requester == requester
        lock = self._locks.get(resource)
        if self._count[holder.node] >= self._limit or (lock is not None and lock.requester != requester):
            return False
        lock = self._locks.setdefault(resource, _Lock(requester))
        self._count[holder.node] += 1
        lock.holders[holder] = None
        self._held.setdefault(holder, {})[resource] = None
        return True

    def delete(self, resource: Hashable, requester: Hashable, holder: Pid) -> None:
        """One who holds it does no longer; nothing if he did not."""
        lock = self._locks.get(resource)
        if lock is not None and lock.requester == requester and holder in lock.holders:
            self._drop(resource, holder)

    def ended(self, holder: Pid) -> None:
        """A process is dead: its locks are free."""
        for resource in list(self._held.get(holder, ())):
            self._drop(resource, holder)

    def holds(self, holder: Pid) -> bool:
        """Whether a process has any lock here."""
        return holder in self._held

    def _drop(self, resource: Hashable, holder: Pid) -> None:
        lock = self._locks[resource]
        del lock.holders[holder]
        if not lock.holders:
            del self._locks[resource]
        self._count[holder.node] -= 1
        if not self._count[holder.node]:
            del self._count[holder.node]
        held = self._held[holder]
        del held[resource]
        if not held:
            del self._held[holder]


def pause(attempt: int, chance: float) -> float:
    """Seconds to wait before a lock is tried again: by chance (from 0 to 1), longer after each attempt, 8 at most."""
    return chance * min(2.0**attempt / 8, 8.0)
