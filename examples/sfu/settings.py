"""What one node is told when it starts."""

from __future__ import annotations

import attrs

from examples.sfu.media.stun import Address


@attrs.frozen
class Settings:
    """One node's name, its two ports, and the nodes it shall find."""

    name: str
    """As `name@host`."""
    http: Address
    media: Address
    """The UDP port; browsers and the other nodes must be able to reach it under this address."""
    seeds: tuple[str, ...] = ()
    """The other nodes' names."""
    allow_kill: bool = False
    """Let `POST /api/debug/kill` end processes: for tests and demonstrations."""

    @property
    def url(self) -> str:
        """Where browsers find this node."""
        return f"http://{text_of(self.http)}"


def text_of(address: Address) -> str:
    """`host:port`, as in a URL."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
