"""TCP on the running event loop, uvloop or stock.

It binds to one address, the one it is told. Every address of the machine (`0.0.0.0`, `::`) is refused unless allowed:
pydist leaves encryption to the underlay, and a public address has none.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, Protocol

import attrs

from pydist.core.addresses import kind_of, parse_address
from pydist.errors import NodeStartError, PortInUse, Unreachable
from pydist.own_log import log
from pydist.transport import Listener, P

_BIND_ERRORS: Final[dict[int | None, tuple[type[NodeStartError], str]]] = {
    errno.EADDRINUSE: (PortInUse, "another program listens at {where}: stop it, or choose another port"),
    errno.EADDRNOTAVAIL: (NodeStartError, "{where} can't be bound: this machine does not have that address"),
    errno.EACCES: (NodeStartError, "{where} can't be bound: ports below 1024 need privileges, choose a higher one"),
}


BACKLOG: Final = 1024
"""Connections that the system keeps until they are taken; it may keep fewer."""
TAKEN_AT_ONCE: Final = 16
"""Connections taken in one turn of the loop. In a flood, those that are there get their turns between."""
REST: Final = 0.1
"""Seconds without taking connections, when there is no file descriptor for one."""
NEAR: Final = 0.001
"""Seconds there and back. From farther away the system chooses what it holds for a reader: the bytes per second depend
on that, and a message that waits behind them for a moment has a long way anyway."""
RECEIVE_BUFFER: Final = 64 * 1024
"""Bytes that the system may hold for a reader that is near; Linux takes twice that, and counts its own book-keeping."""
UNSENT: Final = 16 * 1024
"""Bytes that the system takes from a writer before it can send them."""

_ROUND_TRIP: Final = Struct("I")
_ROUND_TRIP_AT: Final = 68
"""Where Linux has it in its `struct tcp_info`, in microseconds."""


class Guard(Protocol):
    """Knows who may connect; see :class:`pydist.underlay.border.Border`."""

    def admits(self, address: str, /) -> bool:
        """Whether to take a connection from there. Those that are not taken are closed, with no byte read."""
        ...

    def source_for(self, address: str, /) -> str | None:
        """From which own address to dial; None leaves it to the system."""
        ...

    def crossing(self, transport: asyncio.Transport, /) -> None:
        """A connection has been taken or made."""
        ...


class TcpListener:
    """A bound TCP socket. The loop's own servers take as many connections in one turn as are there."""

    def __init__(
        self, bound: socket.socket, protocol_factory: Callable[[], asyncio.Protocol], guard: Guard | None = None
    ) -> None:
        name = bound.getsockname()
        self.host: str = name[0]
        self.port: int = name[1]
        self._socket = bound
        self._protocol_factory = protocol_factory
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._said = False
        self._go_on()

    def close(self) -> None:
        """Take no more connections. A second call does nothing, as with the loop's own servers."""
        if self._socket.fileno() < 0:
            return
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._arriving:
            task.cancel()

    def _go_on(self) -> None:
        self._loop.add_reader(self._socket, self._take)

    def _take(self) -> None:
        for _ in range(TAKEN_AT_ONCE):
            try:
                connection, peer = self._socket.accept()
            except BlockingIOError:
                return
            except (InterruptedError, ConnectionAbortedError):
                continue
            except OSError as error:
                self._pause(error)
                return
            self._said = False
            if self._guard is not None and not self._guard.admits(peer[0]):
                connection.close()
                continue
            connection.setblocking(False)
            task = self._loop.create_task(self._arrive(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _arrive(self, connection: socket.socket) -> None:
        try:
            _tune(connection)
            transport, _ = await self._loop.connect_accepted_socket(self._protocol_factory, connection)
        except OSError:  # it is gone already
            connection.close()
            return
        if self._guard is not None:
            self._guard.crossing(transport)

    def _pause(self, error: OSError) -> None:
        """Out of file descriptors, most likely. Those who come wait meanwhile, as far as the system keeps them."""
        self._loop.remove_reader(self._socket)
        self._rest = self._loop.call_later(REST, self._go_on)
        if not self._said:
            self._said = True
            log.error("connections_not_taken", host=self.host, port=self.port, reason=error.strerror)


@attrs.frozen
class TcpNetwork:
    """TCP. `allow_public` permits to listen at a public address, or at all addresses; `guard` says who may connect."""

    allow_public: bool = False
    guard: Guard | None = None

    async def listen(self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        """Take connections at `host`:`port`; see :class:`pydist.transport.Network`."""
        family, address = await self._resolve(host, port)
        return TcpListener(_bind(family, address), protocol_factory, self.guard)

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:
        """Connect to `host`:`port`; see :class:`pydist.transport.Network`."""
        source = None if self.guard is None else self.guard.source_for(host)
        try:
            async with asyncio.timeout(timeout):
                transport, protocol = await asyncio.get_running_loop().create_connection(
                    protocol_factory, host, port, local_addr=None if source is None else (source, 0)
                )
        except TimeoutError:
            raise Unreachable(f"{host}:{port} did not take the connection within {timeout:g} s") from None
        except OSError as error:
            raise Unreachable(f"no connection to {host}:{port}: {error.strerror or error}") from error
        _tune(transport.get_extra_info("socket"))
        if self.guard is not None:
            self.guard.crossing(transport)
        return protocol

    async def _resolve(self, host: str, port: int) -> tuple[int, Any]:
        """The first address that the host has: a name with two would get two ports."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: what can be no host's name
            why = getattr(error, "strerror", None) or error
            raise NodeStartError(
                f"can't listen at {host}:{port}: {why}; name the node after an address of this host, or let DNS or "
                "/etc/hosts know the name (a node with an underlay may have any)"
            ) from error
        family, _, _, _, address = found[0]
        ip = parse_address(str(address[0]))
        kind = "any" if ip is None else kind_of(ip)
        if kind in {"any", "public"} and not self.allow_public:
            means = "means every address of this machine" if kind == "any" else "is a public address"
            raise NodeStartError(
                f"{host or '(nothing)'} {means}, and pydist does not encrypt: listen at "
                "the address of a WireGuard or Tailscale interface or at 127.0.0.1, or allow it with allow_public=True"
            )
        return family, address


def _tune(connection: socket.socket) -> None:
    """Let the system hold little: what stands in its buffers is before all that is sent later."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    if round_trip(connection) < NEAR:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def round_trip(connection: socket.socket) -> float:
    """Seconds that the first packets took there and back; 0 where the system does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ROUND_TRIP_AT + _ROUND_TRIP.size)
    return _ROUND_TRIP.unpack_from(info, _ROUND_TRIP_AT)[0] / 1e6 if len(info) > _ROUND_TRIP_AT else 0.0


def _bind(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        where = f"{address[0]}:{address[1]}"
        kind, text = _BIND_ERRORS.get(error.errno, (NodeStartError, f"{{where}} can't be bound: {error.strerror}"))
        raise kind(text.format(where=where)) from error
    except BaseException:
        bound.close()
        raise
    return bound
