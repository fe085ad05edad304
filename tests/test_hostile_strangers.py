"""Floods of strangers on a node's port, over real sockets: the cluster's own nodes are served throughout."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import resource
import socket
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from structlog.typing import EventDict

from pydist import Caller, GenServer, Node, Pid, Request, call
from pydist.cluster import Cluster
from pydist.core.cookies import Cookies
from pydist.core.handshake import Handshake
from pydist.transport.tcp import TcpNetwork
from pydist.wire.handshake import Identity

StartNode = Callable[..., Awaitable[Node]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


class Ping(Request[str]): ...


class Server(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        return "pong"


async def start_server() -> Pid:
    return await Server.start(name="server")


@attrs.frozen
class Target:
    """A node that listens over TCP, and another that is connected to it."""

    node: Node
    friend: Node
    server: Pid
    port: int
    cluster: Cluster

    async def serves(self, client: Node | None = None) -> None:
        assert await (client or self.friend).run(call, self.server, Ping(), 10.0) == "pong"

    async def serves_during(self, flood: Awaitable[None]) -> int:
        """Calls until the flood is over; how often."""
        under_way, calls = asyncio.ensure_future(flood), 0
        while not under_way.done():
            await self.serves()
            calls += 1
        await under_way
        return calls


@pytest.fixture
async def target(start_node: StartNode) -> AsyncIterator[Target]:
    node, friend = await start_node("node", network=TcpNetwork()), await start_node("friend", network=TcpNetwork())
    assert node._cluster is not None
    assert node._listener is not None
    target = Target(node, friend, await node.run(start_server), node._listener.port, node._cluster)
    await target.serves()
    yield target
    assert [peer for peer in target.cluster.up if peer == friend.name] == [friend.name]


def dial_without_a_word(port: int, at_least: int, held: int, enough: threading.Event) -> None:
    """As fast as one thread can, `held` of them open at any time."""
    silent: deque[socket.socket] = deque(maxlen=held)
    for number in itertools.count():
        if number >= at_least and enough.is_set():
            break
        if len(silent) == held:
            silent.popleft().close()
        connection = socket.socket()
        with suppress(OSError):
            connection.connect(("127.0.0.1", port))
        silent.append(connection)
    for connection in silent:
        connection.close()


async def test_ten_thousand_silent_connections_and_the_clusters_nodes_connect_and_are_served(
    target: Target, start_node: StartNode, until: Until, logs: list[EventDict]
) -> None:
    newcomer = await start_node("newcomer", network=TcpNetwork())
    enough = threading.Event()
    flood = asyncio.ensure_future(asyncio.to_thread(dial_without_a_word, target.port, 10_000, 400, enough))
    try:
        await until(lambda: target.cluster.door.unfinished >= 128)
        async with asyncio.timeout(60):
            await target.serves(newcomer)
            enough.set()
            assert await target.serves_during(flood) > 10
    finally:
        enough.set()
        await flood
    await until(lambda: target.cluster.door.unfinished == 0)
    assert len([line for line in logs if line["event"] == "handshake_refused"]) <= 20 * 7, "20 in 10 seconds"


def hello(name: str) -> bytes:
    return Handshake(Identity(name, 1), Cookies((b"guess",)), os.urandom(32), 0.0, dialled="x@h").data_to_send()


async def introduce(port: int, name: str) -> None:
    """Say who one is, wait for the challenge, and prove nothing right."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(hello(name))
        await reader.readexactly(2)
        writer.write(b"\x00\x21P" + bytes(32))
        await reader.read()
    writer.close()


async def introduce_many(port: int, names: list[str]) -> None:
    for start in range(0, len(names), 50):
        await asyncio.gather(*[introduce(port, name) for name in names[start : start + 50]])


def kept(cluster: Cluster) -> str:
    """All that a node's tables of other nodes hold, as text."""
    return repr([vars(cluster._table), vars(cluster._redial), vars(cluster.door), vars(cluster.router)])


async def test_of_two_thousand_strangers_with_different_names_nothing_is_kept(
    target: Target, start_node: StartNode, until: Until
) -> None:
    await introduce_many(target.port, [f"early{number}@h" for number in range(100)])
    await until(lambda: target.cluster.door.unfinished == 0)
    gc.collect()
    blocks = sys.getallocatedblocks()
    assert await target.serves_during(introduce_many(target.port, [f"late{n}@h{n}" for n in range(2_000)])) > 10
    await until(lambda: target.cluster.door.unfinished == 0)
    gc.collect()
    assert "late" not in kept(target.cluster)
    assert sys.getallocatedblocks() - blocks < 1_500, "less than one word for each of them would take"
    await target.serves(await start_node("newcomer", network=TcpNetwork()))


async def test_a_stranger_that_calls_itself_as_a_connected_node_does_not_disturb_it(
    target: Target, logs: list[EventDict]
) -> None:
    await introduce(target.port, target.friend.name)
    assert [line["reason"] for line in logs] == ["the proof is wrong: the peer has another cookie"]
    await target.serves()


async def test_many_that_say_hello_and_nothing_else_do_not_keep_a_node_out(
    target: Target, start_node: StartNode, until: Until
) -> None:
    newcomer = await start_node("newcomer", network=TcpNetwork())
    idle: list[asyncio.StreamWriter] = []
    for number in range(300):
        _, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(hello(f"n{number}@h"))
        idle.append(writer)
    await target.serves(newcomer)
    assert target.cluster.door.unfinished > 100
    for writer in idle:
        writer.close()


@contextmanager
def file_descriptors(more: int) -> Generator[None]:
    """No more than `more` of them can be opened inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_file_descriptors_peers_stay_and_newcomers_wait(
    target: Target, start_node: StartNode, logs: list[EventDict], until: Until
) -> None:
    newcomer = await start_node("newcomer", network=TcpNetwork())
    waiting = [socket.socket() for _ in range(20)]
    with file_descriptors(5):
        for connection in waiting:
            connection.connect(("127.0.0.1", target.port))
        await until(lambda: [line for line in logs if line["event"] == "connections_not_taken"])
        await target.serves()
    await target.serves(newcomer)
    assert [line["reason"] for line in logs if line["event"] == "connections_not_taken"] == ["Too many open files"]
    for connection in waiting:
        connection.close()
