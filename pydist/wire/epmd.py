"""The port mapper's requests and replies: Erlang's bytes.

A request is a 16-bit length and that many bytes, of which the first says what is asked; a connection carries one.
Replies have no length: they end where the connection does, except the answer to a registration, whose connection
stays open. Source: ERTS, erl_dist_protocol, "EPMD Protocol"; OTP's epmd_srv.c and erl_epmd.erl.

All integers are big endian. Every length inside is checked against what is there: one that claims more is a
DecodeError. What a request has behind its last field is ignored, as Erlang's epmd does.
"""

from __future__ import annotations

import re
import struct
from typing import Final, TypeAlias, cast

import attrs

from pydist.errors import DecodeError, FrameTooLarge

MAX_NAME: Final = 255
"""Characters in a name, of up to four bytes each. (A pydist node name has at most as many bytes.)"""
MAX_EXTRA: Final = 1020
"""Bytes of `extra`."""
MAX_REQUEST: Final = 3057
"""Bytes in a request without its length."""
MAX_NAMES_REPLY: Final = 1 << 22
"""Bytes in a list of names: more than any port mapper has reason to send."""

NORMAL_NODE: Final = 77
HIDDEN_NODE: Final = 72
WIDE_CREATION_SINCE: Final = 6
"""The distribution version from which nodes have a creation of 32 bits (OTP 23)."""

_NAMES, _KILL, _ALIVE, _PORT_PLEASE, _DUMP, _STOP = 110, 107, 120, 122, 100, 115
_ALIVE_REPLY, _WIDE_ALIVE_REPLY, _PORT_REPLY = 121, 118, 119
_REQUESTS: Final = frozenset({_NAMES, _KILL, _ALIVE, _PORT_PLEASE, _DUMP, _STOP})

_ALIVE_HEAD: Final = struct.Struct(">HBBHHH")
_NAMES_LINE: Final = re.compile(r"name (.+) at port ([0-9]{1,5})")
_NO_CREATION: Final = 99


@attrs.frozen
class PortInfo:
    """What a node tells of itself when it registers, and what the port mapper tells of it when asked."""

    name: str
    """The part of its node name before the @."""
    port: int
    node_type: int = NORMAL_NODE
    protocol: int = 0
    """0: TCP over IPv4."""
    highest: int = 6
    """The highest and the lowest version of the distribution protocol that the node speaks."""
    lowest: int = 6
    extra: bytes = b""


@attrs.frozen
class Alive:
    """ALIVE2_REQ: register `node` for as long as this connection stays open."""

    node: PortInfo


@attrs.frozen
class BadNode:
    """ALIVE2_REQ for a name or an `extra` that nobody may have; it is answered with no."""

    reason: str
    wide: bool


@attrs.frozen
class PortPlease:
    """PORT_PLEASE2_REQ: where does the node of this name listen?"""

    name: str


@attrs.frozen
class Names:
    """NAMES_REQ: which nodes are registered?"""


@attrs.frozen
class Kill:
    """KILL_REQ: end, if no node is registered."""


@attrs.frozen
class Dump:
    """DUMP_REQ: which nodes are registered, and which were?"""


@attrs.frozen
class Stop:
    """STOP_REQ: take the name from its node."""

    name: str


_BARE: Final[dict[int, Names | Kill | Dump]] = {_NAMES: Names(), _KILL: Kill(), _DUMP: Dump()}

Question: TypeAlias = Alive | PortPlease | Names | Kill | Dump | Stop
Request: TypeAlias = Question | BadNode


@attrs.frozen
class AliveReply:
    """ALIVE2_RESP, or ALIVE2_X_RESP where `wide`. A creation of None says that the node was refused."""

    creation: int | None
    wide: bool = True


@attrs.frozen
class NamesReply:
    """The port mapper's own port, and name and port of each node."""

    port: int
    nodes: tuple[tuple[str, int], ...]


@attrs.frozen
class DumpEntry:
    """A node in the answer to DUMP_REQ, with the file descriptor of its connection."""

    name: str
    port: int
    descriptor: int


@attrs.frozen
class DumpReply:
    """The port mapper's own port, the nodes that are registered, and those that were."""

    port: int
    active: tuple[DumpEntry, ...]
    old: tuple[DumpEntry, ...]


