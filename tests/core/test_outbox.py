from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.outbox import FRAME_TARGET, Outbox
from pydist.errors import EncodeError
from pydist.terms import Alias
from pydist.wire.bodies import STREAMS
from pydist.wire.codec import Encoded, Encoder
from pydist.wire.control import Ask, Exit, Incoming, Link, Messages, MonitorExit, Send, SendAlias, SendName, Signal
from pydist.wire.fields import Home
from pydist.wire.fragments import FRAGMENT, MESSAGE_LIMIT, FragmentBuffer
from pydist.wire.framing import TICK, FrameBuffer
from pydist.wire.signal_arrays import SignalReader

A = Home("a@h", 1)
B = Home("b@h", 2)
LINK = Link(A.pid(1), B.pid(2))


def outbox(frame_limit: int = 16 * 1024 * 1024) -> Outbox:
    return Outbox(Encoder(), frame_limit=frame_limit)


def taken(box: Outbox, limit: int | None = None) -> bytes:
    return b"".join(box.take(limit))


def lanes(message_limit: int = MESSAGE_LIMIT) -> Outbox:
    """For a peer that takes fragments."""
    return Outbox(Encoder(), fragments=True, message_limit=message_limit)


def frames_of(data: bytes, buffer: FrameBuffer | FragmentBuffer | None = None) -> list[bytes]:
    buffer = FrameBuffer() if buffer is None else buffer
    buffer.feed(data)
    frames: list[bytes] = []
    while (frame := buffer.next_frame()) is not None:
        frames.append(bytes(frame))
    assert len(buffer) == 0
    return frames


def read(data: bytes, buffer: FrameBuffer | FragmentBuffer | None = None) -> list[Incoming]:
    reader = SignalReader(B, A)
    return [signal for frame in frames_of(data, buffer) if frame for signal in reader.read(frame)]


def flat(signals: list[Incoming]) -> list[Any]:
    """The messages, and other signals, one by one."""
    each: list[Any] = []
    for signal in signals:
        each += signal.messages if isinstance(signal, Messages) else [signal]
    return each


def test_nothing_is_nothing() -> None:
    box = outbox()
    assert (box.size, taken(box), taken(box, 10)) == (0, b"", b"")


def test_golden_bytes_of_a_run() -> None:
    box = outbox()
    for message in (1, 2, 3):
        box.send(7, message)
    assert taken(box).hex() == "000000089193010793010203"


def test_messages_to_one_process_share_a_run_and_the_order_is_that_of_the_calls() -> None:
    box = outbox()
    box.send(7, 1)
    box.send(7, 2)
    box.send(8, 3)
    box.send(7, 4)
    box.signal(LINK)
    box.send(7, 5)
    box.signal(Send(B.pid(7), 6))
    assert read(taken(box)) == [
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
                data += taken(box)
                assert box.size == 0
            case "take a little":
                data += taken(box, 1)
            case "tick":
                box.tick()
            case _:
                number, message = call
                box.send(number, message)
                expected.append((number, message))
    data += taken(box)
    flat: list[Any] = []
    for signal in read(data):
        flat += [(signal.number, m) for m in signal.messages] if isinstance(signal, Messages) else [signal]
    assert flat == expected


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_runs_are_as_long_as_they_can_be(numbers: list[int]) -> None:
    box = outbox()
    for number in numbers:
        box.send(number, None)
    assert read(taken(box)) == [Messages(number, [None] * len(list(run))) for number, run in groupby(numbers)]


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536, 70_000])
def test_runs_and_frames_of_every_length_announce_it_rightly(count: int) -> None:
    box = outbox()
    for _ in range(count):
        box.send(7, 1)
    assert read(taken(box)) == [Messages(7, [1] * count)]
    for _ in range(count):
        box.signal(LINK)
    assert read(taken(box)) == [LINK] * count


def test_a_message_may_be_changed_after_it_was_sent() -> None:
    box, message = outbox(), [1]
    box.send(7, message)
    message.append(2)
    assert read(taken(box)) == [Messages(7, [[1]])]


@pytest.mark.parametrize("signal", [Send(B.pid(7), object()), Exit(A.pid(1), B.pid(2), object())])
def test_what_cannot_be_sent_raises_and_leaves_nothing_behind(signal: Signal) -> None:
    box = outbox()
    box.send(7, 1)
    before = box.size
    with pytest.raises(EncodeError):
        box.signal(signal)
    assert box.size == before
    box.send(7, 2)
    assert read(taken(box)) == [Messages(7, [1, 2])]


LARGE = b"x" * 2 * FRAME_TARGET


