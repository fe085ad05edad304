"""The second node of the remote cases: starts the workers that the driver asks for, until it is killed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.remote_cases import SERVICE
from benchmarks.workers import EchoServer, echo, sink
from pydist import receive, register, run, self_pid, send, spawn

if TYPE_CHECKING:
    from pydist.terms import Pid


async def service() -> None:
    register(SERVICE, self_pid())
    print("ready", flush=True)
    while True:
        kind, driver, count = await receive()
        send(driver, await start_worker(kind, count))


async def start_worker(kind: str, count: int) -> Pid:
    match kind:
        case "echo":
            return spawn(echo, count)
        case "sink":
            return spawn(sink, count)
        case "server":
            return await EchoServer.start()
        case _:
            raise ValueError(f"the echo node has no worker of the kind {kind!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="be the second node of a benchmark")
    parser.add_argument("--name", required=True)
    parser.add_argument("--cookie", required=True)
    parser.add_argument("--epmd-port", required=True, type=int)
    asked = parser.parse_args()
    run(service, name=asked.name, cookie=asked.cookie, epmd_port=asked.epmd_port)


if __name__ == "__main__":
    main()
