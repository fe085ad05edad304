"""What goes wrong between hosts: nodes notice in time, say so, and find each other again."""

from __future__ import annotations

import time

import pytest

from tests.namespaces.hosts import Switch
from tests.namespaces.nodes import Talker, two
from tests.namespaces.wireguard import Tunnel

pytestmark = pytest.mark.real

TICKTIME = 2.0
SUSPECT = 1.5
"""By default three quarters of the time, with four intervals in it."""
INTERVAL = TICKTIME / 4
SLACK = 2.0
"""Seconds that a busy machine may be late."""
AT_ONCE = SLACK
BACK = 30.0
"""Seconds until nodes have met again: pauses between attempts are ten seconds at most, WireGuard's five."""


def kept(tunnels: list[Tunnel]) -> tuple[Talker, Talker]:
    """Nodes that come back to each other by themselves."""
    names = [f"{short}@{tunnel.address}" for short, tunnel in zip("ab", tunnels, strict=True)]
    return two(tunnels, net_ticktime=TICKTIME, keep_connected=names)


def falls_silent(one: Talker, other: str, since: float, *, watched: bool = False) -> None:
    """It is suspect first, and then down, each in its time; who watches a process there hears of that before."""
    suspect = one.hears(f"suspect {other}") - since
    if watched:
        one.hears("lost Atom('noconnection')")
    down = one.hears(f"down {other} net_tick_timeout") - since
    assert SUSPECT - 2 * INTERVAL <= suspect <= SUSPECT + SLACK
    assert TICKTIME - 2 * INTERVAL <= down <= TICKTIME + INTERVAL + SLACK


def test_a_partition_is_noticed_in_time_by_both_and_its_end_brings_them_together(tunnels: list[Tunnel]) -> None:
    a, b = kept(tunnels)
    a.does("watch", b)
    a.does("tell", b, "before")
    b.hears("read before")
    since = time.monotonic()
    tunnels[1].host.unplug()
    falls_silent(a, b.name, since, watched=True)
    falls_silent(b, a.name, since)
    tunnels[1].host.plug()
    a.hears(f"up {b.name}", BACK)
    b.hears(f"up {a.name}", BACK)
    a.does("tell", b, "after")
    b.hears("read after")


def test_a_short_partition_is_a_suspicion_and_nothing_is_lost(tunnels: list[Tunnel]) -> None:
    a, b = two(tunnels, net_ticktime=8.0, net_tickintensity=20, suspect_after=1.0)
    tunnels[1].host.unplug()
    a.does("tell", b, "into-the-silence")
    a.hears(f"suspect {b.name}")
    tunnels[1].host.plug()
    a.hears(f"recovered {b.name}")
    b.hears("read into-the-silence")


def test_a_killed_node_is_noticed_at_once_and_found_again(tunnels: list[Tunnel]) -> None:
    a, b = kept(tunnels)
    since = time.monotonic()
    b.program.kill()
    assert a.hears(f"down {b.name} connection_closed") - since <= AT_ONCE
    again = Talker("b", tunnels[1])
    a.hears(f"up {b.name}", BACK)
    a.does("tell", again, "welcome")
    again.hears("read welcome")


def test_the_end_of_wireguard_is_a_silence_and_its_return_ends_it(tunnels: list[Tunnel]) -> None:
    a, b = kept(tunnels)
    since = time.monotonic()
    tunnels[1].kill()
    falls_silent(a, b.name, since)
    falls_silent(b, a.name, since)
    tunnels[1].start()
    a.hears(f"up {b.name}", BACK)
    b.hears(f"up {a.name}", BACK)
    a.does("tell", b, "welcome")
    b.hears("read welcome")


def test_a_power_cut_is_a_silence_and_the_host_that_comes_back_is_another_node(
    switch: Switch, tunnels: list[Tunnel]
) -> None:
    a, b = kept(tunnels)
    a.does("watch", b)
    since = time.monotonic()
    tunnels[1].host.cut_power()
    falls_silent(a, b.name, since, watched=True)
    tunnels[1].host.boot()
    tunnels[1].start()
    # Who comes back speaks first: the other's WireGuard holds on to keys that are gone, for a quarter of a minute.
    again = Talker("b", tunnels[1], keep_connected=[a.name])
    a.hears(f"up {b.name}", BACK)
    a.does("tell", again, "welcome")
    again.hears("read welcome")
