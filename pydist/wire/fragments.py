"""Frames of which some are pieces: what is too large for a frame crosses in fragments, and others pass between them.

The upper 8 bits of a frame's head are its kind, the lower 24 the length of what follows:

| kind | name    | behind the head                                     |
|------|---------|-----------------------------------------------------|
| 0    | SIGNALS | an array of signals; nothing for a tick             |
| 1    | BEGIN   | stream (1), size of the whole body (8), a piece     |
| 2    | GO_ON   | stream (1), a piece                                 |
| 3    | DEFLATE | as BEGIN, with the size of the body inflated (8) before the piece |

A *body* is what else a frame of signals would hold. It is over with the last byte that was announced, and its stream,
one of `STREAMS`, may begin another. A piece has 1 byte to `FRAGMENT` bytes.

:class:`FragmentBuffer` takes bytes as they come and gives whole bodies. Each byte of a piece is copied once, into its
body; of other frames only those that did not come whole. What a peer announces is compared with the limits when it is
announced. Until the bytes are there a body has room for 2 MiB at most, or for twice what has come (`assembly.py`). A
stream that never goes on holds that as long as the connection lives: all streams together hold no more than
`STREAMS_LIMIT` times the message limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from pydist.errors import FragmentError, FrameTooLarge
from pydist.wire.assembly import Buffer
from pydist.wire.bodies import Bodies, Body, Tailed
from pydist.wire.framing import LONG

SIGNALS_LIMIT: Final = 1024 * 1024
"""Bytes in one frame of signals. What does not fit there crosses in fragments."""
FRAGMENT: Final = 64 * 1024
"""The most bytes of a piece (OTP: `ERTS_DIST_FRAGMENT_SIZE`)."""
MESSAGE_LIMIT: Final = 256 * 1024 * 1024
"""Bytes of the largest body, unless a node is told otherwise."""

SIGNALS: Final = 0
BEGIN: Final = 1
GO_ON: Final = 2
DEFLATE: Final = 3

LENGTH_BITS: Final = 24
LENGTH_MASK: Final = (1 << LENGTH_BITS) - 1

_BEGIN: Final = Struct(">BQ")
_GO_ON: Final = Struct(">B")
_DEFLATE: Final = Struct(">BQQ")
_PLAIN_LAYOUTS: Final = {BEGIN: _BEGIN, GO_ON: _GO_ON}
_LAYOUTS: Final = {**_PLAIN_LAYOUTS, DEFLATE: _DEFLATE}
_FULL_GO_ON: Final = Struct(">IB")


def cut(stream: int, head: bytes, term: bytes, inflated: int = 0) -> Iterator[tuple[bytes, memoryview]]:
    """The frames of one body, `head` and `term`, each in two parts. The term is not copied.

    `inflated` is the size of the body before it was compressed, if it was.
    """
    view = memoryview(term)
    first = view[: FRAGMENT - len(head)]
    size = len(head) + len(term)
    kind, layout = (DEFLATE, _DEFLATE.pack(stream, size, inflated)) if inflated else (BEGIN, _BEGIN.pack(stream, size))
    length = len(layout) + len(head) + len(first)
    yield LONG.pack(kind << LENGTH_BITS | length) + layout + head, first
    for start in range(len(first), len(term), FRAGMENT):
        piece = view[start : start + FRAGMENT]
        yield _FULL_GO_ON.pack(GO_ON << LENGTH_BITS | _GO_ON.size + len(piece), stream), piece


class FragmentBuffer:
    """Bytes in, whole frames and bodies out, as `framing.FrameBuffer` does it for frames that are always whole.

    `message_limit` is in bytes; with `inflates` a body may come compressed.
    """

    __slots__ = ("_at", "_bodies", "_body", "_data", "_held", "_layouts", "_left")

    def __init__(self, message_limit: int = MESSAGE_LIMIT, *, inflates: bool = True) -> None:
        self._layouts = _LAYOUTS if inflates else _PLAIN_LAYOUTS
        self._bodies = Bodies(message_limit)
        self._data: Buffer = b""
        self._at = 0
        self._held = bytearray()
        """A head, or a frame of signals, that is not yet whole."""
        self._body = Body(0, 0)
        self._left = 0
        """So many bytes of the present piece are still to come."""

    def __len__(self) -> int:
        """More than 0 while something has begun and is not whole."""
        return len(self._held) + len(self._bodies)

    def feed(self, data: Buffer) -> None:
        """Take what came. Call `next_frame` until there is none, before feeding again."""
        self._data = data
        self._at = 0

    def next_frame(self) -> bytes | Tailed | None:
        """The next array of signals that is whole, or an empty one for a tick; None until more is fed.

        Raises:
            FrameTooLarge: something announces more than the limit.
            FragmentError: fragments that make up no message.
        """
        while self._at < len(self._data):
            frame = self._take_piece() if self._left else self._take_head()
            if frame is not None:
                return frame
        self._data = b""
        self._at = 0
        return None

    def _take_piece(self) -> bytes | Tailed | None:
        """Add what there is of the present piece to its body; the body when that completes it."""
        body = self._body
        start = self._at
        self._at = min(start + self._left, len(self._data))
        size = self._at - start
        self._left -= size
        body.add(memoryview(self._data)[start : self._at])
        return None if body.missing else self._bodies.finish(body)

    def _take_head(self) -> bytes | None:
        """The next frame of signals if it is whole. Of a fragment: its head, the piece comes next."""
        if self._held:
            return self._complete_held()
        start = self._at
        end = start + self._size_at(self._data, start)
        if end > len(self._data):
            self._held += self._data[start:]
            self._at = len(self._data)
            return None
        self._at = end
        return self._begin(self._data, start, end)

    def _complete_held(self) -> bytes | None:
        held = self._held
        while (missing := self._size_at(held, 0) - len(held)) > 0:
            more = self._data[self._at : self._at + missing]
            if not more:
                return None
            held += more
            self._at += len(more)
        self._held = bytearray()
        return self._begin(held, 0, len(held))

    def _size_at(self, buffer: Buffer, start: int) -> int:
        """How many bytes have to be there to go on: a head, or a whole frame of signals with its head."""
        if len(buffer) - start < LONG.size:
            return LONG.size
        head: int = LONG.unpack_from(buffer, start)[0]
        kind, length = head >> LENGTH_BITS, head & LENGTH_MASK
        if kind == SIGNALS:
            if length > SIGNALS_LIMIT:
                raise FrameTooLarge(f"a frame announces {length} bytes, the limit is {SIGNALS_LIMIT}")
            return LONG.size + length
        layout = self._layouts.get(kind)
        if layout is None:
            raise FragmentError(f"no frame is of the kind {kind}")
        piece = length - layout.size
        if not 0 < piece <= FRAGMENT:
            raise FragmentError(f"a piece has from 1 to {FRAGMENT} bytes, this one has {piece}")
        return LONG.size + layout.size

    def _begin(self, buffer: Buffer, start: int, end: int) -> bytes | None:
        """A frame of signals, or nothing when a fragment's head stands there."""
        (head,) = LONG.unpack_from(buffer, start)
        kind, start = head >> LENGTH_BITS, start + LONG.size
        if kind == SIGNALS:
            return bytes(buffer[start:end])
        if kind == GO_ON:
            body = self._bodies.find(buffer[start])
        else:
            body = self._bodies.begin(*_LAYOUTS[kind].unpack_from(buffer, start))
        self._left = (head & LENGTH_MASK) - (end - start)
        if self._left > body.missing:
            raise FragmentError(f"stream {body.stream} gives more than the {body.size} bytes that it announced")
        self._body = body
        return None
