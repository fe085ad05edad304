from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from structlog.typing import EventDict

from pydist.transport.memory import MemoryNetwork
from pydist.transport.tcp import TcpNetwork
from tests.doors import HOST, Clock, Node, quiet, until


async def test_one_stranger_too_many_and_the_one_that_has_waited_longest_is_closed(logs: list[EventDict]) -> None:
    network = MemoryNetwork()
    b = Node("b@h", unfinished_limit=2)
    await network.listen(b.door.answer, HOST, 5000)
    for _ in range(2):
        await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    _, second = b.door.strangers
    await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await quiet()
    assert (b.door.unfinished, len(network.transports)) == (2, 4)
    assert next(iter(b.door.strangers)) is second
    assert [line["reason"] for line in logs] == ["too many handshakes are unfinished (2), and this one waited longest"]


async def test_a_node_connects_while_more_strangers_than_may_be_there_say_nothing() -> None:
    network = MemoryNetwork()
    a, b = Node("a@h"), Node("b@h")
    await network.listen(b.door.answer, HOST, 5000)
    for _ in range(140):
        await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await network.dial(a.door.dial("b@h", 1), HOST, 5000, 5.0)
    await until(lambda: a.peers and b.peers)
    assert (a.story, b.story) == ([("connected", "b@h")], [("decide", "a@h"), ("connected", "a@h")])
    assert b.door.unfinished == 127


async def test_a_door_that_takes_no_strangers_closes_the_newcomer() -> None:
    network = MemoryNetwork()
    b = Node("b@h", unfinished_limit=0)
    await network.listen(b.door.answer, HOST, 5000)
    await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await quiet()
    assert (b.door.unfinished, network.transports) == (0, [])


async def test_a_flood_of_strangers_is_a_few_lines_in_the_log_and_then_their_number(logs: list[EventDict]) -> None:
    clock, network = Clock(), MemoryNetwork()
    b = Node("b@h", clock=clock, unfinished_limit=0)
    await network.listen(b.door.answer, HOST, 5000)
    for _ in range(50):
        await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await quiet()
    assert len(logs) == 20
    clock.now += 10.0
    await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await quiet()
    assert [line.get("lines_withheld") for line in logs] == [*[None] * 20, 30]


async def test_a_flood_of_strangers_does_not_hide_that_a_node_which_we_dialled_refused(logs: list[EventDict]) -> None:
    network = MemoryNetwork()
    a, b = Node("a@h", cookie=b"wrong", unfinished_limit=0), Node("b@h")
    await network.listen(a.door.answer, HOST, 5000)
    await network.listen(b.door.answer, HOST, 5001)
    for _ in range(50):
        await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    await network.dial(a.door.dial("b@h", 1), HOST, 5001, 5.0)
    await quiet()
    assert [line["dialled"] for line in logs if line["dialled"]] == ["b@h"]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


Run = Callable[[Awaitable[None]], None]


def test_strangers_on_a_real_port_are_closed_and_the_node_goes_on(run: Run, logs: list[EventDict]) -> None:
    async def scenario() -> None:
        a, b = Node("a@h"), Node("b@h")
        network = TcpNetwork()
        listener = await network.listen(b.door.answer, HOST, 0)
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, b""):
            reader, writer = await asyncio.open_connection(HOST, listener.port)
            writer.write(data)
            if not data:
                writer.write_eof()
            assert await read_to_the_end(reader) == b""
            writer.close()
        assert len(logs) == 4
        await network.dial(a.door.dial("b@h", 1), HOST, listener.port, 5.0)
        await until(lambda: a.peers and b.peers)
        assert b.door.unfinished == 0
        for node in (a, b):
            node.peer.close("done")
        listener.close()
        await asyncio.sleep(0)

    run(scenario())


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
