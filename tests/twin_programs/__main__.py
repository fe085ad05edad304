"""Random programs of many processes in virtual time, and all that is seen of each: `python -m tests.twin_programs 9`.

A program is nothing but its seed: each process draws what it does next from a generator of its own. So as long as all
goes the same way, two runs of a seed are one history, step by step; which twin runs it is for the environment to say.
"""

from __future__ import annotations

import asyncio
import json
import sys
from random import Random
from typing import Final

from structlog.testing import capture_logs

from pydist import (
    KILL,
    dead_letters,
)
from pydist import exit as send_exit
from pydist.messaging import acting
from tests.counter import Counter
from tests.twin_programs.verbs import VERBS, portrait
from tests.twin_programs.world import World
from tests.virtual_time import run_process

LONG: Final = 200.0
"""Seconds after which a program is over."""


async def play(seed: int) -> list[str]:
    """All that is seen of one program, to the number of its steps."""
    world = World(seed, VERBS)
    world.servers = [await Counter.start(0) for _ in range(2)]
    for _ in range(Random(seed).randrange(2, 7)):  # noqa: S311  # as above
        world.add()
    await asyncio.sleep(LONG)
    _, runtime = acting()
    for process in runtime.table.values():
        world.write("left", process, portrait(process), process.mailbox.messages())
    for pid in world.pids:
        send_exit(pid, KILL)
    await asyncio.sleep(0)
    world.write(dead_letters(), runtime.scheduler.steps, runtime.scheduler.ready, len(runtime.table))
    return world.history


def main(programs: int) -> None:
    for seed in range(programs):
        with capture_logs() as logged:
            history = run_process(play, seed)
        history += [f"log {each['event']} {each.get('pid')}" for each in logged]
        print(json.dumps(history))  # noqa: T201  # that is what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]))
