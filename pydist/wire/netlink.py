"""What Linux tells of a host's addresses (rtnetlink(7)): a request for all of them, and the answer's messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

import attrs

_NEW_ADDRESS: Final = 20
_GET_ADDRESS: Final = 22
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x301
_ADDRESS: Final = 1
_LOCAL: Final = 2
_FLAGS: Final = 8
_NOT_YET: Final = 0x48
"""Tentative, or found to belong to another host: such an address can't be bound."""
_HEAD: Final = struct.Struct("=IHHII")
_BODY: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")


@attrs.frozen
class Owned:
    """An address of an interface, by the interface's index."""

    index: int
    address: IPv4Interface | IPv6Interface


def address_request() -> bytes:
    """Asks for all addresses."""
    return _HEAD.pack(_HEAD.size + _BODY.size, _GET_ADDRESS, _REQUEST_DUMP, 1, 0) + _BODY.pack(0, 0, 0, 0, 0)


def read_addresses(data: bytes) -> tuple[list[Owned], bool]:
    """The addresses in one datagram that can be bound, and whether it is the last one."""
    found: list[Owned] = []
    for kind, body in _messages(data):
        if kind == _DONE:
            return found, True
        if kind == _NEW_ADDRESS and len(body) >= _BODY.size and (owned := _owned(body)) is not None:
            found.append(owned)
    return found, False


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, kind, *_ = _HEAD.unpack_from(data, at)
        if length < _HEAD.size:
            return
        yield kind, data[at + _HEAD.size : at + length]
        at += -(-length // 4) * 4


def _owned(body: bytes) -> Owned | None:
    family, prefix, flags, _, index = _BODY.unpack_from(body)
    attributes = dict(_attributes(body[_BODY.size :]))
    if _FLAGS in attributes:
        (flags,) = struct.unpack("=I", attributes[_FLAGS])
    # On a link between two, ADDRESS is the other end's.
    raw = attributes.get(_LOCAL, attributes.get(_ADDRESS))
    if raw is None or flags & _NOT_YET or len(raw) not in {4, 16}:
        return None
    kind = IPv4Interface if len(raw) == 4 else IPv6Interface
    return Owned(index, kind((raw, prefix))) if family in {2, 10} else None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
