"""`python -m pydist`: which nodes there are, and how one of them stands, asked over the distribution itself.

It comes as a hidden node that the asked node gives a name to, so nothing listens and no cluster hears of it. What can
be asked for is what that node exports (`inspection.py`). Exit code 0: done; 1: not, and one line on stderr says why;
2: the command makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from pydist import epmd_client, inspection, rpc
from pydist.cli_text import as_json, detail_lines, listing_lines, names_lines, nodes_lines, tree_lines
from pydist.core.arguments import seconds
from pydist.core.shown import bare, escaped
from pydist.errors import NodeStartError, NotExported, PydistError, RemoteError
from pydist.net_kernel import connect_node
from pydist.node import Node
from pydist.node_options import NodeOptions
from pydist.terms import NodeName
from pydist.underlay.named import underlay_named
from pydist.wire.epmd import HIDDEN_NODE

T = TypeVar("T")

TIMEOUT: Final = 10.0
"""Seconds that a command may take."""
STOP_TIME: Final = 1.0
PIPED_WIDTH: Final = 10_000
"""Where no terminal is, no line is cut."""

Printed = tuple[Any, list[str]]
"""What is printed as JSON, and as lines."""


class Fault(Exception):
    """The command can't be done; the text is the one line that says why."""


# -- the commands


async def _names(options: argparse.Namespace) -> Printed:
    port = _epmd_port(options)
    found = await epmd_client.names(options.host, port, options.timeout)
    nodes = [await _named(name, node_port, options.host, port) for name, node_port in found]
    return nodes, names_lines(nodes, _width())


async def _named(name: str, node_port: int, host: str, port: int) -> dict[str, Any]:
    info = await epmd_client.lookup(name, host, port)
    kind = "gone" if info is None else "pydist" if epmd_client.is_pydist(info) else "erlang"
    if info is not None and info.node_type == HIDDEN_NODE:
        kind += " hidden"
    return {"name": bare(name), "port": node_port, "kind": kind}


async def _ping(options: argparse.Namespace) -> Printed:
    async def reach() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not await connect_node(options.node):
            raise Fault(f"{options.node} has given this program a name, but takes no connection from it")
        return loop.time() - began

    took = await _at(options, reach)
    return {"node": options.node, "seconds": took}, [f"{options.node} answers"]


async def _nodes(options: argparse.Namespace) -> Printed:
    found = await _at(options, lambda: rpc.call(options.node, inspection.connected_nodes, timeout=options.timeout))

    def wanted(width: int) -> Printed:
        listed = [each for each in found if each.kind == "visible" or options.all]
        return as_json(listed), nodes_lines(options.node, listed, width)

    return _printed(options, wanted)


async def _inspect(options: argparse.Namespace) -> Printed:
    if options.process is not None:
        return await _process(options)
    if options.tree:
        tree = await _at(options, lambda: rpc.call(options.node, inspection.supervision_tree, timeout=options.timeout))
        return _printed(options, lambda width: (as_json(tree), tree_lines(tree, width)))
    listing = await _at(
        options,
        lambda: rpc.call(options.node, inspection.list_processes, options.sort, options.limit, timeout=options.timeout),
    )
    return _printed(options, lambda width: (as_json(listing), listing_lines(listing, width)))


async def _process(options: argparse.Namespace) -> Printed:
    which: str | int = int(options.process) if options.process.isdecimal() else options.process
    detail = await _at(options, lambda: rpc.call(options.node, inspection.look_at, which, timeout=options.timeout))
    if detail is None:
        raise Fault(f"{options.node} has no process {options.process}: it has ended, or never was")
    return _printed(options, lambda width: (as_json(detail), detail_lines(detail, width)))


def _printed(options: argparse.Namespace, write: Callable[[int], Printed]) -> Printed:
    """An answer as it is printed. The node may have answered anything."""
    try:
        return write(_width())
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError, IndexError):
        raise Fault(f"{options.node} has answered what makes no sense: its pydist is newer, or none") from None


