"""The bulk lane: messages too large for a frame, in fragments, and what their sources send behind them.

Order is kept for each source. As long as something of a source is in this lane, all it sends comes here too and waits
its turn; then the source is free again, and its next signal goes by the other lane. Sources take turns, fragment by
fragment, so that none waits for the whole of another's message.

Each message under way needs one of `STREAMS` streams, and has to fit with the others under what a reader takes together
(`wire/fragments.py`). Where that is not so, its source waits, first come, first served.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from pydist.core.frame_builder import FrameBuilder
from pydist.wire.bodies import STREAMS, STREAMS_LIMIT
from pydist.wire.fragments import FRAGMENT, cut


@attrs.frozen
class Large:
    """A body that needs a stream: `head` stands before `term`."""

    head: bytes
    term: bytes
    inflated: int = 0
    """Its size before it was compressed, if it was."""

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return len(self.head) + len(self.term)


@attrs.frozen
class Small:
    """A message to process `number`, or another signal if that is None, behind a large one."""

    number: int | None
    data: bytes

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return len(self.data)


@attrs.define(eq=False)
class _Transfer:
    """A large message that is under way: the fragments, and bytes, that are left of it."""

    stream: int
    size: int
    left: int
    fragments: Iterator[tuple[bytes, memoryview]]


@attrs.define(eq=False)
class _Source:
    """What waits of one source."""

    number: int
    items: deque[Large | Small] = attrs.field(factory=deque[Large | Small])
    transfer: _Transfer | None = None


class BulkLane:
    """See the head of this file. `encode` is for numbers in heads; the peer takes messages of `message_limit` bytes."""

    __slots__ = ("_announced", "_announced_limit", "_builder", "_free", "_turns", "_waiting", "size", "sources")

    def __init__(self, encode: Callable[[Any], bytes], message_limit: int) -> None:
        self.sources: dict[int, _Source] = {}
        """Who has something in this lane, by number."""
        self.size = 0
        """Bytes that wait; heads of frames are not counted."""
        self._builder = FrameBuilder(encode)
        self._turns: deque[_Source] = deque()
        self._waiting: deque[tuple[_Source, Large]] = deque()
        """Those whose next message has no stream yet."""
        self._free = list(reversed(range(STREAMS)))
        self._announced = 0
        self._announced_limit = STREAMS_LIMIT * message_limit

    def add(self, source: int, item: Large | Small) -> int:
        """Put `item` behind all else of `source`; its size."""
        self.size += item.size
        known = self.sources.get(source)
        if known is None:
            known = self.sources[source] = _Source(source)
            known.items.append(item)
            self._place(known)
        else:
            known.items.append(item)
        return item.size

    def take(self, limit: int | None = None) -> list[bytes | memoryview]:
        """All frames, in parts, or as many as it takes to have `limit` bytes."""
        taken: list[bytes | memoryview] = []
        wanted = self.size if limit is None else limit
        stop = self.size - wanted
        while self._turns and self.size > stop:
            source = self._turns.popleft()
            taken += self._small_ones(source.items) if source.transfer is None else self._go_on(source, source.transfer)
            self._place(source)
        return taken

    def _go_on(self, source: _Source, transfer: _Transfer) -> tuple[bytes, memoryview]:
        size = min(FRAGMENT, transfer.left)
        self.size -= size
        transfer.left -= size
        if not transfer.left:
            source.transfer = None
            self._free.append(transfer.stream)
            self._announced -= transfer.size
        return next(transfer.fragments)

    def _small_ones(self, items: deque[Large | Small]) -> list[bytes]:
        """A frame of those that come next."""
        builder, size = self._builder, 0
        while items and type(item := items[0]) is Small and (not size or size + len(item.data) <= FRAGMENT):
            items.popleft()
            size += len(item.data)
            if item.number is None:
                builder.signal(item.data)
            else:
                builder.message(item.number, item.data)
        self.size -= size
        return [builder.finish()]

    def _place(self, source: _Source) -> None:
        """Find out what `source` waits for."""
        items = source.items
        if source.transfer is not None or (items and type(items[0]) is Small):
            self._turns.append(source)
        elif items and type(large := items.popleft()) is Large:
            self._waiting.append((source, large))
        else:
            del self.sources[source.number]
        self._begin_transfers()

    def _begin_transfers(self) -> None:
        while self._waiting and self._free:
            source, large = self._waiting[0]
            if self._announced + large.size > self._announced_limit:
                return
            del self._waiting[0]
            stream = self._free.pop()
            source.transfer = _Transfer(
                stream, large.size, large.size, cut(stream, large.head, large.term, large.inflated)
            )
            self._announced += large.size
            self._turns.append(source)
