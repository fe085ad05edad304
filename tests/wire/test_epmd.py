from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import DecodeError, FrameTooLarge, WireError
from pydist.wire.epmd import (
    HIDDEN_NODE,
    MAX_EXTRA,
    MAX_NAME,
    MAX_REQUEST,
    NORMAL_NODE,
    Alive,
    AliveReply,
    BadNode,
    Dump,
    DumpEntry,
    DumpReply,
    Kill,
    Names,
    NamesReply,
    PortInfo,
    PortPlease,
    Question,
    Stop,
    decode_names_reply,
    decode_port_reply,
    encode_alive_reply,
    encode_dump_reply,
    encode_names_reply,
    encode_port_reply,
    encode_request,
    take_alive_reply,
    take_request,
)

# As Erlang/OTP 25 sends it for `erl -sname x` that listens on port 37337.
ERL_ALIVE = bytes.fromhex("000e 78 91d9 4d 00 0006 0005 0001 78 0000")

NODES = st.builds(
    PortInfo,
    name=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60),
    port=st.integers(0, 0xFFFF),
    node_type=st.sampled_from([NORMAL_NODE, HIDDEN_NODE]),
    protocol=st.integers(0, 0xFF),
    highest=st.integers(0, 0xFFFF),
    lowest=st.integers(0, 0xFFFF),
    extra=st.binary(max_size=300),
)
REQUESTS = st.one_of(
    st.builds(Alive, NODES),
    st.builds(PortPlease, NODES.map(lambda node: node.name)),
    st.builds(Stop, NODES.map(lambda node: node.name)),
    st.sampled_from([Names(), Kill(), Dump()]),
)


def test_the_request_of_a_real_erlang_node_is_read() -> None:
    assert take_request(ERL_ALIVE) == Alive(PortInfo("x", 37337, NORMAL_NODE, 0, highest=6, lowest=5))


@pytest.mark.parametrize(
    ("request_", "wire"),
    [
        (Alive(PortInfo("x", 37337, HIDDEN_NODE, extra=b"hi")), "0010 78 91d9 48 00 0006 0006 0001 78 0002 6869"),
        (PortPlease("ab"), "0003 7a 6162"),
        (Names(), "0001 6e"),
        (Kill(), "0001 6b"),
        (Dump(), "0001 64"),
        (Stop("ab"), "0003 73 6162"),
    ],
)
def test_requests_have_these_bytes(request_: Question, wire: str) -> None:
    assert encode_request(request_) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (AliveReply(0x01020304), "76 00 01020304"),
        (AliveReply(3, wide=False), "79 00 0003"),
        (AliveReply(None), "76 01 00000063"),
        (AliveReply(None, wide=False), "79 01 0063"),
    ],
)
def test_answers_to_a_registration_have_these_bytes_and_are_read_again(reply: AliveReply, wire: str) -> None:
    data = encode_alive_reply(reply)
    assert (data, take_alive_reply(data)) == (bytes.fromhex(wire), reply)


def test_an_answer_with_a_port_has_these_bytes() -> None:
    node = PortInfo("x", 37337, extra=b"hi")
    assert encode_port_reply(node) == bytes.fromhex("77 00 91d9 4d 00 0006 0006 0001 78 0002 6869")
    assert encode_port_reply(None) == bytes.fromhex("77 01")


def test_a_list_of_names_has_these_bytes() -> None:
    assert encode_names_reply(NamesReply(4369, (("a", 1), ("b", 22)))) == (
        b"\x00\x00\x11\x11name a at port 1\nname b at port 22\n"
    )


@given(REQUESTS)
def test_what_is_asked_is_what_is_heard(request_: Question) -> None:
    assert take_request(encode_request(request_)) == request_


@given(st.none() | NODES)
def test_a_port_that_is_told_is_the_port_that_is_heard(node: PortInfo | None) -> None:
    assert decode_port_reply(encode_port_reply(node)) == node


@given(st.builds(NamesReply, st.integers(0, 0xFFFF), st.lists(NODES.map(lambda n: (n.name, n.port))).map(tuple)))
def test_names_that_are_told_are_the_names_that_are_heard(reply: NamesReply) -> None:
    assert decode_names_reply(encode_names_reply(reply)) == reply


@given(REQUESTS)
def test_a_request_that_comes_byte_by_byte_is_whole_at_its_last_byte_only(request_: Question) -> None:
    wire = encode_request(request_)
    assert [take_request(wire[:end]) for end in range(len(wire))] == [None] * len(wire)


@pytest.mark.parametrize("wide", [True, False])
def test_an_answer_to_a_registration_is_whole_at_its_last_byte_only(wide: bool) -> None:
    data = encode_alive_reply(AliveReply(2, wide))
    assert [take_alive_reply(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        ("0000", "no request"),
        ("0001 99", "no request"),
        ("0010 99", "no request"),
        ("0001 6e ff", "1 bytes after the request"),
        ("0001 78", "a node's description of 0 bytes"),
        ("000e 78 91d9 4d 00 0006 0005 0009 78 0000", "a name of 9 bytes, more than there are"),
        ("000e 78 91d9 4d 00 0006 0005 0000 78 0000", "announces 30720 bytes of extra data"),
        ("000e 78 91d9 4d 00 0006 0005 0001 78 0001", "announces 1 bytes of extra data, and has 0"),
        ("000d 78 91d9 4d 00 0006 0005 0000 0000", "a node's description of 12 bytes"),
        ("000f 78 91d9 4d 00 0006 0005 0002 7800 0000", "a name with a zero"),
        ("0001 7a", "a name of 0 characters"),
        ("0002 7a ff", "not UTF-8"),
        ("0004 7a 61 00 62", "a name with a zero"),
        ("0001 73", "a name of 0 characters"),
        ("0002 73 ff", "not UTF-8"),
    ],
)
def test_a_request_that_lies_is_refused(wire: str, complaint: str) -> None:
    with pytest.raises(DecodeError, match=complaint):
        take_request(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("wire", "request_"),
    [
        ("0003 6e 0000", Names()),
        ("0002 6b ff", Kill()),
        ("0002 64 ff", Dump()),
        ("0004 73 61 00 62", Stop("a")),
        ("0010 78 91d9 4d 00 0006 0005 0001 78 0000 ffff", Alive(PortInfo("x", 37337, lowest=5))),
        ("0011 78 91d9 4d 00 0006 0005 0001 78 0001 616263", Alive(PortInfo("x", 37337, lowest=5, extra=b"a"))),
    ],
)
def test_what_is_behind_the_last_field_is_ignored(wire: str, request_: Question) -> None:
    assert take_request(bytes.fromhex(wire)) == request_


