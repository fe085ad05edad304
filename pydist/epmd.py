"""`python -m pydist.epmd`: a port mapper for this host, in place of Erlang's `epmd` and with its options.

It listens on the loopback addresses, and on others only where the operator names them. Nothing inside pydist imports
this file: nodes talk to a port mapper through `epmd_client`, whoever wrote it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import syslog
import time
from collections.abc import Sequence
from typing import Final, TextIO, cast

import structlog

from pydist import epmd_client
from pydist.core.arguments import seconds
from pydist.core.portmap import PACKET_TIMEOUT, Rules
from pydist.core.registrations import REMEMBERED
from pydist.epmd_server import Server
from pydist.epmd_sockets import allow_many_files, listen, listen_also, systemd_offers, systemd_sockets, tell_systemd
from pydist.errors import PortMapperError, PydistError
from pydist.own_log import log
from pydist.underlay import Underlay
from pydist.underlay.border import Border
from pydist.underlay.named import underlay_named

REMEMBERED_IN_DEBUG = 5
RETRY: Final = 2.0
"""Seconds until another try to listen at an address that can't be bound yet."""


async def serve(server: Server) -> None:
    """Be a port mapper until SIGINT, SIGTERM, or a client that asks it to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.killed.set)
    await server.start()
    tell_systemd(os.environ, f"READY=1\nSTATUS=Tells where nodes listen, on port {server.port}\nMAINPID={os.getpid()}")
    await server.killed.wait()
    await server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pydist.epmd",
        description="A port mapper for this host: tells on which port the node of a name listens.",
        epilog="Where options are missing, ERL_EPMD_PORT, _ADDRESS and _RELAXED_COMMAND_CHECK are read.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-port", "--port", type=_port, metavar="N", help="listen on this port, or ask there (default: 4369)")
    add("-address", "--address", metavar="LIST", help="listen on these IP addresses too, not on loopback alone")
    add("--allow-any-address", action="store_true", help="take 0.0.0.0, :: and public ones for addresses")
    add(
        "--underlay",
        metavar="NAME",
        help="listen at this host's addresses there too, and take connections from there alone: wireguard:wg0, "
        "wireguard, tailscale or loopback",
    )
    add(
        "-systemd",
        "--systemd",
        action="store_true",
        help="take the sockets of a socket unit; as is done if there are any",
    )
    add("-daemon", "--daemon", action="store_true", help="go on in the background, with the log in syslog")
    _add_limits(parser.add_argument_group("who may do what"))
    _add_debugging(parser.add_argument_group("for tests and debugging"))
    _add_questions(parser.add_argument_group("ask the port mapper that runs, and end").add_mutually_exclusive_group())
    return parser


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        *("-relaxed_command_check", "--relaxed-command-check"),
        action="store_true",
        help="let this host use -kill while nodes are registered, and -stop",
    )
    group.add_argument(
        *("-packet_timeout", "--packet-timeout"),
        type=seconds,
        metavar="S",
        default=PACKET_TIMEOUT,
        help="close connections that have not asked after so many seconds (default: 60)",
    )


def _add_debugging(group: argparse._ArgumentGroup) -> None:
    delays = {"accept": "listen to a connection only after", "write": "answer only after"}
    for name, what in delays.items():
        group.add_argument(
            *(f"-delay_{name}", f"--delay-{name}"), type=seconds, metavar="S", default=0.0, help=f"{what} S seconds"
        )
    group.add_argument(
        *("-d", "-debug", "--debug"), action="count", default=0, help="log each request; twice: also all bytes"
    )


def _add_questions(group: argparse._MutuallyExclusiveGroup) -> None:
    add = group.add_argument
    add("-names", "--names", action="store_true", help="list the nodes")
    add("-dump", "--dump", action="store_true", help="list the nodes, and those that have gone")
    add("-kill", "--kill", action="store_true", help="end the port mapper, if no node is registered")
    add("-stop", "--stop", metavar="NAME", help="take the name from its node, under -relaxed_command_check")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535, or 0 for a free one")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives the exit code: 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        if options.names or options.dump or options.kill or options.stop is not None:
            return _ask(options)
        underlay = None if options.underlay is None else underlay_named(options.underlay)
        sockets = _sockets(options, underlay)
    except PydistError as error:
        _say(f"pydist.epmd: {error}", sys.stderr)
        return 1
    _log_to(sys.stderr, options.debug)
    if options.daemon:
        _detach()
        _log_to(cast(TextIO, _Syslog()), options.debug)
    asyncio.run(_serve(sockets, options, underlay))
    return 0


async def _serve(sockets: Sequence[socket.socket], options: argparse.Namespace, underlay: Underlay | None) -> None:
    rules = Rules(
        packet_timeout=options.packet_timeout,
        relaxed=options.relaxed_command_check or "ERL_EPMD_RELAXED_COMMAND_CHECK" in os.environ,
        remembered=REMEMBERED_IN_DEBUG if options.debug else REMEMBERED,
    )
    server = Server(
        sockets,
        rules=rules.within(allow_many_files()),
        delay_accept=options.delay_accept,
        delay_write=options.delay_write,
        debug=options.debug,
        border=None if underlay is None else Border(underlay, time.monotonic),
    )
    follower = None if underlay is None else asyncio.create_task(_follow(server, underlay))
    await serve(server)
    if follower is not None:
        follower.cancel()


async def _follow(server: Server, underlay: Underlay) -> None:
    """Listen where the underlay's addresses are."""
    known = underlay.addresses()
    while True:
        now = await underlay.changed(known)
        log.warning("underlay_changed", underlay=underlay.spec, before=list(known), now=list(now))
        for address in set(known) - set(now):
            server.leave(address)
        known = tuple([address for address in now if address in known or await _listens(server, address)])
        if known != now:
            await asyncio.sleep(RETRY)


