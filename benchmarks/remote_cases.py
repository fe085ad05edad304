"""The cases of two nodes: this one drives, the echo node answers. Each returns nanoseconds."""

from __future__ import annotations

from itertools import repeat
from typing import Final

from benchmarks.workers import calls, ended, round_trips, stream, timed
from pydist import export, receive, rpc, self_pid, send, spawn
from pydist.terms import Pid

SERVICE: Final = "bench"
CALLERS: Final = 50
BURST: Final = 50
"""Of the 1 MiB messages so many are on their way at most: pydist refuses more than 256 MiB for one node."""
ANSWER_WITHIN: Final = 5.0
"""Seconds that the echo node has to start a worker."""


async def ask(node: str, kind: str, count: int) -> Pid:
    """A process of the echo node that does `kind`, `count` times where it has an end."""
    send((SERVICE, node), (kind, self_pid(), count))
    return await receive(Pid, timeout=ANSWER_WITHIN)


async def remote_rtt(node: str, count: int) -> int:
    return await timed(round_trips, await ask(node, "echo", count), count)


async def remote_call(node: str, count: int) -> int:
    return await timed(calls, await ask(node, "server", count), count)


@export(name="bench.same")
async def same(number: int) -> int:
    return number


async def remote_rpc(node: str, count: int) -> int:
    return await timed(remote_procedure_calls, node, count)


async def remote_procedure_calls(node: str, count: int) -> None:
    for number in range(count):
        await rpc.call(node, same, number)


async def remote_oneway_ints(node: str, count: int) -> int:
    return await timed(stream, await ask(node, "sink", count), range(count))


async def remote_oneway(node: str, count: int, message: object) -> int:
    return await timed(stream, await ask(node, "sink", count), repeat(message, count))


async def remote_bursts(node: str, count: int, message: object) -> int:
    sizes = [min(BURST, count - begun) for begun in range(0, count, BURST)]
    sinks = [(await ask(node, "sink", size), size) for size in sizes]
    return await timed(bursts, sinks, message)


async def bursts(sinks: list[tuple[Pid, int]], message: object) -> None:
    for sink, size in sinks:
        await stream(sink, repeat(message, size), awaiting_each=1)


async def remote_call_50(node: str, count: int) -> int:
    return await timed(callers, await ask(node, "server", count), count // CALLERS)


async def callers(server: Pid, each: int) -> None:
    for _, ref in [spawn(calls, server, each, monitor=True) for _ in range(CALLERS)]:
        await ended(ref)
