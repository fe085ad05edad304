"""Connections within one event loop, without sockets: several nodes in one test.

Bytes arrive in order, one callback of the loop later. The network can be broken on purpose: `cut` ends all connections
as a reset does, `silence` lets every byte vanish while the connections stay, which only a net tick can notice. `stall`
lets nothing through until `go_on`: what is written waits, and who writes much is asked to pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from pydist.errors import PortInUse, Unreachable
from pydist.transport import Listener, P


class MemoryListener:
    """An address in a :class:`MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self._network = network
        self.host = host
        self.port = port

    def close(self) -> None:
        """Take no more connections."""
        self._network.listeners.pop((self.host, self.port), None)


class MemoryNetwork:
    """All addresses and connections of one test."""

    def __init__(self) -> None:
        self.listeners: dict[tuple[str, int], Callable[[], asyncio.Protocol]] = {}
        self.transports: list[MemoryTransport] = []
        """Both ends of every open connection."""
        self.silent = False
        self.stalled = False

    async def listen(self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        """Take connections at `host`:`port`; see :class:`pydist.transport.Network`."""
        if port == 0:
            port = next(port for port in range(49152, 65536) if (host, port) not in self.listeners)
        if (host, port) in self.listeners:
            raise PortInUse(f"another node listens at {host}:{port}: choose another port")
        self.listeners[host, port] = protocol_factory
        return MemoryListener(self, host, port)

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:  # noqa: ARG002  # of the interface
        """Connect to `host`:`port`; see :class:`pydist.transport.Network`."""
        await asyncio.sleep(0)
        answer = self.listeners.get((host, port))
        if answer is None:
            raise Unreachable(f"no connection to {host}:{port}: nobody listens there")
        protocol = protocol_factory()
        here = MemoryTransport(self, protocol, (host, port))
        there = MemoryTransport(self, answer(), (host, 0))
        here.other, there.other = there, here
        self.transports += [here, there]
        there.begin()
        here.begin()
        return protocol

    def cut(self) -> None:
        """End all connections, as a reset does."""
        for transport in list(self.transports):
            transport.lose(ConnectionResetError("the network was cut"))

    def silence(self) -> None:
        """Let everything vanish that is written from now on."""
        self.silent = True

    def stall(self) -> None:
        """Let what is written from now on wait."""
        self.stalled = True

    def go_on(self) -> None:
        """Let through what waits, and what comes."""
        self.stalled = False
        for transport in list(self.transports):
            transport.drain()


class MemoryTransport(asyncio.Transport):
    """One end of a connection."""

    other: MemoryTransport

    def __init__(self, network: MemoryNetwork, protocol: asyncio.Protocol, peername: tuple[str, int]) -> None:
        super().__init__({"peername": peername})
        self._network = network
        self._protocol: asyncio.Protocol | asyncio.BufferedProtocol = protocol
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._lost = False
        self._waiting: list[bytes] = []
        self._unread: deque[bytes] = deque()
        self._reading = True
        self._high = 64 * 1024
        self._paused = False

    def begin(self) -> None:
        """Hand the transport to its protocol."""
        self._protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on, what comes is for another protocol."""
        self._protocol = cast("asyncio.Protocol | asyncio.BufferedProtocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol for which what comes is."""
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Bring the bytes to the other end, soon."""
        if self._closing or self._network.silent:
            return
        if not self._network.stalled:
            self._loop.call_soon(self.other.arrive, bytes(data))
            return
        self._waiting.append(bytes(data))
        if not self._paused and self.get_write_buffer_size() > self._high:
            self._paused = True
            self._protocol.pause_writing()

    def drain(self) -> None:
        """Bring to the other end what waits."""
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._loop.call_soon(self.other.arrive, data)
        if self._closing and waiting:
            self._end()
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()

    def arrive(self, data: bytes) -> None:
        """Bytes of the other end are here."""
        self._unread.append(data)
        self._read()

    def pause_reading(self) -> None:
        """Keep what arrives from now on."""
        self._reading = False

    def resume_reading(self) -> None:
        """Hand what was kept to the protocol, soon, and then what comes."""
        self._reading = True
        self._loop.call_soon(self._read)

    def _read(self) -> None:
        while self._unread and self._reading and not self._lost:
            self._hand_over(self._unread.popleft())

    def _hand_over(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(data)
            return
        while data:
            memory = memoryview(protocol.get_buffer(len(data)))
            size = min(len(data), len(memory))
            memory[:size] = data[:size]
            data = data[size:]
            protocol.buffer_updated(size)

    def close(self) -> None:
        """End the connection behind what was written."""
        if self._closing:
            return
        self._closing = True
        if not self._waiting:
            self._end()

    def abort(self) -> None:
        """End the connection, and throw away what waits."""
        if self._closing and not self._waiting:
            return
        self._closing = True
        self._waiting.clear()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon(self.lose, None)
        if not self._network.silent:
            self._loop.call_soon(self.other.lose, None)

    def lose(self, error: Exception | None) -> None:
        """The connection is over at this end."""
        if self._lost:
            return
        self._closing = self._lost = True
        self._network.transports.remove(self)
        self._loop.call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        """True from `close` on."""
        return self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002  # of the interface
        """How many bytes may wait before the protocol is asked to pause; `low` is without effect."""
        self._high = 64 * 1024 if high is None else high

    def get_write_buffer_size(self) -> int:
        """How many bytes wait."""
        return sum(map(len, self._waiting))
