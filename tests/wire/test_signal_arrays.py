from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import DecodeError, EncodeError
from pydist.terms import NORMAL, Alias, Pid
from pydist.wire.codec import Encoder
from pydist.wire.control import (
    Ask,
    Demonitor,
    Exit,
    ExitTo,
    Grant,
    Incoming,
    Link,
    Lost,
    Messages,
    Monitor,
    MonitorExit,
    Part,
    Send,
    SendAlias,
    SendName,
    SendUrgent,
    Signal,
    SpawnReply,
    SpawnRequest,
    Unbounded,
    Unlink,
    UnlinkAck,
)
from pydist.wire.fields import Home
from pydist.wire.signal_arrays import SignalReader, snapshot, write_signal

A = Home("a@h", 1)
B = Home("b@h", 2)
P = A.pid(7)
Q = B.pid(8)

SIGNALS: list[tuple[Signal, str]] = [
    (SendName("echo", 5), "9302a46563686f05"),
    (SendAlias(Alias(Q, B.ref(9)), 5), "9403080905"),
    (Link(P, Q), "930a0708"),
    (Unlink(P, Q, 300), "940b0708cd012c"),
    (UnlinkAck(P, Q, 300), "940c0708cd012c"),
    (Exit(P, Q, NORMAL), "940d0708c706016e6f726d616c"),
    (ExitTo(P, Q, (1,)), "940e070892c7001001"),
    (Monitor(P, Q, A.ref(9)), "9414070809"),
    (Monitor(P, "echo", A.ref(9)), "941407a46563686f09"),
    (Demonitor(P, Q, A.ref(9)), "9415070809"),
    (Demonitor(P, "echo", A.ref(9)), "941507a46563686f09"),
    (MonitorExit(P, Q, B.ref(9), None), "9516070809c0"),
    (MonitorExit("echo", Q, B.ref(9), None), "9516a46563686f0809c0"),
    (Ask(P, Q, A.ref(9), 5), "951707080905"),
    (Ask(P, "echo", A.ref(9), 5), "951707a46563686f0905"),
    (SpawnRequest(P, A.ref(9), "m:f", "echo", 1, (5,)), "971e0709a36d3a66a46563686f0192c7001005"),
    (SpawnReply(P, Q, B.ref(9), 1, None), "961f07080901c0"),
    (Grant(P, 300), "932807cd012c"),
    (Grant("echo", 0), "9328a46563686f00"),
    (Unbounded(P), "922907"),
    (Unbounded("echo"), "9229a46563686f"),
    (SendUrgent(Alias(Q, B.ref(9)), 5), "942a080905"),
    (Lost("a@h", 2, 5, "c@h", 1), "9632a36140680205a363406801"),
    (Part(), "9133"),
]


def read(*arrays: bytes) -> list[Incoming]:
    return SignalReader(B, A).read(b"\xdc" + len(arrays).to_bytes(2, "big") + b"".join(arrays))


@pytest.mark.parametrize(("signal", "hexadecimal"), SIGNALS)
def test_golden_bytes(signal: Signal, hexadecimal: str) -> None:
    assert write_signal(signal, Encoder()).hex() == hexadecimal
    assert read(bytes.fromhex(hexadecimal)) == [signal]


def test_a_frame_is_read_in_order() -> None:
    assert read(*(bytes.fromhex(data) for _, data in SIGNALS)) == [signal for signal, _ in SIGNALS]


def test_a_run_of_messages_is_one_signal() -> None:
    assert read(bytes.fromhex("93010893010203")) == [Messages(8, [1, 2, 3])]


def test_sources_are_always_the_peers_and_targets_always_ours() -> None:
    """Bare numbers can't name a third node, nor an older incarnation."""
    assert SignalReader(Home("x@h", 5), Home("y@h", 6)).read(bytes.fromhex("91930a0708")) == [
        Link(Pid("y@h", 7, 6), Pid("x@h", 8, 5))
    ]


@pytest.mark.parametrize(("signal", "hexadecimal"), SIGNALS)
def test_a_snapshot_is_written_as_the_signal_itself(signal: Signal, hexadecimal: str) -> None:
    frozen, size = snapshot(signal, Encoder())
    assert write_signal(frozen, Encoder()).hex() == hexadecimal
    assert size >= len(hexadecimal) // 2


def test_a_snapshot_does_not_see_later_changes() -> None:
    message = [1]
    frozen, _ = snapshot(SendName("echo", message), Encoder())
    message.append(2)
    assert read(write_signal(frozen, Encoder())) == [SendName("echo", [1])]


def test_a_snapshot_of_what_cannot_be_sent_raises() -> None:
    with pytest.raises(EncodeError):
        snapshot(Send(Q, object()), Encoder())


