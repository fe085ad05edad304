"""`python -m pydist.epmd`: a port mapper for this host, in place of Erlang's `epmd` and with its options.

It listens on the loopback addresses, and on others only where the operator names them. Nothing inside pydist imports
this file: nodes talk to a port mapper through `epmd_client`, whoever wrote it.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import ipaddress
import os
import signal
import socket
import sys
import syslog
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, TextIO, cast

import structlog

from pydist import epmd_client
from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.core.portmap import (
    PACKET_TIMEOUT,
    Event,
    Killed,
    NameRefused,
    PortMap,
    Refused,
    Registered,
    Unregistered,
    Visitor,
)
from pydist.env import Env, real_env
from pydist.errors import PortInUse, PortMapperError, PydistError
from pydist.own_log import log


def listen(addresses: Sequence[str], port: int, *, allow_any: bool = False) -> list[socket.socket]:
    """Sockets that listen on the loopback addresses, and on those named.

    Args:
        addresses: further IP addresses of this host.
        port: the same for all; 0 takes a free one.
        allow_any: take `0.0.0.0` and `::` too, which open the port mapper to every network that the host is on.

    Raises:
        PortInUse: another program listens on the port.
        PortMapperError: an address is none of this host's, or means all of them without `allow_any`.
    """
    named = [_checked(address, allow_any=allow_any) for address in addresses]
    always = [own for own, any_address in (("127.0.0.1", "0.0.0.0"), ("::1", "::")) if any_address not in named]  # noqa: S104  # compared, not bound
    sockets: list[socket.socket] = []
    with ExitStack() as undo:
        for address in dict.fromkeys([*always, *named]):
            try:
                sockets.append(undo.enter_context(_bind(address, port)))
            except OSError as error:
                # A host without IPv6 has no ::1, and needs none.
                if address != "::1" or error.errno == errno.EADDRINUSE:
                    raise _bind_error(address, port, error) from error
            else:
                port = sockets[-1].getsockname()[1]
        undo.pop_all()
    return sockets


def _checked(address: str, *, allow_any: bool) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise PortMapperError(
            f"{address!r} is no IP address: name addresses of this host, with commas between"
        ) from None
    if parsed.is_unspecified and not allow_any:
        raise PortMapperError(
            f"{address} would open the port mapper to every network that this host is on: name the addresses it is to "
            "listen on, or add --allow-any-address where a firewall stands before it"
        )
    return str(parsed)


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen()
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_error(address: str, port: int, error: OSError) -> PydistError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} of {address} is in use, perhaps by a port mapper that runs already "
            "(`python -m pydist.epmd -names` asks it): use that one, or choose another port with -port or ERL_EPMD_PORT"
        )
    return PortMapperError(
        f"can't listen on port {port} of {address}: {error.strerror}: name an address that this host has"
    )


class Server:
    """A port mapper on the running loop.

    Args:
        sockets: what `listen` gave; the server closes them.
        env: where time and entropy come from.
    """

    def __init__(self, sockets: Sequence[socket.socket], env: Env | None = None) -> None:
        self.env: Final = env or real_env()
        self.port: Final[int] = sockets[0].getsockname()[1]
        self.portmap: Final = PortMap(self.port, self.env.entropy)
        self.killed: Final = asyncio.Event()
        """Set when a client has asked the port mapper to end."""
        self.connections: Final[dict[Visitor, _Connection]] = {}
        self._sockets = sockets
        self._listeners: list[asyncio.Server] = []
        self._news = LogAllowance()
        self._refusals = LogAllowance()

    async def start(self) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._listeners.append(await loop.create_server(lambda: _Connection(self), sock=sock))
        addresses = ",".join(sock.getsockname()[0] for sock in self._sockets)
        log.info("port_mapper_listening", port=self.port, addresses=addresses)

    async def stop(self) -> None:
        """Close everything; all nodes lose their registration."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections.values()):
            connection.cut()
        for listener in self._listeners:
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
            case Killed():
                self._tell("port_mapper_killed", peer=peer)
                self.killed.set()

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer, local = _ends(transport)
        now = self._server.env.clock()
        self._visitor = self._server.portmap.open(now, local=local)
        self._server.connections[self._visitor] = self
        self._due = now + PACKET_TIMEOUT
        self._timer = asyncio.get_running_loop().call_later(PACKET_TIMEOUT, self._on_timer)
        longest = self._server.portmap.crowded_out()
        if longest is not None:
            self._server.connections[longest].turn_away("too many connections wait")

    def data_received(self, data: bytes) -> None:
        self._perform(self._visitor.receive_data(data, self._server.env.clock()))

    def eof_received(self) -> None:
        self._perform(self._visitor.receive_eof(self._server.env.clock()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio calls it
        self._timer.cancel()
        self._perform(self._visitor.receive_eof(self._server.env.clock()))
        del self._server.connections[self._visitor]

    def turn_away(self, reason: str) -> None:
        self._perform(self._visitor.refuse(reason))
        self.cut()

    def cut(self) -> None:
        """End the connection now, whatever the other side has not yet taken."""
        self._transport.abort()

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
            self._transport.write(answer)
        if self._visitor.state == "gone":
            self._transport.close()


def _ends(transport: asyncio.BaseTransport) -> tuple[str, bool]:
    """The other side's address, and whether it is on this host."""
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer:
        return "gone already", False
    return f"{peer[0]}:{peer[1]}", ipaddress.ip_address(peer[0]).is_loopback or peer[0] == own[0]


async def serve(sockets: Sequence[socket.socket]) -> None:
    """Be a port mapper until SIGINT, SIGTERM, or a client that asks it to end."""
    server = Server(sockets)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.killed.set)
    await server.start()
    await server.killed.wait()
    await server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pydist.epmd",
        description="A port mapper for this host: tells on which port the node of a name listens.",
        epilog="ERL_EPMD_PORT and ERL_EPMD_ADDRESS are read where the options are missing.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-port", "--port", type=_port, metavar="N", help="listen on this port, or ask there (default: 4369)")
    add("-address", "--address", metavar="LIST", help="listen on these IP addresses too, not on loopback alone")
    add("--allow-any-address", action="store_true", help="take 0.0.0.0 and :: for addresses")
    add("-daemon", "--daemon", action="store_true", help="go on in the background, with the log in syslog")
    add("-names", "--names", action="store_true", help="list the nodes of the port mapper that runs, and end")
    add("-kill", "--kill", action="store_true", help="end the port mapper that runs, if no node is registered")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535, or 0 for a free one")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives the exit code: 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        port: int = epmd_client.default_port() if options.port is None else options.port
        if options.names:
            return _print_names(port)
        if options.kill:
            return _kill(port)
        addresses: str = options.address or os.environ.get("ERL_EPMD_ADDRESS", "")
        sockets = listen(addresses.replace(",", " ").split(), port, allow_any=options.allow_any_address)
    except PydistError as error:
        _say(f"pydist.epmd: {error}", sys.stderr)
        return 1
    _log_to(sys.stderr)
    if options.daemon:
        _detach()
        _log_to(cast(TextIO, _Syslog()))
    asyncio.run(serve(sockets))
    return 0


def _print_names(port: int) -> int:
    """List the nodes, in the words of Erlang's epmd, since scripts read them."""
    nodes = asyncio.run(epmd_client.names(epmd_port=port))
    _say(f"epmd: up and running on port {port} with data:")
    for name, node_port in nodes:
        _say(f"name {name} at port {node_port}")
    return 0


def _kill(port: int) -> int:
    if asyncio.run(epmd_client.kill(epmd_port=port)):
        _say("Killed")
        return 0
    _say("pydist.epmd: nodes are registered, so the port mapper goes on: stop them first", sys.stderr)
    return 1


def _say(line: str, file: TextIO | None = None) -> None:
    (file or sys.stdout).write(f"{line}\n")


def _log_to(file: TextIO) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso"),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=file),
    )


class _Syslog:
    """A file whose lines go to syslog, as those of Erlang's epmd do once it has no terminal."""

    def write(self, text: str) -> None:
        if line := text.strip():
            syslog.syslog(line)

    def flush(self) -> None:
        """Nothing is kept back."""


def _detach() -> None:
    """Go on as a process of its own, without terminal; the one that was started ends, with the sockets listening."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
