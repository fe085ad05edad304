"""Which nodes a discovery has found, which of them to keep connected, and when to look again.

A node that is found is to be kept: it is dialled until it is connected, and again when it was lost. One that a look no
longer shows is forgotten after a grace, unless it is connected then: it stays as long as the connection does, and is
forgotten at the first look after that. So a list that is short for a moment does no harm, and a machine that is gone is
not dialled for ever.

A look that fails changes nothing: the last list holds, and the next look comes later than it would have, twice as late
after each failure, up to `LONGEST_PAUSE`. All times are shortened by chance, by up to a quarter, so that nodes that
started at once do not look at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import attrs

INTERVAL: Final = 30.0
"""Seconds from one look to the next."""
GRACE: Final = 60.0
"""Seconds for which a node is still dialled that a look no longer shows."""
LONGEST_PAUSE: Final = 300.0
NODE_LIMIT: Final = 1000
"""Nodes that are kept; of more, those that were there first."""


@attrs.frozen
class Found:
    """A node that was found, and the port where it listens if the discovery knows it."""

    node: str
    port: int | None = None


@attrs.frozen
class Keep:
    """Dial this node, now and whenever it is lost."""

    node: str
    port: int | None


@attrs.frozen
class Forget:
    """Dial it no more."""

    node: str


@attrs.frozen
class TooMany:
    """So many nodes more were found than are kept."""

    left_out: int


Effect: TypeAlias = Keep | Forget | TooMany


class Finds:
    """What one node has found. Times are in seconds; `chance()` gives numbers from 0 to 1.

    Args:
        me: the node's own name, which is never kept.
        interval: seconds from one look to the next.
        grace: seconds for which a node is kept that was not seen.
        limit: how many nodes are kept.
    """

    def __init__(
        self,
        me: str,
        chance: Callable[[], float],
        *,
        interval: float = INTERVAL,
        grace: float = GRACE,
        limit: int = NODE_LIMIT,
    ) -> None:
        self._me = me
        self._chance = chance
        self._interval = interval
        self._grace = grace
        self._limit = limit
        self._ports: dict[str, int | None] = {}
        self._missing: dict[str, float] = {}
        """Since when a node has not been seen."""
        self._failures = 0

    @property
    def nodes(self) -> list[str]:
        """The nodes that are kept."""
        return list(self._ports)

    def looked(self, found: Iterable[Found], connected: Iterable[str], now: float) -> list[Effect]:
        """A look has ended well, and shows these."""
        self._failures = 0
        seen = {item.node: item.port for item in found if item.node != self._me}
        effects: list[Effect] = []
        for node in self._ports:
            if node in seen:
                self._missing.pop(node, None)
            else:
                self._missing.setdefault(node, now)
        effects += self._settle(set(connected), now)
        left_out = 0
        for node, port in seen.items():
            if node not in self._ports and len(self._ports) >= self._limit:
                left_out += 1
            elif node not in self._ports or self._ports[node] != port:
                self._ports[node] = port
                effects.append(Keep(node, port))
        return [*effects, TooMany(left_out)] if left_out else effects

    def failed(self) -> None:
        """A look has failed: what was found before holds."""
        self._failures += 1

    def pause(self) -> float:
        """Seconds until the next look."""
        pause = min(self._interval * 2.0 ** min(self._failures, 16), max(LONGEST_PAUSE, self._interval))
        return pause * (1 - self._chance() / 4)

    def _settle(self, connected: set[str], now: float) -> list[Effect]:
        """Forget those whose grace is over, and that are not connected."""
        late = [node for node, since in self._missing.items() if now >= since + self._grace and node not in connected]
        for node in late:
            del self._ports[node], self._missing[node]
        return [Forget(node) for node in late]