@pytest.mark.parametrize("text", ["x" * MAX_NAME, "é" * MAX_NAME, "😀" * MAX_NAME])
def test_a_name_has_at_most_255_characters(text: str) -> None:
    node = PortInfo(text, 1, extra=bytes(MAX_EXTRA))
    assert take_request(encode_request(Alive(node))) == Alive(node)
    assert take_request(encode_request(PortPlease(text))) == PortPlease(text)
    with pytest.raises(DecodeError, match="a name of 256 characters"):
        take_request(encode_request(PortPlease(text + "x")))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (PortInfo("x" * 256, 1), "a name of 256 characters, where 1 to 255 are allowed"),
        (PortInfo("a", 1, extra=bytes(1021)), "1021 bytes of extra data, where 1020 are allowed"),
        (PortInfo("a b", 1), "a name with a space or a control character: 'a b'"),
        (PortInfo("a\n", 1), r"a name with a space or a control character: 'a\n'"),
        (PortInfo("", 1, extra=b"x"), "a name of 0 characters, where 1 to 255 are allowed"),
    ],
)
@pytest.mark.parametrize("version", [5, 6])
def test_a_name_that_nobody_may_have_is_to_be_answered_with_no(node: PortInfo, reason: str, version: int) -> None:
    wire = encode_request(Alive(evolve(node, highest=version)))
    assert take_request(wire) == BadNode(reason, wide=version == 6)


def test_a_name_that_is_not_utf_8_is_to_be_answered_with_no() -> None:
    wire = bytes.fromhex("000e 78 91d9 4d 00 0006 0005 0001 ff 0000")
    assert take_request(wire) == BadNode(r"a name that is not UTF-8: b'\xff'", wide=True)


def test_a_dump_has_these_bytes() -> None:
    active, old = DumpEntry("é", 1, 5), DumpEntry("b", 22, 6)
    assert encode_dump_reply(DumpReply(4369, (active,), (old,))) == (
        b"\x00\x00\x11\x11active name     <\xc3\xa9> at port 1, fd = 5\n\0old/unused name <b>, port = 22, fd = 6 \n\0"
    )


def test_an_old_client_ends_the_name_with_a_zero() -> None:
    assert take_request(b"\0\3z" + b"a\0") == PortPlease("a")


@pytest.mark.parametrize("opening", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\xff\xff"])
def test_other_protocols_are_told_by_their_first_two_bytes(opening: bytes) -> None:
    with pytest.raises(FrameTooLarge, match="announces a request of"):
        take_request(opening[:2])


def test_a_request_that_no_port_mapper_would_take_is_not_sent() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_REQUEST} bytes"):
        encode_request(Alive(PortInfo("a", 1, extra=bytes(MAX_REQUEST))))


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "77",
        "76 00",
        "77 00",
        "77 00 0001 4d 00 0006 0006 0005 78 0000",
        "77 00 0001 4d 00 0006 0006 0001 78 0000 ff",
    ],
)
def test_an_answer_that_is_no_port_is_refused(wire: str) -> None:
    with pytest.raises(DecodeError):
        decode_port_reply(bytes.fromhex(wire))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\0", b"\0\0\0\1nonsense\n", b"\0\0\0\1name a at port x\n", b"\0\0\0\1\xff\n", b"HTTP/1.1 400\r\n"],
)
def test_an_answer_that_is_no_list_of_names_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_names_reply(data)


@pytest.mark.parametrize("data", [b"x", b"v\0\0\0\0\1\0", b"y\0\0\1\0"])
def test_an_answer_that_is_no_creation_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        take_alive_reply(data)


def _body(kind: int, rest: bytes) -> bytes:
    return bytes([kind]) + rest


def _packed(body: bytes) -> bytes:
    return len(body).to_bytes(2) + body


BODIES = st.binary(max_size=64) | st.builds(_body, st.sampled_from(b"xznkdsvwy"), st.binary(max_size=64))


@given(BODIES | BODIES.map(_packed))
def test_random_bytes_are_a_request_or_a_wire_error(data: bytes) -> None:
    for read in (take_request, take_alive_reply, decode_port_reply, decode_names_reply):
        try:
            read(data)
        except WireError:
            continue


@given(REQUESTS, st.data())
def test_a_request_of_which_a_byte_has_changed_is_a_request_or_a_wire_error(
    request_: Question, data: st.DataObject
) -> None:
    wire = bytearray(encode_request(request_))
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        heard = take_request(wire)
    except WireError:
        return
    if isinstance(heard, Alive):
        assert 1 <= len(heard.node.name) <= MAX_NAME
        assert heard.node.name.isprintable()
        assert len(heard.node.extra) <= MAX_EXTRA
