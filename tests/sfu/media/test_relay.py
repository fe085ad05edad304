from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media import relay


def test_a_packet_on_a_link_has_nine_bytes_in_front() -> None:
    assert relay.pack(0x0102030405060708, b"rtp") == bytes.fromhex("d5 0102030405060708") + b"rtp"


@given(st.integers(0, 2**64 - 1), st.binary(min_size=1, max_size=1500))
def test_what_is_packed_is_unpacked(link: int, packet: bytes) -> None:
    assert relay.unpack(relay.pack(link, packet)) == (link, packet)


@pytest.mark.parametrize("datagram", [b"", b"\xd5", b"\xd5" + bytes(8), b"\x80" + bytes(20)])
def test_what_is_no_relay_packet_is_refused(datagram: bytes) -> None:
    with pytest.raises(relay.RelayError):
        relay.unpack(datagram)