@pytest.mark.parametrize("signal", [Send(B.pid(7), LARGE), SendName("n", LARGE)])
def test_a_message_larger_than_a_frame_raises_at_the_sender_and_leaves_nothing_behind(signal: Signal) -> None:
    box = outbox(frame_limit=2 * FRAME_TARGET)
    box.send(7, 1)
    with pytest.raises(EncodeError, match="too large to send, the limit is 2097120"):
        box.signal(signal)
    box.send(7, 2)
    assert read(taken(box)) == [Messages(7, [1, 2])]


def test_no_frame_is_larger_than_the_limit_and_small_messages_stay_below_the_target() -> None:
    box = outbox(frame_limit=3 * FRAME_TARGET)
    largest = b"x" * (3 * FRAME_TARGET - 32 - 5)
    for message in (b"y" * 400_000, b"y" * 400_000, b"y" * 400_000, largest, 1, largest):
        box.send(7, message)
    frames = frames_of(taken(box))
    assert [len(frame) <= 3 * FRAME_TARGET for frame in frames] == [True] * len(frames)
    assert [len(frame) <= FRAME_TARGET for frame in frames] == [True, True, False, True, False]


def test_the_size_is_what_take_will_give_once_frames_are_sealed() -> None:
    box = outbox()
    for _ in range(5):
        box.send(7, b"x" * FRAME_TARGET)
    assert 5 * FRAME_TARGET < box.size < 5 * FRAME_TARGET + 200
    first = taken(box, 1)
    assert FRAME_TARGET < len(first) < FRAME_TARGET + 40
    assert len(taken(box, 2 * FRAME_TARGET)) == 2 * len(first)
    rest = box.size
    assert (len(taken(box)), box.size) == (rest, 0)


def test_a_tick_keeps_its_place() -> None:
    box = outbox()
    box.tick()
    assert (box.size, taken(box)) == (4, TICK)
    box.send(7, 1)
    box.tick()
    box.send(7, 2)
    assert [bool(frame) for frame in frames_of(taken(box))] == [True, False, True]


def test_an_encoded_message_goes_out_like_any_other() -> None:
    box = outbox()
    box.signal(Send(B.pid(7), Encoded(Encoder().encode((1, 2)))))
    assert read(taken(box)) == [Messages(7, [(1, 2)])]


# Two lanes

BIG = b"x" * (2 * FRAGMENT)


def in_lanes(box: Outbox, limit: int | None = None) -> list[Any]:
    return flat(read(taken(box, limit), FragmentBuffer()))


def test_a_peer_without_fragments_gets_everything_in_the_order_of_the_calls() -> None:
    box = outbox()
    for source, message in ((1, BIG), (2, "small"), (1, BIG), (3, "small")):
        box.send(7, message, source)
    assert flat(read(taken(box))) == [BIG, "small", BIG, "small"]


def test_small_messages_pass_those_of_others_that_are_large() -> None:
    box = lanes()
    box.send(7, BIG, 1)
    box.send(7, "of another", 2)
    box.send(7, "of the same", 1)
    box.send(7, "of nobody")
    assert in_lanes(box) == ["of another", "of nobody", BIG, "of the same"]


def test_small_messages_pass_those_that_are_half_on_their_way_and_a_tick_does_too() -> None:
    box, buffer = lanes(), FragmentBuffer()
    box.send(7, BIG, 1)
    assert frames_between(taken(box, 1), buffer) == []
    box.tick()
    box.send(7, "ping", 2)
    assert frames_between(taken(box, 1), buffer) == [b""]
    assert flat(read_on(taken(box, 1), buffer)) == ["ping"]
    assert flat(read_on(taken(box), buffer)) == [BIG]


def frames_between(data: bytes, buffer: FragmentBuffer) -> list[bytes]:
    buffer.feed(data)
    frames: list[bytes] = []
    while (frame := buffer.next_frame()) is not None:
        frames.append(bytes(frame))
    return frames


def read_on(data: bytes, buffer: FragmentBuffer) -> list[Incoming]:
    reader = SignalReader(B, A)
    return [signal for frame in frames_between(data, buffer) if frame for signal in reader.read(frame)]


def test_a_source_is_free_again_once_its_large_message_is_written() -> None:
    box = lanes()
    box.send(7, BIG, 1)
    box.send(7, "behind", 1)
    taken(box)
    box.send(7, BIG, 2)
    box.send(7, "free", 1)
    assert in_lanes(box) == ["free", BIG]


