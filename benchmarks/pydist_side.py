"""pydist's side: runs each measurement in fresh Python processes, with pydist's own port mapper."""

from __future__ import annotations

import secrets
import sys
from contextlib import contextmanager
from itertools import count as counter
from typing import TYPE_CHECKING

from benchmarks.children import amount_printed_by, answers, free_port, in_background

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.cases import Case


class Pydist:
    """Two pydist nodes, or one where a case needs no second."""

    def __init__(self, epmd_port: int) -> None:
        self.name = "pydist"
        self._epmd_port = epmd_port
        self._cookie = secrets.token_hex(16)
        # New names for each measurement: a port mapper may not have seen yet that the last nodes are gone.
        self._serial = counter(1)

    def measure(self, case: Case, count: int) -> int:
        work = [case.name, str(count)]
        if not case.two_nodes:
            return amount_printed_by(_module("benchmarks.driver", work))
        serial = next(self._serial)
        echo_node = f"b{serial}@127.0.0.1"
        with in_background(_module("benchmarks.echo_node", self._named(echo_node)), _says_ready):
            driver = [*work, *self._named(f"a{serial}@127.0.0.1"), "--echo-node", echo_node]
            return amount_printed_by(_module("benchmarks.driver", driver))

    def _named(self, name: str) -> list[str]:
        return ["--name", name, "--cookie", self._cookie, "--epmd-port", str(self._epmd_port)]


def _module(name: str, arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _says_ready(printed: str) -> bool:
    return "ready" in printed.split()


@contextmanager
def pydist_side() -> Generator[Pydist, None, None]:
    """pydist with its own port mapper on a free port; it meets no other nodes of this machine.

    Raises:
        ChildFailed: the port mapper does not come up.
    """
    port = free_port()
    with in_background(_module("pydist.epmd", ["-port", str(port)]), lambda _: answers(port)):
        yield Pydist(port)
