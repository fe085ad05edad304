"""One run of bytes that comes in pieces: each is copied once, to where it belongs."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, TypeAlias

from pydist.speedups import native

Buffer: TypeAlias = bytes | bytearray | memoryview

RESERVED: Final = 2 * 1024 * 1024
"""Bytes for which there may be room before the first of them has come. After that there is room for twice what came."""


class PureAssembly:
    """`size` bytes that are to come."""

    __slots__ = ("_data", "missing", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.missing = size
        """So many are still to come."""
        self._data = BytesIO()

    @property
    def room(self) -> int:
        """Bytes for which there is memory."""
        return self._data.getbuffer().nbytes

    def add(self, piece: Buffer) -> None:
        """The next ones are here.

        Raises:
            ValueError: they are more than are missing.
        """
        if len(piece) > self.missing:
            raise ValueError(f"{len(piece)} bytes more make more than {self.size}")
        self.missing -= len(piece)
        self._data.write(piece)

    def whole(self) -> bytes:
        """All of them. To be called once.

        Raises:
            ValueError: some are missing.
        """
        if self.missing:
            raise ValueError(f"{self.missing} of {self.size} bytes are missing")
        return self._data.getvalue()


Assembly = PureAssembly

if not TYPE_CHECKING and native is not None:
    Assembly = native.Assembly
