"""WireGuard between hosts: `wireguard-go` on each of them, with an interface wg0."""

from __future__ import annotations

import subprocess
import time
from itertools import combinations
from typing import Final

from tests.namespaces.hosts import PATIENCE, Host, NamespaceError, Program

PORT: Final = 51820


class Tunnel:
    """The interface wg0 of a host, at `address`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.address = f"10.9.0.{host.number}"
        self._private = _wg("genkey")
        self.public = _wg("pubkey", given=self._private)
        self._peers: list[Tunnel] = []
        self._program: Program | None = None

    def start(self) -> None:
        """Bring wg0 up, with all peers that were met."""
        self.create()
        self.configure()

    def create(self) -> None:
        """Start wireguard-go, which makes the interface."""
        self._program = self.host.start("wireguard-go", "-f", "wg0")
        deadline = time.monotonic() + PATIENCE
        while not self.host.succeeds("wg", "show", "wg0"):
            if time.monotonic() > deadline:
                raise NamespaceError(f"no wg0 came up on {self.host.name}: {self._program.complaints()}")

    def configure(self, *addresses: str) -> None:
        """Give wg0 its key, its peers and its addresses; its own one by default."""
        self.host.run(
            "wg", "set", "wg0", "listen-port", str(PORT), "private-key", "/dev/stdin", given=f"{self._private}\n"
        )
        for address in addresses or (self.address,):
            self.host.run("ip", "address", "add", f"{address}/24", "dev", "wg0")
        self.host.run("ip", "link", "set", "wg0", "up")
        for peer in self._peers:
            self._admit(peer)

    def move(self, address: str) -> None:
        """Take another address; the host's peers know it for its own from now on."""
        before, self.address = self.address, address
        for peer in self._peers:
            peer._admit(self)
        changes = f"address delete {before}/24 dev wg0\naddress add {address}/24 dev wg0\n"
        self.host.run("ip", "-batch", "-", given=changes)

    def meet(self, peer: Tunnel) -> None:
        """Take the other one for a peer; it has to do the same."""
        self._peers.append(peer)
        if self._program is not None:
            self._admit(peer)

    def _admit(self, peer: Tunnel) -> None:
        where = ["allowed-ips", f"{peer.address}/32", "endpoint", f"{peer.host.address}:{PORT}"]
        self.host.run("wg", "set", "wg0", "peer", peer.public, *where)

    def kill(self) -> None:
        """SIGKILL to wireguard-go: wg0 is gone, and its address with it."""
        assert self._program is not None
        self._program.kill()


def join(*hosts: Host) -> list[Tunnel]:
    """A tunnel on each host, to all the others."""
    tunnels = [Tunnel(host) for host in hosts]
    for one, other in combinations(tunnels, 2):
        one.meet(other)
        other.meet(one)
    for tunnel in tunnels:
        tunnel.start()
    return tunnels


def _wg(command: str, given: str = "") -> str:
    done = subprocess.run(["wg", command], input=given, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout.strip()
