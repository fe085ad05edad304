"""Port mappers for tests: in this loop, as a program of their own, and Erlang's."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydist.core.portmap import Rules
from pydist.env import Env
from pydist.epmd_client import names
from pydist.epmd_server import Server
from pydist.epmd_sockets import listen
from pydist.errors import PortMapperError


@asynccontextmanager
async def serving(env: Env | None = None, rules: Rules = Rules(), **settings: Any) -> AsyncGenerator[Server]:  # noqa: B008  # frozen
    """A port mapper in this loop."""
    server = Server(listen([], 0), env, rules, **settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask again and again until it is so; each question is a round trip of its own."""
    async with asyncio.timeout(seconds):
        while not await condition():
            pass


async def say(port: int, data: bytes) -> bytes:
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


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def epmd_command(*arguments: str, **environment: str) -> Awaitable[Process]:
    return asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pydist.epmd", *arguments),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: Awaitable[Process]) -> tuple[int | None, str, str]:
    """Exit code, output and complaints of a program that ends by itself."""
    async with asyncio.timeout(20):
        running = await process
        out, err = await running.communicate()
    return running.returncode, out.decode(), err.decode()


async def read_line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(20):
        return (await stream.readline()).decode()


@asynccontextmanager
async def real_epmd() -> AsyncGenerator[int]:
    port = free_port()
    process = await asyncio.create_subprocess_exec("epmd", "-port", str(port), "-address", "127.0.0.1")
    try:

        async def answers() -> bool:
            try:
                return await names("127.0.0.1", port) == []
            except PortMapperError:
                return False

        await until(answers)
        yield port
    finally:
        process.kill()
        await process.wait()
