"""A node that knows of pydist only what docs/wire.md says: plain sockets, hashlib, msgpack. It speaks version 1.

What it can't do shows a gap in the page; so nothing is imported from pydist here, and nothing looked up in its source.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgpack

_msgpack: Any = msgpack  # it has no annotations

VERSION: Final = 1
SIGNALS: Final = 1
OK, OK_SIMULTANEOUS, NOK, ALIVE = 1, 2, 3, 4
SEND, SEND_NAME, SEND_ALIAS, LINK, UNLINK, UNLINK_ACK, EXIT, EXIT_TO = 1, 2, 3, 10, 11, 12, 13, 14
MONITOR, DEMONITOR, MONITOR_EXIT = 20, 21, 22
EXTRA: Final = b"pydist/1"
PATIENCE: Final = 15.0
HEAD: Final = struct.Struct(">BQI32sB")

Signal = list[Any]


# Terms ---------------------------------------------------------------------------------------------------------------


class Atom(NamedTuple):
    name: str


class Pid(NamedTuple):
    number: int
    creation: int
    node: str


class Ref(NamedTuple):
    number: int
    creation: int
    node: str


def message(tag: str, *fields: Any) -> list[Any]:
    """A message of a class, as it is packed and unpacked here."""
    return [msgpack.ExtType(19, tag.encode()), *fields]


def pack(term: Any) -> bytes:
    """A term of what msgpack has, atoms, pids, refs, and lists and maps of them."""
    data: bytes = _msgpack.packb(term, default=_extension, strict_types=True)
    return data


def _extension(value: object) -> msgpack.ExtType:
    match value:
        case Atom(name):
            return msgpack.ExtType(1, name.encode())
        case Pid():
            return msgpack.ExtType(2, _identifier(value))
        case Ref():
            return msgpack.ExtType(3, _identifier(value))
        case _:
            raise TypeError(value)


def _identifier(value: Pid | Ref) -> bytes:
    return struct.pack(">QI", value.number, value.creation) + value.node.encode()


def unpack(data: bytes) -> Any:
    """The reverse."""
    return _msgpack.unpackb(data, ext_hook=_value, strict_map_key=False)


def _value(code: int, data: bytes) -> object:
    if code == 1:
        return Atom(data.decode())
    if code in {2, 3}:
        number, creation = struct.unpack(">QI", data[:12])
        return (Pid if code == 2 else Ref)(number, creation, data[12:].decode())
    return msgpack.ExtType(code, data)


# Port mapper ---------------------------------------------------------------------------------------------------------


def look_up(name: str, epmd_port: int) -> int:
    """Where the node listens whose name is `name` up to the @."""
    with socket.create_connection(("127.0.0.1", epmd_port), PATIENCE) as sock:
        sock.sendall(_short(b"\x7a" + name.encode()))
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    if answer[:2] != b"\x77\x00":
        raise LookupError(name)
    port, _type, _protocol, _highest, _lowest, length = struct.unpack(">HBBHHH", answer[2:12])
    (extra_length,) = struct.unpack(">H", answer[12 + length : 14 + length])
    if answer[14 + length : 14 + length + extra_length] != EXTRA:
        raise LookupError(f"{name} is no pydist node")
    return int(port)


class Home:
    """A node that listens and is registered; its name is free when it is closed."""

    def __init__(self, name: str, cookie: bytes, epmd_port: int) -> None:
        self.name = name
        self.cookie = cookie
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.registration = socket.create_connection(("127.0.0.1", epmd_port), PATIENCE)
        short = name.partition("@")[0].encode()
        port: int = self.listener.getsockname()[1]
        request = struct.pack(">BHBBHHH", 120, port, 77, 0, 6, 6, len(short)) + short
        self.registration.sendall(_short(request + struct.pack(">H", len(EXTRA)) + EXTRA))
        answer, no, self.creation = struct.unpack(">BBI", _exactly(self.registration, 6))
        assert (answer, no) == (118, 0)

    def close(self) -> None:
        self.listener.close()
        self.registration.close()

    def dial(self, node: str, port: int) -> Peer:
        """Connect to a node, as the initiator."""
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        try:
            return self._dialled(sock, node)
        except BaseException:
            sock.close()
            raise

    def _dialled(self, sock: socket.socket, node: str) -> Peer:
        hello = _short(b"pydist" + self._who_i_am())
        sock.sendall(hello)
        challenge = _read_short(sock)
        theirs = HEAD.unpack_from(challenge, 1)
        assert (challenge[:1], theirs[0]) == (b"C", VERSION)
        assert challenge[1 + HEAD.size :].decode() == node
        transcript = hello + _short(challenge)
        sock.sendall(_short(b"P" + self._proof(b"initiator" + transcript)))
        status = _read_short(sock)
        assert hmac.compare_digest(status[2:], self._proof(b"acceptor" + transcript + status[1:2]))
        if status[1] == ALIVE:
            sock.sendall(_short(b"A\1" + self._proof(b"answer" + transcript + b"\1")))
        assert status[:1] == b"S"
        assert status[1] != NOK
        return Peer(sock, node, theirs[2])

    def answer(self) -> Peer:
        """Wait until a node connects, as the acceptor that knows of no other connection."""
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        hello = _read_short(sock)
        version, flags, creation, _, length = HEAD.unpack_from(hello, 6)
        name = hello[6 + HEAD.size :]
        assert (hello[:6], version >= VERSION, flags & SIGNALS, length) == (b"pydist", True, SIGNALS, len(name))
        challenge = _short(b"C" + self._who_i_am())
        sock.sendall(challenge)
        transcript = _short(hello) + challenge
        proof = _read_short(sock)
        assert proof[:1] == b"P"
        assert hmac.compare_digest(proof[1:33], self._proof(b"initiator" + transcript))
        status = bytes((OK,))
        sock.sendall(_short(b"S" + status + self._proof(b"acceptor" + transcript + status)))
        return Peer(sock, name.decode(), creation)

    def _who_i_am(self) -> bytes:
        name = self.name.encode()
        return HEAD.pack(VERSION, SIGNALS, self.creation, os.urandom(32), len(name)) + name

    def _proof(self, data: bytes) -> bytes:
        return hmac.digest(self.cookie, data, "sha256")


def _short(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _read_short(sock: socket.socket) -> bytes:
    (length,) = struct.unpack(">H", _exactly(sock, 2))
    return _exactly(sock, length)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


# Signals -------------------------------------------------------------------------------------------------------------


class Peer:
    """A node that is connected. Each tick is answered with one; a link that is taken away is acknowledged."""

    def __init__(self, sock: socket.socket, node: str, creation: int) -> None:
        self.sock = sock
        self.node = node
        self.creation = creation
        self.ticks = 0
        self._signals = self._read()

    def write(self, *signals: Signal) -> None:
        """Signals as one frame; none are a tick."""
        frame = pack([*signals]) if signals else b""
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)

    def read(self) -> Signal:
        """The next signal; runs of messages come one by one."""
        return next(self._signals)

    def wait_for_ticks(self, number: int) -> None:
        """Answer as many ticks; nothing else may come."""
        while self.ticks < number:
            assert self._frame() == []

    def close(self) -> None:
        self.sock.close()

    def _read(self) -> Iterator[Signal]:
        while True:
            for signal in self._frame():
                match signal:
                    case [1, target, run]:
                        yield from ([SEND, target, term] for term in run)
                    case [11, source, target, id_]:
                        self.write([UNLINK_ACK, target, source, id_])
                        yield signal
                    case _:
                        yield signal

    def _frame(self) -> list[Signal]:
        (length,) = struct.unpack(">I", _exactly(self.sock, 4))
        if length == 0:
            self.ticks += 1
            self.write()
            return []
        signals: list[Signal] = unpack(_exactly(self.sock, length))
        return signals
