"""What waits between two writes: signals go in, framed bytes come out.

A message is encoded when it is sent, so that its sender may change it afterwards, and learns at once when it can't be
sent.

There are two lanes. Frames of whole signals, and ticks, come first: a frame is sealed when it has `FRAGMENT` bytes, so
that a reader can begin before all is there. Behind them come the fragments of what is larger (`bulk.py`), and whatever
the same source has sent since: order is kept for each source, and nobody waits for another's large message.

A peer that takes no fragments has one lane: frames are sealed at `FRAME_TARGET`, a larger message gets one of its own.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from sys import maxsize
from typing import Any, Final

from pydist.core.bulk import BulkLane, Large, Small
from pydist.core.frame_builder import HEAD_ROOM, FrameBuilder, head_of_one
from pydist.errors import EncodeError
from pydist.wire.bodies import deflate
from pydist.wire.codec import Encoder
from pydist.wire.control import Send, Signal, source_of, term_of
from pydist.wire.fragments import FRAGMENT, MESSAGE_LIMIT
from pydist.wire.framing import FRAME_LIMIT, TICK
from pydist.wire.signal_arrays import fields_before_term, write_signal

FRAME_TARGET: Final = 1024 * 1024

_BINARY: Final = Struct(">BI")
_NO_BYTES: Final = b"\xc4\0"


class Outbox:
    """Signals in, frames out; of each source in the order of the calls.

    `frame_limit`, in bytes, is what the peer takes; if it takes fragments, `message_limit` is. `compress`
    what is large, if it takes that.
    """

    __slots__ = (
        "_add_message",
        "_add_signal",
        "_behind",
        "_bulk",
        "_compress",
        "_encode",
        "_encoder",
        "_frame",
        "_frame_target",
        "_large",
        "_put_together",
        "_room",
        "_sealed",
        "_term_limit",
        "size",
    )

    def __init__(
        self,
        encoder: Encoder,
        *,
        frame_limit: int = FRAME_LIMIT,
        fragments: bool = False,
        compress: bool = False,
        message_limit: int = MESSAGE_LIMIT,
    ) -> None:
        self._encoder = encoder
        self._encode = encoder.encode
        self._put_together = encoder.signal
        self._term_limit = (message_limit if fragments else frame_limit) - HEAD_ROOM
        self._compress = compress
        self._large = FRAGMENT if fragments else maxsize
        """A term with more bytes goes by the bulk lane."""
        self._frame_target = FRAGMENT if fragments else FRAME_TARGET
        self._room = self._frame_target
        """What the frame being built still takes."""
        self._frame = FrameBuilder(self._encode)
        self._add_message = self._frame.message
        self._add_signal = self._frame.signal
        self._sealed: deque[bytes] = deque()
        self._bulk = BulkLane(self._encode, message_limit)
        self._behind = self._bulk.sources
        self.size = 0
        """Bytes that wait. Heads of what is not sealed yet are not counted."""

    def send(self, number: int, message: Any, source: int = 0) -> None:
        """Queue a message of our process `source` to the peer's process `number`.

        0 is nobody, and keeps its order as a process does.

        Raises:
            EncodeError: it can't cross the wire, or is larger than the limit. Nothing was queued.
        """
        if type(message) is bytes and len(message) > self._large:
            self._add_bytes(head_of_one(self._encode, number), message, source)
            return
        data = self._encode(message)
        size = len(data)
        if size > self._room or source in self._behind:
            self._set_aside(number, data, source)
            return
        self._add_message(number, data)
        self.size += size
        self._room -= size

    def signal(self, signal: Signal) -> None:
        """Queue any signal.

        Raises:
            EncodeError: its message or reason can't cross the wire, or is larger than the limit. Nothing was queued.
        """
        source = source_of(signal)
        if type(signal) is Send:
            self.send(signal.target.number, signal.message, source)
            return
        fields = fields_before_term(signal)
        if fields is not None:
            self.put(fields, term_of(signal), source)
        else:
            self._set_aside(None, write_signal(signal, self._encoder), source)

    def put(self, fields: tuple[int | str, ...], term: Any, source: int) -> None:
        """Queue the signal of `source` that is these fields (`control.py`) and a term; raises as `signal`."""
        if type(term) is bytes and len(term) > self._large:
            head = self._put_together(fields, b"").removesuffix(_NO_BYTES)
            self._add_bytes(head_of_one(self._encode, None) + head, term, source)
            return
        data = self._put_together(fields, term)
        size = len(data)
        if size > self._room or source in self._behind:
            self._set_aside(None, data, source)
            return
        self._add_signal(data)
        self.size += size
        self._room -= size

    def tick(self) -> None:
        """Queue an empty frame, before all that is large."""
        self._seal()
        self._sealed.append(TICK)
        self.size += len(TICK)

    def take(self, limit: int | None = None) -> list[bytes | memoryview]:
        """All frames, in parts, or as many whole ones as it takes to have `limit` bytes."""
        self._seal()
        taken: list[bytes | memoryview] = []
        size = 0
        while self._sealed and (limit is None or size < limit):
            frame = self._sealed.popleft()
            taken.append(frame)
            size += len(frame)
        self.size -= size
        if self._behind and (limit is None or size < limit):
            waiting = self._bulk.size
            taken += self._bulk.take(None if limit is None else limit - size)
            self.size -= waiting - self._bulk.size
        return taken

    def holds_up(self, source: int, limit: int) -> bool:
        """Whether more than `limit` bytes go out before what `source` sends next: other's bulk does not count."""
        return self.size > limit and (source in self._behind or self.size - self._bulk.size > limit)

    def _add_bytes(self, head: bytes, term: bytes, source: int) -> None:
        """They are on the wire as they are in memory, so they are not copied."""
        self._check(len(term))
        self._add_large(head + _BINARY.pack(0xC6, len(term)), term, source)

    def _add_large(self, head: bytes, term: bytes, source: int) -> None:
        deflated = deflate(head + term) if self._compress else None
        large = Large(head, term) if deflated is None else Large(b"", deflated, len(head) + len(term))
        self.size += self._bulk.add(source, large)

    def _set_aside(self, number: int | None, data: bytes, source: int) -> None:
        """Put a message to `number`, or another signal if that is None, into the lane and frame where it belongs."""
        size = len(data)
        self._check(size)
        if size > self._large:
            self._add_large(head_of_one(self._encode, number), data, source)
            return
        if source in self._behind:
            self.size += self._bulk.add(source, Small(number, data))
            return
        if size > self._room:
            self._seal()
        if number is None:
            self._frame.signal(data)
        else:
            self._add_message(number, data)
        self.size += size
        self._room -= size

    def _check(self, size: int) -> None:
        if size > self._term_limit:
            raise EncodeError(
                f"a message of {size} bytes is too large to send, the limit is {self._term_limit}: send it in parts"
            )

    def _seal(self) -> None:
        frame = self._frame.finish()
        if frame:
            self._sealed.append(frame)
            self.size += len(frame) - (self._frame_target - self._room)
            self._room = self._frame_target
