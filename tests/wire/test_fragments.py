from __future__ import annotations

import hashlib
import zlib
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import FragmentError, FrameTooLarge, WireError
from pydist.wire.assembly import RESERVED
from pydist.wire.bodies import STREAMS, deflate
from pydist.wire.fragments import (
    BEGIN,
    DEFLATE,
    FRAGMENT,
    GO_ON,
    MESSAGE_LIMIT,
    SIGNALS_LIMIT,
    FragmentBuffer,
    cut,
)
from pydist.wire.framing import LONG, TICK


def frames_of(buffer: FragmentBuffer, data: bytes) -> list[bytes]:
    buffer.feed(data)
    frames: list[bytes] = []
    while (frame := buffer.next_frame()) is not None:
        frames.append(bytes(frame))
    return frames


def signals(payload: bytes) -> bytes:
    return LONG.pack(len(payload)) + payload


def begin(stream: int, size: int, piece: bytes) -> bytes:
    return LONG.pack(BEGIN << 24 | len(piece) + 9) + bytes((stream,)) + size.to_bytes(8, "big") + piece


def go_on(stream: int, piece: bytes) -> bytes:
    return LONG.pack(GO_ON << 24 | len(piece) + 1) + bytes((stream,)) + piece


def fragments(stream: int, body: bytes) -> list[bytes]:
    return [b"".join(parts) for parts in cut(stream, body[:10], body[10:])]


def test_golden_bytes_of_fragments() -> None:
    first, second = fragments(3, bytes(FRAGMENT) + b"ab")
    assert first[:14].hex() == "0101000903000000000001000200"
    assert second.hex() == "02000003036162"
    assert (len(first), frames_of(FragmentBuffer(), first + second)) == (13 + FRAGMENT, [bytes(FRAGMENT) + b"ab"])


