"""The same bytes for Erlang's epmd and for ours, and the same answers, creations aside."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import pytest

from pydist.wire.epmd import Alive, Dump, Kill, Names, PortInfo, PortPlease, Question, Stop, encode_request

pytestmark = pytest.mark.real

ERLANGS = [shutil.which("epmd") or "epmd"]
OURS = [sys.executable, "-m", "pydist.epmd"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], *options: str) -> Generator[int]:
    """A port mapper, and its port."""
    port = free_port()
    process = subprocess.Popen([*command, "-port", str(port), *options], stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
        yield port
    finally:
        process.kill()
        process.wait()


class Talk:
    """Says things to one port mapper, and keeps what it heard: a line for each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: list[tuple[str, bytes]] = []
        self.nodes: dict[str, socket.socket] = {}

    def ask(self, what: str, data: bytes) -> None:
        """The whole answer, to the end of the connection."""
        with self._connect() as sock:
            sock.sendall(data)
            self.heard.append((what, self._read(sock, 1 << 20)))

    def register(self, what: str, data: bytes) -> None:
        """A registration, whose connection stays open where it was heard; and the answer without the creation."""
        sock = self._connect()
        sock.sendall(data)
        head = self._read(sock, 2)
        size = {b"v": 4, b"y": 2}.get(head[:1], 0)
        creation = int.from_bytes(self._read(sock, size))
        refused = head[1:] != b"\0"
        self.heard.append((what, head + (str(creation).encode() if refused else b"a creation" * (creation > 0))))
        if refused:
            sock.close()
        else:
            self.nodes[what] = sock

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def _read(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        with suppress(ConnectionResetError):  # Erlang's does not read what comes behind a length that is too great
            while len(data) < size and (more := sock.recv(size - len(data))):
                data += more
        return data

    def until_gone(self, name: str) -> None:
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            with self._connect() as sock:
                sock.sendall(encode_request(PortPlease(name)))
                if self._read(sock, 2) == b"w\1":
                    return

    def close(self) -> None:
        for sock in self.nodes.values():
            sock.close()


def alive(name: bytes, *, highest: int = 6, port: int = 1234, extra: bytes = b"", behind: bytes = b"") -> bytes:
    """A registration, whatever its name."""
    numbers = bytes.fromhex(f"{port:04x} 4d 00 {highest:04x} 0005 {len(name):04x}")
    return packed(b"x" + numbers + name + len(extra).to_bytes(2) + extra + behind)


def packed(body: bytes) -> bytes:
    return len(body).to_bytes(2) + body


REGISTRATIONS = {
    "a": alive(b"a", extra=b"extra"),
    "taken": alive(b"a"),
    "taken, by an old node": alive(b"a", highest=5),
    "old": alive(b"old", highest=5),
    "older": alive(b"older", highest=0),
    "of the future": alive(b"future", highest=7),
    "with an @": alive(b"b@host"),
    "without a port": alive(b"none", port=0),
    "UTF-8": alive("é漢😀".encode()),
    "255 characters": alive("😀".encode() * 255),
    "256 characters": alive(b"x" * 256),
    "1,020 bytes of extra": alive(b"extra", extra=bytes(1020)),
    "1,021 bytes of extra": alive(b"more", extra=bytes(1021)),
    "not UTF-8": alive(b"\xff"),
    "a surrogate": alive(b"\xed\xa0\x80"),
    "an overlong letter": alive(b"\xc1\x81"),
    "a zero within": alive(b"a\0b"),
    "no name": alive(b""),
    "more behind": alive(b"behind", behind=b"more"),
    "the length of the name lies": bytes.fromhex("000e 78 04d2 4d 00 0006 0005 0009 78 0000"),
    "the length of the name lies a little": bytes.fromhex("000e 78 04d2 4d 00 0006 0005 0002 78 0000"),
    "the length of the name is too small": bytes.fromhex("000f 78 04d2 4d 00 0006 0005 0001 7879 0000"),
    "the length of the extra lies": bytes.fromhex("000f 78 04d2 4d 00 0006 0005 0001 79 0002 ff"),
    "too short": bytes.fromhex("000d 78 04d2 4d 00 0006 0005 0001 79 00"),
}


def _wire(request: Question) -> bytes:
    return encode_request(request)


QUESTIONS = {
    "a": _wire(PortPlease("a")),
    "a, with a zero": packed(b"za\0"),
    "a, with two": packed(b"za\0\0"),
    "nobody": _wire(PortPlease("nobody")),
    "nobody, with a space": packed(b"za b"),
    "no name": packed(b"z"),
    "not UTF-8": packed(b"z\xff"),
    "256 characters": packed(b"z" + b"x" * 256),
    "UTF-8": _wire(PortPlease("é漢😀")),
    "much extra": _wire(PortPlease("extra")),
    "names, and more": packed(b"n and more"),
    "unknown": packed(b"q"),
    "of another time": packed(b"a"),
    "empty": b"\0\0",
    "the longest": packed(b"n" + bytes(3056)),
    "too long": packed(b"n" + bytes(3057)),
    "longer than all": b"\xff\xff",
    "two at once": packed(b"n") * 2,
    "kill, with living nodes": _wire(Kill()),
    "stop": _wire(Stop("a")),
    "stop nobody": packed(b"s"),
}


def _conversation(port: int) -> list[tuple[str, bytes]]:
    talk = Talk(port)
    for what, data in REGISTRATIONS.items():
        talk.register(what, data)
    for what, data in QUESTIONS.items():
        talk.ask(what, data)
    talk.ask("names", _wire(Names()))
    for what, name in [("old", "old"), ("a", "a"), ("UTF-8", "é漢😀")]:
        talk.nodes.pop(what).close()
        talk.until_gone(name)
    talk.ask("names", _wire(Names()))
    talk.ask("dump", _wire(Dump()))
    talk.register("back", alive(b"old"))
    talk.nodes["back"].sendall(b"a registered node has nothing to say")
    talk.until_gone("old")
    talk.ask("dump", _wire(Dump()))
    talk.close()
    return _without_what_differs(talk.heard, port)


def _without_what_differs(heard: list[tuple[str, bytes]], port: int) -> list[tuple[str, bytes]]:
    own = port.to_bytes(4)
    return [(what, re.sub(rb"fd = \d+", b"fd = N", answer.replace(own, b"PORT", 1))) for what, answer in heard]


def test_erlangs_epmd_and_ours_answer_the_same_to_the_same_bytes() -> None:
    with running(ERLANGS) as erlangs, running(OURS) as ours:
        expected, answers = _conversation(erlangs), _conversation(ours)
    assert len(answers) == len(REGISTRATIONS) + len(QUESTIONS) + 5
    assert answers == expected


def _relaxed(port: int) -> list[tuple[str, bytes]]:
    talk = Talk(port)
    talk.register("a", alive(b"a"))
    talk.register("b", alive(b"b"))
    talk.ask("stop", _wire(Stop("a")))
    talk.heard.append(("what the node sees of it", talk.nodes["a"].recv(9)))
    talk.ask("stop, with a zero", packed(b"sb\0"))
    talk.register("a again", alive(b"a"))
    talk.ask("dump", _wire(Dump()))
    talk.ask("stop nobody", packed(b"s"))
    talk.ask("stop who is not there", _wire(Stop("z")))
    talk.ask("kill, and more", packed(b"k and more"))
    talk.heard.append(("what the node sees of it", talk.nodes["a again"].recv(9)))
    talk.close()
    return _without_what_differs(talk.heard, port)


def test_under_relaxed_command_check_they_answer_the_same_but_for_a_slip_of_the_tongue() -> None:
    with running(ERLANGS, "-relaxed_command_check") as erlangs, running(OURS, "-relaxed_command_check") as ours:
        expected, answers = _relaxed(erlangs), _relaxed(ours)
    slip = expected.index(("stop who is not there", b"NOEXISTSTOPPED"))
    assert answers[slip] == ("stop who is not there", b"NOEXIST")
    expected[slip] = answers[slip]
    assert answers == expected


def test_where_erlangs_epmd_takes_what_forges_its_list_ours_says_no() -> None:
    forger = alive(b"a\nname trusted")
    with running(ERLANGS) as erlangs, running(OURS) as ours:
        answers: list[tuple[bytes, bytes]] = []
        for port in (erlangs, ours):
            talk = Talk(port)
            talk.register("forger", forger)
            talk.ask("names", _wire(Names()))
            answers.append((talk.heard[0][1], talk.heard[1][1][4:]))
            talk.close()
    assert answers == [
        (b"v\0a creation", b"name a\nname trusted at port 1234\n"),
        (b"v\x0199", b""),
    ]


def test_a_name_of_255_characters_is_found_in_ours() -> None:
    """Erlang's epmd counts one too many, and closes."""
    node = PortInfo("x" * 255, 1234, lowest=5)
    with running(ERLANGS) as erlangs, running(OURS) as ours:
        answers: list[bytes] = []
        for port in (erlangs, ours):
            talk = Talk(port)
            talk.register("long", _wire(Alive(node)))
            talk.ask("port", _wire(PortPlease(node.name)))
            answers.append(talk.heard[1][1])
            talk.close()
    assert answers == [b"", bytes.fromhex("77 00 04d2 4d 00 0006 0005 00ff") + b"x" * 255 + b"\0\0"]
