"""What a CPU-bound service does in a second at one node and at more of them: `python -m benchmarks.one_node_per_core`

Each node is a child of this one (`PeerNode`) with a server that counts primes. The requests are dealt out in turn, and
the clock runs from the first request to the last reply.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from pydist import GenServer, PeerNode, Request, Supervisor, Task, call, child, configure_logging, run, stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydist import Caller

UP_TO: Final = 20_000
"""How far primes are counted in one request: some 10 ms of work."""
REQUESTS: Final = 200
ROUNDS: Final = 3
PRIMES: Final = "primes"


class CountPrimes(Request[int]):
    up_to: int


class Primes(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        match request:
            case CountPrimes(up_to):
                return sum(is_prime(number) for number in range(2, up_to))
            case _:
                return await super().handle_call(request, caller)


def is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


async def serve() -> None:
    """The main function of a child node."""
    await Primes.start_link(name=PRIMES)


async def requests_per_second(nodes: int, requests: int) -> float:
    """How many requests a service of so many nodes answers in a second."""
    names = [f"core{number}" for number in range(nodes)]
    supervisor = await Supervisor.start_link([child(PeerNode, name, id=name, run=serve) for name in names])
    servers = [(PRIMES, f"{name}@127.0.0.1") for name in names]
    for server in servers:
        await call(server, CountPrimes(UP_TO))
    took = [await seconds(servers, requests) for _ in range(ROUNDS)]
    await stop(supervisor)
    return requests / statistics.median(took)


async def seconds(servers: Sequence[tuple[str, str]], requests: int) -> float:
    """Seconds for all requests; each server has one to do at a time."""
    start = time.perf_counter()
    tasks = [Task.async_(ask, server, requests // len(servers)) for server in servers]
    for task in tasks:
        await task.await_(timeout=None)
    return time.perf_counter() - start


async def ask(server: tuple[str, str], times: int) -> None:
    for _ in range(times):
        await call(server, CountPrimes(UP_TO), timeout=60.0)


async def drive(requests: int) -> None:
    one, *more = [await requests_per_second(nodes, requests) for nodes in (1, len(os.sched_getaffinity(0)))]
    print(f"{'nodes':>6}{'requests/s':>12}{'ratio':>7}")
    for nodes, rate in zip((1, len(os.sched_getaffinity(0))), (one, *more), strict=True):
        print(f"{nodes:>6}{rate:>12.1f}{rate / one:>7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.one_node_per_core", description="a service on all cores"
    )
    parser.add_argument("--requests", type=int, default=REQUESTS, help="in each round (default: 200)")
    configure_logging("warning")
    run(drive, parser.parse_args().requests, name="bench@127.0.0.1", cookie="bench")


if __name__ == "__main__":
    main()
