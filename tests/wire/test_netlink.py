from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.wire.netlink import Owned, address_request, read_addresses

LOCAL, ADDRESS, FLAGS = 2, 1, 8
DONE = struct.pack("=IHHII", 16, 3, 0, 1, 0)


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def told(index: int, interface: IPv4Interface | IPv6Interface, attributes: bytes) -> bytes:
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, interface.network.prefixlen, 0, 0, index) + attributes
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


def test_addresses_are_read_with_their_interface_and_prefix() -> None:
    two, six = ip_interface("10.0.0.2/24"), ip_interface("fd00::2/64")
    data = told(3, two, attribute(LOCAL, two.packed)) + told(4, six, attribute(ADDRESS, six.packed)) + DONE
    assert read_addresses(data) == ([Owned(3, two), Owned(4, six)], True)
    assert read_addresses(b"") == ([], False)


def test_on_a_link_between_two_it_is_the_own_address_that_counts() -> None:
    own, other = ip_interface("10.0.0.2/32"), ip_interface("10.0.0.9/32")
    data = told(3, own, attribute(ADDRESS, other.packed) + attribute(LOCAL, own.packed))
    assert read_addresses(data) == ([Owned(3, own)], False)


@pytest.mark.parametrize("flag", [0x40, 0x08])
def test_an_address_that_can_not_be_bound_yet_is_left_out(flag: int) -> None:
    six = ip_interface("fd00::2/64")
    data = told(4, six, attribute(ADDRESS, six.packed) + attribute(FLAGS, struct.pack("=I", flag)))
    assert read_addresses(data) == ([], False)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_to_its_end(data: bytes) -> None:
    addresses, _ = read_addresses(data)
    assert len(addresses) <= len(data)


def test_linux_answers_the_request_with_loopback() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(1.0)
        sock.send(address_request())
        addresses, _ = read_addresses(sock.recv(1 << 16))
    assert ip_interface("127.0.0.1/8") in [each.address for each in addresses]
