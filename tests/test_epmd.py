from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pydist import epmd, epmd_client
from pydist.core.portmap import MAX_WAITING, PACKET_TIMEOUT
from pydist.env import Env
from pydist.epmd_client import PYDIST, lookup, names, register
from pydist.epmd_server import Server
from pydist.epmd_sockets import listen
from pydist.errors import NodeNameTaken, PortInUse, PortMapperError
from pydist.wire.epmd import PortInfo

TLS_HELLO = bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + bytes(range(200))


@asynccontextmanager
async def _serving(env: Env | None = None) -> AsyncGenerator[Server]:
    server = Server(listen([], 0), env)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask again and again until it is so; each question is a round trip of its own."""
    async with asyncio.timeout(seconds):
        while not await condition():
            pass


async def _say(port: int, data: bytes) -> bytes:
    """What the port mapper answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(10):
        try:
            answer = await reader.read()
        except ConnectionError:
            answer = b""
    writer.close()
    return answer


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_node_is_registered_found_listed_and_gone_when_it_closes() -> None:
    async with _serving() as server:
        port = server.port
        registration = await register("a", 1234, epmd_port=port)
        assert registration.creation > 3
        assert await lookup("a", "127.0.0.1", port) == PortInfo("a", 1234, extra=PYDIST)
        assert await names("127.0.0.1", port) == [("a", 1234)]
        registration.close()

        async def gone() -> bool:
            return await names("127.0.0.1", port) == []

        await _until(gone)


async def test_a_name_is_given_to_one_node_at_a_time() -> None:
    async with _serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
        with capture_logs() as logs, pytest.raises(NodeNameTaken):
            await register("a", 5678, epmd_port=server.port)
        assert [(line["event"], line["reason"]) for line in logs] == [
            ("node_refused", "the name is taken, by a node at port 1234")
        ]
        assert await names("127.0.0.1", server.port) == [("a", 1234)]
        registration.close()


async def test_a_node_learns_that_the_server_has_stopped() -> None:
    async with _serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
    async with asyncio.timeout(5):
        await registration.wait_closed()


async def test_it_answers_on_both_loopback_addresses() -> None:
    async with _serving() as server:
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
    async with _serving() as server:
        with capture_logs() as logs:
            assert await _say(server.port, data) == b""
        [line] = logs
        assert (line["event"], line["log_level"], line["reason"]) == ("stranger_refused", "warning", reason)
        assert line["peer"].startswith("127.0.0.1:")
        assert await names("127.0.0.1", server.port) == []


async def test_a_port_scan_gets_one_log_line() -> None:
    async with _serving() as server:
        with capture_logs() as logs:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.close()

            async def noticed() -> bool:
                await names("127.0.0.1", server.port)
                return bool(logs)

            await _until(noticed)
        assert [line["reason"] for line in logs] == ["closed without a request"]


async def test_a_half_open_connection_is_cut_at_its_deadline() -> None:
    now = 0.0
    env = Env(clock=lambda: now, entropy=os.urandom)
    async with _serving(env) as server:
        with capture_logs() as logs:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\0")

            async def arrived() -> bool:
                await names("127.0.0.1", server.port)
                return any(visitor._received for visitor in server.connections)

            await _until(arrived)
            [connection] = server.connections.values()
            now = PACKET_TIMEOUT
            connection._on_timer()
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
        assert [line["reason"] for line in logs] == ["no whole request within 60 s"]


async def test_a_flood_of_strangers_leaves_no_trace_but_a_few_lines() -> None:
    env = Env(clock=lambda: 0.0, entropy=os.urandom)
    async with _serving(env) as server:
        with capture_logs() as logs:
            for _ in range(10):
                await asyncio.gather(*(_say(server.port, b"\xff" + os.urandom(64)) for _ in range(30)))
        assert len(logs) == 20

        async def all_gone() -> bool:
            await names("127.0.0.1", server.port)
            return len(server.connections) <= 1

        await _until(all_gone)


async def test_too_many_half_open_connections_make_room_for_honest_ones() -> None:
    async with _serving() as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_WAITING + 10)]
        registration = await register("a", 1234, epmd_port=server.port)
        assert await names("127.0.0.1", server.port) == [("a", 1234)]
        assert len(server.connections) <= MAX_WAITING + 1
        registration.close()
        for _, writer in silent:
            writer.transport.abort()


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} of 127.0.0.1 is in use.* choose another port with -port"):
            listen([], port)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104  # the point of the test
def test_all_addresses_at_once_need_a_flag(address: str) -> None:
    with pytest.raises(PortMapperError, match="--allow-any-address"):
        listen([address], 0)
    sockets = listen([address], 0, allow_any=True)
    assert address in [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("address", "complaint"), [("192.0.2.1", "name an address that this host has"), ("here", "'here' is no IP address")]
)
def test_an_address_that_is_not_ours_is_refused(address: str, complaint: str) -> None:
    with pytest.raises(PortMapperError, match=complaint):
        listen([address], 0)


def test_an_address_named_twice_is_bound_once() -> None:
    sockets = listen(["127.0.0.1", "127.0.0.2", "127.0.0.2"], 0)
    addresses = [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()
    assert addresses == ["127.0.0.1", "::1", "127.0.0.2"]


# The command line.


def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        epmd.main(["-port", "70000"])
    assert ended.value.code == 2
    assert "'70000' is no port" in capsys.readouterr().err


def test_a_bad_environment_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERL_EPMD_PORT", "many")
    assert epmd.main(["-names"]) == 1
    assert "ERL_EPMD_PORT is 'many'" in capsys.readouterr().err


def test_addresses_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "127.0.0.1, 192.0.2.1")
    assert epmd.main(["-port", "0"]) == 1
    assert "192.0.2.1: Cannot assign" in capsys.readouterr().err


