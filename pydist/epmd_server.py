"""A port mapper on the running loop: drives the machine in `core/portmap.py` over sockets, and writes the log."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, cast

from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.core.portmap import (
    Event,
    Killed,
    NameRefused,
    PortMap,
    Refused,
    Registered,
    Rules,
    Stopped,
    Unregistered,
    Visitor,
)
from pydist.env import Env, real_env
from pydist.epmd_sockets import BACKLOG
from pydist.own_log import log
from pydist.underlay.border import Border

TAKEN_AT_ONCE: Final = 32
"""Connections that are taken before those that came earlier are heard: few, so that they are not crowded out."""
MAX_UNTAKEN: Final = 1 << 24
"""Bytes of answers that wait here for clients to take them. Beyond that, the oldest of those clients is cut."""


class Server:
    """A port mapper.

    Args:
        sockets: they listen already; the server closes them.
        env: where time and entropy come from.
        rules: who may do what, and how many.
        delay_accept: seconds before a connection is listened to, and
        delay_write: seconds before an answer is written: for tests of those who wait for a busy port mapper.
        debug: 1 logs each request, 2 also each connection and all bytes.
        border: whose connections are taken, beside those of this host. All others are closed, with no byte read.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        env: Env | None = None,
        rules: Rules = Rules(),  # noqa: B008  # frozen
        *,
        delay_accept: float = 0.0,
        delay_write: float = 0.0,
        debug: int = 0,
        border: Border | None = None,
    ) -> None:
        self.env: Final = env or real_env()
        self.port: Final[int] = sockets[0].getsockname()[1]
        self.portmap: Final = PortMap(self.port, self.env.entropy, rules)
        self.delay_accept: Final = delay_accept
        self.delay_write: Final = delay_write
        self.debug: Final = debug
        self.killed: Final = asyncio.Event()
        """Set when a client has asked the port mapper to end."""
        self.connections: Final[dict[Visitor, _Connection]] = {}
        self.border: Final = border
        self._sockets = sockets
        self._listeners: dict[str, asyncio.Server] = {}
        self._untaken: dict[_Connection, int] = {}
        self._news = LogAllowance()
        self._refusals = LogAllowance()

    async def start(self) -> None:
        """Take connections from now on."""
        for sock in self._sockets:
            await self.listen_at(sock)
        addresses = ",".join(sock.getsockname()[0] for sock in self._sockets)
        log.info("port_mapper_listening", port=self.port, addresses=addresses, max_names=self.portmap.rules.max_names)

    async def listen_at(self, sock: socket.socket) -> None:
        """Take connections at one more address."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: _Connection(self), sock=sock, backlog=TAKEN_AT_ONCE)
        sock.listen(BACKLOG)  # asyncio's `backlog` is also how many it takes at once
        self._listeners[sock.getsockname()[0]] = listener

    def leave(self, address: str) -> None:
        """Take no more connections at an address, if it did."""
        listener = self._listeners.pop(address, None)
        if listener is not None:
            listener.close()

    async def stop(self) -> None:
        """Close everything; all nodes lose their registration."""
        for listener in self._listeners.values():
            listener.close()
        for connection in list(self.connections.values()):
            connection.cut()
        for listener in self._listeners.values():
            await listener.wait_closed()

    def report(self, event: Event, peer: str) -> None:
        """One log line for each event, unless there are too many."""
        match event:
            case Registered(node, creation):
                self._tell("node_registered", name=node.name, port=node.port, creation=creation)
            case Unregistered(node):
                self._tell("node_unregistered", name=node.name, port=node.port)
            case NameRefused(node, reason):
                self._warn("node_refused", peer=peer, name=node.name, reason=reason)
            case Refused(reason):
                self._warn("stranger_refused", peer=peer, reason=reason)
            case Stopped(visitor):
                self._tell("node_stopped_by_force", peer=peer)
                self.connections[visitor].cut()
            case Killed():
                self._tell("port_mapper_killed", peer=peer)
                self.killed.set()

    def waits(self, connection: _Connection, untaken: int) -> None:
        """So many bytes of an answer have not been taken yet."""
        self._untaken.pop(connection, None)
        if untaken:
            self._untaken[connection] = untaken
        if sum(self._untaken.values()) > MAX_UNTAKEN:
            oldest = next(iter(self._untaken))
            del self._untaken[oldest]
            oldest.turn_away("does not take its answer, and others wait for theirs")

    def _tell(self, event: str, **fields: object) -> None:
        withheld = self._news.take(self.env.clock())
        if withheld is not None:
            log.info(event, **fields, **withheld_field(withheld))

    def _warn(self, event: str, **fields: object) -> None:
        withheld = self._refusals.take(self.env.clock())
        if withheld is not None:
            log.warning(event, **fields, **withheld_field(withheld))


class _Connection(asyncio.Protocol):
    """Drives one visitor of the port map."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer, local = _ends(transport)
        border = self._server.border
        self._admitted = local or border is None or border.admits(self._peer.rpartition(":")[0])
        if self._admitted:
            self._begin(local=local)
        else:
            self.cut()

    def _begin(self, *, local: bool) -> None:
        transport = self._transport
        server, loop, now = self._server, asyncio.get_running_loop(), self._server.env.clock()
        self._visitor = server.portmap.open(now, local=local, descriptor=transport.get_extra_info("socket").fileno())
        server.connections[self._visitor] = self
        patience = server.portmap.rules.packet_timeout
        self._due = now + patience
        self._timer = loop.call_later(patience, self._on_timer)
        self._delayed: asyncio.TimerHandle | None = None
        self._trace(2, "connection_opened", local=local)
        if server.delay_accept:
            self._transport.pause_reading()
            self._delayed = loop.call_later(server.delay_accept, self._listen)
        longest = server.portmap.crowded_out()
        if longest is not None:
            server.connections[longest].turn_away("too many connections wait")

    def data_received(self, data: bytes) -> None:
        self._trace(2, "bytes_received", data=data.hex(" "))
        self._perform(self._visitor.receive_data(data, self._server.env.clock()))

    def eof_received(self) -> bool:
        self._perform(self._visitor.receive_eof(self._server.env.clock()))
        return True  # `_perform` closes it, and an answer may be on its way

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio calls it
        if not self._admitted:
            return
        self._timer.cancel()
        if self._delayed is not None:
            self._delayed.cancel()
        self._perform(self._visitor.receive_eof(self._server.env.clock()))
        self._visitor.closed()
        self._server.waits(self, 0)
        del self._server.connections[self._visitor]
        self._trace(2, "connection_closed")

    def turn_away(self, reason: str) -> None:
        self._perform(self._visitor.refuse(reason))
        self.cut()

    def cut(self) -> None:
        """End the connection now, whatever the other side has not yet taken."""
        self._transport.abort()

    def _listen(self) -> None:
        self._delayed = None
        self._transport.resume_reading()

    def _on_timer(self) -> None:
        # The loop's clock may be a tick ahead of the environment's.
        self._perform(self._visitor.handle_timer(max(self._due, self._server.env.clock())))
        if self._visitor.state != "registered":
            self.cut()

    def _perform(self, events: list[Event]) -> None:
        for event in events:
            self._server.report(event, self._peer)
        answer = self._visitor.data_to_send()
        if answer:
            self._trace(1, "request", asked=type(self._visitor.request).__name__, answer=len(answer))
            self._write_in_time(answer)
        elif self._visitor.state == "gone" and self._delayed is None:
            self._transport.close()

    def _write_in_time(self, answer: bytes) -> None:
        if self._server.delay_write:
            loop = asyncio.get_running_loop()
            self._delayed = loop.call_later(self._server.delay_write, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        self._delayed = None
        self._trace(2, "bytes_sent", data=answer.hex(" "))
        self._transport.write(answer)
        if self._visitor.state == "gone":
            self._transport.close()
        self._server.waits(self, self._transport.get_write_buffer_size())

    def _trace(self, level: int, event: str, **facts: object) -> None:
        if self._server.debug >= level:
            log.debug(event, peer=self._peer, **facts)


def _ends(transport: asyncio.BaseTransport) -> tuple[str, bool]:
    """The other side's address, and whether it is on this host."""
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer:
        return "gone already", False
    address = ipaddress.ip_address(peer[0])
    # A socket for both families shows those of the old one as ::ffff:127.0.0.1.
    plain = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
    return f"{peer[0]}:{peer[1]}", plain.is_loopback or peer[0] == own[0]
