"""The table of one registry: who is registered under which key, with which value (Elixir's `Registry`).

Pure: whether a holder still lives is asked of the function that the table is made with. A holder may be dead and its
entries not yet taken out; no read shows them, and a dead holder keeps no key from others. Adding and removing an entry
is O(1), however many its key or its holder has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

import attrs

from pydist.errors import AlreadyRegistered

P = TypeVar("P")


@attrs.define(eq=False)
class Entry(Generic[P]):
    """One registration."""

    key: Hashable
    holder: P
    value: Any
    under_key: dict[Entry[P], None] = attrs.field(factory=dict["Entry[P]", None], repr=False)
    """All entries under its key: a key that has changed since does not lead to them any more."""


class Entries(Generic[P]):
    """See the head of this file. Reads list entries in the order in which they were added."""

    __slots__ = ("_by_holder", "_by_key", "_count", "alive", "unique")

    def __init__(self, alive: Callable[[P], bool], *, unique: bool) -> None:
        self.alive = alive
        self.unique = unique
        """One living holder for a key, at most."""
        # Dicts for sets that keep their order.
        self._by_key: dict[Hashable, dict[Entry[P], None]] = {}
        self._by_holder: dict[P, dict[Entry[P], None]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many entries there are, those of the dead that are not taken out yet included."""
        return self._count

    def add(self, key: Hashable, holder: P, value: Any) -> list[Entry[P]]:
        """Register `holder` under `key`.

        Returns:
            The entries of the dead that had to make room.

        Raises:
            AlreadyRegistered: keys are unique, and a living one has this one.
            TypeError: the key can't be hashed.
        """
        dead = self._make_room(key) if self.unique else []
        entry = Entry(key, holder, value, self._by_key.setdefault(key, {}))
        entry.under_key[entry] = None
        self._by_holder.setdefault(holder, {})[entry] = None
        self._count += 1
        return dead

    def _make_room(self, key: Hashable) -> list[Entry[P]]:
        there = list(self._by_key.get(key, ()))
        for entry in there:
            if self.alive(entry.holder):
                raise AlreadyRegistered(key, entry.holder)
        return self._remove(there)

    def remove(self, key: Hashable, holder: P, where: Callable[[Any], object]) -> list[Entry[P]]:
        """Take out the entries of `holder` under `key` for whose value `where` is true; those that were taken out."""
        return self._remove([entry for entry in self.held(key, holder) if where(entry.value)])

    def remove_all(self, holder: P) -> list[Entry[P]]:
        """Take out all entries of `holder`; those that were taken out."""
        return self._remove(self.of(holder))

    def _remove(self, entries: list[Entry[P]]) -> list[Entry[P]]:
        for entry in entries:
            del entry.under_key[entry]
            if not entry.under_key:
                _forget(self._by_key, entry.key, entry.under_key)
            of_holder = self._by_holder[entry.holder]
            del of_holder[entry]
            if not of_holder:
                del self._by_holder[entry.holder]
        self._count -= len(entries)
        return entries

    def holder(self, key: Hashable) -> P | None:
        """The first living holder of `key`, or None."""
        for entry in self._by_key.get(key, ()):
            if self.alive(entry.holder):
                return entry.holder
        return None

    def at(self, key: Hashable) -> list[Entry[P]]:
        """The entries of the living under `key`."""
        return self._living(self._by_key.get(key, ()))

    def of(self, holder: P) -> list[Entry[P]]:
        """The entries of `holder`, whether it lives or not."""
        return list(self._by_holder.get(holder, ()))

    def count_of(self, holder: P) -> int:
        """How many entries `holder` has."""
        return len(self._by_holder.get(holder, ()))

    def held(self, key: Hashable, holder: P) -> list[Entry[P]]:
        """The entries of `holder` under `key`, whether it lives or not."""
        few, many = sorted((self._by_key.get(key, {}), self._by_holder.get(holder, {})), key=len)
        return [entry for entry in few if entry in many]

    def all(self) -> list[Entry[P]]:
        """The entries of all the living, key by key."""
        return [entry for entries in self._by_key.values() for entry in self._living(entries)]

    def _living(self, entries: Iterable[Entry[P]]) -> list[Entry[P]]:
        return [entry for entry in entries if self.alive(entry.holder)]


def _forget(index: dict[Hashable, dict[Entry[P], None]], key: Hashable, entries: dict[Entry[P], None]) -> None:
    """Take a key out that has no entries any more. A dict does not find one whose hash has changed since: nobody else
    must suffer from that, least of all the process of the registry."""
    if index.get(key) is entries:
        del index[key]
        return
    left = {other: each for other, each in index.items() if each is not entries}
    index.clear()
    index.update(left)