async def _listens(server: Server, address: str) -> bool:
    try:
        await server.listen_at(listen_also(address, server.port))
    except PydistError as error:
        log.error("underlay_not_listened_at", address=address, reason=str(error), retry_delay=RETRY)
        return False
    return True


def _sockets(options: argparse.Namespace, underlay: Underlay | None) -> list[socket.socket]:
    if options.systemd or systemd_offers(os.environ):
        if options.port is not None or options.address is not None or underlay is not None:
            raise PortMapperError(
                "systemd gives the sockets, so -port, --underlay and -address choose nothing: name them in the socket "
                "unit, and leave the options out"
            )
        return systemd_sockets(os.environ)
    addresses: str = options.address if options.address is not None else os.environ.get("ERL_EPMD_ADDRESS", "")
    named = addresses.replace(",", " ").split()
    if underlay is not None:
        named += asyncio.run(_ready(underlay))
    return listen(named, _port_of(options), allow_any=options.allow_any_address)


async def _ready(underlay: Underlay) -> tuple[str, ...]:
    return await underlay.ready()


def _port_of(options: argparse.Namespace) -> int:
    return epmd_client.default_port() if options.port is None else int(options.port)


def _ask(options: argparse.Namespace) -> int:
    port = _port_of(options)
    if options.names:
        return _print_names(port)
    if options.dump:
        return _print_dump(port)
    return _kill(port) if options.kill else _stop(port, options.stop)


def _print_names(port: int) -> int:
    """List the nodes, in the words of Erlang's epmd, since scripts read them."""
    nodes = asyncio.run(epmd_client.names(epmd_port=port))
    _say(f"epmd: up and running on port {port} with data:")
    for name, node_port in nodes:
        _say(f"name {name} at port {node_port}")
    return 0


def _print_dump(port: int) -> int:
    lines = asyncio.run(epmd_client.dump(epmd_port=port))
    _say(f"epmd: up and running on port {port} with data:")
    for line in lines:
        _say(line)
    return 0


def _kill(port: int) -> int:
    if asyncio.run(epmd_client.kill(epmd_port=port)):
        _say("Killed")
        return 0
    _say("pydist.epmd: nodes are registered, so the port mapper goes on: stop them first", sys.stderr)
    return 1


def _stop(port: int, name: str) -> int:
    """Say `STOPPED`, or `NOEXIST` where no node has the name, which is as well: so does Erlang's epmd."""
    _say("STOPPED" if asyncio.run(epmd_client.stop(name, epmd_port=port)) else "NOEXIST")
    return 0


def _say(line: str, file: TextIO | None = None) -> None:
    (file or sys.stdout).write(f"{line}\n")


def _log_to(file: TextIO, debug: int) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
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
