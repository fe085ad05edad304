"""Does a message cost more where there are many processes, or many messages? `python -m benchmarks.scaling [SIZE ...]`

Each line is one kind of work, measured with ever more of what should not matter to it; the last column divides the
cost at the largest size by that at the smallest. Memory that no longer fits into the processor's caches makes itself
felt at a million; work that grew with the size would be a hundred thousand times as slow.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.children import amount_printed_by
from benchmarks.local_cases import resident_bytes
from benchmarks.workers import SENDS_BETWEEN_AWAITS, EchoServer, calls, echo, ended, idle, round_trips, timed
from pydist import make_ref, receive, run, self_pid, send, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

SIZES: Final = (10, 10_000, 1_000_000)
TIMES: Final = 20_000
"""How often the work is done at each size."""
WITHIN: Final = 240.0
"""Seconds that one measurement has: Python's garbage collector makes the million processes take their time."""
GIBIBYTE: Final = 1024**3


async def with_processes(size: int) -> int:
    """Round trips while `size` other processes wait."""
    await start_idle(size)
    await timed(round_trips, spawn(echo, TIMES), TIMES)
    return await timed(round_trips, spawn(echo, TIMES), TIMES)


async def start_idle(size: int) -> None:
    for number in range(size):
        spawn(idle, self_pid())
        if number % SENDS_BETWEEN_AWAITS == 0:
            await asyncio.sleep(0)
    for _ in range(size):
        await receive()


async def with_messages(size: int) -> int:
    """Calls of one who has `size` messages in the mailbox."""
    server = await EchoServer.start()
    return await timed_behind(size, partial(calls, server, TIMES))


async def with_fresh_reference(size: int) -> int:
    """Receives for a fresh reference, with `size` older messages in the mailbox."""

    async def work() -> None:
        for _ in range(TIMES):
            ref = make_ref()
            send(self_pid(), (ref, "found"))
            await receive(ref)

    return await timed_behind(size, work)


async def in_a_queue(size: int) -> int:
    """A message sent and one taken, with `size` messages between them."""

    async def work() -> None:
        me = self_pid()
        for number in range(TIMES):
            send(me, number)
            await receive()

    return await timed_behind(size, work)


async def timed_behind(size: int, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Nanoseconds of `work`, the second time, in a process whose mailbox holds `size` messages."""
    took: list[int] = []

    async def worker() -> None:
        for number in range(size):
            send(self_pid(), number)
        for _ in range(2):
            start = time.perf_counter_ns()
            await work()
            took.append(time.perf_counter_ns() - start)

    _, ref = spawn(worker, monitor=True)
    await ended(ref)
    return took[-1]


WORK: Final[dict[str, Callable[[int], Coroutine[Any, Any, int]]]] = {
    "round trip, with other processes": with_processes,
    "call, with messages waiting": with_messages,
    "receive by a fresh reference": with_fresh_reference,
    "send and take, through a queue": in_a_queue,
}


async def memory_of(size: int) -> int:
    """Bytes that `size` idle processes take."""
    gc.collect()
    before = resident_bytes()
    await start_idle(size)
    return resident_bytes() - before


MEMORY: Final = "memory"


def measure(work: str, size: int) -> int:
    """In an OS process of its own, so that nothing that one size leaves behind is there for the next."""
    return amount_printed_by([sys.executable, "-m", "benchmarks.scaling", "--work", work, str(size)], within=WITHIN)


async def drive(work: str, size: int) -> None:
    print(f"amount {await {**WORK, MEMORY: memory_of}[work](size)}", flush=True)
    os._exit(0)  # the node would stop a million processes in order, which nobody waits for here


def table(sizes: Sequence[int]) -> str:
    """All kinds of work at all sizes, as text."""
    lines = [f"{'ns each, with so many of them':<34}{''.join(f'{size:>11,}' for size in sizes)}{'growth':>9}"]
    for work in WORK:
        costs = [measure(work, size) / TIMES for size in sizes]
        lines.append(f"{work:<34}{''.join(f'{cost:>11,.0f}' for cost in costs)}{costs[-1] / costs[0]:>9.2f}")
    lines.append(f"{sizes[-1]:,} idle processes take {measure(MEMORY, sizes[-1]) / GIBIBYTE:.2f} GiB")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="cost against number")
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--work", choices=[*WORK, MEMORY], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work is None:
        print(table(asked.sizes))
    else:
        run(drive, asked.work, asked.sizes[0])


if __name__ == "__main__":
    main()