@pytest.mark.parametrize("size", [11, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, 3 * FRAGMENT, 3 * FRAGMENT + 1])
def test_no_piece_is_larger_than_a_fragment_and_only_the_last_is_smaller(size: int) -> None:
    body = b"x" * size
    pieces = [(int.from_bytes(frame[1:4], "big"), frame[0]) for frame in fragments(0, body)]
    sizes = [length - (9 if kind == BEGIN else 1) for length, kind in pieces]
    assert sizes == [FRAGMENT] * (size // FRAGMENT) + ([size % FRAGMENT] if size % FRAGMENT else [])
    assert frames_of(FragmentBuffer(), b"".join(fragments(0, body))) == [body]


def frames_of_bodies(stream: int, bodies: list[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """Each frame, and the body that is whole with it."""
    frames: list[tuple[bytes, list[bytes]]] = []
    for body in bodies:
        *first, last = fragments(stream, body) if len(body) > 10 else [signals(body)]
        frames += [*((frame, []) for frame in first), (last, [body])]
    return frames


bodies = st.binary(max_size=50) | st.integers(11, 3 * FRAGMENT).map(lambda size: bytes([size % 251]) * size)


@given(st.lists(st.lists(bodies, max_size=3), max_size=4), st.data())
def test_bodies_of_several_streams_come_out_whole_however_they_are_mixed_and_cut(
    of_streams: list[list[bytes]], data: st.DataObject
) -> None:
    queues = [frames_of_bodies(stream, bodies) for stream, bodies in enumerate(of_streams)]
    written, expected = b"", list[bytes]()
    while queues := [queue for queue in queues if queue]:
        frame, whole = data.draw(st.sampled_from(queues)).pop(0)
        written += frame
        expected += whole
    cuts = data.draw(st.lists(st.integers(0, len(written)), max_size=20))
    buffer = FragmentBuffer()
    received = [
        frame
        for start, end in pairwise([0, *sorted(cuts), len(written)])
        for frame in frames_of(buffer, written[start:end])
    ]
    assert (received, len(buffer)) == (expected, 0)


def test_frames_come_out_byte_by_byte() -> None:
    data = begin(5, 4, b"ab") + TICK + signals(b"xyz") + go_on(5, b"c") + go_on(5, b"d")
    buffer = FragmentBuffer()
    received = [frame for byte in data for frame in frames_of(buffer, bytes([byte]))]
    assert received == [b"", b"xyz", b"abcd"]


def test_a_frame_may_lie_in_memory_that_is_used_again() -> None:
    memory = bytearray(begin(0, 3, b"ab") + signals(b"xyz") + go_on(0, b"c") + b"\0\0\0")
    buffer = FragmentBuffer()
    buffer.feed(memoryview(memory))
    frames = list(iter(buffer.next_frame, None))
    memory[:] = bytes(len(memory))
    assert (frames, frames_of(buffer, b"\x01z")) == ([b"xyz", b"abc"], [b"z"])


def test_something_has_begun_until_it_is_whole() -> None:
    buffer = FragmentBuffer()
    begun: list[bool] = []
    for data in (b"", begin(0, 2, b"a"), TICK, go_on(0, b"b"), b"\0\0", b"\0\0"):
        frames_of(buffer, data)
        begun.append(len(buffer) > 0)
    assert begun == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (begin(0, 1 << 32, b"x"), FrameTooLarge, "a message announces 4294967296 bytes, the limit is 1000"),
        (begin(0, 1001, b"x"), FrameTooLarge, "a message announces 1001 bytes, the limit is 1000"),
        (
            begin(0, 1000, b"x") + begin(1, 999, b"x") + begin(2, 2, b"x"),
            FrameTooLarge,
            "the messages under way announce 2001 bytes, the limit is 2000",
        ),
        (begin(32, 1, b"x"), FragmentError, "streams are numbered from 0 to 31, this is 32"),
        (begin(0, 2, b"x") + begin(0, 2, b"x"), FragmentError, "stream 0 begins, and its last message is not over"),
        (go_on(7, b"x"), FragmentError, "stream 7 goes on, and has not begun"),
        (begin(7, 1, b"x") + go_on(7, b"x"), FragmentError, "stream 7 goes on, and has not begun"),
        (begin(0, 2, b"xyz"), FragmentError, "stream 0 gives more than the 2 bytes that it announced"),
        (begin(0, 2, b"x") + go_on(0, b"yz"), FragmentError, "stream 0 gives more than the 2 bytes that it announced"),
        (begin(0, 0, b"x"), FragmentError, "stream 0 gives more than the 0 bytes that it announced"),
        (begin(0, 2, b""), FragmentError, "a piece has from 1 to 65536 bytes, this one has 0"),
        (go_on(0, b""), FragmentError, "a piece has from 1 to 65536 bytes, this one has 0"),
        (LONG.pack(GO_ON << 24), FragmentError, "a piece has from 1 to 65536 bytes, this one has -1"),
        (LONG.pack(GO_ON << 24 | 65538), FragmentError, "a piece has from 1 to 65536 bytes, this one has 65537"),
        (LONG.pack(SIGNALS_LIMIT + 1), FrameTooLarge, "a frame announces 1048577 bytes, the limit is 1048576"),
        (b"\xff\xff\xff\xff", FragmentError, "no frame is of the kind 255"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])
def test_what_a_peer_may_not_do(data: bytes, error: type[WireError], text: str, at_once: bool) -> None:
    buffer = FragmentBuffer(message_limit=1000)
    pieces = [data] if at_once else [bytes([byte]) for byte in data]
    with pytest.raises(error) as raised:
        list(map(partial(frames_of, buffer), pieces))
    assert str(raised.value) == text


def test_as_many_bodies_as_there_are_streams_are_under_way_and_one_more_is_refused() -> None:
    buffer = FragmentBuffer()
    for stream in range(STREAMS):
        frames_of(buffer, begin(stream, 2, b"x"))
    with pytest.raises(FragmentError):
        frames_of(buffer, begin(STREAMS, 2, b"x"))


def test_what_is_announced_takes_no_memory_before_it_is_there() -> None:
    buffer = FragmentBuffer(message_limit=1 << 40)
    frames_of(buffer, begin(0, 1 << 40, b"x"))
    for _ in range(100):
        frames_of(buffer, go_on(0, bytes(FRAGMENT)))
    [body] = buffer._bodies._open.values()
    assert body.room <= max(RESERVED, 2 * (1 + 100 * FRAGMENT))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_frames_or_a_wire_error(data: bytes, step: int) -> None:
    buffer = FragmentBuffer(message_limit=1000)
    try:
        for start in range(0, len(data), step):
            frames_of(buffer, data[start : start + step])
    except WireError:
        pass


def compressed(size: int, data: bytes) -> bytes:
    head = bytes((0,)) + len(data).to_bytes(8, "big") + size.to_bytes(8, "big")
    return LONG.pack(DEFLATE << 24 | len(head) + len(data)) + head + data


@given(st.binary(min_size=1, max_size=20), st.integers(1_000, 300_000))
def test_a_compressed_body_comes_out_as_it_was(pattern: bytes, size: int) -> None:
    body = (pattern * size)[:size]
    deflated = deflate(body)
    assert deflated is not None
    frames = b"".join(b"".join(parts) for parts in cut(0, b"", deflated, len(body)))
    assert (frames[0], frames_of(FragmentBuffer(), frames)) == (DEFLATE, [body])


def test_where_compression_was_not_agreed_a_compressed_body_is_none() -> None:
    with pytest.raises(FragmentError, match="no frame is of the kind 3"):
        frames_of(FragmentBuffer(inflates=False), compressed(10, zlib.compress(bytes(10))))


def test_golden_bytes_of_a_compressed_body() -> None:
    (head, piece), *rest = cut(3, b"", b"deflated", 70_000)
    assert (head.hex(), bytes(piece), rest) == ("030000190300000000000000080000000000011170", b"deflated", [])


def test_what_does_not_become_smaller_is_not_compressed() -> None:
    assert deflate(hashlib.shake_128(b"x").digest(100_000)) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (compressed(10, b"no zlib"), "a compressed message can't be inflated"),
        (compressed(9, zlib.compress(bytes(10))), "does not inflate to the 9 bytes"),
        (compressed(11, zlib.compress(bytes(10))), "does not inflate to the 11 bytes"),
        (compressed(10, zlib.compress(bytes(10)) + b"more"), "does not inflate to the 10 bytes"),
        (compressed(10, zlib.compress(bytes(10))[:-1]), "does not inflate to the 10 bytes"),
        (compressed(1000, zlib.compress(bytes(100_000_000))[:50_000]), "does not inflate to the 1000 bytes"),
        (compressed(1001, zlib.compress(bytes(1001))), "a message announces 1001 bytes, the limit is 1000"),
    ],
)
def test_a_compressed_body_becomes_no_more_than_it_announced(data: bytes, text: str) -> None:
    buffer = FragmentBuffer(message_limit=1000 if len(data) < 1000 else MESSAGE_LIMIT)
    with pytest.raises(WireError, match=text):
        frames_of(buffer, data)
