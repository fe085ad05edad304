"""Does one case in this OS process, and prints `amount <number>`: nanoseconds, or bytes.

python -m benchmarks.driver local_call_per_s 10000
python -m benchmarks.driver remote_call_us 1000 --name a@127.0.0.1 --echo-node b@127.0.0.1 --cookie ... --epmd-port ...
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from benchmarks import local_cases, remote_cases
from benchmarks.cases import MEBIBYTE
from benchmarks.workers import Reading
from pydist import run

Work = Callable[[int], Awaitable[int]]

LOCAL: Final[dict[str, Work]] = {
    "local_pingpong_per_s": local_cases.local_pingpong,
    "local_oneway_per_s": local_cases.local_oneway,
    "local_call_per_s": local_cases.local_call,
    "spawn_per_s": local_cases.spawn_many,
    "spawn_monitor_exit_per_s": local_cases.spawn_monitor_exit,
    "process_bytes": local_cases.process_bytes,
}

A_MAP: Final = {"a": 1, "b": b"hello world", "c": [1, 2, 3], "d": 3.14}


def remote(node: str) -> dict[str, Work]:
    """The remote cases, with `node` as the other node."""
    oneway = partial(remote_cases.remote_oneway, node)
    return {
        "remote_rtt_us": partial(remote_cases.remote_rtt, node),
        "remote_call_us": partial(remote_cases.remote_call, node),
        "remote_rpc_us": partial(remote_cases.remote_rpc, node),
        "remote_oneway_int_per_s": partial(remote_cases.remote_oneway_ints, node),
        "remote_oneway_map_per_s": partial(oneway, message=A_MAP),
        "remote_oneway_message_per_s": partial(oneway, message=Reading(b"temperature", 21.5, 1_764_061_200)),
        "remote_oneway_1k_per_s": partial(oneway, message=b"x" * 1024),
        "remote_1m_MB_per_s": partial(remote_cases.remote_bursts, node, message=b"x" * MEBIBYTE),
        "remote_call_50_per_s": partial(remote_cases.remote_call_50, node),
    }


async def drive(work: Work, count: int) -> None:
    """A tenth of the count as a warm-up, then the one that is measured."""
    await work(count // 10 + 1)
    print(f"amount {await work(count)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="do one benchmark case")
    parser.add_argument("case")
    parser.add_argument("count", type=int)
    parser.add_argument("--name")
    parser.add_argument("--echo-node")
    parser.add_argument("--cookie")
    parser.add_argument("--epmd-port", type=int)
    asked = parser.parse_args()
    if asked.echo_node is None:
        run(drive, LOCAL[asked.case], asked.count)
    else:
        work = remote(asked.echo_node)[asked.case]
        run(drive, work, asked.count, name=asked.name, cookie=asked.cookie, epmd_port=asked.epmd_port)


if __name__ == "__main__":
    main()
