"""Output is written once per turn of the event loop, however much was sent in it."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushable(Protocol):
    """What has output that waits."""

    def flush(self) -> None:
        """Write it."""
        ...


class Flusher:
    """Knows which connections of a node have output that waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unflushed: list[Flushable] = []

    def flush_soon(self, peer: Flushable) -> None:
        """Write what `peer` has queued at the end of this turn of the loop. Once until it is flushed."""
        if not self._unflushed:
            self._loop.call_soon(self.flush)
        self._unflushed.append(peer)

    def flush(self) -> None:
        """Write what all have queued; a scheduler whose batch is over calls it, and saves them a turn."""
        unflushed, self._unflushed = self._unflushed, []
        for peer in unflushed:
            peer.flush()
