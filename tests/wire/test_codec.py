from __future__ import annotations

import enum
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import DecodeError, EncodeError
from pydist.message import UNSENT, Message, Opaque
from pydist.terms import NORMAL, Alias, Atom, Crash, Down, NodeName, Pid, Ref
from pydist.wire.codec import Decoder, Encoded, Encoder, PureDecoder, PureEncoder, TooDeep

PID = Pid("a@h", 7, 3)
REF = Ref("a@h", 9, 3)


class Joined(Message, tag="test.joined"):
    who: Pid
    room: str = "lobby"


class Nothing(Message, tag="test.nothing"):
    pass


class Positive(Message, tag="test.positive"):
    number: int = attrs.field(validator=attrs.validators.gt(0))


class Odd(type):
    """A metaclass, as abc has one."""


class WithMetaclass(Message, metaclass=Odd, tag="test.metaclass"):
    value: int


def there_and_back(value: Any) -> Any:
    return Decoder().decode(Encoder().encode(value))


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down."""
    kind = type_of(left)
    if kind is not type_of(right) or left != right:
        return False
    if kind is dict:
        # By look-up, not by an order of their own: equal sets among the keys may be written in different orders.
        others = {key: (key, item) for key, item in right.items()}
        left, right = list(left.items()), [others[key] for key in left]
    elif issubclass(kind, Message):
        left, right = left.__fieldvalues__(), right.__fieldvalues__()
    elif kind not in {list, tuple}:
        return True
    return all(same(a, b) for a, b in zip(left, right, strict=True))


def type_of(value: object) -> type:
    return type(value)


names = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(min_value=0, max_value=2**64 - 1)
creations = st.integers(min_value=0, max_value=2**32 - 1)
pids: st.SearchStrategy[Pid] = st.builds(Pid, names, numbers, creations)
refs = st.builds(Ref, names.filter(bool), numbers, creations)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False)
    | names
    | st.binary(max_size=40)
    | st.builds(Atom, names)
    | pids
    | refs
    | st.builds(Alias, pids, refs)
)
keys = st.recursive(leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
terms = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.builds(Joined, pids, inner)
        | st.builds(Down, refs, pids, inner)
        | st.builds(Opaque, st.just("nobody.knows"), st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=12,
)


@given(terms)
def test_what_is_sent_arrives_equal_and_of_the_same_type(value: Any) -> None:
    assert same(there_and_back(value), value)


@given(terms)
def test_a_value_that_was_received_can_be_sent_on(value: Any) -> None:
    assert same(there_and_back(there_and_back(value)), value)


@given(st.binary(max_size=200))
def test_garbage_is_a_decode_error_or_a_term_and_nothing_else(data: bytes) -> None:
    try:
        Decoder().decode(data)
    except DecodeError:
        return


@given(terms, st.data())
def test_a_damaged_term_is_a_decode_error_or_a_term_and_nothing_else(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(Encoder().encode(value))
    encoded[data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))] = data.draw(st.integers(0, 255))
    test_garbage_is_a_decode_error_or_a_term_and_nothing_else.hypothesis.inner_test(bytes(encoded))  # type: ignore[attr-defined]  # hypothesis adds it


@given(terms, st.data())
def test_a_term_cut_short_is_a_decode_error(value: Any, data: st.DataObject) -> None:
    encoded = Encoder().encode(value)
    with pytest.raises(DecodeError):
        Decoder().decode(encoded[: data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))])


@pytest.mark.parametrize(
    ("value", "hexadecimal"),
    [
        (None, "c0"),
        (5, "05"),
        ("a", "a161"),
        (b"a", "c40161"),
        ([1], "9101"),
        ({1: 2}, "810102"),
        (Atom("ok"), "d5016f6b"),
        (PID, "c70f02000000000000000700000003614068"),
        (REF, "c70f03000000000000000900000003614068"),
        (Alias(PID, REF), "c71c0400000000000000070000000300000000000000090000000303614068"),
        (2**64, "c70905010000000000000000"),
        (-(2**63) - 1, "c70905ff7fffffffffffffff"),
        ((), "91c70010"),
        ((1, 2), "93c700100102"),
        ({1}, "92c7001101"),
        (frozenset({1}), "92c7001201"),
        (Nothing(), "91c70c13" + b"test.nothing".hex()),
        (Joined(PID, "x"), "93c70b13" + b"test.joined".hex() + "c70f02000000000000000700000003614068a178"),
        (Opaque("t", (1,)), "92d4137401"),
    ],
)
def test_golden_bytes(value: Any, hexadecimal: str) -> None:
    assert Encoder().encode(value).hex() == hexadecimal
    assert same(Decoder().decode(bytes.fromhex(hexadecimal)), value)


def test_an_alias_of_two_nodes_keeps_both() -> None:
    alias = Alias(PID, Ref("b@h", 1, 2))
    assert there_and_back(alias) == alias


def test_nan_arrives_as_nan() -> None:
    assert repr(there_and_back(float("nan"))) == "nan"


# Messages that evolve


def test_a_message_with_fewer_fields_gets_the_defaults() -> None:
    assert there_and_back(Opaque("test.joined", (PID,))) == Joined(PID, "lobby")


def test_fields_that_are_not_known_yet_are_ignored() -> None:
    assert there_and_back(Opaque("test.joined", (PID, "x", "later"))) == Joined(PID, "x")


def test_an_unknown_tag_arrives_as_opaque() -> None:
    assert there_and_back(Opaque("no.such", (1, (2,)))) == Opaque("no.such", (1, (2,)))


def test_a_message_whose_fields_do_not_fit_arrives_as_opaque() -> None:
    assert there_and_back(Opaque("test.joined", ())) == Opaque("test.joined", ())
    assert there_and_back(Opaque("test.positive", (-1,))) == Opaque("test.positive", (-1,))


class Kept(Message, tag="test.kept"):
    told: int
    untold: int = attrs.field(default=0, metadata={UNSENT: True})


def test_a_field_that_is_unsent_arrives_with_its_default() -> None:
    assert Encoder().encode(Kept(1, 2)) == Encoder().encode(Opaque("test.kept", (1,)))
    assert there_and_back(Kept(1, 2)) == Kept(1, 0)


def test_a_message_class_may_have_a_metaclass() -> None:
    assert there_and_back([WithMetaclass(1)]) == [WithMetaclass(1)]


# What can't be sent


class Colour(enum.IntEnum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Colour.RED,
        Point(1, 2),
        OrderedDict[str, int](),
        NodeName("a", "h"),
        Message(),
        1j,
        ValueError("x"),
        int,
    ],
)
def test_a_type_that_would_not_arrive_as_it_is_raises_at_the_sender(value: object) -> None:
    with pytest.raises(EncodeError, match=f"is a {type(value).__module__}.{type(value).__qualname__}, which can't"):
        Encoder().encode([value])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "message is"),
        ({"users": [1, (2, object())]}, r"message\['users'\]\[1\]\[1\] is"),
        (Joined(PID, room=object()), r"message\.room is"),  # type: ignore[arg-type]  # that is the point
        ({(object(),): 1}, r"message \(key .*\)\[0\] is"),
        (frozenset({object()}), r"message \(member\) is"),
        (Opaque("t", (object(),)), r"message\.fields\[0\] is"),
    ],
)
def test_the_error_says_where_it_is_and_what_to_do(value: Any, path: str) -> None:
    with pytest.raises(EncodeError, match=f"^{path} a builtins.object, which can't be sent: .*pydist.Message$"):
        Encoder().encode(value)


def test_what_can_not_be_sent_is_found_in_what_holds_itself() -> None:
    value: list[Any] = [object()]
    value.append(value)
    with pytest.raises(EncodeError, match=r"^message\[0\] is a builtins.object, which can't be sent"):
        PureEncoder().encode(value)
    with pytest.raises(EncodeError, match=r"^message\[0\] is a builtins.object, which can't be sent"):
        Encoder().encode(value)


@pytest.mark.parametrize("decoder", [Decoder(), PureDecoder()])
@pytest.mark.parametrize("empty", [b"\x80", b"\x90"])
def test_a_small_message_can_not_become_many_collections(decoder: Any, empty: bytes) -> None:
    count = 1_065_536
    with pytest.raises(DecodeError, match="too many arrays and maps for its size"):
        decoder.decode(b"\xdd" + count.to_bytes(4, "big") + empty * count)
    assert len(decoder.decode(b"\xdd" + (count - 1).to_bytes(4, "big") + empty * (count - 1))) == count - 1


@pytest.mark.parametrize("encoder", [Encoder(), PureEncoder()])
def test_who_sends_too_many_collections_for_their_size_is_told_so(encoder: Any) -> None:
    nothing: list[Any] = []
    assert len(encoder.encode([nothing] * 999_999)) == 1_000_004
    with pytest.raises(
        EncodeError, match=r"holds 1000001 lists, .* and 1000000 is the most for its size; send it in pieces"
    ):
        encoder.encode([nothing] * 1_000_000)
    with pytest.raises(EncodeError, match="holds 1000001 lists"):
        encoder.signal((2, "name"), [{}] * 1_000_000)
    assert len(encoder.encode([[b"a" * 20]] * 1_100_000)) > 16 * 1_100_000


COLLIDING = [(2**61 - 1) * 2 ** (70 + power) for power in range(65)]


def as_keys(items: list[Any]) -> Any:
    return dict.fromkeys(items, 1)


def as_members(items: list[Any]) -> Any:
    return set(items)


def in_tuples(items: list[Any]) -> Any:
    return frozenset((item, None) for item in items)


@pytest.mark.parametrize("decoder", [Decoder(), PureDecoder()])
@pytest.mark.parametrize("make", [as_keys, as_members, in_tuples])
def test_many_keys_or_members_with_the_same_hash_are_refused(decoder: Any, make: Callable[[list[Any]], Any]) -> None:
    assert decoder.decode(Encoder().encode(make(COLLIDING[:64]))) == make(COLLIDING[:64])
    with pytest.raises(DecodeError, match="more than 64 keys of a map or members of a set have the same hash"):
        decoder.decode(Encoder().encode(make(COLLIDING)))


def test_many_keys_of_the_same_kind_are_taken() -> None:
    for keys in (
        range(2**64 - 500, 2**64),
        [(x, y) for x in range(30) for y in range(30)],
        [2**100 + x for x in range(999)],
    ):
        assert there_and_back(dict.fromkeys(keys)) == dict.fromkeys(keys)
        assert PureDecoder().decode(Encoder().encode(set(keys))) == set(keys)


def test_a_lone_surrogate_raises_at_the_sender() -> None:
    with pytest.raises(EncodeError, match="surrogates not allowed"):
        Encoder().encode(["\ud800"])
    with pytest.raises(EncodeError, match="surrogates not allowed"):
        Encoder().encode((Atom("\ud800"),))


def test_a_value_in_itself_raises_at_the_sender() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodeError, match="recursion"):
        Encoder().encode(endless)


def test_a_failed_encode_leaves_nothing_behind() -> None:
    encoder = Encoder()
    with pytest.raises(EncodeError):
        encoder.encode([1, "\ud800"])
    with pytest.raises(EncodeError):
        encoder.encode((1, object()))
    assert encoder.encode(2) == b"\x02"


def test_an_encoder_that_is_entered_again_by_a_finaliser_mixes_nothing_up() -> None:
    encoder = Encoder()
    inner: list[bytes] = []

    class Meddling(Message, tag="test.meddling"):
        def __fieldvalues__(self) -> list[Any]:
            inner.append(encoder.encode((3, 4)))
            return []

    assert Decoder().decode(encoder.encode([1, Meddling(), 2])) == [1, Meddling(), 2]
    assert Decoder().decode(inner[0]) == (3, 4)
    assert encoder.encode(1) == b"\x01"


def test_an_encoded_term_is_passed_on_as_it_is() -> None:
    encoder = Encoder()
    assert encoder.encode(Encoded(encoder.encode((1, 2)))) == encoder.encode((1, 2))


def test_the_buffer_of_a_large_message_is_given_back() -> None:
    encoder = PureEncoder()
    before = encoder._pack.__self__  # type: ignore[attr-defined]  # a bound method has it
    encoder.encode(b"x" * 100)
    assert encoder._pack.__self__ is before  # type: ignore[attr-defined]  # as above
    encoder.encode(b"x" * 5_000_000)
    assert encoder._pack.__self__ is not before  # type: ignore[attr-defined]  # as above


# Depth, lies, and strangers


Wrap = Callable[[Any], Any]


def in_list(value: Any) -> Any:
    return [value]


def in_tuple(value: Any) -> Any:
    return (value,)


def in_dict(value: Any) -> Any:
    return {1: value}


def in_message(value: Any) -> Any:
    return Joined(PID, value)


def nested(depth: int, wrap: Wrap) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def encodes(value: Any) -> bool:
    try:
        Encoder().encode(value)
    except EncodeError:
        return False
    return True


@pytest.mark.parametrize("wrap", [in_list, in_tuple, in_dict, in_message])
def test_a_term_that_can_be_packed_can_be_unpacked_and_one_level_more_is_refused(wrap: Wrap) -> None:
    # msgpack 1.1 packs 511 levels, 1.2 packs 1,024.
    deepest = max(depth for depth in (*range(505, 515), *range(1020, 1030)) if encodes(nested(depth, wrap)))
    assert not encodes(nested(deepest + 1, wrap))
    encoded = Encoder().encode(nested(deepest, wrap))
    assert Encoder().encode(Decoder().decode(encoded)) == encoded


def test_a_peer_that_nests_deeper_is_refused() -> None:
    with pytest.raises(TooDeep):
        Decoder().decode(b"\x91" * 100_000 + b"\x01")


def test_depth_is_safe_in_a_thread_with_a_small_stack() -> None:
    old = threading.stack_size(512 * 1024)
    lengths: list[int] = []
    value = nested(500, in_tuple)
    try:
        thread = threading.Thread(target=lambda: lengths.append(len(there_and_back(value))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert lengths == [1]


@pytest.mark.parametrize(
    "head", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x10"]
)
def test_a_length_that_lies_is_a_decode_error(head: bytes) -> None:
    with pytest.raises(DecodeError):
        Decoder().decode(head * 500)


@pytest.mark.parametrize(
    "data",
    [
        "c70010",  # the head of a tuple, alone
        "9201c70010",  # in the second place
        "81c7001001",  # as a key
        "d4137a",  # the head of a message, alone
        "92c70010c70010",  # a tuple with a head in it
        "0102",  # two terms
        "8190c0",  # a list as a key
        "92c7001190",  # a list in a set
        "d401ff",  # an atom that is not UTF-8
        "c70302000000",  # a pid that is too short
        "c7020500ff00",  # an integer, and a byte more
        "",
    ],
)
def test_strange_bytes_are_decode_errors(data: str) -> None:
    with pytest.raises(DecodeError):
        Decoder().decode(bytes.fromhex(data))


def test_an_atom_that_is_too_long_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="255"):
        Decoder().decode(Encoder().encode(msgpack.ExtType(1, b"a" * 256)))


def test_atoms_of_a_peer_do_not_stay() -> None:
    decoder = Decoder()
    for number in range(1000):
        decoder.decode(Encoder().encode(msgpack.ExtType(1, b"fleeting%d" % number)))
    gc.collect()
    from pydist.terms import _atoms  # noqa: PLC0415  # only this test looks inside

    assert not [name for name in _atoms if name.startswith("fleeting")]


def test_a_decoder_goes_on_after_garbage() -> None:
    decoder = Decoder()
    with pytest.raises(DecodeError):
        decoder.decode(bytes.fromhex("9201c70010"))
    assert decoder.decode(bytes.fromhex("93c700100102")) == (1, 2)


def test_extensions_of_others_arrive_as_they_were() -> None:
    for value in (msgpack.ExtType(99, b"x"), msgpack.Timestamp(1, 2)):
        assert there_and_back(value) == value


def test_byte_arrays_arrive_as_bytes() -> None:
    """The one exception to the rule; see the head of the codec."""
    assert same(there_and_back([bytearray(b"a"), memoryview(b"b")]), [b"a", b"b"])


def test_a_crash_crosses_whole() -> None:
    crash = Crash("ValueError", "x", "Traceback")
    assert there_and_back((crash, NORMAL)) == (crash, NORMAL)