def _epmd(*arguments: str, **environment: str) -> Awaitable[Process]:
    return asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pydist.epmd", *arguments),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _run(process: Awaitable[Process]) -> tuple[int | None, str, str]:
    """Exit code, output and complaints of a program that ends by itself."""
    async with asyncio.timeout(20):
        running = await process
        out, err = await running.communicate()
    return running.returncode, out.decode(), err.decode()


async def _read_line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(20):
        return (await stream.readline()).decode()


@pytest.mark.real
async def test_the_command_serves_lists_and_ends_in_good_order() -> None:
    port = _free_port()
    server = await _epmd(ERL_EPMD_PORT=str(port))
    assert "event=port_mapper_listening" in await _read_line(server.stderr)
    registration = await register("a", 1234, epmd_port=port)
    listing = f"epmd: up and running on port {port} with data:\nname a at port 1234\n"
    assert await _run(_epmd("-names", "-port", str(port))) == (0, listing, "")
    code, _, complaint = await _run(_epmd("--port", str(port)))
    assert (code, f"port {port} of 127.0.0.1 is in use" in complaint) == (1, True)
    code, _, complaint = await _run(_epmd("-kill", "-port", str(port)))
    assert (code, "nodes are registered" in complaint) == (1, True)
    server.send_signal(signal.SIGTERM)
    _, log = await server.communicate()
    assert (server.returncode, b"Traceback" in log, registration.closed) == (0, False, True)
    code, _, complaint = await _run(_epmd("-names", "-port", str(port)))
    assert (code, "no port mapper answers" in complaint) == (1, True)


@pytest.mark.real
async def test_a_port_mapper_is_started_once_where_none_answers() -> None:
    port = _free_port()
    started = await asyncio.gather(epmd_client.ensure_running(port=port), epmd_client.ensure_running(port=port))
    try:
        assert sorted(started) == [False, True]
        assert not await epmd_client.ensure_running(port=port)
        registration = await register("a", 1234, epmd_port=port)
        assert not await epmd_client.kill(epmd_port=port)
        registration.close()
    finally:
        await _until(lambda: epmd_client.kill(epmd_port=port))


@pytest.mark.real
async def test_one_that_can_not_be_started_says_why() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortMapperError, match=f"no port mapper came up.*port {port} of ::1 is in use"):
            await epmd_client.ensure_running(port=port)


# Against Erlang's own programs.


def _erl(name: str, code: str, *, port: int, home: Path) -> Awaitable[Process]:
    return asyncio.create_subprocess_exec(
        *("erl", "-noinput", "-name", f"{name}@127.0.0.1", "-setcookie", "walnut", "-start_epmd", "false"),
        *("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-eval", code),
        env=os.environ | {"ERL_EPMD_PORT": str(port), "HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
    )


async def _names_become(port: int, expected: list[str]) -> None:
    async def so() -> bool:
        return sorted(name for name, _ in await names("127.0.0.1", port)) == expected

    await _until(so)


@asynccontextmanager
async def _real_epmd() -> AsyncGenerator[int]:
    port = _free_port()
    process = await asyncio.create_subprocess_exec("epmd", "-port", str(port), "-address", "127.0.0.1")
    try:

        async def answers() -> bool:
            try:
                return await names("127.0.0.1", port) == []
            except PortMapperError:
                return False

        await _until(answers)
        yield port
    finally:
        process.kill()
        await process.wait()


@pytest.mark.real
async def test_the_real_epmd_lists_a_node_that_is_registered_in_ours() -> None:
    async with _serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
        pipe = asyncio.subprocess.PIPE
        listing = asyncio.create_subprocess_exec(
            *("epmd", "-port", str(server.port), "-names"), stdout=pipe, stderr=pipe
        )
        answer = await _run(listing)
        registration.close()
    assert answer == (0, f"epmd: up and running on port {server.port} with data:\nname a at port 1234\n", "")


@pytest.mark.real
async def test_a_node_registers_in_the_real_epmd() -> None:
    async with _real_epmd() as port:
        registration = await register("a", 1234, epmd_port=port)
        assert registration.creation > 0
        assert await lookup("a", "127.0.0.1", port) == PortInfo("a", 1234, extra=PYDIST)
        assert await lookup("b", "127.0.0.1", port) is None
        with pytest.raises(NodeNameTaken):
            await register("a", 5678, epmd_port=port)
        assert not await epmd_client.ensure_running(port=port)
        registration.close()
        await _names_become(port, [])


@pytest.mark.real
async def test_a_real_erlang_node_registers_and_is_gone_when_it_is_killed(tmp_path: Path) -> None:
    async with _serving() as server:
        node = await _erl("x", 'io:format("up~n").', port=server.port, home=tmp_path)
        try:
            assert await _read_line(node.stdout) == "up\n"
            info: Any = await lookup("x", "127.0.0.1", server.port)
            assert (info.node_type, info.highest, epmd_client.is_pydist(info)) == (77, 6, False)
        finally:
            node.kill()
            await node.communicate()
        await _names_become(server.port, [])


@pytest.mark.real
async def test_two_erlang_nodes_find_each_other_through_ours(tmp_path: Path) -> None:
    async with _serving() as server:
        first = await _erl("x", 'io:format("up~n").', port=server.port, home=tmp_path)
        try:
            assert await _read_line(first.stdout) == "up\n"
            ping = "io:format(\"~p ~p~n\", [net_adm:ping('x@127.0.0.1'), erl_epmd:names({127,0,0,1})]), halt()."
            second = await _erl("y", ping, port=server.port, home=tmp_path)
            answer = await _read_line(second.stdout)
            await second.communicate()
        finally:
            first.kill()
            await first.communicate()
    assert answer.startswith("pong {ok,[{")
