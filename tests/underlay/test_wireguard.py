from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from ipaddress import ip_interface
from typing import Any, TypeVar

import pytest
from structlog.typing import EventDict

from pydist.errors import NodeStartError, Unreachable
from pydist.underlay import Member
from pydist.underlay.interfaces import Interface, SystemInterfaces
from pydist.underlay.named import underlay_named
from pydist.underlay.wg_show import Peers, read_peers
from pydist.underlay.wireguard import WireGuardUnderlay
from tests.virtual_time import VirtualLoop

T = TypeVar("T")


def wg(*addresses: str, name: str = "wg0") -> Interface:
    return Interface(name, is_wireguard=True, addresses=tuple(ip_interface(each) for each in addresses))


ETH = Interface("eth0", is_wireguard=False, addresses=(ip_interface("192.168.1.2/24"),))


class Fake:
    """Interfaces that a test changes; `routes` says from which own address what is reached."""

    def __init__(self, *there: Interface) -> None:
        self.there = list(there)
        self.routes: dict[str, str] = {}

    def read(self) -> list[Interface]:
        return self.there

    def source_of(self, address: str) -> str | None:
        return self.routes.get(address)


def no_peers_known(_interface: str) -> Coroutine[Any, Any, Peers | None]:
    async def none() -> Peers | None:
        return None

    return none()


def underlay_of(fake: Fake, interface: str | None = "wg0", **options: Any) -> WireGuardUnderlay:
    settings: dict[str, Any] = {"peers": no_peers_known, **options}
    return WireGuardUnderlay(interface, interfaces=fake, **settings)


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def test_an_interface_that_is_there_is_ready_at_once_with_all_its_addresses() -> None:
    underlay = underlay_of(Fake(ETH, wg("10.0.0.2/24", "fd00::2/64")))
    assert in_virtual_time(underlay.ready()) == ("10.0.0.2", "fd00::2")
    assert (underlay.spec, underlay.addresses()) == ("wireguard:wg0", ("10.0.0.2", "fd00::2"))


def test_without_a_name_it_is_the_first_wireguard_interface_that_there_is() -> None:
    underlay = underlay_of(Fake(ETH, wg("10.1.0.2/24", name="wg1"), wg("10.0.0.2/24")), None)
    assert (underlay.spec, in_virtual_time(underlay.ready())) == ("wireguard", ("10.0.0.2",))


async def appears_after(fake: Fake, seconds: float, *there: Interface) -> None:
    await asyncio.sleep(seconds)
    fake.there = list(there)


def test_an_interface_that_comes_late_is_waited_for_and_the_log_says_so(logs: list[EventDict]) -> None:
    fake = Fake(ETH)

    async def main() -> tuple[str, ...]:
        coming = asyncio.create_task(appears_after(fake, 24.5, ETH, wg("10.0.0.2/24")))
        addresses = await underlay_of(fake, patience=math.inf).ready()
        await coming
        return addresses

    assert in_virtual_time(main()) == ("10.0.0.2",)
    lines = [(line["event"], line["reason"], line["waited"]) for line in logs]
    assert lines == [("underlay_awaited", "there is no interface wg0", waited) for waited in (0, 10, 20)]


@pytest.mark.parametrize(
    ("there", "interface", "text"),
    [
        ((ETH,), "wg0", "there is no interface wg0 after 60 s"),
        ((ETH,), None, "there is no WireGuard interface after 60 s"),
        ((wg(),), "wg0", "the interface wg0 has no address after 60 s"),
        ((ETH,), "eth0", "eth0 is no WireGuard interface: what goes over it is not encrypted"),
    ],
)
def test_what_does_not_come_in_time_or_encrypts_nothing_is_an_error(
    there: tuple[Interface, ...], interface: str | None, text: str
) -> None:
    with pytest.raises(NodeStartError, match=text):
        in_virtual_time(underlay_of(Fake(*there), interface).ready())


@pytest.mark.parametrize("patience", [-1.0, math.nan])
def test_an_impossible_patience_is_refused(patience: float) -> None:
    with pytest.raises(NodeStartError, match="patience is a number of seconds"):
        WireGuardUnderlay("wg0", patience=patience)


def test_addresses_that_change_go_and_come_back_are_told_and_none_is_missed() -> None:
    fake = Fake(wg("10.0.0.2/24"))
    underlay = underlay_of(fake)

    async def main() -> list[tuple[str, ...]]:
        told = [await underlay.ready()]
        for there in ((wg("10.0.0.3/24"),), (), (wg("10.0.0.3/24"),)):
            changing = asyncio.create_task(appears_after(fake, 5.0, *there))
            told.append(await underlay.changed(told[-1]))
            await changing
        return [*told, await underlay.changed(())]

    assert in_virtual_time(main()) == [("10.0.0.2",), ("10.0.0.3",), (), ("10.0.0.3",), ("10.0.0.3",)]


