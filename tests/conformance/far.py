"""The second place as a program, `python -m tests.conformance.far far@127.0.0.1 60`, and how a test starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydist import receive, run, spawn
from tests.conformance.deeds import HOST, host

ROOT: Final = Path(__file__).parents[2]
COOKIE: Final = "secret"


class Far:
    """A program with a node, on which actors are started."""

    def __init__(self, name: str, epmd_port: int, log: Path, *, net_ticktime: float = 60.0) -> None:
        self.name = name
        self.epmd_port = epmd_port
        with log.open("a") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.far", name, str(net_ticktime)],
                cwd=ROOT,
                env=os.environ | {"ERL_EPMD_PORT": str(epmd_port)},
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == b"ready\n", log.read_text()

    def kill(self) -> None:
        """End it without a word, and wait until it is gone."""
        self.popen.kill()
        self.popen.communicate(timeout=10)


@contextmanager
def own_port_mapper() -> Generator[int]:
    """The port of a port mapper that is a program of its own, too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "pydist.epmd", "-port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as port_mapper:
        assert port_mapper.stderr is not None
        assert b"port_mapper_listening" in port_mapper.stderr.readline()
        yield port
        port_mapper.terminate()


async def _serve() -> None:
    spawn(host, name=HOST)
    print("ready", flush=True)  # noqa: T201  # the one word that is waited for
    await receive()


if __name__ == "__main__":
    run(_serve, name=sys.argv[1], cookie=COOKIE, net_ticktime=float(sys.argv[2]), long_schedule=None)
