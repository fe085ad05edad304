"""What child nodes of tests do, and programs that start them: `python -m tests.children PORT [SSH ...]`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from pydist import Application, PeerNode, peer_info, receive, run
from pydist.peer_plan import PeerOptions

ROOT = Path(__file__).parent.parent


async def talk(word: str) -> None:
    """Write to both streams."""
    sys.stdout.write(f"out {word}\n")
    sys.stderr.write(f"err {word}\n")


async def flood() -> None:
    """Write much more than anybody wants to read, and then a last line."""
    for _ in range(200):
        os.write(1, b"much\n" * 2000)
    os.write(1, b"x" * 2_000_000 + b"\n")


async def get_stuck() -> None:
    """Work in C for years, and let no other thread of the interpreter run."""
    sys.stdout.write("stuck\n")
    re.match(r"(a+)+b", "a" * 100)


async def fail() -> None:
    raise ValueError("it went wrong")


class Fails(Application):
    """Does not start."""

    name = "fails"

    async def start(self) -> None:
        raise ValueError("no way")


class Starts(Application):
    """Says that it has started."""

    name = "starts"

    async def start(self) -> None:
        sys.stdout.write("started\n")


async def start_and_wait(ssh: list[str]) -> None:
    """Start children that are stuck or idle, say which, and wait to be killed."""
    there: PeerOptions = {"ssh": ssh, "python": sys.executable, "cwd": ROOT} if ssh else {}
    stuck: PeerOptions = {**there, "run": get_stuck}
    for node in (
        await PeerNode.start_link("stuck@127.0.0.1", **stuck),
        await PeerNode.start_link("idle@127.0.0.1", **there),
    ):
        sys.stdout.write(f"{(await peer_info(node)).os_pid} ")
    sys.stdout.write("\n")
    sys.stdout.flush()
    await receive()


if __name__ == "__main__":
    run(start_and_wait, sys.argv[2:], name="starter@127.0.0.1", cookie="secret", epmd_port=int(sys.argv[1]))