def test_an_address_is_of_the_underlay_if_it_is_its_own_or_the_way_to_it_leads_there() -> None:
    fake = Fake(wg("10.0.0.2/32", "2a00:1::2/64"), ETH)
    mine = "10.0.0.2"
    fake.routes = {"10.0.0.3": mine, "10.7.0.1": mine, "192.168.1.9": "192.168.1.2", "8.8.8.8": mine, "127.0.0.1": mine}
    fake.routes |= {"2a00:1::3": "2a00:1::2", "2a00:2::3": "2a00:1::2", "fe80::1": "2a00:1::2"}
    underlay = underlay_of(fake)
    assert not underlay.contains(mine)
    in_virtual_time(underlay.ready())
    inside = [mine, "::ffff:10.0.0.2", "10.0.0.3", "10.7.0.1", "2a00:1::3"]
    outside = ["192.168.1.9", "192.168.1.2", "8.8.8.8", "127.0.0.1", "0.0.0.0", "2a00:2::3", "fe80::1", "10.9.9.9", "x"]  # noqa: S104  # asked
    assert [each for each in [*inside, *outside] if underlay.contains(each)] == inside


def test_a_look_that_fails_is_logged_and_changes_nothing(logs: list[EventDict]) -> None:
    class Failing(Fake):
        failing = False

        def read(self) -> list[Interface]:
            if self.failing:
                self.failing = False
                raise TimeoutError("timed out")
            return super().read()

    fake = Failing(wg("10.0.0.2/24"))
    underlay = underlay_of(fake)

    async def main() -> tuple[str, ...]:
        known = await underlay.ready()
        fake.failing = True
        coming = asyncio.create_task(appears_after(fake, 5.0, wg("10.0.0.3/24")))
        changed = await underlay.changed(known)
        await coming
        return changed

    assert in_virtual_time(main()) == ("10.0.0.3",)
    assert [(line["event"], line["reason"]) for line in logs] == [("interfaces_not_read", "timed out")]


def test_names_are_resolved_within_the_underlay_alone() -> None:
    fake = Fake(wg("10.0.0.2/24"), ETH)
    fake.routes = {"10.0.0.3": "10.0.0.2", "192.168.1.9": "192.168.1.2"}
    underlay = underlay_of(fake, hosts={"beta": "10.0.0.3", "gamma": "192.168.1.9"})

    async def main() -> list[str]:
        found = [await underlay.resolve("beta"), await underlay.resolve("10.0.0.2")]
        with pytest.raises(Unreachable, match=r"gamma has the address 192\.168\.1\.9, which is not of the underlay"):
            await underlay.resolve("gamma")
        fake.there = []
        with pytest.raises(Unreachable, match="no way to beta: there is no interface wg0"):
            await underlay.resolve("beta")
        return found

    assert in_virtual_time(main()) == ["10.0.0.3", "10.0.0.2"]


KEYS = "aaa=\t10.0.0.3/32 10.7.0.0/16\nbbb=\t10.7.1.0/24 fd00::3/128\nccc=\t(none)\n"


def test_who_is_at_an_address_is_the_peer_that_may_have_it() -> None:
    async def peers(_interface: str) -> Peers | None:
        return read_peers(KEYS)

    beta = Member("beta", frozenset({"tag:ops"}))
    underlay = underlay_of(Fake(wg("10.0.0.2/24")), peers=peers, members={"aaa=": beta})

    async def main() -> list[Member | None]:
        await underlay.ready()
        return [await underlay.whois(each) for each in ("10.0.0.3", "10.7.1.1", "10.7.2.1", "10.0.0.4", "x")]

    assert in_virtual_time(main()) == [beta, Member("bbb="), beta, None, None]


def test_an_interface_without_peers_is_reported_and_peers_that_nobody_tells_are_not(logs: list[EventDict]) -> None:
    async def lonely(_interface: str) -> Peers | None:
        return {}

    in_virtual_time(underlay_of(Fake(wg("10.0.0.2/24"))).ready())
    in_virtual_time(underlay_of(Fake(wg("10.0.0.2/24")), peers=lonely).ready())
    assert [line["event"] for line in logs] == ["underlay_without_peers"]


def test_the_interfaces_of_this_host_are_read_and_loopback_is_no_wireguard() -> None:
    interfaces = SystemInterfaces()
    [lo] = [each for each in interfaces.read() if each.name == "lo"]
    assert (lo.is_wireguard, ip_interface("127.0.0.1/8") in lo.addresses) == (False, True)
    assert interfaces.source_of("127.0.0.1") == "127.0.0.1"


def test_underlays_have_names_for_the_command_line() -> None:
    names = ["loopback", "tailscale", "wireguard", "wireguard:wg0"]
    assert [underlay_named(name).spec for name in names] == names
    for name in ("", "wg0", "loopback:", "wireguard:", "tailnet"):
        with pytest.raises(NodeStartError, match="is no underlay"):
            underlay_named(name)
