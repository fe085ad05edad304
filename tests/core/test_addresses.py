from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.addresses import TAILNET, kind_of, parse_address, within

addresses = st.ip_addresses()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.0.0.0", "any"),  # noqa: S104  # read, not bound
        ("::", "any"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1%wg0", "link-local"),
        ("100.64.0.1", "tailnet"),
        ("100.127.255.254", "tailnet"),
        ("100.128.0.1", "public"),
        ("fd7a:115c:a1e0::1", "tailnet"),
        ("fd7a:115c:a1e1::1", "private"),
        ("10.0.0.2", "private"),
        ("192.168.1.1", "private"),
        ("fd00::2", "private"),
        ("8.8.8.8", "public"),
        ("2a00::1", "public"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0.0.0.0", "any"),
        ("::ffff:8.8.8.8", "public"),
    ],
)
def test_each_address_is_of_one_kind(text: str, kind: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert kind_of(address) == kind


@pytest.mark.parametrize("text", ["", "alpha", "10.0.0", "10.0.0.2:4369", "10.0.0.2/24", "[::1]", "1"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@given(addresses)
def test_whatever_is_written_as_an_address_is_read_as_that_address(address: IPv4Address | IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert parse_address(str(address)) == (mapped or address)


@given(st.ip_addresses(v=4))
def test_an_address_that_came_through_a_socket_for_both_families_is_of_the_same_kind(address: IPv4Address) -> None:
    mapped = parse_address(f"::ffff:{address}")
    assert mapped is not None
    assert kind_of(mapped) == kind_of(address)


@given(addresses)
def test_no_public_address_is_in_a_tailnet_or_private(address: IPv4Address | IPv6Address) -> None:
    if address.is_global:
        assert (kind_of(address), within(address, TAILNET)) == ("public", False)


def test_a_zone_is_left_out_of_account() -> None:
    zoned = parse_address("fd00::1%wg0")
    assert zoned is not None
    assert [within(zoned, [ip_network(net)]) for net in ("fd00::/64", "fd01::/64", "10.0.0.0/8")] == [
        True,
        False,
        False,
    ]