@pytest.mark.parametrize(
    "array",
    [
        5,
        [],
        "text",
        [0],
        [99, 1],
        ["1", 2, [3]],
        [[], 1],
        [1, 8],
        [1, 8, 5],
        [1, 8, [5], 6],
        [1, "8", [5]],
        [1, -1, [5]],
        [1, True, [5]],
        [1, 1.0, [5]],
        [True, 8, [5]],
        [1.0, 8, [5]],
        [2, 5, 6],
        [10, 1],
        [10, 1, 2, 3],
        [10, "name", 2],
        [11, 1, 2, None],
        [20, "name", "name", 3],
        [20, 1, b"name", 3],
        [22, None, 1, 2, 3],
        [50, "a@h", 1, 1, "b"],
        [50, "a@h\n", 1, 1, "b@h", 1],
        [50, 5, 1, 1, "b@h", 1],
        [50, "a@h", 1, -1, "b@h", 1],
        [50, "a@h", 1, 1, "b" * 255 + "@h", 1],
        [51, 1],
    ],
)
def test_what_is_no_signal_is_a_decode_error(array: Any) -> None:
    with pytest.raises(DecodeError):
        read(Encoder().encode(array))


def test_a_number_of_more_than_64_bits_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        read(Encoder().encode([1, 2**64, [5]]))


HUGE = -(10**5000)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        ([HUGE, 1], "no signal has the op (a huge int)"),
        ([1, HUGE, [5]], "a process or ref number is from 0 to 2**64-1, this is (a huge int)"),
        ([2, HUGE, 5], "a registered name is a string of at most 255 characters, this is (a huge int)"),
        ([20, 1, HUGE, 3], "a process or ref number is from 0 to 2**64-1, this is (a huge int)"),
    ],
    ids=["op", "number", "name", "address"],
)
def test_an_integer_too_long_to_be_shown_is_a_decode_error(array: list[Any], reason: str) -> None:
    """Python refuses to write integers of more than 4300 digits in decimal."""
    with pytest.raises(DecodeError) as caught:
        read(Encoder().encode(array))
    assert str(caught.value) == reason


@pytest.mark.parametrize("value", [nested(900), [10**5000], "x" * 10**6], ids=["deep", "huge inside", "long"])
def test_an_op_that_is_no_integer_is_not_written_out(value: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        read(Encoder().encode([value, 1]))
    assert str(caught.value) == f"no signal has the op (a {type(value).__name__})"


@pytest.mark.parametrize("op", [99, -1, 2**64])
def test_an_unknown_op_is_named(op: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read(Encoder().encode([op, 1]))
    assert str(caught.value) == f"no signal has the op {op}"


@pytest.mark.parametrize("frame", [b"\x05", b"\x81\x01\x02", b"\x90\x90", b"\x92\x90", b"\xc1"])
def test_what_is_no_frame_is_a_decode_error(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        SignalReader(B, A).read(frame)


@given(st.binary(max_size=100))
def test_garbage_is_a_decode_error_or_signals_and_nothing_else(data: bytes) -> None:
    try:
        SignalReader(B, A).read(data)
    except DecodeError:
        return


def deep(limit: Encoder) -> Any:
    """The deepest list that can be sent."""
    value: Any = 1
    try:
        while True:
            limit.encode([value])
            value = [value]
    except EncodeError:
        return value


def test_the_deepest_message_that_can_be_packed_can_be_read_behind_other_signals() -> None:
    message = deep(Encoder())
    encoded = Encoder().encode(message)
    frame = b"\x93" + b"\x93\x01\x08\x92" + encoded + b"\x05" + b"\x93\x0a\x07\x08" + b"\x93\x02\xa1x" + encoded
    match SignalReader(B, A).read(frame):
        case [Messages(8, [first, 5]), link, SendName("x", second)]:
            # Too deep for Python to compare, so what they encode to is compared.
            assert [link, Encoder().encode(first), Encoder().encode(second)] == [Link(P, Q), encoded, encoded]
        case signals:
            pytest.fail(f"{len(signals)} signals that are not the ones sent")


def test_a_frame_that_is_deeper_still_is_a_decode_error() -> None:
    for frame in (b"\x91" * 5000 + b"\x01", b"\x91\x93\x01\x08\x91" + b"\x91" * 1100 + b"\x01", b"\x91" * 1200):
        with pytest.raises(DecodeError):
            SignalReader(B, A).read(frame)


@pytest.mark.parametrize(
    "fields",
    [[2, "n", None], [20, 7, "n", 9], [21, 7, "n", 9], [22, "n", 8, 9, None], [23, 7, "n", 9, 5], [40, "n", 1]],
)
def test_a_name_that_nobody_can_have_is_refused(fields: list[Any]) -> None:
    longest, too_long = (
        Encoder().encode(["ü" * size if field == "n" else field for field in fields]) for size in (255, 256)
    )
    assert len(read(longest)) == 1
    with pytest.raises(DecodeError, match="a registered name is a string of at most 255 characters, this is"):
        read(too_long)
