"""What strangers and broken peers send to a node's port costs them the connection, and the node a line in its log."""

from __future__ import annotations

import asyncio
import gc
import random
import struct
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import attrs
import pytest
from structlog.typing import EventDict

from pydist import Atom, Caller, GenServer, Node, Pid, Request, call, receive, trap_exit
from pydist.core.cookies import Cookies
from pydist.core.handshake import Established, Handshake
from pydist.door import Door
from pydist.transport.tcp import TcpNetwork
from pydist.wire.codec import Encoder
from pydist.wire.handshake import Identity

Until = Callable[[Callable[[], object]], Awaitable[None]]
StartNode = Callable[..., Awaitable[Node]]

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
SETUP_TIME = 0.3
BOUND = 4_000_000
"""Bytes that a node may hold more during an attack than before it, with those that wait for the garbage collector."""


class Echo(Request[Any]):
    value: Any


class Server(GenServer):
    async def init(self) -> None:
        trap_exit(True)

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        return request.value if isinstance(request, Echo) else None


async def start_server() -> Pid:
    return await Server.start(name="server")


@attrs.frozen
class Target:
    """A node that listens over TCP, and another that calls it."""

    node: Node
    friend: Node
    server: Pid
    port: int
    door: Door

    async def serves(self) -> None:
        assert await self.friend.run(call, self.server, Echo("still there"), 5.0) == "still there"


@pytest.fixture
async def target(start_node: StartNode) -> Target:
    node, friend = await start_node("node", network=TcpNetwork()), await start_node("friend", network=TcpNetwork())
    assert node._cluster is not None
    assert node._listener is not None
    door = node._cluster.door
    door.settings = attrs.evolve(door.settings, setup_time=SETUP_TIME)
    target = Target(node, friend, await node.run(start_server), node._listener.port, door)
    await target.serves()
    return target


