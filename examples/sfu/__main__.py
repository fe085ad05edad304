"""`python -m examples.sfu`: a port mapper and three nodes on this machine, and the address of a page."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from examples.sfu.cluster import Cluster, StartFailed
from examples.sfu.settings import Settings

NODES = ("a", "b", "c")


def main() -> int:
    """The command line. Returns the exit status."""
    options = _parser().parse_args()
    cluster = Cluster(_settings(options), options.epmd_port, _say)
    return asyncio.run(_run(cluster, _settings(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.sfu", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address that browsers reach this machine by (default: %(default)s)")
    add("--http-port", type=int, default=8080, metavar="PORT", help="of node a; b and c take the next ones")
    add("--udp-port", type=int, default=50000, metavar="PORT", help="of node a; b and c take the next ones")
    add("--epmd-port", type=int, default=4369, metavar="PORT", help="the port mapper's")
    add("--allow-kill", action="store_true", help="let POST /api/debug/kill end processes")
    return parser


def _settings(options: argparse.Namespace) -> list[Settings]:
    names = [f"{node}@127.0.0.1" for node in NODES]
    return [
        Settings(
            name=name,
            http=(options.host, options.http_port + index),
            media=(options.host, options.udp_port + index),
            seeds=tuple(other for other in names if other != name),
            allow_kill=options.allow_kill,
        )
        for index, name in enumerate(names)
    ]


async def _run(cluster: Cluster, nodes: list[Settings]) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        return await _serve(cluster, nodes, stopped)
    except StartFailed as error:
        sys.stderr.write(f"python -m examples.sfu: {error}\n")
        return 1
    finally:
        await cluster.stop()


async def _serve(cluster: Cluster, nodes: list[Settings], stopped: asyncio.Event) -> int:
    """0 when it was told to stop, 1 when the last node has died."""
    until = asyncio.ensure_future(stopped.wait())
    start = asyncio.ensure_future(cluster.start())
    await asyncio.wait({until, start}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.is_set():
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await start
        return 0
    await start
    _say(f"\nOpen {nodes[0].url}/ to publish and to watch. Ctrl-C ends all.")
    watch = asyncio.ensure_future(cluster.watch())
    await asyncio.wait({until, watch}, return_when=asyncio.FIRST_COMPLETED)
    watch.cancel()
    return 0 if stopped.is_set() else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
