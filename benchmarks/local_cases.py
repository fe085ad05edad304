"""The cases that one OS process does. Each takes a count, and returns what was measured: nanoseconds, or bytes."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.workers import (
    DONE,
    SENDS_BETWEEN_AWAITS,
    EchoServer,
    calls,
    echo,
    idle,
    nothing,
    round_trips,
    sink,
    stream,
    timed,
)
from pydist import receive, self_pid, send, spawn

if TYPE_CHECKING:
    from pydist.terms import Pid

KIBIBYTE: Final = 1024


async def local_pingpong(count: int) -> int:
    return await timed(round_trips, spawn(echo, count), count)


async def local_oneway(count: int) -> int:
    return await timed(stream, spawn(sink, count), range(count))


async def local_call(count: int) -> int:
    return await timed(calls, await EchoServer.start(), count)


async def spawn_many(count: int) -> int:
    return await timed(spawn_nothings, count)


async def spawn_nothings(count: int) -> None:
    """Processes start in the order in which they were spawned, so the last one's word stands for all of them."""
    for number in range(1, count):
        spawn(nothing)
        if number % SENDS_BETWEEN_AWAITS == 0:
            await asyncio.sleep(0)
    spawn(say_done, self_pid())
    await receive()


async def say_done(to: Pid) -> None:
    send(to, DONE)


async def spawn_monitor_exit(count: int) -> int:
    return await timed(watch_nothings, count)


async def watch_nothings(count: int) -> None:
    for _ in range(count):
        _, ref = spawn(nothing, monitor=True)
        await receive(ref)


async def process_bytes(count: int) -> int:
    """The idle processes of the warm-up stay, so that the measured ones can't live in memory that it left behind."""
    gc.collect()
    before = resident_bytes()
    for _ in range(count):
        spawn(idle, self_pid())
    for _ in range(count):
        await receive()
    return resident_bytes() - before


def resident_bytes() -> int:
    """The memory of this OS process that is in RAM, as the kernel counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        match line.split():
            case ["VmRSS:", kibibytes, "kB"]:
                return int(kibibytes) * KIBIBYTE
            case _:
                pass
    raise OSError("/proc/self/status has no VmRSS: process_bytes needs Linux")
