"""The bodies that are under way on one connection: what crosses in fragments, until it is whole (`fragments.py`)."""

from __future__ import annotations

import zlib
from typing import Final

import attrs

from pydist.errors import FragmentError, FrameTooLarge
from pydist.wire.assembly import Assembly

STREAMS: Final = 32
"""So many bodies are under way at most; they are numbered from 0."""
STREAMS_LIMIT: Final = 2
"""The bodies under way are together at most this many times as large as the largest one may be."""

_BINARY: Final = 0xC6
_BINARY_HEAD: Final = 5
_SEARCHED: Final = 64
"""In so many bytes at its beginning a body may say that the rest of it is one binary."""


@attrs.frozen
class Tailed:
    """A body in two: `tail` is the content of the binary that it ends with, as an object of its own."""

    head: bytes
    tail: bytes

    def __bytes__(self) -> bytes:
        """The body in one."""
        return self.head + self.tail


def deflate(body: bytes) -> bytes | None:
    """The body compressed, if that makes it smaller by a tenth."""
    deflated = zlib.compress(body, level=1)
    return deflated if len(deflated) <= len(body) * 9 // 10 else None


def _inflate(data: bytes, size: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        body = machine.decompress(data, size + 1)
    except zlib.error as error:
        raise FragmentError(f"a compressed message can't be inflated: {error}") from error
    if len(body) != size or not machine.eof or machine.unused_data:
        raise FragmentError(f"a compressed message does not inflate to the {size} bytes that it announced")
    return body


def tail_start(beginning: bytes, size: int) -> int:
    """Where in a body of `size` bytes a binary may begin that goes on to its end; 0 if its beginning shows none.

    Whether there is one only a reader can tell.
    """
    at = beginning.find(_BINARY)
    while at >= 0:
        start = at + _BINARY_HEAD
        if start <= len(beginning) and int.from_bytes(beginning[at + 1 : start]) == size - start:
            return start
        at = beginning.find(_BINARY, at + 1)
    return 0


class Body:
    """What has come of one body."""

    __slots__ = ("_assembly", "_head", "inflated", "missing", "size", "stream")

    def __init__(self, stream: int, size: int, inflated: int = 0) -> None:
        self.stream = stream
        self.inflated = inflated
        self.size = self.missing = size
        self._head = b""
        self._assembly = Assembly(0)

    @property
    def room(self) -> int:
        """Bytes for which there is memory."""
        return self._assembly.room

    def add(self, piece: memoryview) -> None:
        """The next bytes of it are here: at least one, and no more than are missing."""
        begins = self.missing == self.size
        self.missing -= len(piece)
        if begins:
            start = 0 if self.inflated else tail_start(bytes(piece[:_SEARCHED]), self.size)
            self._head = bytes(piece[:start])
            self._assembly = Assembly(self.size - start)
            piece = piece[start:]
        self._assembly.add(piece)

    def whole(self) -> bytes | Tailed:
        """All of it is here.

        Raises:
            FragmentError: it was compressed, and does not become what was announced.
        """
        data = self._assembly.whole()
        if self.inflated:
            return _inflate(data, self.inflated)
        return Tailed(self._head, data) if self._head else data


class Bodies:
    """The bodies under way. `message_limit` is in bytes."""

    __slots__ = ("_announced", "_limit", "_open")

    def __init__(self, message_limit: int) -> None:
        self._limit = message_limit
        self._open: dict[int, Body] = {}
        self._announced = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def begin(self, stream: int, size: int, inflated: int = 0) -> Body:
        """One of `size` bytes begins, which become `inflated` ones if that is not 0.

        Raises:
            FrameTooLarge: it is larger than the limit, or all together are.
            FragmentError: there is no such stream, or it has a body already.
        """
        if stream >= STREAMS:
            raise FragmentError(f"streams are numbered from 0 to {STREAMS - 1}, this is {stream}")
        if stream in self._open:
            raise FragmentError(f"stream {stream} begins, and its last message is not over")
        if max(size, inflated) > self._limit:
            raise FrameTooLarge(f"a message announces {max(size, inflated)} bytes, the limit is {self._limit}")
        if self._announced + size > STREAMS_LIMIT * self._limit:
            raise FrameTooLarge(
                f"the messages under way announce {self._announced + size} bytes, "
                f"the limit is {STREAMS_LIMIT * self._limit}"
            )
        self._announced += size
        body = self._open[stream] = Body(stream, size, inflated)
        return body

    def find(self, stream: int) -> Body:
        """The one of this stream. Raises FragmentError if there is none."""
        body = self._open.get(stream)
        if body is None:
            raise FragmentError(f"stream {stream} goes on, and has not begun")
        return body

    def finish(self, body: Body) -> bytes | Tailed:
        """All is there; the stream is free again. Raises as :meth:`Body.whole`."""
        del self._open[body.stream]
        self._announced -= body.size
        return body.whole()
