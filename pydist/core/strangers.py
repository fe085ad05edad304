"""Who has dialled us and has not proven itself yet, and who of them has to go when there are too many.

Nobody can tell a node from a stranger before its proof, but nodes do not dawdle: they introduce themselves at once, and
prove themselves a round trip later. So there are two rooms, one for those who have said nothing and one for those who
have introduced themselves, and silence in the first takes no place in the second. Where a room is too full, who has
waited longest goes, of those that come from the address most of them come from. So a node gets in, from an address of
its own or from the same one, however many others are there.

What is known of a stranger is where it comes from, for as long as its connection lasts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


class Strangers(Generic[S]):
    """Two rooms, each for at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._silent: _Room[S] = _Room(limit)
        self._introduced: _Room[S] = _Room(limit)

    def __len__(self) -> int:
        return len(self._silent.sources) + len(self._introduced.sources)

    def __iter__(self) -> Iterator[S]:
        yield from [*self._silent.sources, *self._introduced.sources]

    def admit(self, stranger: S, host: str) -> S | None:
        """One has dialled us from `host`: who is to be turned away, if anybody."""
        return self._silent.enter(stranger, _source(host))

    def introduce(self, stranger: S) -> S | None:
        """It has said who it is, in a hello that makes sense: who is to be turned away, if anybody."""
        source = self._silent.leave(stranger)
        return None if source is None else self._introduced.enter(stranger, source)

    def leave(self, stranger: S) -> None:
        """It has proven itself, or is gone."""
        self._silent.leave(stranger)
        self._introduced.leave(stranger)


class _Room(Generic[S]):
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.sources: dict[S, str] = {}
        """Where each comes from; who has waited longest comes first."""
        self._of_source: dict[str, dict[S, None]] = {}

    def enter(self, stranger: S, source: str) -> S | None:
        self.sources[stranger] = source
        self._of_source.setdefault(source, {})[stranger] = None
        if len(self.sources) <= self._limit:
            return None
        crowd: dict[S, None] = max(self._of_source.values(), key=len)
        return next(iter(crowd))

    def leave(self, stranger: S) -> str | None:
        source = self.sources.pop(stranger, None)
        if source is not None:
            others = self._of_source[source]
            del others[stranger]
            if not others:
                del self._of_source[source]
        return source


def _source(host: str) -> str:
    """What counts as one address. Who has an IPv6 address has 2⁶⁴ of them."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return address.exploded[:19] if isinstance(address, IPv6Address) and address.ipv4_mapped is None else host
