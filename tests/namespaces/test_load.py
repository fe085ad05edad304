"""Messages that are much larger than the packets of a tunnel."""

from __future__ import annotations

import pytest

from tests.namespaces.nodes import two
from tests.namespaces.wireguard import Tunnel

pytestmark = pytest.mark.real

SIZE = 100 * 1024 * 1024
TUNNEL_MTU = 1420


def test_a_message_of_100_mib_crosses_the_tunnel_whole(tunnels: list[Tunnel]) -> None:
    assert f"mtu {TUNNEL_MTU} " in tunnels[0].host.run("ip", "link", "show", "wg0")
    a, b = two(tunnels)
    a.does("pour", b, SIZE)
    digest = a.program.until("poured").split()[-1]
    assert b.program.until("read", 120.0).split()[1:] == ["read", str(SIZE), digest]
