from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pydist import epmd_client
from pydist.epmd_client import PYDIST, is_pydist, lookup, names, register
from pydist.errors import NodeNameTaken, PortMapperError
from pydist.wire.epmd import (
    HIDDEN_NODE,
    Alive,
    AliveReply,
    PortInfo,
    encode_alive_reply,
    encode_port_reply,
    take_request,
)

NOBODY = 1
"""Port 1 of loopback: without special rights nobody listens there."""


@asynccontextmanager
async def _answering(answer: bytes, *, then_close: bool = True) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """Something that gives one answer to whatever is asked: its port, and what was asked."""
    asked: list[bytes] = []
    served: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(4096))
        writer.write(answer)
        if not then_close:
            await reader.read()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append((asyncio.create_task(handle(reader, writer)), writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
        for _, writer in served:
            writer.transport.abort()
        await asyncio.gather(*(task for task, _ in served), return_exceptions=True)


async def test_a_node_registers_as_normal_of_version_6_and_as_pydist() -> None:
    async with _answering(encode_alive_reply(AliveReply(77)), then_close=False) as (port, asked):
        registration = await register("a", 1234, epmd_port=port)
        assert (registration.creation, registration.closed) == (77, False)
        assert take_request(asked[0]) == Alive(PortInfo("a", 1234, 77, 0, 6, 6, PYDIST))
        registration.close()


async def test_a_hidden_node_says_so() -> None:
    async with _answering(encode_alive_reply(AliveReply(77)), then_close=False) as (port, asked):
        registration = await register("a", 1234, epmd_port=port, hidden=True, extra=b"")
        assert take_request(asked[0]) == Alive(PortInfo("a", 1234, HIDDEN_NODE))
        registration.close()


async def test_the_narrow_creation_of_an_old_port_mapper_is_taken() -> None:
    async with _answering(encode_alive_reply(AliveReply(3, wide=False)), then_close=False) as (port, _):
        registration = await register("a", 1234, epmd_port=port)
        assert registration.creation == 3
        registration.close()


async def test_a_name_that_is_taken_says_which_and_what_to_do() -> None:
    async with _answering(encode_alive_reply(AliveReply(None))) as (port, _):
        with pytest.raises(NodeNameTaken, match="the name 'a': a living node has it, so stop that one or choose"):
            await register("a", 1234, epmd_port=port)


async def test_a_node_learns_that_its_port_mapper_went_away() -> None:
    async with _answering(encode_alive_reply(AliveReply(77))) as (port, _):
        registration = await register("a", 1234, epmd_port=port)
        async with asyncio.timeout(5):
            await asyncio.gather(registration.wait_closed(), registration.wait_closed())
        assert registration.closed


async def test_one_who_stops_waiting_for_the_end_does_not_bring_it_about() -> None:
    async with _answering(encode_alive_reply(AliveReply(77)), then_close=False) as (port, _):
        registration = await register("a", 1234, epmd_port=port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(registration.wait_closed(), 0)
        assert not registration.closed
        registration.close()
        assert registration.closed
        await registration.wait_closed()


@pytest.mark.parametrize(("extra", "is_ours"), [(PYDIST, True), (b"", False), (b"other", False)])
async def test_a_peer_that_is_not_pydist_is_told_by_its_extra(extra: bytes, is_ours: bool) -> None:
    async with _answering(encode_port_reply(PortInfo("a", 5, extra=extra))) as (port, _):
        info = await lookup("a", "127.0.0.1", port)
    assert info == PortInfo("a", 5, extra=extra)
    assert info is not None
    assert is_pydist(info) is is_ours


async def test_a_name_that_nobody_has_is_none() -> None:
    async with _answering(encode_port_reply(None)) as (port, _):
        assert await lookup("a", "127.0.0.1", port) is None


async def test_a_port_mapper_that_tells_of_another_node_is_not_believed() -> None:
    async with _answering(encode_port_reply(PortInfo("b", 5))) as (port, _):
        with pytest.raises(PortMapperError, match="asked for 'a', and told of 'b'"):
            await lookup("a", "127.0.0.1", port)


async def _register(port: int) -> None:
    await register("a", 1, epmd_port=port, timeout=0.2)


async def _lookup(port: int) -> None:
    await lookup("a", "127.0.0.1", port, timeout=0.2)


async def _names(port: int) -> None:
    await names("127.0.0.1", port, timeout=0.2)


QUESTIONS = pytest.mark.parametrize("ask", [_register, _lookup, _names])


@QUESTIONS
async def test_where_nobody_answers_the_error_says_how_to_start_one(ask: Callable[[int], Awaitable[None]]) -> None:
    with pytest.raises(PortMapperError, match=r"no port mapper answers at 127.0.0.1:1: start one there"):
        await ask(NOBODY)


async def test_where_the_host_has_no_address_the_error_says_so() -> None:
    host = "x" * 64  # no label of a name is so long, so nobody is asked
    with pytest.raises(PortMapperError, match=rf"no host {host} is known here \(.*\): write its address, or let DNS"):
        await lookup("a", host, NOBODY, timeout=5.0)


@QUESTIONS
async def test_one_who_never_answers_is_given_up(ask: Callable[[int], Awaitable[None]]) -> None:
    async with _answering(b"", then_close=False) as (port, _):
        with pytest.raises(PortMapperError, match=r"did not answer within 0\.2 s"):
            await ask(port)


@QUESTIONS
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 100])
async def test_one_who_answers_nonsense_is_no_port_mapper(answer: bytes, ask: Callable[[int], Awaitable[None]]) -> None:
    async with _answering(answer) as (port, _):
        with pytest.raises(PortMapperError, match="is no port mapper"):
            await ask(port)


@QUESTIONS
async def test_an_answer_without_end_is_not_read_to_its_end(ask: Callable[[int], Awaitable[None]]) -> None:
    async with _answering(b"w\0" + b"\0" * (1 << 23), then_close=False) as (port, _):
        with pytest.raises(PortMapperError, match="is no port mapper"):
            await ask(port)


async def test_one_who_closes_without_an_answer_is_an_error() -> None:
    async with _answering(b"") as (port, _):
        with pytest.raises(PortMapperError, match="was lost: closed before the answer"):
            await register("a", 1, epmd_port=port)


async def test_no_port_mapper_is_started_on_another_host() -> None:
    with pytest.raises(PortMapperError, match="on another host than this it can't be started from here"):
        await epmd_client.ensure_running("host.invalid", NOBODY)


async def test_none_is_started_where_something_else_listens() -> None:
    async with _answering(b"no") as (port, _):
        with pytest.raises(PortMapperError, match="is no port mapper"):
            await epmd_client.ensure_running(port=port)


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "-1"])
def test_a_port_in_the_environment_that_is_none_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERL_EPMD_PORT", text)
    with pytest.raises(PortMapperError, match="ERL_EPMD_PORT is"):
        epmd_client.default_port()


def test_the_port_comes_from_the_environment_or_is_4369(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERL_EPMD_PORT", "1234")
    assert epmd_client.default_port() == 1234
    monkeypatch.delenv("ERL_EPMD_PORT")
    assert epmd_client.default_port() == 4369
