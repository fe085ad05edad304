"""Answers: one ICE-lite transport for all sections, all candidates inside, DTLS passive (RFC 8829, 8839, 9725)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from examples.sfu.media.sdp import Offer, SdpError, Section
from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Codec, Kind, Member, Track

_SEND: Final = {"sendrecv", "sendonly"}
_RECEIVE: Final = {"sendrecv", "recvonly"}


@attrs.frozen
class Transport:
    """This node's end of the transport."""

    ufrag: str
    password: str = attrs.field(repr=False)
    fingerprint: str
    candidate: Address


@attrs.frozen
class Stream:
    """What a section of the answer carries: the track under the client's payload type; for a subscriber, our SSRC."""

    track: Track
    ssrc: int


def choose_tracks(offer: Offer) -> dict[str, Track]:
    """What a publisher will send, by mid: the first section of each kind, in the first codec that we forward.

    Raises:
        SdpError: nothing that could be forwarded.
    """
    chosen: dict[str, Track] = {}
    kinds: tuple[Kind, ...] = ("video", "audio")
    for kind in kinds:
        section = _first(offer, kind, _SEND)
        if section is not None and section.codecs:
            chosen[section.mid] = Track(kind, section.codecs[0])
    if not chosen:
        raise SdpError("the offer sends nothing that can be forwarded: offer VP8 or H264 video, or Opus audio")
    _check_payload_types(chosen)
    return chosen


def _check_payload_types(chosen: dict[str, Track]) -> None:
    """Under BUNDLE a payload type tells which section a packet belongs to (RFC 9143 section 9.2)."""
    if len({track.codec.payload_type for track in chosen.values()}) < len(chosen):
        raise SdpError("audio and video of the offer have the same payload type")


def match_tracks(offer: Offer, tracks: tuple[Track, ...]) -> dict[str, Track]:
    """What a subscriber gets, by mid: the channel's tracks under the subscriber's payload types.

    Raises:
        SdpError: no section can take any of the tracks.
    """
    matched: dict[str, Track] = {}
    for track in tracks:
        section = _first(offer, track.kind, _RECEIVE)
        codec = next((c for c in section.codecs if c.fits(track.codec)), None) if section is not None else None
        if section is not None and codec is not None:
            matched[section.mid] = Track(track.kind, codec)
    if not matched:
        wanted = ", ".join(sorted(track.codec.name for track in tracks))
        raise SdpError(f"the offer can receive none of what the channel carries ({wanted})")
    return matched


def _first(offer: Offer, kind: str, directions: set[str]) -> Section | None:
    fitting = (s for s in offer.sections if s.is_media and s.kind == kind and s.direction in directions)
    return next(fitting, None)


def write_answer(offer: Offer, transport: Transport, member: Member, streams: Mapping[str, Stream]) -> str:
    """The answer's text; `streams` by mid. A section without a stream is refused."""
    kept = " ".join(section.mid for section in offer.sections if section.mid in streams)
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {kept}",
        "a=ice-lite",
        f"a=msid-semantic: WMS {member.session}",
    ]
    for section in offer.sections:
        stream = streams.get(section.mid)
        lines += _refusal(section) if stream is None else _acceptance(section, transport, member, stream)
    return "\r\n".join(lines) + "\r\n"


def _refusal(section: Section) -> list[str]:
    return [f"m={section.kind} 0 {section.protocol} {section.formats}", "c=IN IP4 0.0.0.0", f"a=mid:{section.mid}"]


def _acceptance(section: Section, transport: Transport, member: Member, stream: Stream) -> list[str]:
    lines = [*_transport(section, transport, stream.track.codec), *_codec(stream.track.codec)]
    if member.role == "publisher":
        return [*lines, "a=recvonly"]
    # The session's name is CNAME and stream: it ties audio and video together.
    track = f"{member.session} {stream.track.kind}"
    source = f"a=ssrc:{stream.ssrc}"
    return [*lines, "a=sendonly", f"a=msid:{track}", f"{source} cname:{member.session}", f"{source} msid:{track}"]


def _transport(section: Section, transport: Transport, codec: Codec) -> list[str]:
    host, port = transport.candidate
    family = "IP6" if ":" in host else "IP4"
    return [
        f"m={section.kind} {port} {section.protocol} {codec.payload_type}",
        f"c=IN {family} {host}",
        f"a=mid:{section.mid}",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.password}",
        f"a=fingerprint:sha-256 {transport.fingerprint}",
        "a=setup:passive",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]


def _codec(codec: Codec) -> list[str]:
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"]
    if codec.parameters:
        lines.append(f"a=fmtp:{codec.payload_type} {codec.parameters}")
    return lines + [f"a=rtcp-fb:{codec.payload_type} {feedback}" for feedback in codec.feedback]
