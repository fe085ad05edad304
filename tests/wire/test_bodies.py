from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.message import Message
from pydist.wire.bodies import Bodies, Tailed, tail_start
from pydist.wire.codec import Encoder
from pydist.wire.control import Messages, SendName
from pydist.wire.fields import Home
from pydist.wire.signal_arrays import PureSignalReader, SignalReader

HERE, THERE = Home("a@h", 1), Home("b@h", 2)
LARGE = bytes(70_000)
encode = Encoder().encode


def whole(body: bytes) -> bytes | Tailed:
    bodies = Bodies(1 << 20)
    begun = bodies.begin(0, len(body))
    begun.add(memoryview(body))
    return bodies.finish(begun)


def test_a_binary_at_the_end_of_a_body_is_an_object_of_its_own() -> None:
    head = b"\x91\x93\x01\x07\x91\xc6" + len(LARGE).to_bytes(4)
    assert whole(head + LARGE) == Tailed(head, LARGE)


@pytest.mark.parametrize("body", [encode([[1, 7, [{"a": LARGE, "b": 1}]]]), encode([[1, 7, ["x" * 70_000]]]), b"\xc6"])
def test_a_body_that_ends_with_anything_else_is_one_piece(body: bytes) -> None:
    assert whole(body) == body


@given(st.binary(max_size=80), st.integers(0, 1 << 33))
def test_where_a_tail_may_start_the_head_of_a_binary_of_that_size_ends(beginning: bytes, size: int) -> None:
    start = tail_start(beginning, size)
    assert start == 0 or beginning[start - 5 : start] == b"\xc6" + (size - start).to_bytes(4)


@pytest.mark.parametrize("kind", [SignalReader, PureSignalReader])
def test_a_body_in_two_reads_as_it_does_in_one(kind: type[PureSignalReader]) -> None:
    reader = kind(HERE, THERE)
    bodies = [
        encode([[1, 7, [LARGE]]]),
        encode([[2, "name", LARGE]]),
        encode([[1, 7, [(1, LARGE)]]]),
    ]
    tailed = [body for body in map(whole, bodies) if type(body) is Tailed]
    assert [reader.read_tailed(body.head, body.tail) for body in tailed] == [
        [Messages(7, [LARGE])],
        [SendName("name", LARGE)],
        [Messages(7, [(1, LARGE)])],
    ]


@pytest.mark.parametrize("kind", [SignalReader, PureSignalReader])
def test_what_only_looks_like_the_head_of_a_binary_is_read_as_what_it_is(kind: type[PureSignalReader]) -> None:
    text = "x" * 10 + "\u01a0\0\0\0\x05tail!"  # its UTF-8 has the byte that a binary begins with
    body = encode([[1, 7, [text]]])
    split = body.index(b"\xc6") + 5
    assert kind(HERE, THERE).read_tailed(body[:split], body[split:]) == [Messages(7, [text])]


class Interrupting(Message, tag="test.interrupting"):
    """Takes its sender for a ^C."""

    data: bytes
    made: ClassVar[int] = 0

    def __attrs_post_init__(self) -> None:
        Interrupting.made += 1
        if Interrupting.made > 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [SignalReader, PureSignalReader])
def test_an_interrupt_while_a_body_is_read_is_passed_on_and_nothing_is_read_twice(kind: type[PureSignalReader]) -> None:
    Interrupting.made = 0
    body = whole(encode([[1, 7, [Interrupting(LARGE)]]]))
    assert isinstance(body, Tailed)
    with pytest.raises(KeyboardInterrupt):
        kind(HERE, THERE).read_tailed(body.head, body.tail)
    assert Interrupting.made == 2
