from __future__ import annotations

import asyncio

import pytest

from pydist.errors import PortInUse, Unreachable
from pydist.transport.memory import MemoryNetwork


class Recorder(asyncio.Protocol):
    """Writes down all that happens."""

    def __init__(self) -> None:
        self.story: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.story.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.story.append(exc and str(exc))


async def quiet() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def pair(network: MemoryNetwork) -> tuple[Recorder, Recorder]:
    taken: list[Recorder] = []

    def take() -> Recorder:
        taken.append(Recorder())
        return taken[-1]

    listener = await network.listen(take, "a", 0)
    dialler = await network.dial(Recorder, "a", listener.port, 1.0)
    listener.close()
    return dialler, taken[0]


async def test_bytes_cross_in_order_and_a_close_comes_behind_them() -> None:
    network = MemoryNetwork()
    here, there = await pair(network)
    here.transport.write(b"one")
    here.transport.write(bytearray(b"two"))
    here.transport.close()
    here.transport.write(b"too late")
    await quiet()
    assert (here.story, there.story) == ([None], [b"one", b"two", None])
    assert here.transport.is_closing()
    assert network.transports == []


async def test_bytes_never_arrive_within_the_write() -> None:
    here, there = await pair(MemoryNetwork())
    here.transport.write(b"one")
    assert there.story == []


async def test_a_cut_is_a_reset_at_both_ends() -> None:
    network = MemoryNetwork()
    here, there = await pair(network)
    network.cut()
    await quiet()
    assert (here.story, there.story) == (["the network was cut"], ["the network was cut"])


async def test_in_silence_everything_vanishes_and_nobody_is_told() -> None:
    network = MemoryNetwork()
    here, there = await pair(network)
    network.silence()
    here.transport.write(b"one")
    here.transport.close()
    await quiet()
    assert (here.story, there.story) == ([None], [])


async def test_addresses_are_taken_once_and_freed_by_close() -> None:
    network = MemoryNetwork()
    listener = await network.listen(Recorder, "a", 5000)
    with pytest.raises(PortInUse, match="listens at a:5000"):
        await network.listen(Recorder, "a", 5000)
    other = await network.listen(Recorder, "b", 5000)
    listener.close()
    with pytest.raises(Unreachable, match="a:5000: nobody listens there"):
        await network.dial(Recorder, "a", 5000, 1.0)
    assert (other.host, other.port) == ("b", 5000)


async def test_what_arrives_while_reading_is_paused_is_kept_in_order() -> None:
    network = MemoryNetwork()
    here, there = await pair(network)
    there.transport.pause_reading()
    here.transport.write(b"one")
    here.transport.write(b"two")
    await quiet()
    assert there.story == []
    here.transport.write(b"three")
    there.transport.resume_reading()
    await quiet()
    assert there.story == [b"one", b"two", b"three"]
