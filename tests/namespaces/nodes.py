"""Talkers (see `talker.py`) on hosts, as a test sees them."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.namespaces.hosts import PATIENCE, Program
from tests.namespaces.wireguard import Tunnel

COOKIE = "the cookie of these tests"


class Talker:
    """A node on the host of a tunnel, named after that host's address there if `named` is no whole name.

    It has begun when it says `first`.
    """

    def __init__(self, named: str, tunnel: Tunnel, *, first: str = "ready", **options: Any) -> None:
        self.name = named if "@" in named else f"{named}@{tunnel.address}"
        # An underlay tells the port mapper where to listen, too.
        port_mapper = {} if "underlay" in options else {"ERL_EPMD_ADDRESS": tunnel.address}
        self.program: Program = tunnel.host.start(
            sys.executable,
            "-m",
            "tests.namespaces.talker",
            json.dumps({"name": self.name, "cookie": COOKIE, **options}),
            environment=port_mapper,
        )
        self.hears(first)

    def does(self, verb: str, other: Talker, *words: object) -> None:
        """Order something that concerns another node."""
        self.program.say(" ".join(map(str, (verb, other.name, *words))))

    def hears(self, text: str, within: float = PATIENCE) -> float:
        """Wait for a line with `text` in it; when that was said, in seconds of `time.monotonic`."""
        return float(self.program.until(text, within).split()[0])

    def meets(self, other: Talker) -> None:
        """Connect, until both know."""
        self.does("connect", other)
        self.hears(f"up {other.name}")
        other.hears(f"up {self.name}")


def two(tunnels: list[Tunnel], **options: Any) -> tuple[Talker, Talker]:
    """The nodes a and b on the first two hosts, connected."""
    a, b = Talker("a", tunnels[0], **options), Talker("b", tunnels[1], **options)
    a.meets(b)
    return a, b
