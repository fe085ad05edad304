"""STUN as an ICE-lite agent needs it: read binding requests, write answers (RFC 8489; RFC 8445 section 2.5).

A full agent sends checks; a lite one only answers them, so this file can neither ask nor remember.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from ipaddress import IPv4Address, ip_address
from typing import Final, TypeAlias

import attrs

Address: TypeAlias = tuple[str, int]
"""Host in numbers, port."""

MAGIC_COOKIE: Final = 0x2112A442
BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101

USERNAME: Final = 0x0006
MESSAGE_INTEGRITY: Final = 0x0008
XOR_MAPPED_ADDRESS: Final = 0x0020
USE_CANDIDATE: Final = 0x0025
FINGERPRINT: Final = 0x8028

_HEADER: Final = struct.Struct(">HHI12s")
_ATTRIBUTE: Final = struct.Struct(">HH")
_INTEGRITY_SIZE: Final = 24
_FINGERPRINT_SIZE: Final = 8
_FINGERPRINT_XOR: Final = 0x5354554E
_MAX_ATTRIBUTES: Final = 32


class StunError(ValueError):
    """The peer's datagram is no STUN message."""


@attrs.frozen
class StunMessage:
    """A message with its framing checked; its integrity is checked by :func:`is_authentic`."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    """The first of each type; what stands behind MESSAGE-INTEGRITY is not covered by it and left out."""
    signed: bytes
    """What MESSAGE-INTEGRITY covers, empty where there is none."""


def parse(datagram: bytes) -> StunMessage:
    """Take a datagram apart.

    Raises:
        StunError: not STUN, lengths that do not fit, or a wrong FINGERPRINT.
    """
    if len(datagram) < _HEADER.size:
        raise StunError("shorter than a STUN header")
    kind, length, cookie, transaction = _HEADER.unpack_from(datagram)
    if kind & 0xC000 or cookie != MAGIC_COOKIE or length % 4 or length != len(datagram) - _HEADER.size:
        raise StunError("not a STUN header")
    attributes, signed = _parse_attributes(datagram)
    return StunMessage(kind, transaction, attributes, signed)


def _parse_attributes(datagram: bytes) -> tuple[dict[int, bytes], bytes]:
    attributes: dict[int, bytes] = {}
    signed = b""
    at = _HEADER.size
    for _ in range(_MAX_ATTRIBUTES):
        if at == len(datagram):
            return attributes, signed
        kind, value = _attribute(datagram, at)
        if kind == FINGERPRINT:
            _check_fingerprint(datagram, at, value)
            return attributes, signed
        if not signed:
            attributes.setdefault(kind, value)
        if kind == MESSAGE_INTEGRITY and not signed:
            signed = _with_length(datagram[:at], _INTEGRITY_SIZE)
        at += _ATTRIBUTE.size + len(value) + -len(value) % 4
    raise StunError("too many attributes")


def _attribute(datagram: bytes, at: int) -> tuple[int, bytes]:
    kind, size = _ATTRIBUTE.unpack_from(datagram, at)
    start = at + _ATTRIBUTE.size
    if start + size > len(datagram):
        raise StunError("an attribute is longer than the message")
    return kind, datagram[start : start + size]


def _check_fingerprint(datagram: bytes, at: int, value: bytes) -> None:
    if at + _FINGERPRINT_SIZE != len(datagram) or value != _fingerprint(_with_length(datagram[:at], _FINGERPRINT_SIZE)):
        raise StunError("the fingerprint is wrong")


def is_authentic(message: StunMessage, key: bytes) -> bool:
    """Whether MESSAGE-INTEGRITY is there and was made with `key` (RFC 8489 section 14.5)."""
    if not message.signed:
        return False
    return hmac.compare_digest(_integrity(message.signed, key), message.attributes[MESSAGE_INTEGRITY])


def binding_success(transaction: bytes, mapped: Address, key: bytes) -> bytes:
    """The answer to an authentic check that came from `mapped`."""
    address = _xor_address(mapped, transaction)
    body = _ATTRIBUTE.pack(XOR_MAPPED_ADDRESS, len(address)) + address
    return seal(_HEADER.pack(BINDING_SUCCESS, len(body), MAGIC_COOKIE, transaction) + body, key)


def seal(message: bytes, key: bytes) -> bytes:
    """Append MESSAGE-INTEGRITY and FINGERPRINT to a message that has neither."""
    signed = _with_length(message, _INTEGRITY_SIZE)
    signed += _ATTRIBUTE.pack(MESSAGE_INTEGRITY, 20) + _integrity(signed, key)
    marked = _with_length(signed, _FINGERPRINT_SIZE)
    return marked + _ATTRIBUTE.pack(FINGERPRINT, 4) + _fingerprint(marked)


def _with_length(message: bytes, more: int) -> bytes:
    """`message` with a length field that counts `more` bytes to come, as both checksums want it."""
    return message[:2] + (len(message) - _HEADER.size + more).to_bytes(2, "big") + message[4:]


def _integrity(message: bytes, key: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha1).digest()


def _fingerprint(message: bytes) -> bytes:
    return (zlib.crc32(message) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


def _xor_address(address: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489 section 14.2)."""
    host = ip_address(address[0])
    family = 1 if isinstance(host, IPv4Address) else 2
    pad = MAGIC_COOKIE.to_bytes(4, "big") + transaction
    hidden = bytes(a ^ b for a, b in zip(host.packed, pad, strict=False))
    return struct.pack(">BBH", 0, family, address[1] ^ (MAGIC_COOKIE >> 16)) + hidden