def test_the_end_of_a_process_waits_behind_its_large_messages_whatever_it_was_watched_by() -> None:
    box = lanes()
    gone: list[Signal] = [
        Exit(A.pid(1), B.pid(2), "by link"),
        MonitorExit(A.pid(1), B.pid(2), B.ref(1), "by pid"),
        MonitorExit("name", B.pid(2), B.ref(2), "by name", sender=1),
    ]
    other = MonitorExit("other", B.pid(2), B.ref(3), "of another", sender=3)
    box.send(2, BIG, 1)
    for signal in [*gone, other]:
        box.signal(signal)
    assert in_lanes(box) == [other, BIG, *gone]


def test_large_messages_of_several_sources_take_turns() -> None:
    box, buffer = lanes(), FragmentBuffer()
    box.send(7, b"a" * 5 * FRAGMENT, 1)
    box.send(7, b"b" * 2 * FRAGMENT, 2)
    box.send(7, b"c" * (FRAGMENT + 1), 3)
    arrived = [[m[:1] for m in flat(read_on(taken(box, 1), buffer))] for _ in range(11)]
    assert arrived == [[], [], [], [], [], [b"c"], [], [b"b"], [], [], [b"a"]]
    assert (box.size, taken(box)) == (0, b"")


def test_more_sources_than_streams_have_their_turn_one_after_the_other() -> None:
    box = lanes()
    for source in range(3 * STREAMS):
        box.send(source, BIG, source)
    assert [run.number for run in read(taken(box), FragmentBuffer()) if isinstance(run, Messages)] == [
        *range(3 * STREAMS)
    ]


def test_no_more_is_under_way_than_a_reader_takes_together() -> None:
    box, buffer = lanes(message_limit=10 * FRAGMENT), FragmentBuffer(message_limit=10 * FRAGMENT)
    large = b"x" * 9 * FRAGMENT
    for source in range(5):
        box.send(7, large, source)
    assert flat(read(taken(box), buffer)) == [large] * 5


@pytest.mark.parametrize("message", [b"x" * (3 * FRAGMENT), ["x" * (3 * FRAGMENT)]])
def test_a_message_larger_than_the_limit_raises_at_its_sender_and_leaves_nothing_behind(message: Any) -> None:
    box = lanes(message_limit=3 * FRAGMENT)
    box.send(7, BIG, 1)
    before = box.size
    with pytest.raises(EncodeError, match="too large to send, the limit is 196576"):
        box.send(7, message, 1)
    assert (box.size, in_lanes(box)) == (before, [BIG])


@pytest.mark.parametrize(
    "signal",
    [
        Send(B.pid(7), BIG),
        SendName("name", BIG),
        SendAlias(Alias(B.pid(7), B.ref(8)), BIG),
        Ask(A.pid(1), "name", A.ref(8), BIG),
        Exit(A.pid(1), B.pid(2), BIG),
    ],
)
def test_bytes_are_not_copied(signal: Signal) -> None:
    box = lanes()
    box.signal(signal)
    taken = box.take()
    assert [buffer.obj is BIG for buffer in taken if isinstance(buffer, memoryview)] == [True] * 3
    [read_again] = read(b"".join(taken), FragmentBuffer())
    assert read_again == (Messages(7, [BIG]) if isinstance(signal, Send) else signal)


sends = st.tuples(st.integers(0, 3), st.sampled_from([1, 10, FRAGMENT - 5, FRAGMENT, FRAGMENT + 1, 3 * FRAGMENT]))
takes = st.integers(1, 4 * FRAGMENT)


@given(st.lists(sends | takes | st.just("tick"), max_size=40), st.sampled_from([4 * FRAGMENT, MESSAGE_LIMIT]))
def test_order_is_kept_for_each_source_and_what_is_small_and_free_passes(script: list[Any], message_limit: int) -> None:
    box, buffer = lanes(message_limit), FragmentBuffer(message_limit)
    sent, arrived = defaultdict[int, list[Any]](list), defaultdict[int, list[Any]](list)

    def take(limit: int | None) -> list[Any]:
        found = flat(read_on(taken(box, limit), buffer))
        for message in found:
            arrived[message[0]].append(message)
        return found

    for step in script:
        match step:
            case (source, size):
                sent[source].append((source, len(sent[source]), b"x" * size))
                box.send(7, sent[source][-1], source)
            case "tick":
                box.tick()
            case limit:
                take(limit)
    sent[99].append((99, "ping", b""))
    box.send(7, sent[99][0], 99)
    rest = take(None)
    assert (arrived, box.size, len(buffer)) == (sent, 0, 0)
    passed = rest[rest.index(sent[99][0]) :]
    assert [message for message in rest if len(message[2]) > FRAGMENT and message not in passed] == []
