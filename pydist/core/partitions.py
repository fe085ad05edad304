"""Clean partitions: when connections were lost, nodes that are connected are all connected with each other.

Where A has lost B and C has not, C's view of the cluster would overlap both. So (OTP 25, `global.erl`, "Prevent
Overlapping Partitions"):

1. A node that loses a connection tells all other members.
2. Who hears that A has lost B, for the first time, tells all other members, and leaves B; B itself leaves A.
   Should B have begun a new life meanwhile, that one is not meant.
3. To leave is to say so and to close. Neither side reports that loss. A node that stops leaves all.

More is taken down than would have to be: who hears of a loss does not know whether a node has died or a cable, all must
decide at once and alike, and the rest of a cluster whose node has died must stay whole. When A and B lose each other,
the others leave one of them or both, as the word comes round. (In OTP both: there who is asked to part closes, here
who asks.)

Members are the peers that are connected, are not hidden, and keep to this too. There is no other condition, as
pydist makes no full mesh by itself (OTP does, and demands it): where A, B and C are not all connected with each other
nobody has anything to leave, so stars and chains stay as they are; where they are, they count as a mesh. A cluster
with such triangles on purpose, and no full mesh, switches it off.

A member can say anything in the name of another, so a loss counts only where both nodes are, or were, connected with
this one in these incarnations, and is told on once, and again only by who parts because of it. Numbers tell a loss
that comes round again from a new one, and are compared for no more than being the same: else one that is much too high
would hide all that follow.

It cuts when a connection is lost. It does not keep nodes from connecting again.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final, TypeAlias

import attrs

from pydist.wire.control import Lost

REMEMBERED: Final = 10_000
"""Incarnations of nodes that were members; and pairs of them of whose losses it is known that they have been told."""

NUMBERS: Final = 8
"""Losses of one pair that are remembered."""

_Incarnation: TypeAlias = tuple[str, int]


@attrs.frozen
class Tell:
    """Tell a member of a loss."""

    member: str
    loss: Lost


@attrs.frozen
class Part:
    """Tell a member that this node leaves it, and disconnect."""

    member: str
    text: str


Order: TypeAlias = Tell | Part


class Partitions:
    """What one node knows. Each method returns what is to be done, in order."""

    def __init__(self, me: str, creation: int) -> None:
        self._me = me
        self._creation = creation
        self._members: dict[str, int] = {}
        """With their creations."""
        self._numbers = count(1)
        self._known: dict[_Incarnation, None] = {}
        """Those who are members, or were."""
        self._told: dict[tuple[_Incarnation, _Incarnation], tuple[int, ...]] = {}
        """The numbers of the last losses of each pair."""

    @property
    def members(self) -> list[str]:
        """Those who are told of losses."""
        return list(self._members)

    def joined(self, node: str, creation: int) -> None:
        """A member is connected."""
        self._members[node] = creation
        self._known.pop((node, creation), None)
        _keep_last(self._known, (node, creation), None)

    def left(self, node: str) -> None:
        """One of the two leaves the other: it is no loss."""
        self._members.pop(node, None)

    def lost(self, node: str) -> list[Order]:
        """The connection is lost."""
        incarnation = self._members.pop(node, None)
        if incarnation is None:
            return []
        return self._spread(Lost(self._me, self._creation, next(self._numbers), node, incarnation))

    def told(self, loss: Lost) -> list[Order]:
        """A member tells of a loss."""
        reporter, lost = (loss.reporter, loss.creation), (loss.node, loss.node_creation)
        if not (self._knows(reporter) and (self._knows(lost) or lost == (self._me, self._creation))):
            return []
        numbers = self._told.pop((reporter, lost), ())
        again = loss.number in numbers
        _keep_last(self._told, (reporter, lost), numbers if again else (*numbers, loss.number)[-NUMBERS:])
        other = self._other(loss)
        if again or (numbers and other is None):
            return []
        orders = self._spread(loss)
        if other is not None:
            del self._members[other]
            orders.append(Part(other, f"to prevent overlapping partitions: {loss.reporter} has lost {loss.node}"))
        return orders

    def _knows(self, incarnation: _Incarnation) -> bool:
        node, creation = incarnation
        return incarnation in self._known or self._members.get(node) == creation

    def _other(self, loss: Lost) -> str | None:
        """Whom this node is to leave because of a loss. Nobody, if the lost one has begun a new life since."""
        node, creation = loss.node, loss.node_creation
        if (node, creation) == (self._me, self._creation):
            node, creation = loss.reporter, loss.creation
        return node if self._members.get(node) == creation else None

    def _spread(self, loss: Lost) -> list[Order]:
        return [Tell(member, loss) for member in self._members if member not in (loss.reporter, loss.node)]


def _keep_last(table: dict[Any, Any], key: object, value: object) -> None:
    if len(table) >= REMEMBERED:
        del table[next(iter(table))]
    table[key] = value
