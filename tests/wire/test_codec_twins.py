"""Whether both twins of the codec are one: the same bytes, the same values, and errors of the same class.

Without the twin in C both sides are the Python one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import DecodeError, EncodeError
from pydist.gen.calls import Call, Caller, Reply
from pydist.message import Message, Opaque
from pydist.terms import Alias, Atom, Crash, Down, Pid, Ref
from pydist.wire.codec import Decoder, Encoder, PureDecoder, PureEncoder
from pydist.wire.control import Incoming
from pydist.wire.fields import Home
from pydist.wire.signal_arrays import PureSignalReader, SignalReader

PID = Pid("a@h", 7, 3)
REF = Ref("b@h", 2**64 - 1, 2**32 - 1)


class Plain(Message, tag="twins.plain"):
    who: Any
    room: Any = "lobby"


class Checked(Message, tag="twins.checked"):
    number: Any = attrs.field(validator=attrs.validators.instance_of(int))


class Told(Message, tag="twins.told"):
    value: Any

    def __fieldvalues__(self) -> list[Any]:
        return [[self.value]]


class Hidden(Plain, tag="twins.hidden"):
    """A subclass that shows a field otherwise than it is."""

    @property  # type: ignore[misc]  # that is the point
    def room(self) -> str:
        return "nowhere"


def interrupt(_self: object, _field: object, _value: object) -> None:
    raise KeyboardInterrupt


class Interrupting(Message, tag="twins.interrupting"):
    value: Any = attrs.field(validator=interrupt)


class Meta(type):
    pass


class Made(Message, metaclass=Meta, tag="twins.made"):
    value: Any


class Pair(NamedTuple):
    x: int
    y: int


def view(data: bytes) -> memoryview:
    return memoryview(data)


Outcome = tuple[str, Any]


def outcome(call: Callable[[Any], Any], value: Any) -> Outcome:
    """What comes of it, in a form that can be compared: equal sets may be in different orders."""
    try:
        return "value", call(value)
    except (EncodeError, DecodeError) as error:
        return type(error).__name__, str(error) if isinstance(error, EncodeError) else None


def shown(value: Any) -> str:
    """The types all the way down, and NaN too."""
    return repr(value)


names = st.text(st.characters(codec="utf-8"), max_size=300)
numbers = st.integers(0, 2**64 - 1) | st.integers(0, 100)
creations = st.integers(0, 2**32 - 1) | st.integers(0, 100)
pids: st.SearchStrategy[Pid] = st.builds(Pid, names, numbers, creations)
refs = st.builds(Ref, names, numbers, creations)
edges = st.sampled_from(
    [sign * 2**bits + more for bits in (5, 7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1) for more in (-1, 0, 1)]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | edges
    | st.floats()
    | names
    | st.text(max_size=5)  # with lone surrogates
    | st.binary(max_size=300)
    | st.binary(max_size=20).map(bytearray)
    | st.binary(max_size=20).map(view)
    | st.builds(Atom, st.text(st.characters(codec="utf-8"), max_size=40))
    | pids
    | refs
    | st.builds(Alias, pids, refs)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**40), st.integers(0, 10**9 - 1))
    | st.sampled_from([object(), Pair(1, 2), 1j, Message(), int])
)
keys = st.recursive(
    leaves.filter(lambda leaf: not isinstance(leaf, bytearray | memoryview)),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
terms = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(keys, max_size=4)
        | st.builds(Plain, inner, inner)
        | st.builds(Checked, st.integers())
        | st.builds(Told, inner)
        | st.builds(Hidden, inner)
        | st.builds(Made, inner)
        | st.builds(Down, refs, pids, inner)
        | st.builds(Reply, refs, inner)
        | st.builds(Call, st.builds(Caller, pids, refs, st.floats(0, 9), names), inner)
        | st.builds(
            Opaque,
            st.sampled_from(["nobody.knows", "twins.plain", "twins.checked", ""]),
            st.lists(inner, max_size=3).map(tuple),
        )
    ),
    max_leaves=12,
)


@given(terms)
def test_both_write_the_same_bytes_or_the_same_refusal(value: Any) -> None:
    assert outcome(Encoder().encode, value) == outcome(PureEncoder().encode, value)


def both_read(data: bytes) -> None:
    kind, value = outcome(Decoder().decode, data)
    pure_kind, pure_value = outcome(PureDecoder().decode, data)
    assert (kind, shown(value)) == (pure_kind, shown(pure_value))


@given(terms)
def test_both_read_the_same_value(value: Any) -> None:
    kind, data = outcome(PureEncoder().encode, value)
    if kind == "value":
        both_read(data)


@given(terms, st.data())
def test_both_read_damaged_bytes_alike(value: Any, data: st.DataObject) -> None:
    kind, encoded = outcome(PureEncoder().encode, value)
    if kind == "value":
        damaged = bytearray(encoded)
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        both_read(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
        both_read(bytes(damaged))


HEADS = "91 92 93 81 d8 c70010 c70011 c70012 c70c02 c7ff03 c71904 d401 d413 c1 c0"
heads = st.sampled_from([bytes.fromhex(head) for head in HEADS.split()])
parts = heads | st.binary(max_size=4) | (st.integers() | names | st.binary()).map(PureEncoder().encode)


@given(st.lists(parts, max_size=20).map(b"".join))
def test_both_read_garbage_alike(data: bytes) -> None:
    both_read(data)


# Signals

homes = Home("a@h", 1), Home("b@h", 2)
words = st.integers(-1, 2**64) | st.integers(0, 30) | names | st.none() | st.booleans()
arrays = st.lists(words | st.lists(words | terms, max_size=3) | terms, max_size=3).flatmap(
    lambda fields: st.sampled_from([1, 2, 3, 10, 11, 12, 13, 14, 20, 21, 22, 23, 40, 41, 42, 99]).map(
        lambda op: [op, *fields]
    )
)


fields = st.lists(numbers | names, max_size=4).map(tuple)


@given(fields, terms)
def test_both_write_the_same_signal_or_the_same_refusal(before: Any, term: Any) -> None:
    assert outcome(partial(Encoder().signal, before), term) == outcome(partial(PureEncoder().signal, before), term)


def both_take(frame: bytes) -> None:
    kind, signals = outcome(SignalReader(*homes).read, frame)
    pure_kind, pure_signals = outcome(PureSignalReader(*homes).read, frame)
    assert (kind.replace("TooDeep", "DecodeError"), shown(signals)) == (pure_kind, shown(pure_signals))


@given(st.lists(arrays, max_size=3))
def test_both_take_the_same_signals(frame: list[Any]) -> None:
    kind, data = outcome(PureEncoder().encode, frame)
    if kind == "value":
        both_take(data)


@given(st.lists(arrays, min_size=1, max_size=3), st.data())
def test_both_take_a_damaged_frame_alike(frame: list[Any], data: st.DataObject) -> None:
    kind, encoded = outcome(PureEncoder().encode, frame)
    if kind == "value":
        damaged = bytearray(encoded)
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        both_take(bytes(damaged))


# Depth


def in_list(value: Any) -> Any:
    return [value]


def in_tuple(value: Any) -> Any:
    return (value,)


def in_dict(value: Any) -> Any:
    return {1: value}


def in_reply(value: Any) -> Any:
    return Reply(REF, value)


@pytest.mark.parametrize("innermost", [1, [], {}, ()])
@pytest.mark.parametrize("wrap", [in_list, in_tuple, in_dict, in_reply, Plain, Told])
def test_both_stop_at_the_same_depth(innermost: Any, wrap: Callable[[Any], Any]) -> None:
    value = innermost
    for _ in range(1020):
        value = wrap(value)
    for _ in range(10):
        kind, data = outcome(PureEncoder().encode, value)
        assert outcome(Encoder().encode, value) == (kind, data)
        if kind == "value":
            # Too deep for Python to compare.
            assert outcome(Decoder().decode, data)[0] == outcome(PureDecoder().decode, data)[0] == "value"
        value = wrap(value)


# Of the twin alone


def test_a_decoder_takes_any_buffer() -> None:
    data = Encoder().encode((PID, {"a": b"x"}))
    for buffer in (data, bytearray(data), memoryview(b"??" + data)[2:]):
        assert Decoder().decode(buffer) == (PID, {"a": b"x"})  # type: ignore[arg-type]  # as msgpack does


def test_an_interrupt_while_a_message_is_asked_is_no_refusal() -> None:
    class Stopping(Message, tag="twins.stopping"):
        def __fieldvalues__(self) -> list[Any]:
            raise KeyboardInterrupt

    for encoder in (Encoder(), PureEncoder()):
        with pytest.raises(KeyboardInterrupt):
            encoder.encode([1, Stopping()])


def test_an_interrupt_while_a_message_is_made_is_no_damage() -> None:
    for decoder in (Decoder(), PureDecoder()):
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(Encoder().encode(Opaque(Interrupting.__tag__, (1,))))


def test_a_list_that_changes_while_it_is_written_does_no_harm() -> None:
    around: list[Any] = []

    class Emptying(Message, tag="twins.emptying"):
        def __fieldvalues__(self) -> list[Any]:
            around.clear()
            return []

    for container in (around, {1: Emptying(), 2: around}):
        around[:] = [Emptying(), object(), [1], 2]
        outcome(Encoder().encode, container)
    assert Encoder().encode(1) == b"\x01"


def test_a_decoder_that_is_entered_again_mixes_nothing_up() -> None:
    decoder = Decoder()

    def again(_self: object, _field: object, value: Any) -> None:
        assert decoder.decode(Encoder().encode({"x": (PID, Atom(f"a{value}"))})) == {"x": (PID, Atom(f"a{value}"))}

    class Entering(Message, tag="twins.entering"):
        value: int = attrs.field(validator=again)

    value = {f"key{i}": [Entering(i), Plain(i), Atom("b")] for i in range(300)}
    assert decoder.decode(Encoder().encode(value)) == value


def test_a_class_that_is_defined_again_is_the_one_that_is_made() -> None:
    decoder = Decoder()

    def define() -> type[Message]:
        class Again(Message, tag="twins.again"):
            value: int

        return Again

    first = define()
    data = Encoder().encode(Opaque("twins.again", (1,)))
    assert type(decoder.decode(data)) is first
    second = define()
    assert type(decoder.decode(data)) is second


SAMPLE: list[Any] = [
    (PID, REF, Alias(PID, REF), Alias(PID, Ref("a@h", 1, 3))),
    {"key": 1.5, (1, 2): {1, 2**70}, "über": None, b"x": frozenset({True})},
    [Plain(1), Checked(2), Told(3), Made(4), Crash("a", "b", "c"), Opaque("twins.unknown", (1,))],
    Call(Caller(PID, REF, 5.0, "b@h"), Reply(REF, Atom("ok"))),
    b"x" * 5000,
    msgpack.ExtType(99, b"x"),
    list(range(2000)),
]
BROKEN: list[bytes] = [
    b"\x92\x01",
    b"\xa1\xff",
    b"\x81\x90\x01",
    b"\xd5\x02\x00\x00",
    b"\x91" * 1100,
    b"\xc1",
    b"\x93\xc7\x00\x11\x90\x01",
]
FRAMES: list[list[Any]] = [
    [[1, 8, SAMPLE[:4]], [3, 8, 9, 5], [10, 7, 8], [11, 7, 8, 3]],
    [[20, 7, 8, 9], [21, 7, "echo", 9], [22, "echo", 8, 9, None], [22, 7, 8, 9, 1]],
    [[99]],
    [[1, 8, 5]],
    [[20, 1, 2, [3]]],
]


def spend(encoder: Encoder, decoder: Decoder, reader: SignalReader) -> None:
    for value in SAMPLE:
        decoder.decode(encoder.encode(value))
    for data in BROKEN:
        outcome(decoder.decode, data)
    for frame in FRAMES:
        outcome(reader.read, encoder.encode(frame))
    outcome(encoder.encode, [1, object()])
    outcome(encoder.encode, {"a": "\ud800"})


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def grown(rounds: int, work: Callable[[], None]) -> int:
    """By how many blocks of memory the rounds grow Python."""
    before = blocks()
    for _ in range(rounds):
        work()
    return blocks() - before


def test_nothing_is_left_behind_by_thousands_of_rounds() -> None:
    tools = Encoder(), Decoder(), SignalReader(*homes)
    # Python itself grows now and then; what is left behind would show each time.
    assert min(grown(500, lambda: spend(*tools)) for _ in range(5)) < 50


def test_singletons_keep_their_reference_counts() -> None:
    tools = Encoder(), Decoder(), SignalReader(*homes)
    watched: list[Any] = [None, True, Atom("ok"), PID, REF, Plain, Opaque, Pid, Incoming]
    spend(*tools)
    before = [sys.getrefcount(each) for each in watched]
    for _ in range(500):
        spend(*tools)
    after = [sys.getrefcount(each) for each in watched]
    assert [abs(late - early) < 50 for early, late in zip(before, after, strict=True)] == [True] * len(watched)
