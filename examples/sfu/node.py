"""`python -m examples.sfu.node`: one node of the SFU.

sfu              rest_for_one: who is started again takes along those that build on it
├── media            the media plane and its socket
├── directory        who publishes what where
├── channels         channel:<name>, one for each channel that somebody here publishes or watches
├── sessions         session:<id>, one for each browser
└── http             WHIP, WHEP, the page
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys

import structlog
import uvloop

from examples.sfu.media.socket import bind, family_of
from examples.sfu.media.stun import Address
from examples.sfu.settings import Settings, text_of
from examples.sfu.tree import Sockets, stop_tree, supervise
from pydist import Node, configure_logging
from pydist.errors import PortInUse, PydistError


def main() -> int:
    """The command line. Returns the exit status."""
    options = _parser().parse_args()
    cookie = os.environ.get("SFU_COOKIE")
    if not cookie:
        sys.stderr.write("the nodes' shared secret must stand in the environment, as SFU_COOKIE\n")
        return 2
    configure_logging()
    settings = Settings(options.name, options.http, options.media, tuple(options.seed), options.allow_kill)
    # Several nodes may write to one terminal.
    structlog.contextvars.bind_contextvars(here=settings.name)
    node = Node(settings.name, cookie=cookie, epmd_port=options.epmd_port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(node, settings, with_parent=options.with_parent))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.sfu.node", description="One node of the SFU.")
    add = parser.add_argument
    add("--name", required=True, help="name@host")
    add("--http", required=True, type=_address, metavar="HOST:PORT", help="where browsers find the page")
    add("--media", required=True, type=_address, metavar="HOST:PORT", help="the UDP address for browsers and nodes")
    add("--seed", action="append", default=[], metavar="NAME@HOST", help="another node; once for each")
    add("--epmd-port", type=int, default=4369, metavar="PORT", help="the port mapper's")
    add("--allow-kill", action="store_true", help="let POST /api/debug/kill end processes")
    add("--with-parent", action="store_true", help="end when stdin does")
    return parser


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form host:port")
    return host.strip("[]"), int(port)


async def _run(node: Node, settings: Settings, *, with_parent: bool) -> int:
    """0 when it was told to stop, 1 when it could not start or its supervisor has given up."""
    stopped = _stop_signal(with_parent=with_parent)
    try:
        sockets = _bind(settings)
        await node.start()
    except PydistError as error:
        sys.stderr.write(f"{settings.name}: {error}\n")
        return 1
    ready = asyncio.Event()
    tree = asyncio.ensure_future(node.run(supervise, node, settings, sockets, ready))
    told = asyncio.ensure_future(_tell(ready))
    await asyncio.wait({tree, stopped}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if stopped.done():
        await node.run(stop_tree)
    await node.stop()
    (end,) = await asyncio.gather(tree, return_exceptions=True)
    if not stopped.done():
        sys.stderr.write(f"{settings.name}: {end}\n")
    return 0 if stopped.done() else 1


async def _tell(ready: asyncio.Event) -> None:
    """One line on stdout, for whoever waits for this node."""
    await ready.wait()
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _bind(settings: Settings) -> Sockets:
    """Raises PortInUse, which says which port and what to do."""
    try:
        media = bind(settings.media)
    except OSError as error:
        raise _in_use("UDP", settings.media, error, starter="--udp-port", node="--media") from error
    try:
        return Sockets(socket.create_server(settings.http, family=family_of(settings.http), backlog=128), media)
    except OSError as error:
        raise _in_use("TCP", settings.http, error, starter="--http-port", node="--http") from error


def _in_use(protocol: str, address: Address, error: OSError, *, starter: str, node: str) -> PortInUse:
    """`starter` and `node` are the options of those who started all nodes, or this one by hand."""
    what = os.strerror(error.errno or 0)
    choose = f'choose another: make run ARGS="{starter} PORT", or {node} HOST:PORT for this node alone'
    return PortInUse(f"{protocol} {text_of(address)}: {what}; {choose}")


def _stop_signal(*, with_parent: bool) -> asyncio.Future[None]:
    """Done when somebody wants this node to stop."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)
            loop.remove_reader(sys.stdin.fileno())

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if with_parent:
        # The parent never writes: the pipe becomes readable when the parent has ended.
        loop.add_reader(sys.stdin.fileno(), stop)
    return stopped


if __name__ == "__main__":
    sys.exit(main())
