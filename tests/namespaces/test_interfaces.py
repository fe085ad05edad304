"""A WireGuard interface that comes, changes and goes: nodes that have it for their underlay follow it."""

from __future__ import annotations

import pytest

from tests.namespaces.hosts import Host
from tests.namespaces.nodes import Talker, two
from tests.namespaces.test_failures import BACK, TICKTIME
from tests.namespaces.wireguard import Tunnel

pytestmark = pytest.mark.real


def tells(one: Talker, other: Talker, word: str) -> None:
    one.does("tell", other, word)
    other.hears(f"read {word}")


def test_an_interface_that_comes_late_is_waited_for_with_a_word_and_the_node_starts(alpha: Host, beta: Host) -> None:
    late, there = Tunnel(alpha), Tunnel(beta)
    late.meet(there)
    there.meet(late)
    there.start()
    a = Talker("a", late, first="event=underlay_awaited", underlay="wg0")
    late.start()
    a.hears("ready")
    b = Talker("b", there, underlay="wg0")
    a.meets(b)
    tells(b, a, "at-last")


def test_an_interface_that_changes_its_address_is_followed_and_the_node_reached_there(tunnels: list[Tunnel]) -> None:
    alpha, beta = tunnels[0].host, tunnels[1]
    alpha.know({"beta": beta.address})
    a = Talker("a@alpha", tunnels[0], underlay="wg0", net_ticktime=TICKTIME, keep_connected=["b@beta"])
    b = Talker("b@beta", beta, underlay="wg0", net_ticktime=TICKTIME)
    a.hears(f"up {b.name}", BACK)
    beta.move("10.9.0.12")
    alpha.know({"beta": beta.address})
    b.hears(f"down {a.name} connection_closed")
    a.hears(f"down {b.name}")
    a.hears(f"up {b.name}", BACK)
    tells(a, b, "found-again")
    assert "10.9.0.12:" in alpha.run("ss", "-Htn", "state", "established")


def test_an_interface_that_goes_is_reported_and_when_it_is_back_the_nodes_meet_again(tunnels: list[Tunnel]) -> None:
    names = [f"{short}@{tunnel.address}" for short, tunnel in zip("ab", tunnels, strict=True)]
    a, b = two(tunnels, underlay="wg0", net_ticktime=TICKTIME, keep_connected=names)
    tunnels[1].kill()
    b.hears("now=[] event=underlay_changed")
    b.hears(f"down {a.name} connection_closed")
    a.hears(f"down {b.name} net_tick_timeout")
    tunnels[1].start()
    b.hears(f"now=['{tunnels[1].address}'] event=underlay_changed")
    a.hears(f"up {b.name}", BACK)
    tells(a, b, "welcome")


def test_nodes_whose_names_are_no_addresses_meet_by_what_the_underlay_says_of_their_hosts(
    tunnels: list[Tunnel],
) -> None:
    hosts = {tunnel.host.name: tunnel.address for tunnel in tunnels}
    a, b = (
        Talker(f"{short}@{tunnel.host.name}", tunnel, underlay="wg0", hosts=hosts)
        for short, tunnel in zip("ab", tunnels, strict=True)
    )
    a.meets(b)
    tells(a, b, "hello-beta")
    tells(b, a, "hello-alpha")
