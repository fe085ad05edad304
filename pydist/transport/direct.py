"""Writing to a socket at once.

uvloop keeps what is written to a transport until its turn is over. A node that answers many requests in one turn would
have its first answers wait for the last, and the other node for all of them. What the socket does not take is left to
the transport, as is everything while that holds something: the order is that of the calls.
"""

from __future__ import annotations

import asyncio
import os


class DirectWriter:
    """Writes for one transport. For one without a socket, such as those in memory, the transport does it."""

    __slots__ = ("_file", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        socket = transport.get_extra_info("socket")
        self._file: int = -1 if socket is None else socket.fileno()

    def write(self, data: bytes | memoryview) -> None:
        """Write now what the socket takes now, and the rest when it takes more."""
        transport = self._transport
        # Once it is closing, its file's number may soon be that of another connection.
        if self._file < 0 or transport.is_closing() or transport.get_write_buffer_size():
            transport.write(data)
            return
        try:
            written = os.write(self._file, data)
        except OSError:  # nothing is taken now; or it is broken, which the transport tells in its own way
            written = 0
        if written < len(data):
            transport.write(memoryview(data)[written:])

    def writelines(self, buffers: list[bytes | memoryview]) -> None:
        """As `write` of all of them, one behind the other. The system takes up to 1,024 at once."""
        transport = self._transport
        if self._file < 0 or transport.is_closing() or transport.get_write_buffer_size():
            transport.writelines(buffers)
            return
        try:
            written = os.writev(self._file, buffers)
        except OSError:
            written = 0
        for place, buffer in enumerate(buffers):
            if written < len(buffer):
                transport.writelines([memoryview(buffer)[written:], *buffers[place + 1 :]])
                return
            written -= len(buffer)
