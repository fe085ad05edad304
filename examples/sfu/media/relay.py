"""Media between nodes: plain RTP and RTCP behind nine bytes, on the UDP port that browsers use too.

    0        1                               9
    +--------+-------------------------------+----------------------
    | 0xD5   | link, 64 bits                 | RTP or RTCP, in plain
    +--------+-------------------------------+----------------------

A link carries one channel from the node of its publisher to one node that has subscribers, and feedback the other way.
The subscriber's node draws its number at random. The first byte belongs to none of the protocols of RFC 7983; a packet
counts only if its link is known and it comes from the address of that link's node. Nothing is encrypted here: the
underlay does that.
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = 0xD5
_HEADER: Final = struct.Struct(">BQ")


class RelayError(ValueError):
    """The bytes are no relay packet."""


def pack(link: int, packet: bytes) -> bytes:
    """Put a packet on a link."""
    return _HEADER.pack(MAGIC, link) + packet


def unpack(datagram: bytes) -> tuple[int, bytes]:
    """The link's number and the packet. Raises RelayError."""
    if len(datagram) <= _HEADER.size or datagram[0] != MAGIC:
        raise RelayError("not a relay packet")
    return _HEADER.unpack_from(datagram)[1], datagram[_HEADER.size :]
