"""What others on the way can see, and whom they can reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from tests.namespaces.capture import Capture
from tests.namespaces.hosts import Host, Switch
from tests.namespaces.nodes import COOKIE, Talker, two
from tests.namespaces.wireguard import PORT, Tunnel, join

pytestmark = pytest.mark.real

IPV4: Final = b"\x08\x00"
TCP: Final = 6
UDP: Final = 17
LONG: Final = 16
"""So many bytes are the same by no chance."""

TRY: Final = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as connection:
        connection.settimeout(1)
        print("taken", connection.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def ports(host: Host, address: str) -> set[int]:
    """Where something listens at that address, or at all addresses."""
    places = [line.split()[3].rpartition(":") for line in host.run("ss", "-Hltn").splitlines()]
    return {int(port) for where, _, port in places if where in {address, "0.0.0.0", "*", "[::]"}}  # noqa: S104  # compared


def tcp_payload(packet: bytes) -> bytes:
    """What an IPv4 packet of wg0 carries."""
    ip = 4 * (packet[0] & 15)
    return packet[ip + 4 * (packet[ip + 12] >> 4) :]


def test_the_network_below_sees_none_of_the_bytes_that_nodes_exchange(tunnels: list[Tunnel], tmp_path: Path) -> None:
    alpha = tunnels[0].host
    inside, outside = Capture(alpha, "wg0", tmp_path / "wg0"), Capture(alpha, "eth0", tmp_path / "eth0")
    a, b = two(tunnels)
    a.does("tell", b, "SECRET-MARKER")
    b.hears("read SECRET-MARKER")
    seen_inside = [payload for packet in inside.packets() if len(payload := tcp_payload(packet)) >= LONG]
    below = outside.packets()
    seen_below = b"".join(below)
    for shown in (b"SECRET-MARKER", a.name.encode(), b.name.encode()):
        assert any(shown in payload for payload in seen_inside)
        assert shown not in seen_below
    assert [payload for payload in seen_inside if payload[:LONG] in seen_below or payload in seen_below] == []
    assert COOKIE.encode() not in b"".join(seen_inside)
    sent = [packet[14:] for packet in below if packet[12:14] == IPV4]
    assert {(packet[9], int.from_bytes(packet[22:24])) for packet in sent if packet[9] in {TCP, UDP}} == {(UDP, PORT)}


def test_nothing_listens_at_the_addresses_of_the_network_below(tunnels: list[Tunnel]) -> None:
    two(tunnels)
    for tunnel in tunnels:
        assert ports(tunnel.host, tunnel.host.address) == set()
        assert len(ports(tunnel.host, tunnel.address)) == 2  # the node, and the port mapper


def test_a_stranger_in_the_network_below_is_refused_at_every_port(switch: Switch, tunnels: list[Tunnel]) -> None:
    two(tunnels)
    stranger = switch.add("stranger")
    for port in ports(tunnels[0].host, tunnels[0].address):
        said = stranger.run(sys.executable, "-c", TRY, tunnels[0].host.address, str(port))
        assert said == "ConnectionRefusedError\n"


def test_a_stranger_that_routes_to_the_tunnels_address_is_closed_before_a_word_by_nodes_with_the_underlay(
    switch: Switch, tunnels: list[Tunnel]
) -> None:
    a, b = two(tunnels, underlay="wg0")
    stranger = switch.add("stranger")
    # Linux takes packets for any of its addresses, whatever interface they come by.
    stranger.run("ip", "route", "add", tunnels[0].address, "via", tunnels[0].host.address)
    own = ports(tunnels[0].host, tunnels[0].address)
    assert len(own) == 2  # the node, and the port mapper
    said = {stranger.run(sys.executable, "-c", TRY, tunnels[0].address, str(port)) for port in own}
    assert said <= {"taken b''\n", "ConnectionResetError\n"}
    a.does("tell", b, "still-here")
    b.hears("read still-here")


def test_who_is_in_the_tunnel_without_the_cookie_gets_nowhere(switch: Switch, alpha: Host, beta: Host) -> None:
    tunnels = join(alpha, beta, switch.add("guest"))
    a, b = two(tunnels)
    guest = Talker("guest", tunnels[2], cookie="another")
    guest.does("watch", a)
    guest.hears("lost Atom('noconnection')")
    guest.does("tell", a, "from-the-guest")
    b.does("tell", a, "from-b")
    assert "from-b" in a.program.until("")  # the first thing that a hears
