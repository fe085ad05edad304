"""Frames: a length, then that many bytes.

Connections use 4-byte lengths, the handshake 2-byte ones, both big-endian. The length does not count itself. An empty
frame is a tick.

:class:`FrameBuffer` takes bytes as they come and gives whole frames. It is linear in what it is fed: a chunk that holds
whole frames is sliced where it is, and only the bytes of an unfinished frame are ever moved, once. A length over the
limit is refused as soon as it is read; what is held then is no more than the last chunk.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from pydist.errors import FrameTooLarge

LONG: Final = Struct(">I")
SHORT: Final = Struct(">H")

FRAME_LIMIT: Final = 16 * 1024 * 1024
"""Bytes in one frame of a connection, and so about the size of the largest message."""

TICK: Final = LONG.pack(0)
"""The empty frame."""


class FrameBuffer:
    """Bytes in, frames out. `head` is the length's format, `limit` the most bytes a frame may announce."""

    __slots__ = ("_buffer", "_head", "_limit", "_start")

    def __init__(self, head: Struct = LONG, limit: int = FRAME_LIMIT) -> None:
        self._head = head
        self._limit = limit
        self._buffer: bytes | bytearray = b""
        self._start = 0

    def __len__(self) -> int:
        """Bytes that are held and belong to no frame given yet."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what came. Give out frames with `next_frame` until there is none, before feeding again."""
        data = bytes(data)  # other memory may be used again
        if not len(self):
            self._buffer = data
            self._start = 0
            return
        if type(self._buffer) is bytes:
            self._buffer = bytearray(memoryview(self._buffer)[self._start :])
            self._start = 0
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """The next whole frame without its length, or None until more is fed.

        Raises:
            FrameTooLarge: the length is over the limit.
        """
        buffer = self._buffer
        body = self._start + self._head.size
        if len(buffer) < body:
            return None
        (length,) = self._head.unpack_from(buffer, self._start)
        if length > self._limit:
            raise FrameTooLarge(f"a frame announces {length} bytes, the limit is {self._limit}")
        end = body + length
        if len(buffer) < end:
            return None
        frame = self._slice(body, end)
        self._start = end
        return frame

    def peek(self, size: int) -> bytes:
        """The first `size` held bytes, or fewer; they stay."""
        return self._slice(self._start, min(self._start + size, len(self._buffer)))

    def take_rest(self) -> bytes:
        """All held bytes; the buffer is empty afterwards."""
        rest = self.peek(len(self))
        self._buffer, self._start = b"", 0
        return rest

    def _slice(self, start: int, end: int) -> bytes:
        buffer = self._buffer
        if type(buffer) is bytes:
            return buffer[start:end]
        with memoryview(buffer) as view:
            return bytes(view[start:end])
