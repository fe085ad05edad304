from __future__ import annotations

import asyncio
import os

import pytest
from structlog.testing import capture_logs

from pydist.core.portmap import MAX_WAITING, PACKET_TIMEOUT, Rules
from pydist.env import Env
from pydist.epmd_client import PYDIST, dump, lookup, names, register, stop
from pydist.errors import NodeNameTaken, PortMapperError
from pydist.wire.epmd import Names, PortInfo, encode_request
from tests.port_mappers import say, serving, until

TLS_HELLO = bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + bytes(range(200))


async def test_a_node_is_registered_found_listed_and_gone_when_it_closes() -> None:
    async with serving() as server:
        port = server.port
        registration = await register("a", 1234, epmd_port=port)
        assert registration.creation > 3
        assert await lookup("a", "127.0.0.1", port) == PortInfo("a", 1234, extra=PYDIST)
        assert await names("127.0.0.1", port) == [("a", 1234)]
        registration.close()

        async def gone() -> bool:
            return await names("127.0.0.1", port) == []

        await until(gone)


async def test_a_name_is_given_to_one_node_at_a_time() -> None:
    async with serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
        with capture_logs() as logs, pytest.raises(NodeNameTaken):
            await register("a", 5678, epmd_port=server.port)
        assert [(line["event"], line["reason"]) for line in logs] == [
            ("node_refused", "the name is taken, by a node at port 1234")
        ]
        assert await names("127.0.0.1", server.port) == [("a", 1234)]
        registration.close()


async def test_a_node_learns_that_the_server_has_stopped() -> None:
    async with serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
    async with asyncio.timeout(5):
        await registration.wait_closed()


async def test_it_answers_on_both_loopback_addresses() -> None:
    async with serving() as server:
        assert await names("127.0.0.1", server.port) == await names("::1", server.port) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TLS_HELLO, "announces a request of 5635 bytes, where 3057 is the limit"),
        (b"GET / HTTP/1.1\r\n\r\n", "announces a request of 18245 bytes, where 3057 is the limit"),
        (
            b"\0\5\xff\xff\xff\xff\xff",
            r"no request that this port mapper knows: begins with b'\x00\x05\xff\xff\xff\xff\xff'",
        ),
        (bytes.fromhex("000e7891d94d00000600050009780000"), "announces a name of 9 bytes, more than there are"),
        (b"\0\1q", r"no request that this port mapper knows: begins with b'\x00\x01q'"),
    ],
)
async def test_a_stranger_gets_one_log_line_and_a_closed_connection(data: bytes, reason: str) -> None:
    async with serving() as server:
        with capture_logs() as logs:
            assert await say(server.port, data) == b""
        [line] = logs
        assert (line["event"], line["log_level"], line["reason"]) == ("stranger_refused", "warning", reason)
        assert line["peer"].startswith("127.0.0.1:")
        assert await names("127.0.0.1", server.port) == []


async def test_a_port_scan_gets_one_log_line() -> None:
    async with serving() as server:
        with capture_logs() as logs:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.close()

            async def noticed() -> bool:
                await names("127.0.0.1", server.port)
                return bool(logs)

            await until(noticed)
        assert [line["reason"] for line in logs] == ["closed without a request"]


async def test_a_half_open_connection_is_cut_at_its_deadline() -> None:
    now = 0.0
    env = Env(clock=lambda: now, entropy=os.urandom)
    async with serving(env) as server:
        with capture_logs() as logs:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\0")

            async def arrived() -> bool:
                await names("127.0.0.1", server.port)
                return any(visitor._received for visitor in server.connections)

            await until(arrived)
            [connection] = server.connections.values()
            now = PACKET_TIMEOUT
            connection._on_timer()
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
        assert [line["reason"] for line in logs] == ["no whole request within 60 s"]


