"""RTP headers (RFC 3550 section 5.1): read once, written anew for each subscriber. The payload is never looked at."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_FIXED: Final = struct.Struct(">BBHII")
_EXTENSION: Final = struct.Struct(">HH")


class RtpError(ValueError):
    """The bytes are no RTP packet."""


class Header(NamedTuple):
    """What forwarding needs of a packet, and where its payload begins."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload_at: int


def parse(packet: bytes) -> Header:
    """Read the header, past contributing sources and extensions.

    Raises:
        RtpError: another version, or lengths that do not fit.
    """
    if len(packet) < _FIXED.size:
        raise RtpError("shorter than an RTP header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    if first >> 6 != 2:
        raise RtpError("not version 2")
    at = _FIXED.size + 4 * (first & 0x0F)
    if first & 0x10:
        at = _after_extension(packet, at)
    padding = packet[-1] if first & 0x20 else 0
    if at + padding > len(packet) or (first & 0x20 and not padding):
        raise RtpError("header and padding are longer than the packet")
    return Header(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, at)


def _after_extension(packet: bytes, at: int) -> int:
    """The extension block counts 32-bit words, and its own four bytes are not among them (section 5.3.1)."""
    if at + _EXTENSION.size > len(packet):
        raise RtpError("the extension is longer than the packet")
    _, words = _EXTENSION.unpack_from(packet, at)
    return at + _EXTENSION.size + 4 * int(words)


def rewrite(packet: bytes, header: Header, *, payload_type: int, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """The same payload behind a new header, which has neither contributing sources nor extensions.

    Padding stays: it is the tail of the payload as far as this file knows.
    """
    first = 0x80 | (packet[0] & 0x20)
    second = (0x80 if header.marker else 0) | payload_type
    return _FIXED.pack(first, second, sequence, timestamp, ssrc) + packet[header.payload_at :]


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet on a multiplexed port is RTCP (RFC 5761 section 4)."""
    return len(packet) > 1 and 192 <= packet[1] <= 223