def encode_request(request: Question) -> bytes:
    """The request with its length, as it goes on the wire.

    Raises:
        ValueError: longer than MAX_REQUEST.
    """
    body = _request_body(request)
    if len(body) > MAX_REQUEST:
        raise ValueError(f"a request to the port mapper has at most {MAX_REQUEST} bytes, this one has {len(body)}")
    return len(body).to_bytes(2) + body


def _request_body(request: Question) -> bytes:
    match request:
        case Alive(node):
            return bytes([_ALIVE]) + _encode_node(node)
        case PortPlease(name):
            return bytes([_PORT_PLEASE]) + name.encode()
        case Names():
            return bytes([_NAMES])
        case Kill():
            return bytes([_KILL])
        case Dump():
            return bytes([_DUMP])
        case Stop(name):
            return bytes([_STOP]) + name.encode()


def take_request(buffer: bytes | bytearray) -> Request | None:
    """The request that `buffer` holds, or None while it is incomplete.

    Whatever can't become a request is told by its first three bytes already.

    Raises:
        FrameTooLarge: announces more than MAX_REQUEST bytes.
        DecodeError: no request, one whose lengths lie, or more bytes than one request.
    """
    if len(buffer) < 2:
        return None
    length = int.from_bytes(buffer[:2])
    if length > MAX_REQUEST:
        raise FrameTooLarge(f"announces a request of {length} bytes, where {MAX_REQUEST} is the limit")
    if length == 0 or (len(buffer) > 2 and buffer[2] not in _REQUESTS):
        raise DecodeError(f"no request that this port mapper knows: begins with {bytes(buffer[:8])!r}")
    if len(buffer) < 2 + length:
        return None
    if len(buffer) > 2 + length:
        raise DecodeError(f"{len(buffer) - 2 - length} bytes after the request")
    return _decode_request(bytes(buffer[2:]))


def _decode_request(body: bytes) -> Request:
    kind, rest = body[0], body[1:]
    if kind == _ALIVE:
        return _decode_alive(rest)
    if kind == _PORT_PLEASE:
        # Old clients end the name with a zero.
        return PortPlease(_decode_name(rest.removesuffix(b"\0")))
    if kind == _STOP:
        return Stop(_decode_name(rest.partition(b"\0")[0]))
    return _BARE[kind]


def _encode_node(node: PortInfo) -> bytes:
    name = node.name.encode()
    head = _ALIVE_HEAD.pack(node.port, node.node_type, node.protocol, node.highest, node.lowest, len(name))
    return b"".join([head, name, len(node.extra).to_bytes(2), node.extra])


def _decode_alive(data: bytes) -> Alive | BadNode:
    head, name, extra, _ = _split_node(data)
    wide = head[3] >= WIDE_CREATION_SINCE
    if b"\0" in name:
        raise DecodeError(f"a name with a zero in it: {name[:32]!r}")
    if len(extra) > MAX_EXTRA:
        return BadNode(f"{len(extra)} bytes of extra data, where {MAX_EXTRA} are allowed", wide)
    try:
        text = _decode_name(name)
    except DecodeError as error:
        return BadNode(str(error), wide)
    if not text.isprintable() or any(character.isspace() for character in text):
        # Erlang's epmd takes it; but in the list of names it could forge an entry.
        return BadNode(f"a name with a space or a control character: {text[:32]!r}", wide)
    return Alive(PortInfo(text, *head, extra))


def _decode_node(data: bytes) -> PortInfo:
    head, name, extra, rest = _split_node(data)
    if rest:
        raise DecodeError(f"{len(rest)} bytes behind a node's description")
    return PortInfo(_decode_name(name), *head, extra)


def _split_node(data: bytes) -> tuple[tuple[int, int, int, int, int], bytes, bytes, bytes]:
    """A node's five numbers, its name, its extra data, and what is behind that."""
    if len(data) <= _ALIVE_HEAD.size + 2:
        raise DecodeError(f"a node's description of {len(data)} bytes, where {_ALIVE_HEAD.size + 3} is the least")
    *head, name_size = _ALIVE_HEAD.unpack_from(data)
    name, rest = data[_ALIVE_HEAD.size :][:name_size], data[_ALIVE_HEAD.size + name_size :]
    if len(rest) < 2:
        raise DecodeError(f"announces a name of {name_size} bytes, more than there are")
    extra_size, rest = int.from_bytes(rest[:2]), rest[2:]
    if extra_size > len(rest):
        raise DecodeError(f"announces {extra_size} bytes of extra data, and has {len(rest)}")
    return cast(tuple[int, int, int, int, int], tuple(head)), name, rest[:extra_size], rest[extra_size:]


