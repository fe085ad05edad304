"""Offers: what a WHIP or WHEP client sends (RFC 8866, RFC 8829, RFC 9725). `answer` writes the other half.

Everything a client controls is checked here, and refused with a sentence that says what is missing.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, get_args

import attrs

from examples.sfu.media.tracks import Codec

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_SECTIONS: Final = 16
MAX_LINES: Final = 2000
_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
_SUPPORTED: Final = {"VP8": "video", "H264": "video", "OPUS": "audio"}
_FEEDBACK: Final = ("goog-remb", "ccm fir", "nack pli")
"""The kinds of feedback that this node makes or understands."""
_FINGERPRINT: Final = re.compile(r"sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})", re.IGNORECASE)
_ICE: Final = re.compile(r"[A-Za-z0-9+/=_-]+")


class SdpError(ValueError):
    """The client's offer can't be used; the text says why."""


@attrs.frozen
class Section:
    """One `m=` section."""

    kind: str
    protocol: str
    formats: str
    mid: str
    direction: Direction
    codecs: tuple[Codec, ...]
    """Those we can forward, as the client prefers them."""

    @property
    def is_media(self) -> bool:
        """Whether it can carry a track: not a data channel, and not one that the client has switched off."""
        return self.kind in {"audio", "video"} and self.protocol == _PROTOCOL


@attrs.frozen
class Offer:
    """A client's offer, with one transport for all its sections."""

    ufrag: str
    password: str = attrs.field(repr=False)
    fingerprint: str
    """SHA-256 in capitals."""
    sections: tuple[Section, ...]


_Lines: TypeAlias = list[tuple[str, str]]


def parse_offer(text: str) -> Offer:
    """Read an offer.

    Raises:
        SdpError: it is no SDP, or asks for a transport that this node does not have.
    """
    lines = _split(text)
    session, *blocks = _blocks(lines)
    if not blocks:
        raise SdpError("the offer has no m= line: there is nothing to send or receive")
    if len(blocks) > MAX_SECTIONS:
        raise SdpError(f"the offer has {len(blocks)} m= lines: at most {MAX_SECTIONS}")
    sections = tuple(_section(block, session) for block in blocks)
    if not any(section.is_media for section in sections):
        raise SdpError(f"the offer has no audio or video section over {_PROTOCOL}")
    if len({section.mid for section in sections}) < len(sections):
        raise SdpError("two m= sections of the offer have the same a=mid")
    bundled = next(block for block, section in zip(blocks, sections, strict=True) if section.is_media)
    return _offer(bundled, session, sections)


def _offer(bundled: _Lines, session: _Lines, sections: tuple[Section, ...]) -> Offer:
    """Under BUNDLE the first media section's transport is everybody's (RFC 9143 section 7.2)."""

    def required(name: str) -> str:
        value = _attribute(bundled, name) or _attribute(session, name)
        if value is None:
            raise SdpError(f"the offer has no a={name}")
        return value

    ufrag, password = required("ice-ufrag"), required("ice-pwd")
    if not (
        4 <= len(ufrag) <= 256 and 22 <= len(password) <= 256 and _ICE.fullmatch(ufrag) and _ICE.fullmatch(password)
    ):
        raise SdpError("a=ice-ufrag or a=ice-pwd has a length or a character that RFC 8839 does not allow")
    fingerprint = _FINGERPRINT.fullmatch(required("fingerprint"))
    if fingerprint is None:
        raise SdpError("a=fingerprint must be a SHA-256: `sha-256 AB:CD:...` with 32 bytes")
    if required("setup") not in {"actpass", "active"}:
        raise SdpError("a=setup must be actpass or active: this node only accepts DTLS connections")
    if not any(name == "a" and value.startswith("group:BUNDLE") for name, value in session):
        raise SdpError("the offer has no a=group:BUNDLE: this node has one port for everything")
    return Offer(ufrag, password, fingerprint[1].upper(), sections)


def _split(text: str) -> _Lines:
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if not lines or lines[0] != "v=0":
        raise SdpError("this is no SDP: the first line must be v=0")
    if len(lines) > MAX_LINES:
        raise SdpError(f"the offer has more than {MAX_LINES} lines")
    pairs = [line.partition("=") for line in lines]
    bad = next(
        (line for line, (name, equals, _) in zip(lines, pairs, strict=True) if len(name) != 1 or not equals), None
    )
    if bad is not None:
        raise SdpError(f"this is no SDP: {bad[:40]!r} is not of the form x=...")
    return [(name, value) for name, _, value in pairs]


def _blocks(lines: _Lines) -> list[_Lines]:
    """The session's lines, then those of each section, each of which starts with its m= line."""
    blocks: list[_Lines] = [[]]
    for name, value in lines:
        if name == "m":
            blocks.append([])
        blocks[-1].append((name, value))
    return blocks


def _attribute(block: _Lines, name: str) -> str | None:
    prefix = f"{name}:"
    return next((value[len(prefix) :] for kind, value in block if kind == "a" and value.startswith(prefix)), None)


def _section(block: _Lines, session: _Lines) -> Section:
    words = block[0][1].split()
    if len(words) < 4 or not words[1].isdecimal():
        raise SdpError(f"m={block[0][1][:60]!r} is not of the form: media port protocol formats")
    mid = _attribute(block, "mid")
    if mid is None or not re.fullmatch(r"[\w.-]{1,32}", mid):
        raise SdpError(f"the {words[0][:20]!r} section has no a=mid, or a strange one")
    section = Section(
        words[0], words[2], " ".join(words[3:]), mid, _direction(block, session), _codecs(block, words[3:])
    )
    if section.is_media and ("a", "rtcp-mux") not in block:
        raise SdpError(f"the {section.kind} section has no a=rtcp-mux: this node has one port for everything")
    return section


def _direction(block: _Lines, session: _Lines) -> Direction:
    for lines in (block, session):
        for direction in get_args(Direction):
            if ("a", direction) in lines:
                return direction  # type: ignore[no-any-return]  # get_args has no types
    return "sendrecv"


def _codecs(block: _Lines, formats: list[str]) -> tuple[Codec, ...]:
    kind = block[0][1].split()[0]
    mapped = _by_format(block, "rtpmap")
    parameters = _by_format(block, "fmtp")
    feedback = _by_format(block, "rtcp-fb")
    return tuple(
        codec
        for word in dict.fromkeys(formats)
        if (codec := _codec(word, mapped.get(word, []), parameters.get(word, []), feedback.get(word, []))) is not None
        and _SUPPORTED.get(codec.name) == kind
    )


def _by_format(block: _Lines, name: str) -> dict[str, list[str]]:
    """The values of all `a=name:format value` lines."""
    found: dict[str, list[str]] = {}
    for kind, value in block:
        if kind == "a" and value.startswith(f"{name}:"):
            word, _, rest = value[len(name) + 1 :].partition(" ")
            found.setdefault(word, []).append(rest.strip())
    return found


def _codec(word: str, mapped: list[str], parameters: list[str], feedback: list[str]) -> Codec | None:
    """A codec, or None where the format has no rtpmap that makes sense."""
    match = re.fullmatch(r"([\w.-]{1,32})/(\d{1,6})(?:/(\d{1,2}))?", mapped[0]) if mapped else None
    if match is None or not word.isdecimal() or int(word) > 127 or 64 <= int(word) <= 95:
        return None
    return Codec(
        payload_type=int(word),
        name=match[1].upper(),
        clock_rate=int(match[2]),
        channels=int(match[3] or 1),
        parameters=parameters[0][:512] if parameters else "",
        feedback=tuple(known for known in _FEEDBACK if known in feedback),
    )
