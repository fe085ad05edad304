"""The examples in docs/wire.md, byte by byte, written and read."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

import pytest

from pydist.core.connection import Connection
from pydist.core.cookies import Cookies
from pydist.core.handshake import Handshake
from pydist.errors import DecodeError
from pydist.gen.calls import Call, Caller, Cast, Reply
from pydist.gen.lifecycle import Started
from pydist.message import Message, Opaque
from pydist.terms import NORMAL, Alias, Atom, Crash, Down, Exited, Pid, Ref
from pydist.wire import control
from pydist.wire.codec import Decoder, Encoder
from pydist.wire.control import Incoming, Messages, Signal
from pydist.wire.fragments import FragmentBuffer, cut
from pydist.wire.handshake import Flag, Identity, Status
from tests.pages import ROOT

PAGE: Final = (ROOT / "docs/wire.md").read_text()
A: Final = Identity("a@h", 1)
B: Final = Identity("b@h", 2)
P, Q = A.home.pid(7), B.home.pid(8)
HERS, HIS = A.home.ref(9), B.home.ref(9)

SIGNALS: Final[dict[str, Signal]] = {
    "`SEND` of 5": control.Send(Q, 5),
    "`SEND_NAME` of 5 to `echo`": control.SendName("echo", 5),
    "`SEND_ALIAS` of 5": control.SendAlias(Alias(Q, HIS), 5),
    "`LINK`": control.Link(P, Q),
    "`UNLINK` with the id 300": control.Unlink(P, Q, 300),
    "`UNLINK_ACK` with the id 300": control.UnlinkAck(P, Q, 300),
    "`EXIT` with `normal`": control.Exit(P, Q, NORMAL),
    "`EXIT_TO` with (1,)": control.ExitTo(P, Q, (1,)),
    "`MONITOR`": control.Monitor(P, Q, HERS),
    "`MONITOR` of the name `echo`": control.Monitor(P, "echo", HERS),
    "`DEMONITOR`": control.Demonitor(P, Q, HERS),
    "`DEMONITOR` of the name `echo`": control.Demonitor(P, "echo", HERS),
    "`MONITOR_EXIT` with None": control.MonitorExit(P, Q, HIS, None),
    "`MONITOR_EXIT` of the name `echo` with None": control.MonitorExit("echo", Q, HIS, None),
    "`ASK` of 5": control.Ask(P, Q, HERS, 5),
    "`ASK` of 5, of the name `echo`": control.Ask(P, "echo", HERS, 5),
    "`SPAWN_REQUEST` of `m:f` with (5,), linked, and registered as `echo`": control.SpawnRequest(
        P, HERS, "m:f", "echo", 1, (5,)
    ),
    "`SPAWN_REPLY`: the target has got 7, which comes up": control.SpawnReply(P, Q, HIS, 1, None),
    "`GRANT` of 300": control.Grant(P, 300),
    "`GRANT` of 0, for the name `echo`": control.Grant("echo", 0),
    "`UNBOUNDED`": control.Unbounded(P),
    "`UNBOUNDED` of the name `echo`": control.Unbounded("echo"),
    "`SEND_URGENT` of 5": control.SendUrgent(Alias(Q, HIS), 5),
    "`LOST`: the second life of a@h has lost the first of c@h, its fifth loss": control.Lost("a@h", 2, 5, "c@h", 1),
    "`PART`": control.Part(),
}


class Point(Message, tag="test.point"):
    x: int
    y: int


PID: Final = Pid("a@h", 7, 3)
REF: Final = Ref("a@h", 9, 3)
TERMS: Final[dict[str, Any]] = {
    "`None`": None,
    "`True`": True,
    "`5`": 5,
    "`-2**63`": -(2**63),
    "`2**64 - 1`": 2**64 - 1,
    "`2**64`": 2**64,
    "`-2**63 - 1`": -(2**63) - 1,
    "`1.5`": 1.5,
    '`"a"`': "a",
    '`b"a"`': b"a",
    "`[1]`": [1],
    "`{1: 2}`": {1: 2},
    '`Atom("ok")`': Atom("ok"),
    "`pid`": PID,
    "`ref`": REF,
    "`Alias(pid, ref)`": Alias(PID, REF),
    "`()`": (),
    "`(1, 2)`": (1, 2),
    "`{1}`": {1},
    "`frozenset({1})`": frozenset({1}),
    "`Point(1, 2)`": Point(1, 2),
    '`Opaque("t", (1,))`': Opaque("t", (1,)),
}

MESSAGES: Final[dict[str, type[Message]]] = {
    "`$crash`": Crash,
    "`$call`": Call,
    "`$caller`": Caller,
    "`$reply`": Reply,
    "`$cast`": Cast,
    "`$down`": Down,
    "`$exited`": Exited,
    "`$started`": Started,
}


def table(*heads: str) -> dict[str, str]:
    """The second cell of each row by its first, in the table with these heads."""
    lines = iter(PAGE.splitlines())
    for line in lines:
        if [cell.strip() for cell in line.strip("|").split("|")] == list(heads):
            break
    next(lines)
    rows: dict[str, str] = {}
    for line in lines:
        if not line.startswith("|"):
            return rows
        first, second, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        rows[first] = second
    raise AssertionError(f"no table with the heads {heads}")


def block(first: str) -> list[str]:
    """The lines of the code block whose first line begins so."""
    found = re.search(rf"^```\n({re.escape(first)}.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, first
    return found[1].splitlines()


def bytes_of(text: str) -> bytes:
    """The bytes that stand there in hexadecimal, with or without spaces, up to two spaces in a row."""
    return bytes.fromhex(re.split(r"\s{2,}", text.strip("` "))[0])


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


SIGNAL_BYTES: Final = {name: bytes_of(data) for name, data in table("signal", "bytes").items()}
TERM_BYTES: Final = {name: bytes_of(data) for name, data in table("term", "bytes").items()}


def test_the_page_has_an_example_of_each_signal_and_of_each_kind_of_term() -> None:
    assert list(SIGNAL_BYTES) == list(SIGNALS)
    assert {type(signal) for signal in SIGNALS.values()} == set(get_args(Signal))
    assert list(TERM_BYTES) == list(TERMS)


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_written_and_read_as_the_page_says(name: str) -> None:
    signal, data = SIGNALS[name], frame(b"\x91" + SIGNAL_BYTES[name])
    sender, receiver = Connection(A, B, 0.0), Connection(B, A, 0.0)
    sender.send(signal)
    assert sender.data_to_send().hex(" ") == data.hex(" ")
    arrived: Incoming | Signal = Messages(8, [5]) if isinstance(signal, control.Send) else signal
    assert receiver.receive_data(data, 0.0) == [arrived]


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_written_and_read_as_the_page_says(name: str) -> None:
    value, data = TERMS[name], TERM_BYTES[name]
    assert Encoder().encode(value).hex(" ") == data.hex(" ")
    read = Decoder().decode(data)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("name", TERMS)
def test_no_term_is_read_from_less_or_more_than_its_bytes(name: str) -> None:
    data = TERM_BYTES[name]
    for wrong in (*(data[:size] for size in range(len(data))), data + b"\xc0"):
        with pytest.raises(DecodeError):
            Decoder().decode(wrong)


def test_the_frame_on_the_page_is_what_it_says() -> None:
    data = b"".join(map(bytes_of, block("0000000c")))
    sender, receiver = Connection(A, B, 0.0), Connection(B, A, 0.0)
    for message in (5, "o"):
        sender.send(control.Send(Q, message))
    sender.send(control.Link(P, Q))
    assert sender.data_to_send().hex(" ") == data.hex(" ")
    assert receiver.receive_data(data, 0.0) == [Messages(8, [5, "o"]), control.Link(P, Q)]


def test_the_fragments_on_the_page_are_what_they_say() -> None:
    heads = [bytes_of(line) for line in block("01010009")]
    body = bytes(65_538)
    data = heads[0] + body[:65_536] + heads[1] + body[65_536:]
    assert b"".join(part for frame in cut(3, b"", body) for part in frame) == data
    buffer = FragmentBuffer()
    buffer.feed(data)
    assert [*iter(buffer.next_frame, None)] == [body]


def test_the_handshake_on_the_page_is_what_two_nodes_say() -> None:
    expected = {name: bytes_of(data) for name, data in (line.split(maxsplit=1) for line in block("hello  "))}
    a, b = Identity("a@h", 1, Flag.SIGNALS, 1), Identity("b@h", 2, Flag.SIGNALS, 1)
    initiator = Handshake(a, Cookies((b"secret",)), b"A" * 32, 0.0, dialled="b@h")
    acceptor = Handshake(b, Cookies((b"secret",)), b"B" * 32, 0.0)
    said: dict[str, bytes] = {}
    for name in expected:
        speaker, hearer = (initiator, acceptor) if name in {"hello", "proof", "answer"} else (acceptor, initiator)
        if name == "status":
            acceptor.decide(Status.ALIVE, 0.0)
        elif name == "answer":
            initiator.confirm(wanted=True, now=0.0)
        said[name] = speaker.data_to_send()
        hearer.receive_data(said[name], 0.0)
    assert {name: data.hex() for name, data in said.items()} == {name: data.hex() for name, data in expected.items()}


def test_the_statuses_on_the_page_are_those_of_the_code() -> None:
    codes = {name.strip("`").upper(): int(code) for name, code in table("status", "code", "when", "then").items()}
    assert codes == {status.name: status.value for status in Status}


def test_the_signals_on_the_page_have_the_numbers_of_the_code() -> None:
    numbers = table("op", "signal", "fields behind the op", "meaning")
    assert {name.strip("`"): int(op) for op, name in numbers.items()} == {
        name: value for name, value in vars(control).items() if name.isupper() and type(value) is int and value < 200
    }


def test_the_messages_on_the_page_have_their_tags_and_fields() -> None:
    fields = table("tag", "fields", "meaning")
    assert {tag: names.split(", ") for tag, names in fields.items()} == {
        f"`{kind.__tag__}`": list(kind.__fields__) for kind in MESSAGES.values()
    }
