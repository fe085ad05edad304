"""One frame of signals while it is being built.

Messages that follow each other to one process share one signal, a run: `[SEND, number, [m1, m2, ...]]`. The parts of
the frame stand in a list. The heads of the frame and of the run in it have their places kept free until it is known how
many items they announce.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pydist.speedups import native
from pydist.wire.control import SEND
from pydist.wire.framing import LONG

HEAD_ROOM: Final = 32
"""More bytes than all heads take that stand before a single term in a frame of its own."""

_RUN: Final = bytes((0x93, SEND))
_SHORT_ARRAYS: Final = tuple(bytes((0x90 | count,)) for count in range(16))
_ARRAY_16: Final = Struct(">BH")
_ARRAY_32: Final = Struct(">BI")


class PureFrameBuilder:
    """Encoded messages and signals in, one frame out. `encode` is for the numbers in the heads."""

    __slots__ = ("_encode", "_parts", "_run_at", "_run_target", "_signals")

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self._begin()

    def _begin(self) -> None:
        self._parts: list[bytes] = [b""]
        self._signals = 0
        self._run_target: int | None = None
        self._run_at = 0

    def message(self, number: int, data: bytes) -> None:
        """Add a message to the peer's process `number`."""
        if number != self._run_target:
            self._begin_run(number)
        self._parts.append(data)

    def signal(self, data: bytes) -> None:
        """Add any other signal."""
        if self._run_target is not None:
            self._end_run()
        self._parts.append(data)
        self._signals += 1

    def finish(self) -> bytes:
        """The frame, or nothing if there is nothing in it; the next one begins."""
        self._end_run()
        if not self._signals:
            return b""
        parts = self._parts
        head = _array_head(self._signals)
        parts[0] = LONG.pack(sum(map(len, parts)) + len(head)) + head
        self._begin()
        return b"".join(parts)

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
        self._parts[self._run_at] = _RUN + self._encode(target) + _array_head(len(self._parts) - self._run_at - 1)
        self._run_target = None


def head_of_one(encode: Callable[[Any], bytes], number: int | None) -> bytes:
    """What stands before the term in a body of one message to process `number`, or before a signal if that is None."""
    return _SHORT_ARRAYS[1] if number is None else _SHORT_ARRAYS[1] + _RUN + encode(number) + _SHORT_ARRAYS[1]


def _array_head(count: int) -> bytes:
    """The start of a msgpack array of `count` items."""
    if count < 16:
        return _SHORT_ARRAYS[count]
    if count < 1 << 16:
        return _ARRAY_16.pack(0xDC, count)
    return _ARRAY_32.pack(0xDD, count)


FrameBuilder = PureFrameBuilder

if not TYPE_CHECKING and native is not None:
    FrameBuilder = native.FrameBuilder
