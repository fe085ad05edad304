"""Which mailboxes have become long, and which no longer are (OTP: `long_message_queue` of `system_monitor`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class LongQueues:
    """What one subscriber has been told. Two limits, so that a mailbox at the limit is not told of again and again."""

    __slots__ = ("_disable", "enable", "long")

    def __init__(self, disable: int, enable: int) -> None:
        self._disable = disable
        self.enable = enable
        self.long: set[int] = set()
        """The numbers of the processes whose mailbox is long."""

    def look(self, number: int, length: int) -> bool | None:
        """A mailbox has this length: True if it has become long, False if it no longer is, None if nothing is new."""
        if number in self.long:
            if length > self._disable:
                return None
            self.long.discard(number)
            return False
        if length < self.enable:
            return None
        self.long.add(number)
        return True


class Sweep:
    """Walks around all processes, a bounded number at a time."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[int] = []

    def take(self, count: int, everybody: Callable[[], Sequence[int]]) -> list[int]:
        """The next `count` numbers, or those that are left of this round; a new round begins with `everybody()`."""
        if not self._left:
            self._left = list(everybody())
        taken = self._left[-count:]
        del self._left[-count:]
        return taken
