from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.frame_builder import FrameBuilder, PureFrameBuilder
from pydist.wire.codec import Encoder

Part = tuple[int | None, bytes]
Builder = FrameBuilder | PureFrameBuilder

parts = st.tuples(st.none() | st.integers(0, 3) | st.integers(0, 2**70), st.binary(max_size=20))
frames = st.lists(st.lists(parts, max_size=40), max_size=3)


def builder() -> FrameBuilder:
    return FrameBuilder(Encoder().encode)


def add(builder: Builder, number: int | None, data: bytes) -> None:
    if number is None:
        builder.signal(data)
    else:
        builder.message(number, data)


def built(builder: Builder, frames: list[list[Part]]) -> list[bytes]:
    found: list[bytes] = []
    for frame in frames:
        for number, data in frame:
            add(builder, number, data)
        found.append(builder.finish())
    return found


def test_nothing_in_it_is_no_frame() -> None:
    assert builder().finish() == b""


@pytest.mark.parametrize(
    ("parts", "hexadecimal"),
    [
        ([(8, b"\x05")], "00000006 91 93 01 08 91 05"),
        ([(8, b"\x05"), (8, b"\x06")], "00000007 91 93 01 08 92 05 06"),
        ([(8, b"\x05"), (9, b"\x06")], "0000000b 92 93 01 08 91 05 93 01 09 91 06"),
        ([(8, b"\x05"), (None, b"\x90"), (8, b"\x06")], "0000000c 93 93 01 08 91 05 90 93 01 08 91 06"),
        ([(2**32, b"\x05")], "0000000e 91 93 01 cf0000000100000000 91 05"),
        ([(None, b"\x90")] * 16, "00000013 dc0010" + " 90" * 16),
        ([(1, b"\x05")] * 16, "00000017 91 93 01 01 dc0010" + " 05" * 16),
    ],
)
def test_golden_bytes(parts: list[Part], hexadecimal: str) -> None:
    assert built(builder(), [parts]) == [bytes.fromhex(hexadecimal)]


def test_more_items_than_16_bits_count_have_a_longer_head() -> None:
    frame = built(builder(), [[(1, b"\x05")] * 2**16])[0]
    assert frame[:13] == (len(frame) - 4).to_bytes(4, "big") + bytes.fromhex("91 93 01 01 dd00010000")


@given(frames)
def test_both_twins_build_the_same_frames(frames: list[list[Part]]) -> None:
    assert built(builder(), frames) == built(PureFrameBuilder(Encoder().encode), frames)
