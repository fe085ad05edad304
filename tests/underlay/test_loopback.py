from __future__ import annotations

import asyncio

import pytest

from pydist.errors import NodeStartError, Unreachable
from pydist.underlay import Member, Underlay
from pydist.underlay.loopback import LoopbackUnderlay


async def test_its_addresses_are_there_at_once_and_stay() -> None:
    plain: Underlay = LoopbackUnderlay()
    several = LoopbackUnderlay("127.0.0.2", "::1")
    assert (plain.spec, plain.addresses(), await plain.ready()) == ("loopback", ("127.0.0.1",), ("127.0.0.1",))
    assert (several.addresses(), await several.changed(())) == (("127.0.0.2", "::1"), ("127.0.0.2", "::1"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(plain.changed(("127.0.0.1",)), 0.01)


def test_it_contains_what_never_leaves_this_host() -> None:
    underlay = LoopbackUnderlay("127.0.0.2")
    asked = ("127.0.0.1", "127.7.7.7", "::1", "::ffff:127.0.0.1", "10.0.0.2", "8.8.8.8", "::", "alpha", "")
    assert [underlay.contains(each) for each in asked] == [True] * 4 + [False] * 5


@pytest.mark.parametrize("address", ["10.0.0.2", "0.0.0.0", "::", "localhost", ""])  # noqa: S104  # refused
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(NodeStartError, match="is no loopback address"):
        LoopbackUnderlay(address)
    with pytest.raises(NodeStartError, match="is no loopback address"):
        LoopbackUnderlay(hosts={"alpha": address})


async def test_a_name_need_not_be_an_address() -> None:
    underlay = LoopbackUnderlay(hosts={"alpha": "127.0.0.2", "10.0.0.9": "127.0.0.9"})
    hosts = ("alpha", "10.0.0.9", "127.0.0.3", "::1")
    assert [await underlay.resolve(host) for host in hosts] == ["127.0.0.2", "127.0.0.9", "127.0.0.3", "::1"]
    assert await underlay.resolve("localhost") in {"127.0.0.1", "::1"}


async def test_an_address_of_another_network_is_no_address_here() -> None:
    underlay = LoopbackUnderlay()
    with pytest.raises(Unreachable, match=r"^10\.0\.0\.2 is not of the underlay loopback: give the underlay"):
        await underlay.resolve("10.0.0.2")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 300, ".", "a..b"])
async def test_a_name_that_nobody_knows_is_an_error(host: str) -> None:
    with pytest.raises(Unreachable, match="is known here"):
        await LoopbackUnderlay().resolve(host)


async def test_who_is_where_is_what_was_said() -> None:
    beta = Member("beta", frozenset({"tag:ops"}))
    underlay = LoopbackUnderlay(members={"127.0.0.2": beta})
    assert (await underlay.whois("127.0.0.2"), await underlay.whois("127.0.0.1")) == (beta, None)
    assert beta.tags == frozenset({"tag:ops"})
