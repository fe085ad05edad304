from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import dns.rcode
import pytest

from pydist import BadNodeName, DnsDiscovery, Found, NodeStartError
from pydist.errors import Unreachable
from tests.dns_server import Zone, serving

NAME = "sfu.internal."


@asynccontextmanager
async def asking(zone: Zone, **settings: Any) -> AsyncGenerator[DnsDiscovery]:
    async with serving(zone) as port:
        settings = {"name": NAME, "first": "sfu", "servers": ["127.0.0.1"], "server_port": port, **settings}
        yield DnsDiscovery(**settings)


async def test_each_address_of_a_name_is_a_node() -> None:
    zone = Zone({(NAME, "A"): ["10.0.0.2", "10.0.0.3"], (NAME, "AAAA"): ["fd7a:115c:a1e0::2"]})
    async with asking(zone) as discovery:
        assert sorted(found.node for found in await discovery.look()) == ["sfu@10.0.0.2", "sfu@10.0.0.3"]
    async with asking(zone, records="AAAA") as discovery:
        assert await discovery.look() == [Found("sfu@fd7a:115c:a1e0::2")]


async def test_a_host_of_an_srv_record_is_a_node_with_its_port() -> None:
    name = "_pydist._tcp.sfu.internal."
    zone = Zone({(name, "SRV"): ["10 5 9100 alpha.internal.", "10 5 9200 beta.internal.", "0 0 0 ."]})
    async with asking(zone, name=name, records="SRV") as discovery:
        assert sorted(await discovery.look(), key=str) == [
            Found("sfu@alpha.internal", 9100),
            Found("sfu@beta.internal", 9200),
        ]


async def test_a_name_without_such_records_and_one_that_does_not_exist_stand_for_nobody() -> None:
    zone = Zone({(NAME, "AAAA"): ["fd7a::2"]})
    async with asking(zone) as discovery:
        assert await discovery.look() == []
    async with asking(zone, name="nobody.internal.") as discovery:
        assert await discovery.look() == []


@pytest.mark.parametrize(
    "zone", [Zone(rcode=dns.rcode.SERVFAIL), Zone(rcode=dns.rcode.REFUSED), Zone(silent=True), Zone(garbage=True)]
)
async def test_a_server_that_fails_is_silent_or_talks_nonsense_is_an_error_in_time(zone: Zone) -> None:
    async with asking(zone, timeout=0.3) as discovery:
        with pytest.raises(Unreachable, match=r"DNS does not tell what sfu\.internal\. \(A\) stands for"):
            await discovery.look()
    assert zone.asked > 0


async def test_thousands_of_records_come_by_tcp_and_are_as_many_as_dns_can_hold() -> None:
    many = [f"10.{number >> 8}.{number & 255}.1" for number in range(4000)]
    async with asking(Zone({(NAME, "A"): many})) as discovery:
        assert len(await discovery.look()) == 4000


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"records": "MX"}, NodeStartError, "records is one of A, AAAA, SRV, not 'MX'"),
        ({"first": "a@b"}, BadNodeName, "may hold one @"),
    ],
)
def test_what_makes_no_sense_is_said_when_it_is_made(settings: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        DnsDiscovery(NAME, **({"first": "sfu"} | settings))


def test_without_dnspython_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.asyncresolver", None)
    with pytest.raises(NodeStartError, match=r"pip install 'pydist\[dns\]'"):
        DnsDiscovery(NAME, "sfu")
