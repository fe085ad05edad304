from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from pydist import epmd, epmd_client
from pydist.epmd_client import PYDIST, lookup, names, register
from pydist.errors import NodeNameTaken, PortMapperError
from pydist.wire.epmd import PortInfo
from tests.port_mappers import epmd_command, finished, free_port, read_line, real_epmd, serving, until

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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-packet_timeout", "0"], "'0' is no number of seconds above 0"),
        (["--delay-accept", "soon"], "'soon' is no number of seconds above 0"),
        (["-delay_write", "inf"], "'inf' is no number of seconds above 0"),
        (["-names", "-kill"], "not allowed with argument"),
        (["-stop"], "expected one argument"),
        (["--daemo"], "unrecognized arguments"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        epmd.main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_without_sockets_from_systemd_the_option_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert epmd.main(["-systemd"]) == 1
    assert "systemd has given no sockets" in capsys.readouterr().err


def test_who_gets_sockets_from_systemd_chooses_no_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert epmd.main(["-systemd", "-port", "4369"]) == 1
    assert "-port, --underlay and -address choose nothing: name them in the socket unit" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-names"], ["-dump"], ["-kill"], ["-stop", "a"]])
def test_questions_to_nobody_say_how_to_start_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert epmd.main([*arguments, "-port", "1"]) == 1
    assert "no port mapper answers at 127.0.0.1:1: start one there" in capsys.readouterr().err


@pytest.mark.real
async def test_names_are_taken_from_living_nodes_under_relaxed_command_check_only() -> None:
    port = free_port()
    strict = await epmd_command("-port", str(port))
    await read_line(strict.stderr)
    registration = await register("a", 1234, epmd_port=port)
    code, out, complaint = await finished(epmd_command("-stop", "a", "-port", str(port)))
    assert (code, out, "-relaxed_command_check" in complaint) == (1, "", True)
    assert not registration.closed
    strict.terminate()
    await strict.communicate()
    server = await epmd_command("-port", str(port), "-d", "-d", ERL_EPMD_RELAXED_COMMAND_CHECK="")
    await read_line(server.stderr)
    registration = await register("a", 1234, epmd_port=port)
    _, out, _ = await finished(epmd_command("-dump", "-port", str(port)))
    assert out.startswith(f"epmd: up and running on port {port} with data:\nactive name     <a> at port 1234, fd = ")
    assert await finished(epmd_command("-stop", "a", "-port", str(port))) == (0, "STOPPED\n", "")
    assert await finished(epmd_command("-stop", "a", "-port", str(port))) == (0, "NOEXIST\n", "")
    registration = await register("a", 1234, epmd_port=port)
    assert await finished(epmd_command("-kill", "-port", str(port))) == (0, "Killed\n", "")
    _, log = await server.communicate()
    assert (server.returncode, b"event=request" in log, b"event=bytes_received" in log) == (0, True, True)


LIKE_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "NOTIFY_SOCKET": sys.argv[2]}
os.execv(sys.executable, [sys.executable, "-m", "pydist.epmd"])
"""


@pytest.mark.real
async def test_a_socket_unit_gives_the_sockets_and_is_told_when_it_is_ready(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as given,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        port = given.getsockname()[1]
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LIKE_SYSTEMD, str(given.fileno()), str(tmp_path / "notify")),
            pass_fds=[given.fileno()],
            stderr=asyncio.subprocess.PIPE,
        )
        registration = await register("a", 1234, epmd_port=port, timeout=20)
        ready = await asyncio.to_thread(manager.recv, 1000)
        assert ready.decode().splitlines() == [
            "READY=1",
            f"STATUS=Tells where nodes listen, on port {port}",
            f"MAINPID={server.pid}",
        ]
        assert await names(epmd_port=port) == [("a", 1234)]
        registration.close()
        server.terminate()
        await server.communicate()
        assert server.returncode == 0


@pytest.mark.real
async def test_the_command_serves_lists_and_ends_in_good_order() -> None:
    port = free_port()
    server = await epmd_command(ERL_EPMD_PORT=str(port))
    assert "event=port_mapper_listening" in await read_line(server.stderr)
    registration = await register("a", 1234, epmd_port=port)
    listing = f"epmd: up and running on port {port} with data:\nname a at port 1234\n"
    assert await finished(epmd_command("-names", "-port", str(port))) == (0, listing, "")
    code, _, complaint = await finished(epmd_command("--port", str(port)))
    assert (code, f"port {port} of 127.0.0.1 is in use" in complaint) == (1, True)
    code, _, complaint = await finished(epmd_command("-kill", "-port", str(port)))
    assert (code, "nodes are registered" in complaint) == (1, True)
    server.send_signal(signal.SIGTERM)
    _, log = await server.communicate()
    assert (server.returncode, b"Traceback" in log, registration.closed) == (0, False, True)
    code, _, complaint = await finished(epmd_command("-names", "-port", str(port)))
    assert (code, "no port mapper answers" in complaint) == (1, True)


@pytest.mark.real
async def test_a_port_mapper_is_started_once_where_none_answers() -> None:
    port = free_port()
    started = await asyncio.gather(epmd_client.ensure_running(port=port), epmd_client.ensure_running(port=port))
    try:
        assert sorted(started) == [False, True]
        assert not await epmd_client.ensure_running(port=port)
        registration = await register("a", 1234, epmd_port=port)
        assert not await epmd_client.kill(epmd_port=port)
        registration.close()
    finally:
        await until(lambda: epmd_client.kill(epmd_port=port))


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

    await until(so)


@pytest.mark.real
async def test_the_real_epmd_lists_a_node_that_is_registered_in_ours() -> None:
    async with serving() as server:
        registration = await register("a", 1234, epmd_port=server.port)
        pipe = asyncio.subprocess.PIPE
        listing = asyncio.create_subprocess_exec(
            *("epmd", "-port", str(server.port), "-names"), stdout=pipe, stderr=pipe
        )
        answer = await finished(listing)
        registration.close()
    assert answer == (0, f"epmd: up and running on port {server.port} with data:\nname a at port 1234\n", "")


@pytest.mark.real
async def test_a_node_registers_in_thereal_epmd() -> None:
    async with real_epmd() as port:
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
    async with serving() as server:
        node = await _erl("x", 'io:format("up~n").', port=server.port, home=tmp_path)
        try:
            assert await read_line(node.stdout) == "up\n"
            info: Any = await lookup("x", "127.0.0.1", server.port)
            assert (info.node_type, info.highest, epmd_client.is_pydist(info)) == (77, 6, False)
        finally:
            node.kill()
            await node.communicate()
        await _names_become(server.port, [])


@pytest.mark.real
async def test_two_erlang_nodes_find_each_other_through_ours(tmp_path: Path) -> None:
    async with serving() as server:
        first = await _erl("x", 'io:format("up~n").', port=server.port, home=tmp_path)
        try:
            assert await read_line(first.stdout) == "up\n"
            ping = "io:format(\"~p ~p~n\", [net_adm:ping('x@127.0.0.1'), erl_epmd:names({127,0,0,1})]), halt()."
            second = await _erl("y", ping, port=server.port, home=tmp_path)
            answer = await read_line(second.stdout)
            await second.communicate()
        finally:
            first.kill()
            await first.communicate()
    assert answer.startswith("pong {ok,[{")
