"""Which nodes are registered, which were, and what tells the incarnations of a name apart.

A creation is random, so that a port mapper that starts anew does not give out an old one, and it differs from the last
one of that name that is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from pydist.wire.epmd import WIDE_CREATION_SINCE, DumpEntry, DumpReply, NamesReply, PortInfo

MAX_NAMES: Final = 640
REMEMBERED: Final = 1000
"""Nodes that have gone, and are kept: their names and last creations."""

# Erlang nodes before OTP 23 know the creations 1 to 3; newer ones keep those apart from their own.
_OLD_CREATIONS: Final = (1, 2, 3)
_FIRST_WIDE: Final = 4
_WIDE_SPAN: Final = (1 << 32) - _FIRST_WIDE


def wide_creation(draw: int) -> int:
    """The creation that a random number stands for: one of 32 bits, and none of those that old nodes have."""
    return _FIRST_WIDE + draw % _WIDE_SPAN


@attrs.frozen
class _Entry:
    node: PortInfo
    creation: int
    descriptor: int

    def dumped(self) -> DumpEntry:
        return DumpEntry(self.node.name, self.node.port, self.descriptor)


class Registrations:
    """The table of nodes.

    Args:
        entropy: gives that many random bytes.
        max_names: how many nodes may be registered at a time.
        remembered: how many of those that have gone are kept.
    """

    def __init__(
        self, entropy: Callable[[int], bytes], *, max_names: int = MAX_NAMES, remembered: int = REMEMBERED
    ) -> None:
        self._entropy = entropy
        self._max_names = max_names
        self._remembered = remembered
        self._here: dict[str, _Entry] = {}
        self._gone: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._here)

    def find(self, name: str) -> PortInfo | None:
        entry = self._here.get(name)
        return None if entry is None else entry.node

    def names(self, port: int) -> NamesReply:
        """The newest first, as Erlang's epmd lists them."""
        return NamesReply(port, tuple((e.node.name, e.node.port) for e in reversed(self._here.values())))

    def dump(self, port: int) -> DumpReply:
        """Those that are registered, the newest first, and those that have gone, the oldest first."""
        here = tuple(entry.dumped() for entry in reversed(self._here.values()))
        return DumpReply(port, here, tuple(entry.dumped() for entry in self._gone.values()))

    def add(self, node: PortInfo, descriptor: int) -> int | str:
        """The new node's creation, or why it can't register."""
        holder = self.find(node.name)
        if holder is not None:
            return f"the name is taken, by a node at port {holder.port}"
        if len(self._here) >= self._max_names:
            return f"{self._max_names} nodes are registered, which is the limit"
        last = self._gone.pop(node.name, None)
        creation = self._new_creation(node, 0 if last is None else last.creation)
        self._here[node.name] = _Entry(node, creation, descriptor)
        return creation

    def remove(self, name: str) -> None:
        self._gone[name] = self._here.pop(name)
        if len(self._gone) > self._remembered:
            del self._gone[next(iter(self._gone))]

    def _new_creation(self, node: PortInfo, last: int) -> int:
        draw = int.from_bytes(self._entropy(4))
        if node.highest >= WIDE_CREATION_SINCE:
            creation = wide_creation(draw)
            return creation if creation != last else wide_creation(draw + 1)
        others = [old for old in _OLD_CREATIONS if old != last]
        return others[draw % len(others)]
