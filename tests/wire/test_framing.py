from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import FrameTooLarge
from pydist.wire.framing import LONG, SHORT, TICK, FrameBuffer


def frames_of(buffer: FrameBuffer, data: bytes) -> list[bytes]:
    buffer.feed(data)
    return list(iter(buffer.next_frame, None))


def framed(*payloads: bytes) -> bytes:
    return b"".join(LONG.pack(len(payload)) + payload for payload in payloads)


@given(payloads=st.lists(st.binary(max_size=40)), cuts=st.lists(st.integers(min_value=0, max_value=400)))
def test_frames_come_out_whole_and_in_order_however_the_bytes_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    data = framed(*payloads)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    buffer = FrameBuffer()
    received = [frame for start, end in pairwise(edges) for frame in frames_of(buffer, data[start:end])]
    assert received == payloads
    assert len(buffer) == 0


@given(payloads=st.lists(st.binary(max_size=10), max_size=5))
def test_frames_come_out_byte_by_byte(payloads: list[bytes]) -> None:
    buffer = FrameBuffer()
    assert [frame for byte in framed(*payloads) for frame in frames_of(buffer, bytes([byte]))] == payloads


def test_a_tick_is_an_empty_frame() -> None:
    assert frames_of(FrameBuffer(), TICK + framed(b"x") + TICK) == [b"", b"x", b""]


def test_a_frame_of_exactly_the_limit_is_taken() -> None:
    assert frames_of(FrameBuffer(LONG, 3), framed(b"abc")) == [b"abc"]


def test_four_gibibytes_are_refused_when_they_are_announced() -> None:
    buffer = FrameBuffer()
    buffer.feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameTooLarge, match="4294967295 bytes, the limit is 16777216"):
        buffer.next_frame()


def test_whole_frames_before_one_that_is_too_large_still_come_out() -> None:
    buffer = FrameBuffer(LONG, 3)
    buffer.feed(framed(b"abc", b"abcd"))
    assert buffer.next_frame() == b"abc"
    with pytest.raises(FrameTooLarge):
        buffer.next_frame()


def test_short_frames_have_two_byte_lengths() -> None:
    assert frames_of(FrameBuffer(SHORT), b"\x00\x02hi\x00\x00") == [b"hi", b""]


def test_held_bytes_can_be_looked_at_and_taken_away() -> None:
    buffer = FrameBuffer(SHORT)
    assert frames_of(buffer, b"\x00\x01a\x00\x05bc") == [b"a"]
    assert (len(buffer), buffer.peek(3), buffer.peek(99)) == (4, b"\x00\x05b", b"\x00\x05bc")
    buffer.feed(b"d")
    assert (buffer.take_rest(), len(buffer)) == (b"\x00\x05bcd", 0)
    assert frames_of(buffer, b"\x00\x01z") == [b"z"]


def test_a_large_frame_in_small_chunks_is_copied_in_linear_time() -> None:
    """Counted in steps of the buffer's storage, not in seconds: it has to grow geometrically, not once a chunk."""
    buffer = FrameBuffer()
    buffer.feed(LONG.pack(4_000_000))
    addresses = set[int]()
    for _ in range(4_000):
        buffer.feed(b"x" * 1_000)
        addresses.add(id(buffer._buffer))
        if len(buffer) < 4_000_004:
            assert buffer.next_frame() is None
    assert len(addresses) <= 2
    assert buffer.next_frame() == b"x" * 4_000_000
