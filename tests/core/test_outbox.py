from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.outbox import FRAME_TARGET, Outbox
from pydist.errors import EncodeError
from pydist.wire.codec import Encoded, Encoder
from pydist.wire.control import Exit, Home, Incoming, Link, Messages, Send, SendName, Signal, SignalReader
from pydist.wire.framing import TICK, FrameBuffer

A = Home("a@h", 1)
B = Home("b@h", 2)
LINK = Link(A.pid(1), B.pid(2))


def outbox(frame_limit: int = 16 * 1024 * 1024) -> Outbox:
    return Outbox(Encoder(), frame_limit=frame_limit)


def frames_of(data: bytes) -> list[bytes]:
    buffer = FrameBuffer()
    buffer.feed(data)
    frames = list(iter(buffer.next_frame, None))
    assert len(buffer) == 0
    return frames


def read(data: bytes) -> list[Incoming]:
    reader = SignalReader(B, A)
    return [signal for frame in frames_of(data) if frame for signal in reader.read(frame)]


def test_nothing_is_nothing() -> None:
    box = outbox()
    assert (box.size, box.take(), box.take(10)) == (0, b"", b"")


def test_golden_bytes_of_a_run() -> None:
    box = outbox()
    for message in (1, 2, 3):
        box.send(7, message)
    assert box.take().hex() == "000000089193010793010203"


def test_messages_to_one_process_share_a_run_and_the_order_is_that_of_the_calls() -> None:
    box = outbox()
    box.send(7, 1)
    box.send(7, 2)
    box.send(8, 3)
    box.send(7, 4)
    box.signal(LINK)
    box.send(7, 5)
    box.signal(Send(B.pid(7), 6))
    assert read(box.take()) == [
        Messages(7, [1, 2]),
        Messages(8, [3]),
        Messages(7, [4]),
        LINK,
        Messages(7, [5, 6]),
    ]


calls = st.one_of(
    st.tuples(st.integers(0, 3), st.integers() | st.text(max_size=5)),
    st.just("signal"),
    st.just("take"),
    st.just("take a little"),
    st.just("tick"),
)


@given(st.lists(calls, max_size=60))
def test_what_comes_out_is_what_went_in_whatever_the_order_of_calls(script: list[Any]) -> None:
    box, data, expected = outbox(), b"", list[Any]()
    for call in script:
        match call:
            case "signal":
                box.signal(LINK)
                expected.append(LINK)
            case "take":
                data += box.take()
                assert box.size == 0
            case "take a little":
                data += box.take(1)
            case "tick":
                box.tick()
            case _:
                number, message = call
                box.send(number, message)
                expected.append((number, message))
    data += box.take()
    flat: list[Any] = []
    for signal in read(data):
        flat += [(signal.number, m) for m in signal.messages] if isinstance(signal, Messages) else [signal]
    assert flat == expected


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_runs_are_as_long_as_they_can_be(numbers: list[int]) -> None:
    box = outbox()
    for number in numbers:
        box.send(number, None)
    assert read(box.take()) == [Messages(number, [None] * len(list(run))) for number, run in groupby(numbers)]


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536, 70_000])
def test_runs_and_frames_of_every_length_announce_it_rightly(count: int) -> None:
    box = outbox()
    for _ in range(count):
        box.send(7, 1)
    assert read(box.take()) == [Messages(7, [1] * count)]
    for _ in range(count):
        box.signal(LINK)
    assert read(box.take()) == [LINK] * count


def test_a_message_may_be_changed_after_it_was_sent() -> None:
    box, message = outbox(), [1]
    box.send(7, message)
    message.append(2)
    assert read(box.take()) == [Messages(7, [[1]])]


@pytest.mark.parametrize("signal", [Send(B.pid(7), object()), Exit(A.pid(1), B.pid(2), object())])
def test_what_cannot_be_sent_raises_and_leaves_nothing_behind(signal: Signal) -> None:
    box = outbox()
    box.send(7, 1)
    before = box.size
    with pytest.raises(EncodeError):
        box.signal(signal)
    assert box.size == before
    box.send(7, 2)
    assert read(box.take()) == [Messages(7, [1, 2])]


LARGE = b"x" * 2 * FRAME_TARGET


@pytest.mark.parametrize("signal", [Send(B.pid(7), LARGE), SendName("n", LARGE)])
def test_a_message_larger_than_a_frame_raises_at_the_sender_and_leaves_nothing_behind(signal: Signal) -> None:
    box = outbox(frame_limit=2 * FRAME_TARGET)
    box.send(7, 1)
    with pytest.raises(EncodeError, match="too large to send, the limit is 2097120"):
        box.signal(signal)
    box.send(7, 2)
    assert read(box.take()) == [Messages(7, [1, 2])]


def test_no_frame_is_larger_than_the_limit_and_small_messages_stay_below_the_target() -> None:
    box = outbox(frame_limit=3 * FRAME_TARGET)
    largest = b"x" * (3 * FRAME_TARGET - 32 - 5)
    for message in (b"y" * 400_000, b"y" * 400_000, b"y" * 400_000, largest, 1, largest):
        box.send(7, message)
    frames = frames_of(box.take())
    assert [len(frame) <= 3 * FRAME_TARGET for frame in frames] == [True] * len(frames)
    assert [len(frame) <= FRAME_TARGET for frame in frames] == [True, True, False, True, False]


def test_the_size_is_what_take_will_give_once_frames_are_sealed() -> None:
    box = outbox()
    for _ in range(5):
        box.send(7, b"x" * FRAME_TARGET)
    assert 5 * FRAME_TARGET < box.size < 5 * FRAME_TARGET + 200
    first = box.take(1)
    assert FRAME_TARGET < len(first) < FRAME_TARGET + 40
    assert len(box.take(2 * FRAME_TARGET)) == 2 * len(first)
    rest = box.size
    assert (len(box.take()), box.size) == (rest, 0)


def test_a_tick_keeps_its_place() -> None:
    box = outbox()
    box.tick()
    assert (box.size, box.take()) == (4, TICK)
    box.send(7, 1)
    box.tick()
    box.send(7, 2)
    assert [bool(frame) for frame in frames_of(box.take())] == [True, False, True]


def test_an_encoded_message_goes_out_like_any_other() -> None:
    box = outbox()
    box.signal(Send(B.pid(7), Encoded(Encoder().encode((1, 2)))))
    assert read(box.take()) == [Messages(7, [(1, 2)])]
