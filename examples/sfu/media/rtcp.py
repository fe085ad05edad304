"""RTCP as a forwarder reads and writes it (RFC 3550 section 6, RFC 4585, RFC 5104, REMB).

What is not listed here is passed over: a compound packet may hold kinds that nobody has heard of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import attrs

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
PAYLOAD_FEEDBACK: Final = 206

_PLI: Final = 1
_FIR: Final = 4
_APPLICATION_LAYER: Final = 15
_CNAME: Final = 1

_HEADER: Final = struct.Struct(">BBH")
_SENDER_INFO: Final = struct.Struct(">IQIII")
_FEEDBACK: Final = struct.Struct(">II")
_REPORT_BLOCK: Final = struct.Struct(">IIIIII")


class RtcpError(ValueError):
    """The bytes are no compound RTCP packet."""


@attrs.frozen
class SenderReport:
    """What ties a source's timestamps to its clock."""

    ssrc: int
    ntp: int
    """64 bits: seconds since 1900, and their fraction."""
    timestamp: int
    packets: int
    octets: int


@attrs.frozen
class KeyFrameRequest:
    """PLI or FIR: the decoder of `ssrc` can't go on without a key frame."""

    ssrc: int


@attrs.frozen
class ReportBlock:
    """What one receiver has seen of `ssrc` (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """In 1/256, since the last report."""
    lost: int
    highest_sequence: int
    """With the count of its wraps in the high half."""
    jitter: int
    """In units of the timestamp."""
    last_report: int
    """The middle 32 bits of the last sender report's NTP time, 0 before the first."""
    delay: int
    """Since that report, in 1/65536 s."""


Feedback: TypeAlias = SenderReport | KeyFrameRequest


def parse(compound: bytes) -> list[Feedback]:
    """Read what we act on.

    Raises:
        RtcpError: a version or a length that does not fit.
    """
    found: list[Feedback] = []
    for kind, count, body in _packets(compound):
        if kind == SENDER_REPORT:
            found.append(_parse_sender_report(body))
        elif kind == PAYLOAD_FEEDBACK and count in {_PLI, _FIR}:
            found.extend(_parse_key_frame_requests(count, body))
    return found


def _packets(compound: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(compound):
        if at + _HEADER.size > len(compound):
            raise RtcpError("shorter than an RTCP header")
        first, kind, words = _HEADER.unpack_from(compound, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(compound):
            raise RtcpError("not an RTCP header")
        yield kind, first & 0x1F, compound[at + 4 : end]
        at = end


def _parse_sender_report(body: bytes) -> SenderReport:
    if len(body) < _SENDER_INFO.size:
        raise RtcpError("a sender report without its sender's figures")
    return SenderReport(*_SENDER_INFO.unpack_from(body))


def _parse_key_frame_requests(kind: int, body: bytes) -> list[KeyFrameRequest]:
    if len(body) < _FEEDBACK.size:
        raise RtcpError("feedback that names nobody")
    _, media = _FEEDBACK.unpack_from(body)
    if kind == _PLI:
        return [KeyFrameRequest(media)]
    # FIR names its sources in entries of eight bytes, and leaves the header's field at zero (RFC 5104 section 4.3.1).
    entries = range(_FEEDBACK.size, len(body) - 7, 8)
    return [KeyFrameRequest(int.from_bytes(body[at : at + 4], "big")) for at in entries]


def sender_report(report: SenderReport, cname: str) -> bytes:
    """A compound packet: the report, and the name that ties one sender's sources together."""
    info = _SENDER_INFO.pack(report.ssrc, report.ntp, report.timestamp, report.packets, report.octets)
    return _packet(SENDER_REPORT, 0, info) + _source_description(report.ssrc, cname)


def receiver_report(sender: int, blocks: Sequence[ReportBlock]) -> bytes:
    """A receiver report of at most 31 blocks."""
    body = sender.to_bytes(4, "big")
    for block in blocks:
        lost = (block.fraction_lost << 24) | (max(-0x80_0000, min(0x7F_FFFF, block.lost)) & 0xFF_FFFF)
        body += _REPORT_BLOCK.pack(
            block.ssrc, lost, block.highest_sequence, block.jitter, block.last_report, block.delay
        )
    return _packet(RECEIVER_REPORT, len(blocks), body)


def picture_loss(sender: int, media: int) -> bytes:
    """Ask for a key frame (RFC 4585 section 6.3.1)."""
    return _packet(PAYLOAD_FEEDBACK, _PLI, _FEEDBACK.pack(sender, media))


def bitrate_limit(sender: int, bits_per_second: int, sources: Sequence[int]) -> bytes:
    """REMB: what all `sources` together may send (draft-alvestrand-rmcat-remb section 2.2)."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    figure = (len(sources) << 24) | (exponent << 18) | (bits_per_second >> exponent)
    body = _FEEDBACK.pack(sender, 0) + b"REMB" + figure.to_bytes(4, "big")
    return _packet(PAYLOAD_FEEDBACK, _APPLICATION_LAYER, body + b"".join(s.to_bytes(4, "big") for s in sources))


def _source_description(ssrc: int, cname: str) -> bytes:
    item = bytes((_CNAME, len(cname))) + cname.encode()
    chunk = ssrc.to_bytes(4, "big") + item
    # A chunk ends with at least one zero byte, on a word's border (RFC 3550 section 6.5).
    return _packet(SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
