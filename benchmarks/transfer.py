"""How long a ping takes while 100 MiB cross the same connection: `python -m benchmarks.transfer`.

Prints the 99th percentile of round trips on an idle connection and on one that carries large messages, and their ratio.
"""

from __future__ import annotations

import secrets
import sys
import time
from typing import Final

from benchmarks.children import answers, free_port, in_background
from benchmarks.remote_cases import ask
from pydist import receive, run, self_pid, send, spawn
from pydist.terms import Pid

LARGE: Final = 100 * 1024 * 1024
TRANSFERS: Final = 5
PINGS: Final = 3_000


async def ping(partner: Pid) -> float:
    """Microseconds of one round trip."""
    start = time.perf_counter()
    send(partner, (self_pid(), 1))
    await receive(int)
    return (time.perf_counter() - start) * 1e6


async def carry(node: str, driver: Pid) -> None:
    """One large message after the other, each when the last has arrived."""
    large = bytes(LARGE)
    for _ in range(TRANSFERS):
        sink = await ask(node, "sink", 1)
        send(sink, self_pid())
        send(sink, large)
        await receive()
    send(driver, "carried")


async def measure(node: str) -> None:
    partner = await ask(node, "echo", 100 * PINGS)
    idle = sorted([await ping(partner) for _ in range(PINGS)])
    spawn(carry, node, self_pid())
    busy: list[float] = []
    while True:
        busy.append(await ping(partner))
        try:
            await receive(str, timeout=0)
        except TimeoutError:
            continue
        break
    busy.sort()
    quiet, loud = idle[len(idle) * 99 // 100], busy[len(busy) * 99 // 100]
    print(f"ping p99: idle {quiet:.0f} us, in transfer {loud:.0f} us ({len(busy)} pings), ratio {loud / quiet:.1f}")


def main() -> None:
    port, cookie = free_port(), secrets.token_hex(16)
    here, there = "a@127.0.0.1", "b@127.0.0.1"
    named = ["--name", there, "--cookie", cookie, "--epmd-port", str(port)]
    mapper = [sys.executable, "-m", "pydist.epmd", "-port", str(port)]
    with (
        in_background(mapper, lambda _: answers(port)),
        in_background([sys.executable, "-m", "benchmarks.echo_node", *named], lambda printed: "ready" in printed),
    ):
        run(measure, there, name=here, cookie=cookie, epmd_port=port)


if __name__ == "__main__":
    main()
