"""TCP on the running event loop, uvloop or stock.

It binds to one address, the one it is told. Every address of the machine (`0.0.0.0`, `::`) is refused unless allowed:
pydist leaves encryption to the underlay, and a public address has none.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

import attrs

from pydist.errors import NodeStartError, PortInUse, Unreachable
from pydist.transport import Listener, P

_BIND_ERRORS: Final[dict[int | None, tuple[type[NodeStartError], str]]] = {
    errno.EADDRINUSE: (PortInUse, "another program listens at {where}: stop it, or choose another port"),
    errno.EADDRNOTAVAIL: (NodeStartError, "{where} can't be bound: this machine does not have that address"),
    errno.EACCES: (NodeStartError, "{where} can't be bound: ports below 1024 need privileges, choose a higher one"),
}


@attrs.frozen
class TcpListener:
    """A bound TCP socket."""

    host: str
    port: int
    _server: asyncio.Server

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()


@attrs.frozen
class TcpNetwork:
    """TCP. `allow_public` permits to listen at a public address, or at every address at once."""

    allow_public: bool = False

    async def listen(self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        """Take connections at `host`:`port`; see :class:`pydist.transport.Network`."""
        family, address = await self._resolve(host, port)
        bound = _bind(family, address)
        server = await asyncio.get_running_loop().create_server(protocol_factory, sock=bound)
        name = bound.getsockname()
        return TcpListener(name[0], name[1], server)

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:
        """Connect to `host`:`port`; see :class:`pydist.transport.Network`."""
        try:
            async with asyncio.timeout(timeout):
                transport, protocol = await asyncio.get_running_loop().create_connection(protocol_factory, host, port)
        except TimeoutError:
            raise Unreachable(f"{host}:{port} did not take the connection within {timeout:g} s") from None
        except OSError as error:
            raise Unreachable(f"no connection to {host}:{port}: {error.strerror or error}") from error
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return protocol

    async def _resolve(self, host: str, port: int) -> tuple[int, Any]:
        """The first address that the host has: a name with two would get two ports."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: what can be no host's name
            raise NodeStartError(f"can't listen at {host}:{port}: {error}") from error
        family, _, _, _, address = found[0]
        ip = ip_address(address[0])
        if (ip.is_unspecified or ip.is_global) and not self.allow_public:
            means = "means every address of this machine" if ip.is_unspecified else "is a public address"
            raise NodeStartError(
                f"{host or '(nothing)'} {means}, and pydist does not encrypt: listen at "
                "the address of a WireGuard or Tailscale interface or at 127.0.0.1, or allow it with allow_public=True"
            )
        return family, address


def _bind(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections that are taken inherit it.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        where = f"{address[0]}:{address[1]}"
        kind, text = _BIND_ERRORS.get(error.errno, (NodeStartError, f"{{where}} can't be bound: {error.strerror}"))
        raise kind(text.format(where=where)) from error
    except BaseException:
        bound.close()
        raise
    return bound