async def test_a_flood_of_strangers_leaves_no_trace_but_a_few_lines() -> None:
    env = Env(clock=lambda: 0.0, entropy=os.urandom)
    async with serving(env) as server:
        with capture_logs() as logs:
            for _ in range(10):
                await asyncio.gather(*(say(server.port, b"\xff" + os.urandom(64)) for _ in range(30)))
        assert len(logs) == 20

        async def all_gone() -> bool:
            await names("127.0.0.1", server.port)
            return len(server.connections) <= 1

        await until(all_gone)


async def test_too_many_half_open_connections_make_room_for_honest_ones() -> None:
    async with serving() as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_WAITING + 10)]
        registration = await register("a", 1234, epmd_port=server.port)
        assert await names("127.0.0.1", server.port) == [("a", 1234)]
        assert len(server.connections) <= MAX_WAITING + 1
        registration.close()
        for _, writer in silent:
            writer.transport.abort()


async def test_the_time_that_a_client_has_can_be_set() -> None:
    async with serving(rules=Rules(packet_timeout=0.05)) as server:
        with capture_logs() as logs:
            assert await say(server.port, b"\0") == b""
        assert [line["reason"] for line in logs] == ["no whole request within 0.05 s"]


async def test_a_name_is_taken_from_a_node_by_force_where_that_is_allowed() -> None:
    async with serving(rules=Rules(relaxed=True)) as server:
        registration = await register("a", 1234, epmd_port=server.port)
        assert await stop("a", epmd_port=server.port)
        async with asyncio.timeout(5):
            await registration.wait_closed()
        assert not await stop("a", epmd_port=server.port)
        assert [line.split(",")[0] for line in await dump(epmd_port=server.port)] == ["old/unused name <a>"]


async def test_where_it_is_not_allowed_who_wants_to_take_a_name_is_told_what_to_do() -> None:
    async with serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
        with pytest.raises(PortMapperError, match="started with -relaxed_command_check"):
            await stop("a", epmd_port=server.port)
        [line] = await dump(epmd_port=server.port)
        assert line.startswith("active name     <a> at port 1234, fd = ")
        assert not registration.closed
        registration.close()


async def test_a_busy_port_mapper_can_be_played() -> None:
    loop = asyncio.get_running_loop()
    async with serving(delay_accept=0.05, delay_write=0.05) as server:
        began = loop.time()
        registration = await register("a", 1234, epmd_port=server.port)
        took = [loop.time() - began]
        began = loop.time()
        assert await names("127.0.0.1", server.port) == [("a", 1234)]
        took.append(loop.time() - began)
        assert await say(server.port, b"\xff\xff") == b""
        assert min(took) >= 0.099
        registration.close()


async def test_one_who_leaves_before_a_delayed_answer_leaves_nothing_behind() -> None:
    async with serving(delay_write=0.05) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(encode_request(Names()))
        writer.transport.abort()
        assert await names("127.0.0.1", server.port) == []
    assert server.connections == {}


async def test_who_says_no_more_after_the_question_gets_the_answer() -> None:
    async with serving(delay_write=0.01) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(encode_request(Names()))
        writer.write_eof()
        assert await reader.read() == server.port.to_bytes(4)
        writer.close()


@pytest.mark.parametrize(
    ("debug", "events"),
    [
        (0, []),
        (1, ["request"]),
        (2, ["connection_opened", "bytes_received", "request", "bytes_sent", "connection_closed"]),
    ],
)
async def test_each_level_of_debugging_tells_more(debug: int, events: list[str]) -> None:
    async with serving(debug=debug) as server:
        with capture_logs() as logs:
            assert await names(epmd_port=server.port) == []

            while server.connections:  # noqa: ASYNC110  # there it is closed, by the loop's next turns
                await asyncio.sleep(0)
    assert [line["event"] for line in logs] == events
    assert [(line["asked"], line["answer"]) for line in logs if line["event"] == "request"] == [("Names", 4)] * bool(
        debug
    )
