from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media import rtp

PLAIN = struct.pack(">BBHII", 0x80, 0x80 | 96, 17, 4000, 0xCAFE) + b"payload"
EXTENDED = struct.pack(">BBHIIHHI", 0x90, 96, 18, 4000, 0xCAFE, 0xBEDE, 1, 0x10FF0000) + b"payload"
CONTRIBUTED = struct.pack(">BBHIII", 0x81, 96, 19, 4000, 0xCAFE, 7) + b"payload"
PADDED = struct.pack(">BBHII", 0xA0, 96, 20, 4000, 0xCAFE) + b"payload\0\0\3"


@pytest.mark.parametrize(
    ("packet", "header"),
    [
        (PLAIN, rtp.Header(96, True, 17, 4000, 0xCAFE, 12)),
        (EXTENDED, rtp.Header(96, False, 18, 4000, 0xCAFE, 20)),
        (CONTRIBUTED, rtp.Header(96, False, 19, 4000, 0xCAFE, 16)),
        (PADDED, rtp.Header(96, False, 20, 4000, 0xCAFE, 12)),
    ],
)
def test_headers_are_read_past_sources_and_extensions(packet: bytes, header: rtp.Header) -> None:
    assert rtp.parse(packet) == header


@pytest.mark.parametrize(
    ("packet", "rewritten"),
    [
        (PLAIN, struct.pack(">BBHII", 0x80, 0x80 | 100, 1, 2, 3) + b"payload"),
        (EXTENDED, struct.pack(">BBHII", 0x80, 100, 1, 2, 3) + b"payload"),
        (CONTRIBUTED, struct.pack(">BBHII", 0x80, 100, 1, 2, 3) + b"payload"),
        (PADDED, struct.pack(">BBHII", 0xA0, 100, 1, 2, 3) + b"payload\0\0\3"),
    ],
)
def test_a_rewritten_packet_has_the_new_numbers_the_marker_the_padding_and_no_extension(
    packet: bytes, rewritten: bytes
) -> None:
    header = rtp.parse(packet)
    assert rtp.rewrite(packet, header, payload_type=100, sequence=1, timestamp=2, ssrc=3) == rewritten


@pytest.mark.parametrize(
    "packet",
    [
        PLAIN[:11],
        b"\x40" + PLAIN[1:],
        b"\x8f" + PLAIN[1:],
        EXTENDED[:14],
        EXTENDED[:15] + b"\x09" + EXTENDED[16:],
        PADDED[:-1] + b"\xff",
        PADDED[:-1] + b"\x00",
    ],
)
def test_lengths_that_do_not_fit_are_refused(packet: bytes) -> None:
    with pytest.raises(rtp.RtpError):
        rtp.parse(packet)


@given(st.binary(max_size=64))
def test_random_bytes_raise_the_documented_error_only(garbage: bytes) -> None:
    try:
        header = rtp.parse(garbage)
    except rtp.RtpError:
        return
    assert header.payload_at <= len(garbage)


@pytest.mark.parametrize(("second", "expected"), [(191, False), (192, True), (200, True), (223, True), (224, False)])
def test_rtcp_is_told_from_rtp_by_the_second_byte(second: int, expected: bool) -> None:
    assert rtp.is_rtcp(bytes((0x80, second))) is expected
