"""What strangers do to a port mapper, while a node stays registered and is found."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from pydist.core.portmap import Rules
from pydist.env import Env
from pydist.epmd_client import lookup, names, register
from pydist.epmd_server import MAX_UNTAKEN, Server, _Connection
from pydist.epmd_sockets import allow_many_files
from pydist.wire.epmd import (
    Alive,
    Dump,
    Kill,
    Names,
    PortInfo,
    PortPlease,
    Question,
    Stop,
    encode_port_reply,
    encode_request,
)
from tests.port_mappers import free_port, say, serving, until

NODE = PortInfo("honest", 1234)
FOUND = encode_port_reply(NODE)


class Program:
    """A port mapper that is a program of its own, with an honest node."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.node = self.connect()
        self.node.sendall(encode_request(Alive(NODE)))
        assert self.node.recv(2) == b"v\0"
        self.slowest = 0.0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def say(self, data: bytes) -> None:
        """Say it, and do not wait for an answer."""
        with self.connect() as sock:
            sock.sendall(data)

    def serves(self) -> None:
        """The node is found."""
        began = time.monotonic()
        with self.connect() as sock:
            sock.sendall(encode_request(PortPlease(NODE.name)))
            with sock.makefile("rb") as answer:
                assert answer.read() == FOUND
        self.slowest = max(self.slowest, time.monotonic() - began)


@contextmanager
def running(*options: str) -> Generator[tuple[Program, list[str]]]:
    """A port mapper; when it has ended, the list holds the lines of its log."""
    port = free_port()
    log: list[str] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "pydist.epmd", "-port", str(port), *options], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "port_mapper_listening" in process.stderr.readline()
    try:
        yield Program(port), log
    finally:
        process.terminate()
        log += process.communicate(timeout=20)[1].splitlines()


@pytest.mark.real
def test_ten_thousand_silent_connections_and_ten_thousand_lies_hurt_no_node_and_fill_no_log() -> None:
    assert allow_many_files() > 11_000
    began = time.monotonic()
    with running() as (program, log):
        silent: list[socket.socket] = []
        for number in range(10_000):
            silent.append(program.connect())
            if number % 500 == 0:
                program.serves()
        for number in range(10_000):
            with suppress(ConnectionError):
                program.say(LIES[number % len(LIES)])
            if number % 500 == 0:
                program.serves()
        program.serves()
        assert len(program.node.recv(9)) == 4  # what is left of its answer
        program.node.setblocking(False)
        with pytest.raises(BlockingIOError):
            program.node.recv(1)
        assert program.slowest < 5.0
        for sock in silent:
            sock.close()
        program.node.close()
    windows = (time.monotonic() - began) / 10.0 + 1.0
    assert len(log) <= 40 * windows + 1


