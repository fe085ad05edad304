"""The BEAM's side: compiles `beam/*.erl` into a temporary folder, and measures each time in fresh `erl` processes."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count as counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.children import ChildFailed, amount_printed_by, answers, free_port, in_background

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.cases import Case

SOURCES: Final = Path(__file__).parent / "beam"
PROGRAMS: Final = ("erl", "erlc", "epmd")


def is_installed() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


class Beam:
    """Two `erl` nodes, or one where a case needs no second."""

    def __init__(self, compiled: Path, epmd_port: int) -> None:
        self.name = "beam"
        self._compiled = compiled
        self._env = {"ERL_EPMD_PORT": str(epmd_port), "ERL_CRASH_DUMP_SECONDS": "0"}
        self._cookie = secrets.token_hex(16)
        # New names for each measurement: a port mapper may not have seen yet that the last nodes are gone.
        self._serial = counter(1)

    def measure(self, case: Case, count: int) -> int:
        work = ["drive", case.name, str(count)]
        if not case.two_nodes:
            return amount_printed_by(self._command([], work), self._env)
        serial = next(self._serial)
        echo_node = f"b{serial}@127.0.0.1"
        with in_background(self._command(self._named(echo_node), ["echo_node"]), _says_ready, self._env):
            driver = self._command(self._named(f"a{serial}@127.0.0.1"), [*work, echo_node])
            return amount_printed_by(driver, self._env)

    def _command(self, options: list[str], work: list[str]) -> list[str]:
        return ["erl", *options, "-noshell", "-noinput", "-pa", str(self._compiled), "-run", "bench", *work]

    def _named(self, name: str) -> list[str]:
        loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        return ["-name", name, "-setcookie", self._cookie, "-start_epmd", "false", *loopback]


def _says_ready(printed: str) -> bool:
    return "ready" in printed.split()


@contextmanager
def beam_side() -> Generator[Beam, None, None]:
    """The BEAM with its own port mapper on a free port; it meets no other nodes of this machine.

    Raises:
        ChildFailed: the sources do not compile, or the port mapper does not come up.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        _compile_into(folder)
        epmd = ["epmd", "-port", str(port), "-address", "127.0.0.1"]
        with in_background(epmd, lambda _: answers(port)):
            yield Beam(Path(folder), port)


def _compile_into(folder: str) -> None:
    sources = sorted(str(path) for path in SOURCES.glob("*.erl"))
    done = subprocess.run(["erlc", "-Werror", "-o", folder, *sources], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise ChildFailed(f"erlc does not compile {SOURCES}:\n{done.stdout}{done.stderr}")