async def _at(options: argparse.Namespace, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `ask` returns, as a process of a node that is there for this command alone."""
    host = NodeName.parse(options.node).host
    node = Node(f"@{host}", **_node_options(options))
    await node.start()
    try:
        return await node.run(ask)
    finally:
        await node.stop(STOP_TIME)


def _node_options(options: argparse.Namespace) -> NodeOptions:
    given: NodeOptions = {"named_by": options.node, "busy_wait": 0.0}
    if options.cookie is not None:
        given["cookie"] = options.cookie
    elif options.cookie_file is not None:
        given["cookie_file"] = options.cookie_file
    elif not (Path.home() / ".pydist.cookie").exists():
        raise Fault("no cookie: ~/.pydist.cookie is not there; give --cookie-file FILE, the one of that node")
    if options.underlay is not None:
        given["underlay"] = underlay_named(options.underlay, 0.0)
    if options.port is not None:
        given["peer_ports"] = given["port"] = options.port
    else:
        given["epmd_port"] = _epmd_port(options)
    return given


def _epmd_port(options: argparse.Namespace) -> int:
    return epmd_client.default_port() if options.epmd_port is None else int(options.epmd_port)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH


# -- the command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pydist",
        description="Which nodes there are, and how one of them stands.",
        epilog="Exit code 0: done. 1: not done, and a line on stderr says why. 2: the command makes no sense.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    names = commands.add_parser("names", help="the nodes that a port mapper knows", allow_abbrev=False)
    names.add_argument("host", nargs="?", default=epmd_client.HOST, help="where it runs (default: this host)")
    _add_common(names, _names)
    _add_node(commands.add_parser("ping", help="whether a node takes connections", allow_abbrev=False), _ping)
    nodes = commands.add_parser("nodes", help="the nodes that a node is connected with", allow_abbrev=False)
    nodes.add_argument("--all", action="store_true", help="hidden ones, too; this command is one of them")
    _add_node(nodes, _nodes)
    inspect = commands.add_parser("inspect", help="the processes of a node, or one of them", allow_abbrev=False)
    _add_node(inspect, _inspect)
    inspect.add_argument("process", nargs="?", metavar="PID", help="the number of a pid, or a registered name")
    inspect.add_argument("--sort", choices=("mailbox", "memory", "reductions"), default="mailbox")
    inspect.add_argument("--limit", type=_number, default=20, metavar="N", help="so many processes (default: 20)")
    inspect.add_argument("--tree", action="store_true", help="the supervision trees instead")
    return parser


def _add_node(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], Coroutine[Any, Any, Any]]) -> None:
    parser.add_argument("node", metavar="NODE", help="name@host")
    cookies = parser.add_mutually_exclusive_group()
    cookies.add_argument("--cookie-file", metavar="FILE", help="where its cookie is (default: ~/.pydist.cookie)")
    cookies.add_argument("--cookie", metavar="TEXT", help="its cookie; others on this host can see it while this runs")
    parser.add_argument("--port", type=_port, metavar="N", help="where it listens, if it is in no port mapper")
    parser.add_argument(
        "--underlay", metavar="NAME", help="find it, and talk to it, there: loopback, tailscale, wireguard:wg0 ..."
    )
    _add_common(parser, run)


def _add_common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], Coroutine[Any, Any, Any]]) -> None:
    parser.add_argument("--epmd-port", type=_port, metavar="N", help="the port mapper's (default: 4369)")
    parser.add_argument("--timeout", type=seconds, default=TIMEOUT, metavar="S", help="seconds (default: 10)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= inspection.MOST_LINES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {inspection.MOST_LINES}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives the exit code."""
    options = _parser().parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        value, lines = asyncio.run(_in_time(options))
    except (PydistError, Fault, OSError, TimeoutError) as error:
        sys.stderr.write(f"pydist: {_in_words(error, options)}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    try:
        texts = [json.dumps(value, indent=2)] if options.json else map(escaped, lines)  # a node says what it likes
        sys.stdout.write("".join(f"{text}\n" for text in texts))
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()  # who read has seen enough
        return 1
    return 0


async def _in_time(options: argparse.Namespace) -> Printed:
    async with asyncio.timeout(options.timeout):
        printed: Printed = await options.run(options)
        return printed


def _in_words(error: Exception, options: argparse.Namespace) -> str:
    """One line that says whose fault it is and what to do."""
    asked = getattr(options, "node", None) or f"the port mapper at {options.host}"
    match error:
        case NotExported():
            return (
                f"{asked} does not let this be seen: its Node(exports=...) leaves {error.export} out, or its pydist is "
                "older"
            )
        case RemoteError():
            return f"{asked} has failed at that, see its log: {bare(str(error))}"
        case TimeoutError() if not str(error):
            return f"{asked} has not answered within {options.timeout:g} s: it may be stuck, or far; try --timeout"
        case NodeStartError() if "cookie" in str(error):
            return f"{bare(str(error))} (give the cookie of that node by --cookie-file)"
        case _:
            return bare(str(error))