@pytest.mark.real
def test_more_than_two_thousand_nodes_are_registered_where_1024_files_are_the_rule() -> None:
    allow_many_files()
    port = free_port()
    script = 'ulimit -S -n 1024; exec "$0" -m pydist.epmd -port "$1"'
    process = subprocess.Popen(["sh", "-c", script, sys.executable, str(port)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "port_mapper_listening" in process.stderr.readline()
    try:
        program = Program(port)
        nodes: list[socket.socket] = []
        for number in range(2_500):
            nodes.append(program.connect())
            nodes[-1].sendall(encode_request(Alive(PortInfo(f"n{number}", 1 + number))))
        assert {sock.recv(2) for sock in nodes} == {b"v\0"}
        listed = asyncio.run(names(epmd_port=port))
        assert sorted(listed) == sorted([("honest", 1234), *((f"n{number}", 1 + number) for number in range(2_500))])
        assert asyncio.run(lookup("n1777", epmd_port=port)) == PortInfo("n1777", 1778)
        for sock in nodes:
            sock.close()
        program.serves()
        program.node.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)


LIES = [
    bytes.fromhex("000e 78 04d2 4d 00 0006 0005 ffff 78 0000"),
    bytes.fromhex("000e 78 04d2 4d 00 0006 0005 0001 78 ffff"),
    bytes.fromhex("000e 78 04d2 4d 00 0006 0005 0000 78 0000"),
    bytes.fromhex("ffff 78"),
    bytes.fromhex("0000"),
    bytes.fromhex("0001 ff"),
    bytes.fromhex("0002 73 00"),
    encode_request(Alive(PortInfo("forged\nname honest at port 1", 1))),
    encode_request(Alive(PortInfo(NODE.name, 6666))),
    encode_request(Kill()),
    encode_request(Stop(NODE.name)),
    b"GET / HTTP/1.1\r\n\r\n",
    os.urandom(2000),
]


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_a_stranger_says_a_node_keeps_its_name(lie: bytes) -> None:
    async with serving() as server:
        honest = await register(NODE.name, NODE.port, epmd_port=server.port)
        assert await say(server.port, lie) in {b"", b"NO", bytes.fromhex("76 01 00000063")}
        assert (await names(epmd_port=server.port), honest.closed) == ([(NODE.name, NODE.port)], False)
        assert not server.killed.is_set()
        honest.close()


async def test_who_speaks_byte_by_byte_is_answered_and_delays_nobody() -> None:
    wire = encode_request(PortPlease(NODE.name))
    async with serving() as server:
        honest = await register(NODE.name, NODE.port, extra=b"", epmd_port=server.port)
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
        for position in range(len(wire)):
            for _, writer in slow:
                writer.write(wire[position : position + 1])
            assert await lookup(NODE.name, epmd_port=server.port) == NODE
        assert {await reader.read() for reader, _ in slow} == {FOUND}
        for _, writer in slow:
            writer.close()
        honest.close()


async def test_names_that_come_and_go_are_forgotten_and_a_full_table_says_no() -> None:
    async with serving(rules=Rules(max_names=3, remembered=10)) as server:
        honest = await register(NODE.name, NODE.port, epmd_port=server.port)
        rushing = [encode_request(Alive(PortInfo(f"n{number}", 1))) for number in range(300)]
        for wire in rushing:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(wire)
            writer.close()

        async def quiet() -> bool:
            return await names(epmd_port=server.port) == [(NODE.name, NODE.port)] and len(server.connections) <= 2

        await until(quiet)
        assert len(server.portmap.nodes._gone) <= 10
        honest.close()


# From another host: a connection whose transport says so.


class FakeTransport(asyncio.Transport):
    """The other side of a connection, and how much it has not taken."""

    def __init__(self, peer: str, untaken: int = 0) -> None:
        super().__init__({"peername": (peer, 5), "sockname": ("10.0.0.1", 4369), "socket": socket.socket()})
        self.untaken = untaken
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "cut"

    def get_write_buffer_size(self) -> int:
        return self.untaken

    def lose(self, connection: _Connection) -> None:
        connection.connection_lost(None)
        self.get_extra_info("socket").close()


def _visit(server: Server, transport: FakeTransport, request: Question) -> _Connection:
    connection = _Connection(server)
    connection.connection_made(transport)
    connection.data_received(encode_request(request))
    return connection


@pytest.mark.parametrize("request_", [Kill(), Stop(NODE.name), Dump(), Alive(PortInfo("b", 1))])
async def test_nobody_elsewhere_can_end_it_or_take_or_get_a_name(request_: Question) -> None:
    async with serving(rules=Rules(relaxed=True)) as server:
        honest = await register(NODE.name, NODE.port, epmd_port=server.port)
        transport = FakeTransport("10.0.0.9")
        with capture_logs() as logs:
            connection = _visit(server, transport, request_)
        assert (transport.written, transport.ended) == (b"", "closed")
        assert [line["reason"] for line in logs] == [f"only this host may ask this: {type(request_).__name__}"]
        assert (await names(epmd_port=server.port), server.killed.is_set()) == ([(NODE.name, NODE.port)], False)
        transport.lose(connection)
        honest.close()


@pytest.mark.parametrize("peer", ["10.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
async def test_who_comes_from_this_host_is_known_by_the_address(peer: str) -> None:
    async with serving() as server:
        transport = FakeTransport(peer)
        connection = _visit(server, transport, Kill())
        assert (transport.written, server.killed.is_set()) == (b"OK", True)
        transport.lose(connection)


async def test_answers_that_nobody_takes_may_fill_so_much_memory_and_no_more() -> None:
    async with serving() as server:
        slow = [FakeTransport("10.0.0.9", MAX_UNTAKEN // 4) for _ in range(6)]
        connections = [_visit(server, transport, Names()) for transport in slow]
        assert [transport.ended for transport in slow] == ["cut", "cut", "closed", "closed", "closed", "closed"]
        for transport, connection in zip(slow, connections, strict=True):
            transport.lose(connection)
        assert server._untaken == {}


async def test_a_log_flood_is_a_few_lines_that_say_how_many_there_were() -> None:
    now = 0.0
    async with serving(Env(clock=lambda: now, entropy=os.urandom)) as server:
        with capture_logs() as logs:
            for _ in range(500):
                await say(server.port, b"\xff\xff\xff")
            now = 11.0
            await say(server.port, b"\xff\xff\xff")
    assert [line.get("lines_withheld", 0) for line in logs] == [0] * 20 + [480]
