"""What waits between two writes: signals go in, framed bytes come out.

A message is encoded when it is sent, so that its sender may change it afterwards, and learns at once when it can't be
sent. Messages that follow each other to one process share one signal, a run: `[SEND, number, [m1, m2, ...]]`.

The parts of the frame being built stand in a list. The heads of the frame and of the run in it have their places kept
free until it is known how many items they announce. A frame is sealed when it has `FRAME_TARGET` bytes, so that a
reader can begin before all is there; a larger message gets a frame of its own.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Any, Final

from pydist.errors import EncodeError
from pydist.wire.codec import Encoder
from pydist.wire.control import SEND, Send, Signal, write_signal
from pydist.wire.framing import FRAME_LIMIT, LONG, TICK

FRAME_TARGET: Final = 1024 * 1024

_HEAD_ROOM: Final = 32
"""More than the heads of a frame and of a run take together, and what stands before the term of any other signal."""

_RUN: Final = bytes((0x93, SEND))
_SHORT_ARRAYS: Final = tuple(bytes((0x90 | count,)) for count in range(16))
_ARRAY_16: Final = Struct(">BH")
_ARRAY_32: Final = Struct(">BI")


class Outbox:
    """Signals in, frames out, in the order of the calls. `frame_limit` in bytes is what the peer takes."""

    __slots__ = (
        "_encode",
        "_encoder",
        "_parts",
        "_run_at",
        "_run_target",
        "_seal_above",
        "_sealed",
        "_sealed_size",
        "_signals",
        "_term_limit",
        "size",
    )

    def __init__(self, encoder: Encoder, *, frame_limit: int = FRAME_LIMIT) -> None:
        self._encoder = encoder
        self._encode = encoder.encode
        self._term_limit = frame_limit - _HEAD_ROOM
        self._sealed: deque[bytes] = deque()
        self._sealed_size = 0
        self._begin_frame()

    def _begin_frame(self) -> None:
        self._parts: list[bytes] = [b""]
        self._signals = 0
        self._run_target: int | None = None
        self._run_at = 0
        # Bytes that wait. The heads of the frame being built are counted when they are written.
        self.size = self._sealed_size
        self._seal_above = self._sealed_size + FRAME_TARGET

    def send(self, number: int, message: Any) -> None:
        """Queue a message to the peer's process `number`.

        Raises:
            EncodeError: it can't cross the wire, or is larger than a frame. Nothing was queued.
        """
        data = self._encode(message)
        size = len(data)
        if self.size + size > self._seal_above:
            self._make_room(size)
        if number != self._run_target:
            self._begin_run(number)
        self._parts.append(data)
        self.size += size

    def signal(self, signal: Signal) -> None:
        """Queue any signal.

        Raises:
            EncodeError: its message or reason can't cross the wire, or is larger than a frame. Nothing was queued.
        """
        if type(signal) is Send:
            self.send(signal.target.number, signal.message)
            return
        data = write_signal(signal, self._encoder)
        if self.size + len(data) > self._seal_above:
            self._make_room(len(data))
        self._end_run()
        self._parts.append(data)
        self._signals += 1
        self.size += len(data)

    def tick(self) -> None:
        """Queue an empty frame."""
        self._seal()
        self._add_sealed(TICK)

    def take(self, limit: int | None = None) -> bytes:
        """All frames, or as many whole ones as it takes to have `limit` bytes."""
        if not self._sealed:
            # Nearly always: one frame, and room in the transport.
            frame = self._finish()
            self._begin_frame()
            return frame
        self._seal()
        taken: list[bytes] = []
        size = 0
        while self._sealed and (limit is None or size < limit):
            taken.append(self._sealed.popleft())
            size += len(taken[-1])
        self._sealed_size -= size
        self._begin_frame()
        return b"".join(taken)

    def _make_room(self, size: int) -> None:
        if size > self._term_limit:
            raise EncodeError(
                f"a message of {size} bytes is too large to send, the limit is {self._term_limit}: send it in parts"
            )
        self._seal()

    def _begin_run(self, number: int) -> None:
        self._end_run()
        self._run_target = number
        self._run_at = len(self._parts)
        self._parts.append(b"")
        self._signals += 1

    def _end_run(self) -> None:
        target = self._run_target
        if target is None:
            return
        head = _RUN + self._encode(target) + _array_head(len(self._parts) - self._run_at - 1)
        self._parts[self._run_at] = head
        self.size += len(head)
        self._run_target = None

    def _finish(self) -> bytes:
        """The frame being built, or nothing if there is nothing in it."""
        self._end_run()
        if not self._signals:
            return b""
        head = _array_head(self._signals)
        self._parts[0] = LONG.pack(self.size - self._sealed_size + len(head)) + head
        return b"".join(self._parts)

    def _seal(self) -> None:
        frame = self._finish()
        if frame:
            self._add_sealed(frame)
            self._begin_frame()

    def _add_sealed(self, frame: bytes) -> None:
        self._sealed.append(frame)
        self._sealed_size += len(frame)
        self.size = self._sealed_size


def _array_head(count: int) -> bytes:
    """The start of a msgpack array of `count` items."""
    if count < 16:
        return _SHORT_ARRAYS[count]
    if count < 1 << 16:
        return _ARRAY_16.pack(0xDC, count)
    return _ARRAY_32.pack(0xDD, count)
