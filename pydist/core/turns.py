"""Whose turn it is at one node to change the names of the cluster: one lock with a queue.

Who waits in a queue holds no other turn, and who holds one is never made to wait: he is refused, gives all back and
tries again later. So nobody waits for somebody who waits for him.
"""

from __future__ import annotations

from typing import TypeAlias

Asker: TypeAlias = tuple[str, int]
"""A node, and its number for this turn."""


class Turns:
    """See the head of this file."""

    def __init__(self) -> None:
        self.holder: Asker | None = None
        self._queue: list[Asker] = []

    def ask(self, asker: Asker, *, waits: bool) -> bool | None:
        """True: it is theirs; False: refused; None: they are in the queue."""
        if self.holder is None:
            self.holder = asker
            return True
        if not waits:
            return False
        self._queue.append(asker)
        return None

    def release(self, asker: Asker) -> Asker | None:
        """It is over, or not wanted any more; whose turn has come by that."""
        if asker in self._queue:
            self._queue.remove(asker)
        return self._next() if asker == self.holder else None

    def left(self, node: str) -> Asker | None:
        """A node is gone, and asks for nothing any more; whose turn has come by that."""
        self._queue = [each for each in self._queue if each[0] != node]
        return self._next() if self.holder is not None and self.holder[0] == node else None

    def _next(self) -> Asker | None:
        self.holder = self._queue.pop(0) if self._queue else None
        return self.holder
