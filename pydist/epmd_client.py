"""What a node asks of a port mapper: a name for itself, the port of another node, and that there be one at all.

Any port mapper that speaks Erlang's protocol will do: `python -m pydist.epmd`, or the `epmd` of an Erlang installation.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Final

from pydist.errors import DecodeError, NodeNameTaken, NoPortMapper, PortMapperError, WireError
from pydist.own_log import log
from pydist.wire.epmd import (
    HIDDEN_NODE,
    MAX_NAMES_REPLY,
    MAX_REQUEST,
    NORMAL_NODE,
    Alive,
    Dump,
    Kill,
    Names,
    PortInfo,
    PortPlease,
    Question,
    Stop,
    decode_names_reply,
    decode_port_reply,
    encode_request,
    take_alive_reply,
)

DEFAULT_PORT: Final = 4369
HOST: Final = "127.0.0.1"
"""A node registers with the port mapper of its own host."""
TIMEOUT: Final = 5.0
"""Seconds in which a port mapper has to answer."""
START_TIMEOUT: Final = 10.0
"""Seconds in which a port mapper that was started has to answer: a Python interpreter comes up first."""
START_TRIES: Final = 3
"""Of two that bind a port at the same moment, Linux may refuse both."""
PYDIST: Final = b"pydist/1"
"""The `extra` of a pydist node, by which others tell it from an Erlang node before they connect."""


def default_port() -> int:
    """ERL_EPMD_PORT from the environment, or 4369.

    Raises:
        PortMapperError: the variable holds no port.
    """
    text = os.environ.get("ERL_EPMD_PORT", str(DEFAULT_PORT))
    if not text.isdecimal() or not 1 <= int(text) <= 0xFFFF:
        raise PortMapperError(f"ERL_EPMD_PORT is {text!r}: set it to the port mapper's port, 1 to 65535, or not at all")
    return int(text)


def is_pydist(info: PortInfo) -> bool:
    """Whether the node speaks pydist's protocol; an Erlang node registers without this mark."""
    return info.extra == PYDIST


