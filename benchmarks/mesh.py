"""Does a message between two nodes cost more where more nodes are connected? `python -m benchmarks.mesh [SIZE ...]`

Full meshes on this machine: the node that drives and the one that answers are OS processes of their own; the others,
which are connected with each other and with both, share a third, and say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import secrets
import sys
from typing import TYPE_CHECKING, Final

import uvloop

from benchmarks import remote_cases
from benchmarks.children import amount_printed_by, answers, free_port, in_background
from benchmarks.local_cases import resident_bytes
from pydist import Node, NodeUp, connect, monitor_nodes, nodes, receive, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

SIZES: Final = (2, 10, 50)
TIMES: Final = {"round trip": 5_000, "message, one way": 100_000}
WARM_UP: Final = 10
CONNECTIONS: Final = 200
"""Idle connections whose memory is measured."""
WITHIN: Final = 60.0
KIBIBYTE: Final = 1024

ECHO: Final = "echo@127.0.0.1"
DRIVER: Final = "driver@127.0.0.1"


def crowd(size: int) -> list[str]:
    """The names of the nodes that are only there."""
    return [f"n{number}@127.0.0.1" for number in range(size)]


async def meet(others: Iterable[str]) -> None:
    """Connect to all of them."""
    monitor_nodes(True)
    missing = set(others) - set(nodes())
    for node in missing:
        connect(node)
    while missing:
        up = await receive(NodeUp, timeout=WITHIN)
        missing.discard(up.node)
    monitor_nodes(False)


async def be_crowd(size: int, cookie: str, epmd_port: int, *, apart: bool) -> None:
    """`size` nodes in this OS process until it is killed, in a full mesh or `apart`."""
    names = crowd(size)
    members = [Node(name, cookie=cookie, epmd_port=epmd_port) for name in names]
    for number, member in enumerate(members):
        await member.start()
        if not apart:
            await member.run(meet, [ECHO, *names[:number]])
    print("ready", flush=True)
    await asyncio.Event().wait()


async def round_trips(count: int) -> int:
    return await remote_cases.remote_rtt(ECHO, count)


async def one_way(count: int) -> int:
    return await remote_cases.remote_oneway_ints(ECHO, count)


WORK: Final[dict[str, Callable[[int], Coroutine[None, None, int]]]] = {
    "round trip": round_trips,
    "message, one way": one_way,
}
MEMORY: Final = "memory"


async def drive(work: str, size: int) -> None:
    """Print nanoseconds for the work in a mesh of `size` nodes, or the bytes that its connections take here."""
    await meet([ECHO])
    gc.collect()
    before = resident_bytes()
    await meet(crowd(size - 2))
    amount = resident_bytes() - before
    if work != MEMORY:
        count = TIMES[work]
        await WORK[work](count // WARM_UP)
        amount = await WORK[work](count)
    print(f"amount {amount}", flush=True)
    os._exit(0)  # nobody waits for all these connections to be closed in order


def measure(work: str, size: int) -> int:
    """In OS processes of their own."""
    port, cookie = free_port(), secrets.token_hex(16)
    known = ["--cookie", cookie, "--epmd-port", str(port)]
    epmd = [sys.executable, "-m", "pydist.epmd", "-port", str(port)]
    echo = [sys.executable, "-m", "benchmarks.echo_node", "--name", ECHO, *known]
    others = [sys.executable, "-m", "benchmarks.mesh", "--crowd", str(size - 2), *known]
    if work == MEMORY:  # their connections to each other would take more files than a program may open
        others.append("--apart")
    driver = [sys.executable, "-m", "benchmarks.mesh", "--work", work, str(size), *known]
    with (
        in_background(epmd, lambda _: answers(port)),
        in_background(echo, _ready),
        in_background(others, _ready, within=WITHIN),
    ):
        return amount_printed_by(driver, within=WITHIN)


def _ready(printed: str) -> bool:
    return "ready" in printed.split()


def table(sizes: Sequence[int], connections: int = CONNECTIONS) -> str:
    """All kinds of work at all sizes, as text."""
    lines = [f"{'ns each, with so many nodes':<34}{''.join(f'{size:>11,}' for size in sizes)}{'growth':>9}"]
    for work, times in TIMES.items():
        costs = [measure(work, size) / times for size in sizes]
        lines.append(f"{work:<34}{''.join(f'{cost:>11,.0f}' for cost in costs)}{costs[-1] / costs[0]:>9.2f}")
    memory = measure(MEMORY, connections + 2) / connections / KIBIBYTE
    lines.append(f"an idle connection takes {memory:.1f} KiB, of {connections:,} to as many nodes")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mesh", description="cost against connected nodes")
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--work", choices=[*WORK, MEMORY], help=argparse.SUPPRESS)
    parser.add_argument("--crowd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cookie", help=argparse.SUPPRESS)
    parser.add_argument("--epmd-port", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.crowd is not None:
        uvloop.run(be_crowd(asked.crowd, asked.cookie, asked.epmd_port, apart=asked.apart))
    elif asked.work is not None:
        run(drive, asked.work, asked.sizes[0], name=DRIVER, cookie=asked.cookie, epmd_port=asked.epmd_port)
    else:
        print(table(asked.sizes))


if __name__ == "__main__":
    main()
