"""The peers of a WireGuard interface, as `wg show` tells them; only root may ask."""

from __future__ import annotations

import asyncio
import subprocess
from ipaddress import ip_network
from typing import Final, TypeAlias

from pydist.core.addresses import Subnet

Peers: TypeAlias = dict[str, tuple[Subnet, ...]]
"""Which addresses each peer may have, by its public key."""

PATIENCE: Final = 2.0
"""Seconds that `wg` may take."""


async def peers_of(interface: str) -> Peers | None:
    """All peers; None where `wg` is not installed, may not be asked, or does not answer."""
    return await asyncio.to_thread(_ask, interface)


def _ask(interface: str) -> Peers | None:
    try:
        # Not `dump`: that has the private key in it.
        done = subprocess.run(
            ["wg", "show", interface, "allowed-ips"],  # noqa: S607  # where it is differs
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else read_peers(done.stdout.decode(errors="replace"))


def read_peers(text: str) -> Peers:
    """What `wg show INTERFACE allowed-ips` writes: a line for each peer, with its key and its subnets."""
    lines = (line.split() for line in text.splitlines())
    return {
        key: tuple(ip_network(each) for each in allowed if each != "(none)") for key, *allowed in filter(None, lines)
    }