def _decode_name(data: bytes) -> str:
    try:
        name = data.decode()
    except UnicodeDecodeError:
        raise DecodeError(f"a name that is not UTF-8: {data[:32]!r}") from None
    if not 1 <= len(name) <= MAX_NAME:
        raise DecodeError(f"a name of {len(name)} characters, where 1 to {MAX_NAME} are allowed")
    if "\0" in name:
        raise DecodeError(f"a name with a zero in it: {data[:32]!r}")
    return name


def encode_alive_reply(reply: AliveReply) -> bytes:
    """Result, then the creation: in 32 bits where `wide`, else in 16."""
    creation = _NO_CREATION if reply.creation is None else reply.creation
    refused = reply.creation is None
    if reply.wide:
        return struct.pack(">BBI", _WIDE_ALIVE_REPLY, refused, creation)
    return struct.pack(">BBH", _ALIVE_REPLY, refused, creation)


def take_alive_reply(buffer: bytes | bytearray) -> AliveReply | None:
    """The reply that `buffer` holds, or None while it is incomplete.

    Raises:
        DecodeError: something else, or more.
    """
    if not buffer:
        return None
    if buffer[0] not in {_ALIVE_REPLY, _WIDE_ALIVE_REPLY}:
        raise DecodeError(f"no answer to a registration: {bytes(buffer[:8])!r}")
    wide = buffer[0] == _WIDE_ALIVE_REPLY
    size = 6 if wide else 4
    if len(buffer) < size:
        return None
    if len(buffer) > size:
        raise DecodeError(f"{len(buffer) - size} bytes after the answer to a registration")
    return AliveReply(None if buffer[1] else int.from_bytes(buffer[2:]), wide)


def encode_port_reply(node: PortInfo | None) -> bytes:
    """PORT2_RESP; None where nobody has the name."""
    if node is None:
        return bytes([_PORT_REPLY, 1])
    return bytes([_PORT_REPLY, 0]) + _encode_node(node)


def decode_port_reply(data: bytes) -> PortInfo | None:
    """PORT2_RESP, whole; None where nobody has the name.

    Raises:
        DecodeError: something else, or one whose lengths lie.
    """
    if len(data) < 2 or data[0] != _PORT_REPLY:
        raise DecodeError(f"no answer to the question for a port: {data[:8]!r}")
    return None if data[1] else _decode_node(data[2:])


def encode_names_reply(reply: NamesReply) -> bytes:
    """The port in 32 bits, then a line of text for each node."""
    lines = "".join(f"name {name} at port {port}\n" for name, port in reply.nodes)
    return reply.port.to_bytes(4) + lines.encode()


def encode_dump_reply(reply: DumpReply) -> bytes:
    """The port in 32 bits, then a line of text and a zero for each node."""
    active = [f"active name     <{node.name}> at port {node.port}, fd = {node.descriptor}\n\0" for node in reply.active]
    old = [f"old/unused name <{node.name}>, port = {node.port}, fd = {node.descriptor} \n\0" for node in reply.old]
    return reply.port.to_bytes(4) + "".join(active + old).encode()


def decode_names_reply(data: bytes) -> NamesReply:
    """The list of names, whole.

    Raises:
        DecodeError: too short, not UTF-8, or a line that is no entry.
    """
    if len(data) < 4:
        raise DecodeError(f"a list of names of {len(data)} bytes, where 4 is the least")
    try:
        text = data[4:].decode()
    except UnicodeDecodeError:
        raise DecodeError(f"a list of names that is not UTF-8: {data[4:36]!r}") from None
    return NamesReply(int.from_bytes(data[:4]), tuple(_decode_line(line) for line in text.split("\n") if line))


def _decode_line(line: str) -> tuple[str, int]:
    entry = _NAMES_LINE.fullmatch(line)
    if entry is None:
        raise DecodeError(f"no entry in a list of names: {line[:64]!r}")
    return entry[1], int(entry[2])