class Registration:
    """A name held at a port mapper, for as long as the connection to it stays open."""

    def __init__(
        self, node: PortInfo, creation: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.node: Final = node
        self.creation: Final = creation
        """Tells this incarnation of the node from earlier ones of the same name; never 0."""
        self._writer = writer
        self._watch = asyncio.create_task(_close_at_end(reader, writer))

    @property
    def closed(self) -> bool:
        """Whether the name is no longer held: the port mapper went away, or `close` was called."""
        return self._writer.is_closing()

    async def wait_closed(self) -> None:
        """Return when the name is no longer held. A node that wants to be found from then on registers anew."""
        await asyncio.wait([self._watch])

    def close(self) -> None:
        """Give the name back: it is free as soon as the port mapper sees the connection end."""
        self._watch.cancel()
        self._writer.close()


async def register(
    name: str,
    port: int,
    *,
    host: str = HOST,
    epmd_port: int = DEFAULT_PORT,
    hidden: bool = False,
    extra: bytes = PYDIST,
    timeout: float = TIMEOUT,  # the deadline covers connecting, asking and the answer
) -> Registration:
    """Register a node with a port mapper.

    Args:
        name: the part of the node's name before the @.
        port: where the node listens.
        host: where the port mapper is; it takes registrations from its own host only.
        epmd_port: the port mapper's port; see `default_port`.
        hidden: the node is no regular member (Erlang's hidden node).
        extra: what the node tells of itself to those who look it up.
        timeout: seconds for the whole.

    Raises:
        NodeNameTaken: a living node has the name.
        PortMapperError: no port mapper answers, or its answer makes no sense.
    """
    node = PortInfo(name, port, HIDDEN_NODE if hidden else NORMAL_NODE, extra=extra)
    async with _talk(host, epmd_port, timeout) as (reader, writer):
        writer.write(encode_request(Alive(node)))
        creation = await _read_creation(reader)
        if creation is not None:
            return Registration(node, creation, reader, writer)
        writer.close()
    raise NodeNameTaken(
        f"the port mapper at {host}:{epmd_port} refuses the name {name!r}: a living node has it, so stop that one "
        f"or choose another name (`python -m pydist.epmd -names -port {epmd_port}` lists them)"
    )


async def lookup(
    name: str,
    host: str = HOST,
    epmd_port: int = DEFAULT_PORT,
    timeout: float = TIMEOUT,  # the deadline covers connecting, asking and the answer
) -> PortInfo | None:
    """Where the node `name` of that host listens, or None where no living node has the name.

    Raises:
        PortMapperError: no port mapper answers there within `timeout` seconds, or its answer makes no sense.
    """
    async with _talk(host, epmd_port, timeout) as streams:
        info = decode_port_reply(await _ask(*streams, PortPlease(name), MAX_REQUEST))
    if info is not None and info.name != name:
        raise PortMapperError(
            f"the port mapper at {host}:{epmd_port} was asked for {name!r}, and told of {info.name!r}"
        )
    return info


async def names(
    host: str = HOST,
    epmd_port: int = DEFAULT_PORT,
    timeout: float = TIMEOUT,  # the deadline covers connecting, asking and the answer
) -> list[tuple[str, int]]:
    """Name and port of each node on that host.

    Raises:
        PortMapperError: no port mapper answers there within `timeout` seconds, or its answer makes no sense.
    """
    async with _talk(host, epmd_port, timeout) as streams:
        return list(decode_names_reply(await _ask(*streams, Names(), MAX_NAMES_REPLY)).nodes)


async def kill(host: str = HOST, epmd_port: int = DEFAULT_PORT) -> bool:
    """Ask the port mapper to end. False where it goes on, because nodes are registered.

    Raises:
        PortMapperError: no port mapper answers there, or its answer makes no sense.
    """
    async with _talk(host, epmd_port, TIMEOUT) as streams:
        return await _ask(*streams, Kill(), MAX_REQUEST) == b"OK"


async def dump(host: str = HOST, epmd_port: int = DEFAULT_PORT) -> list[str]:
    """A line for each node that is registered, and for each that has gone; the port mapper tells its own host only.

    Raises:
        PortMapperError: no port mapper answers there, or its answer makes no sense.
    """
    async with _talk(host, epmd_port, TIMEOUT) as streams:
        answer = await _ask(*streams, Dump(), MAX_NAMES_REPLY)
        if len(answer) < 4:
            raise DecodeError(f"a list of {len(answer)} bytes, where 4 is the least")
    return answer[4:].decode(errors="replace").replace("\0", "").splitlines()


async def stop(name: str, host: str = HOST, epmd_port: int = DEFAULT_PORT) -> bool:
    """Take a name from its node, which lives on. False where no node has it.

    Raises:
        PortMapperError: no port mapper answers there, or it does not take names from nodes.
    """
    async with _talk(host, epmd_port, TIMEOUT) as streams:
        answer = await _ask(*streams, Stop(name), MAX_REQUEST)
    if not answer:
        raise PortMapperError(
            f"the port mapper at {host}:{epmd_port} takes no name from a node: it does so for its own host only, and "
            "where it was started with -relaxed_command_check"
        )
    # Erlang's epmd answers NOEXISTSTOPPED.
    return answer == b"STOPPED"


async def ensure_running(host: str = HOST, port: int = DEFAULT_PORT, underlay: str | None = None) -> bool:
    """Start a port mapper, detached, if none answers at this loopback address; True if one was started.

    As `erl` does. Two nodes may do this at once: one of their port mappers gets the port, and both nodes use it. It
    listens in `underlay`, too, if that is given.

    Raises:
        PortMapperError: none answers and none could be started, or the host is another machine, or what answers is
            no port mapper.
    """
    try:
        await _greet(host, port)
    except NoPortMapper as error:
        if not _is_loopback(host):
            raise PortMapperError(f"{error}; on another host than this it can't be started from here") from error
    else:
        return False
    complaint = ""
    for _ in range(START_TRIES):
        complaint = await _start(port, underlay)
        with contextlib.suppress(NoPortMapper):
            await _greet(host, port)
            log.info("port_mapper_started" if not complaint else "port_mapper_found", port=port)
            return not complaint
    raise PortMapperError(
        f"no port mapper came up at {host}:{port}: {complaint or 'what was started does not answer there'}"
    )


async def _greet(host: str, port: int) -> None:
    """Ask what has a short answer, however many nodes there are; an error says why there was none."""
    await lookup("anybody", host, port)


async def _start(port: int, underlay: str | None) -> str:
    """Start `python -m pydist.epmd -daemon`, which listens when its starter ends; what it complained of, if it did."""
    try:
        done = await asyncio.to_thread(_run_daemon, port, underlay)
    except subprocess.TimeoutExpired:
        return f"it did not come up within {START_TIMEOUT:.0f} s"
    return done.stderr.decode(errors="replace").strip() if done.returncode else ""


def _run_daemon(port: int, underlay: str | None) -> subprocess.CompletedProcess[bytes]:
    """Wait until the port mapper has detached itself.

    Not with asyncio's subprocess: uvloop's lets the pipe into the daemon a second time, and so never sees its end.
    """
    where = [] if underlay is None else ["--underlay", underlay]
    return subprocess.run(
        [sys.executable, "-m", "pydist.epmd", "-daemon", "-port", str(port), *where],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=START_TIMEOUT,
        check=False,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.asynccontextmanager
async def _talk(
    host: str, port: int, seconds: float
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the port mapper; whatever goes wrong on it closes it, and is a PortMapperError."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await _connect(host, port)
            try:
                yield reader, writer
            except BaseException:
                writer.close()
                raise
    except TimeoutError as error:
        raise PortMapperError(f"the port mapper at {where} did not answer within {seconds} s") from error
    except WireError as error:
        raise PortMapperError(f"what listens at {where} is no port mapper: {error}") from error
    except OSError as error:
        raise PortMapperError(f"the connection to the port mapper at {where} was lost: {error}") from error


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: what can be no host's name
        raise NoPortMapper(
            f"no host {host} is known here ({getattr(error, 'strerror', None) or error}): write its address, or let "
            "DNS or /etc/hosts know it"
        ) from error
    except OSError as error:
        raise NoPortMapper(
            f"no port mapper answers at {host}:{port}: start one there, with `python -m pydist.epmd -port {port}`"
        ) from error


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Question, limit: int) -> bytes:
    """The whole answer to a request whose answer ends with the connection."""
    writer.write(encode_request(request))
    answer = bytearray()
    while data := await reader.read(1 << 16):
        answer += data
        if len(answer) > limit:
            raise DecodeError(f"an answer of more than {limit} bytes")
    writer.close()
    return bytes(answer)


async def _read_creation(reader: asyncio.StreamReader) -> int | None:
    """The creation that the port mapper gives, or None where it refuses."""
    received = bytearray()
    while (reply := take_alive_reply(received)) is None:
        data = await reader.read(64)
        if not data:
            raise ConnectionResetError("closed before the answer")
        received += data
    return reply.creation


async def _close_at_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait for the port mapper to end the connection; it has nothing to say before."""
    with contextlib.suppress(OSError):
        await reader.read(1)
    writer.close()
