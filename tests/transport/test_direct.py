from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from pydist.transport.direct import DirectWriter
from pydist.transport.memory import MemoryTransport


class Held(asyncio.Protocol):
    """Does nothing with its transport."""


@pytest.fixture
async def ends() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """A transport, and the bare socket at its other end."""
    here, there = socket.socketpair()
    there.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(Held, sock=here)
    yield transport, there
    transport.abort()
    there.close()
    await asyncio.sleep(0)


def arrived(there: socket.socket) -> bytes:
    data = b""
    try:
        while True:
            data += there.recv(1 << 20)
    except BlockingIOError:
        return data


async def test_what_is_written_is_there_before_the_turn_of_the_loop_is_over(
    ends: tuple[asyncio.Transport, socket.socket],
) -> None:
    transport, there = ends
    DirectWriter(transport).write(b"now")
    assert arrived(there) == b"now"


async def test_what_a_full_socket_does_not_take_comes_later_in_order(
    ends: tuple[asyncio.Transport, socket.socket],
) -> None:
    transport, there = ends
    writer = DirectWriter(transport)
    sent = [bytes([number]) * 300_000 for number in range(10)]
    for data in sent:
        writer.write(data)
    assert transport.get_write_buffer_size() > 0
    received = b""
    async with asyncio.timeout(10):
        while len(received) < 3_000_000:
            received += arrived(there)
            await asyncio.sleep(0)
    assert received == b"".join(sent)


async def test_a_transport_that_is_closing_has_no_more_written_to_its_file(
    ends: tuple[asyncio.Transport, socket.socket],
) -> None:
    transport, there = ends
    writer = DirectWriter(transport)
    transport.abort()
    writer.write(b"too late")
    assert arrived(there) == b""


async def test_without_a_socket_the_transport_writes() -> None:
    class Memory:
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def get_extra_info(self, name: str) -> None:
            """It has no socket."""

        def write(self, data: bytes) -> None:
            self.written.append(data)

    memory = Memory()
    DirectWriter(cast("MemoryTransport", memory)).write(b"by the transport")
    assert memory.written == [b"by the transport"]


async def test_several_buffers_are_there_at_once_and_the_rest_comes_later_in_order(
    ends: tuple[asyncio.Transport, socket.socket],
) -> None:
    transport, there = ends
    writer = DirectWriter(transport)
    writer.writelines([b"a", memoryview(b"b")])
    at_once = arrived(there)
    sent = [bytes([number]) * 300_000 for number in range(10)]
    writer.writelines([memoryview(data) for data in sent])
    waited = transport.get_write_buffer_size() > 0
    writer.write(b"end")
    received = b""
    async with asyncio.timeout(10):
        while len(received) < 3_000_003:
            received += arrived(there)
            await asyncio.sleep(0)
    assert (at_once, waited, received) == (b"ab", True, b"".join(sent) + b"end")


async def test_more_buffers_than_the_system_takes_come_as_well(
    ends: tuple[asyncio.Transport, socket.socket],
) -> None:
    transport, there = ends
    DirectWriter(transport).writelines([b"x"] * 2_000)
    received = b""
    async with asyncio.timeout(10):
        while len(received) < 2_000:
            received += arrived(there)
            await asyncio.sleep(0)
    assert received == b"x" * 2_000
