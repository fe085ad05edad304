"""What the processes of the cases do; beam/bench.erl and beam/bench_server.erl do the same, function by function."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pydist import Caller, GenServer, Message, Request, call, receive, self_pid, send, spawn
from pydist.terms import NORMAL, Down, Pid, Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

DONE: Final = "done"
SENDS_BETWEEN_AWAITS: Final = 256


class Ping(Request[int], tag="bench.ping"):
    """Asks the server for the same number back."""

    number: int


class Reading(Message, tag="bench.reading"):
    """A message as users write them; on the BEAM a record."""

    sensor: bytes
    value: float
    at: int


class EchoServer(GenServer):
    """The server that the call cases call."""

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:  # noqa: ARG002  # the callback's shape
        match request:
            case Ping(number):
                return number
            case _:
                raise TypeError(f"the echo server knows Ping alone, and was asked {request!r}")


async def echo(count: int) -> None:
    """Answer `count` messages, each to the process whose pid comes with it."""
    for _ in range(count):
        sender, number = await receive()
        send(sender, number)


async def round_trips(partner: Pid, count: int) -> None:
    me = self_pid()
    for number in range(count):
        send(partner, (me, number))
        await receive()


async def sink(count: int) -> None:
    """Take `count` messages, and tell the sender, whose pid comes first: this is what a one-way rate counts."""
    sender = await receive()
    for _ in range(count):
        await receive()
    send(sender, DONE)


async def stream(to: Pid, messages: Iterable[object], awaiting_each: int = SENDS_BETWEEN_AWAITS) -> None:
    """Send without waiting for answers, and let others run now and then; then wait until the sink has taken all.

    The BEAM takes the CPU away from a process that sends in a loop. Nobody can do so to Python code that never awaits:
    it would hold back the receiver, and the connection, until its last message is sent.
    """
    send(to, self_pid())
    rest = iter(messages)
    while turn := tuple(islice(rest, awaiting_each)):
        for message in turn:
            send(to, message)
        await asyncio.sleep(0)
    await receive()


async def calls(server: Pid, count: int) -> None:
    for number in range(count):
        await call(server, Ping(number))


async def nothing() -> None:
    """End at once."""


async def idle(driver: Pid) -> None:
    send(driver, "ready")
    await receive()


async def timed(work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> int:
    """Nanoseconds until a process that does `work` has ended.

    It gets a process of its own because Python passes each resumption down through all awaits: what the driver awaits
    on its way to `work` would be added to every message.
    """
    start = time.perf_counter_ns()
    _, ref = spawn(work, *arguments, monitor=True)
    await ended(ref)
    return time.perf_counter_ns() - start


async def ended(ref: Ref) -> None:
    """Wait for the end of a process that is monitored.

    Raises:
        RuntimeError: it did not end well, and what was measured is worth nothing.
    """
    down: Down = await receive(ref)
    if down.reason is not NORMAL:
        raise RuntimeError(f"{down.process!r} has failed: {down.reason!r}")
