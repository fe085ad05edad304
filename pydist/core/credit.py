"""How many messages a process of one node may still be sent from another: both ends of the count.

Only a process whose mailbox is bounded, and blocks, gives credit: see "Credit" in `docs/wire.md`. Until its first grant
arrives the sending node knows of no bound. From then on both ends count the same messages, so they differ at most by
those that were under way when that grant came: by so many the bound may be exceeded for good.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Address: TypeAlias = int | str
"""The number of a process, or the name that it was sent to by."""

KNOWN: Final = 10_000
"""Of so many addresses at each other's end two nodes keep count. All others are as without credit."""
NAME_LENGTH: Final = 255


class Credit:
    """The sending end: how many more messages each process of one peer takes."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left: dict[Address, int] = {}
        """Where there is a bound. Below zero: so many were sent too many, by those that have not come to an await."""

    def spend(self, address: Address) -> bool:
        """A message was sent; True if its sender is to wait, for there was no room for it."""
        left = self.left.get(address)
        if left is None:
            return False
        self.left[address] = left - 1
        return left <= 0

    def is_out(self, address: Address) -> bool:
        """Whether the sender of one more message is to wait."""
        return self.left.get(address, 1) <= 0

    def grant(self, address: Address, more: int) -> bool:
        """The peer takes `more` messages; True if there is room now."""
        if address not in self.left:
            long = type(address) is str and len(address) > NAME_LENGTH
            if long or len(self.left) >= KNOWN:
                return True
        left = self.left[address] = self.left.get(address, 0) + more
        return left > 0

    def end(self, address: Address) -> None:
        """There is no bound any more."""
        self.left.pop(address, None)


class Window:
    """The receiving end: what one peer may still send to one address."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = 0
        """How many messages may still come of what was granted."""

    def received(self, count: int) -> None:
        """So many have come."""
        self.open -= count

    def is_low(self, size: int) -> bool:
        """Whether half of the window of `size` messages is used up, so that more is to be granted."""
        return self.open <= size // 2

    def fill(self, size: int, room: int) -> int:
        """How many to grant, where the mailbox has room for so many: half a window at least, or whatever there is for
        a peer that has nothing left."""
        more = min(size, room) - self.open
        if more <= 0 or (self.open > 0 and more < size // 2):
            return 0
        self.open += more
        return more