async def say(port: int, data: bytes, *, then_close: bool = False) -> bytes:
    """What the node answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if then_close:
        writer.close()
        return b""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def reasons(logs: list[EventDict], event: str = "handshake_refused") -> list[str]:
    return [line["reason"] for line in logs if line["event"] == event]


async def test_a_port_scan(target: Target, logs: list[EventDict], until: Until) -> None:
    await say(target.port, b"", then_close=True)
    await until(lambda: len(reasons(logs)) == 1)
    assert reasons(logs) == ["the peer closed the connection in AWAIT_HELLO"]
    await target.serves()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TLS_HELLO, r"no pydist node: it begins with b'\x16\x03\x01\x00\xc8\x01\x00\x00'"),
        (b"GET / HTTP/1.1\r\n\r\n", "no pydist node: it begins with b'GET / HT'"),
        (b"\xff\xff\xff\xff", r"no pydist node: it begins with b'\xff\xff\xff\xff'"),
        (b"\0\0", r"unexpected in AWAIT_HELLO: b''"),
        (
            b"\xff\xffpydist",
            r"no pydist node: a frame announces 65535 bytes, the limit is 1024; it begins with b'\xff\xffpydist'",
        ),
        (b"\0\x06pydist", "a message of 6 bytes is too short to say who the peer is"),
    ],
)
async def test_a_stranger_is_told_nothing(target: Target, logs: list[EventDict], data: bytes, reason: str) -> None:
    assert await say(target.port, data) == b""
    assert reasons(logs) == [reason]
    await target.serves()


async def test_random_bytes(target: Target, logs: list[EventDict], until: Until) -> None:
    chance = random.Random(20_261_123)  # noqa: S311  # the same on each run
    for _ in range(100):
        assert await say(target.port, chance.randbytes(chance.randrange(8, 5000))) == b""
    await until(lambda: target.door.unfinished == 0)
    assert len(reasons(logs)) == 20  # a bounded log
    assert {reason[:15] for reason in reasons(logs)} == {"no pydist node:"}
    await target.serves()


async def test_a_connection_that_says_half_a_hello_and_then_nothing_times_out(
    target: Target, logs: list[EventDict]
) -> None:
    began = asyncio.get_running_loop().time()
    assert await say(target.port, b"\0\x40pyd") == b""
    assert SETUP_TIME <= asyncio.get_running_loop().time() - began < 3
    assert reasons(logs) == ["not done within 0.3 s, still in AWAIT_HELLO"]
    await target.serves()


async def test_a_dripping_connection_times_out_all_the_same(target: Target, logs: list[EventDict]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    for byte in b"\0\x40pydist" + bytes(56):
        writer.write(bytes((byte,)))
        if reader.at_eof():
            break
        await asyncio.sleep(0.01)
    # A node that closes before it has read the last byte resets the connection.
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert reasons(logs) == ["not done within 0.3 s, still in AWAIT_HELLO"]


async def test_two_hundred_silent_connections(target: Target, logs: list[EventDict], until: Until) -> None:
    target.door.settings = attrs.evolve(target.door.settings, setup_time=2.0)
    silent = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(200)]
    await until(lambda: reasons(logs))
    await target.serves()  # while they are there
    for reader, writer in silent:
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert reasons(logs) == ["too many handshakes are unfinished (128), and this one waited longest"] * 20
    assert target.door.unfinished == 0
    await target.serves()


async def shake_hands(
    target: Target, name: str = "evil@127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with the right cookie."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    handshake = Handshake(Identity(name, 7), Cookies((b"secret",)), bytes(32), 0.0, dialled=target.node.name)
    events: list[Any] = []
    while not events:
        writer.write(handshake.data_to_send())
        data = await reader.read(4096)
        assert data
        events = handshake.receive_data(data, 0.0)
    assert isinstance(events[0], Established)
    return reader, writer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            struct.pack(">IBQ", 1 << 24 | 10, 0, 1 << 32) + b"x",
            "a message announces 4294967296 bytes, the limit is 268435456",
        ),
        (struct.pack(">I", 1 << 20 | 1), "a frame announces 1048577 bytes, the limit is 1048576"),
        (b"\xff\xff\xff\xff", "no frame is of the kind 255"),
        (struct.pack(">I", 3) + b"\xc1\xc1\xc1", "not a term: FormatError"),
        (struct.pack(">I", 1) + b"\x2a", "a frame is an array of signals"),
        (struct.pack(">I", 3) + b"\x91\x91\x63", "no signal has the op 99"),
        (struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff", "not a term: ValueError 4294967295 exceeds"),
        (struct.pack(">I", 6) + b"\x91\xdd\xff\xff\xff\xff", "not a term: ValueError 4294967295 exceeds"),
    ],
    ids=[
        "4 GiB",
        "a large frame",
        "an unknown kind",
        "no msgpack",
        "no array",
        "unknown op",
        "4 Gi items",
        "4 Gi fields",
    ],
)
async def test_a_peer_that_breaks_the_protocol_after_a_good_handshake_loses_its_connection(
    target: Target, logs: list[EventDict], data: bytes, reason: str
) -> None:
    reader, writer = await shake_hands(target)
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    except ConnectionError:
        pass
    writer.close()
    [found] = reasons(logs, "connection_lost")
    assert found.startswith(reason)
    await target.serves()


async def test_random_signals_of_a_peer_harm_nobody(target: Target, logs: list[EventDict], until: Until) -> None:
    chance = random.Random(20_261_123)  # noqa: S311  # the same on each run
    encoder = Encoder()

    def number() -> Any:
        return chance.choice([0, 1, 2, target.server.number, 2**64 - 1, chance.randrange(2**64)])

    def name_or_number() -> Any:
        return chance.choice(["server", "nobody", "", number()])

    def term() -> Any:
        return chance.choice([None, Atom("normal"), Atom("noproc"), "x", [], {"a": (1,)}, Pid("no name", 1, 1)])

    layouts: dict[int, list[Callable[[], Any]]] = {
        1: [number, lambda: [term() for _ in range(3)]],
        2: [lambda: chance.choice(["nobody", "", "x" * 255]), term],
        3: [number, number, term],
        10: [number, number],
        11: [number, number, number],
        12: [number, number, number],
        13: [number, lambda: 10**6, term],
        14: [number, lambda: 10**6, term],
        20: [number, name_or_number, lambda: chance.randrange(2**64)],
        21: [number, name_or_number, number],
        22: [name_or_number, number, number, term],
    }
    all_there = asyncio.Event()

    async def wait_for_the_last() -> None:
        await receive()
        all_there.set()

    target.node.spawn(wait_for_the_last, name="last")
    _, writer = await shake_hands(target)
    for _ in range(200):
        ops = chance.choices(list(layouts), k=10)
        frame = encoder.encode([[op, *[field() for field in layouts[op]]] for op in ops])
        writer.write(struct.pack(">I", len(frame)) + frame)
    frame = encoder.encode([[2, "last", None]])
    writer.write(struct.pack(">I", len(frame)) + frame)
    async with asyncio.timeout(5):
        await all_there.wait()
    await target.serves()
    writer.transport.abort()
    await until(lambda: len(reasons(logs, "connection_lost")) == 1)
    await target.serves()


async def _shake_and_break(target: Target) -> None:
    _, writer = await shake_hands(target)
    writer.write(b"\xff\xff\xff\xff" + bytes(100_000))
    writer.close()


ATTACKS: dict[str, Callable[[Target], Coroutine[Any, Any, Any]]] = {
    "scan": lambda target: say(target.port, b"", then_close=True),
    "tls": lambda target: say(target.port, TLS_HELLO),
    "handshake": _shake_and_break,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_memory_stays_flat_under_many_attacks(
    target: Target, attack: Callable[[Target], Coroutine[Any, Any, Any]]
) -> None:
    for _ in range(20):
        await attack(target)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(300):
            await attack(target)
        await target.serves()
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000
    assert peak - before < BOUND
