"""Terms as msgpack, such that what is sent arrives equal and of the same type.

None, bools, floats, strings, bytes, lists, dicts and integers of 64 bits are what msgpack has; its C code packs and
unpacks them without a call into Python. The rest are extensions (`docs/wire.md` has the bytes):

* Leaves hold their own bytes: atoms, pids, refs, aliases, larger integers.
* Tuples, sets, frozensets and messages are arrays whose first item is a *head*, an extension that says what the array
  stands for. So the whole term is packed in one pass into one buffer, and unpacked in one: nothing is copied once more
  for each level, and msgpack's own limit of depth (1,024 arrays and maps) is the limit. Payloads nested inside payloads
  would cost time and memory in proportion to size times depth, and C stack beyond measure.

Not told apart, because msgpack's C code takes them without asking: a bytearray or memoryview arrives as bytes.
`msgpack.Timestamp` and `msgpack.ExtType` with a code that is not used here arrive as they were.

The C twin of both classes writes and reads the same bytes (native/encoder.c, native/decoder.c). What it can't encode it
leaves to this one, which finds the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import attrs
import msgpack
from msgpack import ExtType, FormatError, StackError

from pydist.errors import DecodeError, EncodeError
from pydist.message import Message, Opaque, is_plain, reader_of_tag
from pydist.speedups import native
from pydist.terms import Alias, Atom, Pid, Ref

ATOM: Final = 1
PID: Final = 2
REF: Final = 3
ALIAS: Final = 4
INTEGER: Final = 5
TUPLE: Final = 16
SET: Final = 17
FROZENSET: Final = 18
MESSAGE: Final = 19

_msgpack: Any = msgpack  # it has no annotations
_unpackb = _msgpack.unpackb
_timestamp = _msgpack.Timestamp.from_bytes
_type_of: Final[Callable[[Any], type[Any]]] = cast("Any", type)
_new_tuple: Final[Callable[[type[ExtType], tuple[int, bytes]], ExtType]] = cast("Any", tuple).__new__

_ID: Final = Struct(">QI")
_TWO_IDS: Final = Struct(">QIQIB")

DEEPEST: Final = 1024
"""So many arrays and maps inside each other are unpacked, by msgpack as by the C twin."""

CONTAINERS: Final = 1_000_000
"""So many arrays and maps a term may have at least, or one for each `CONTAINER_BYTES` of it. An empty one takes a byte
on the wire, and seventy in memory."""
CONTAINER_BYTES: Final = 16
MORE_CONTAINERS: Final = 65_536
"""What a reader takes besides, for other terms in the same frame."""

SAME_HASH: Final = 64
"""So many keys of a map, or members of a set, may have the same hash."""

_EMPTY_LIST: Final = b"\x90"
_EMPTY_DICT: Final = b"\x80"

KEPT_BUFFER: Final = 4 * 1024 * 1024
"""A packer that has grown past this many bytes is replaced: msgpack never gives its buffer back."""


@attrs.frozen
class Encoded:
    """A term that was encoded before. Only as a whole message or reason, never inside another term."""

    data: bytes


# Writing -------------------------------------------------------------------------------------------------------------


def _leaf(code: int, data: bytes) -> ExtType:
    """An ExtType without its constructor's checks, which take longer than all the rest."""
    return _new_tuple(ExtType, (code, data))


def _alias(alias: Alias) -> ExtType:
    pid, ref = alias.pid, alias.ref
    node = pid.node.encode()
    # Both are of one node, unless somebody made the alias by hand.
    other = b"" if ref.node == pid.node else ref.node.encode()
    return _leaf(ALIAS, _TWO_IDS.pack(pid.number, pid.creation, ref.number, ref.creation, len(node)) + node + other)


def _integer(value: int) -> ExtType:
    return _leaf(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


_LEAVES: Final[dict[type, Callable[[Any], ExtType]]] = {
    Atom: lambda atom: _leaf(ATOM, atom.name.encode()),
    Pid: lambda pid: _leaf(PID, _ID.pack(pid.number, pid.creation) + pid.node.encode()),
    Ref: lambda ref: _leaf(REF, _ID.pack(ref.number, ref.creation) + ref.node.encode()),
    Alias: _alias,
    int: _integer,
}

_TUPLE_HEAD: Final = ExtType(TUPLE, b"")
_SET_HEADS: Final[dict[type, ExtType]] = {set: ExtType(SET, b""), frozenset: ExtType(FROZENSET, b"")}


class PureEncoder:
    """Encodes one term after the other. Not for use by several threads."""

    __slots__ = ("_heads", "_pack")

    def __init__(self) -> None:
        self._heads: dict[type, ExtType] = {}
        self._pack = self._new_packer()

    def encode(self, value: Any) -> bytes:
        """The bytes of `value`.

        Raises:
            EncodeError: there is something in it that can't cross the wire; names it and where it is.
        """
        pack = self._pack
        # A packer is not re-entrant, and a finaliser that sends may run in the middle of this.
        self._pack = _encode_afresh
        try:
            data = pack(value)
        except Exception as error:
            if type(value) is Encoded:
                # Rare, and so not worth a question for each value.
                return value.data
            raise _refusal(value, error) from error
        finally:
            self._pack = pack
        if len(data) > KEPT_BUFFER:
            self._pack = self._new_packer()
        if len(data) > DEEPEST and (_EMPTY_LIST in data or _EMPTY_DICT in data):
            _check_depth(value, data)
        if len(data) > CONTAINERS:
            _check_containers(value, data)
        return data

    def signal(self, fields: tuple[int | str, ...], term: Any) -> bytes:
        """The array of at most 14 fields and a term.

        Raises:
            EncodeError: as `encode` of the term.
        """
        # The term is the last item: make room for it in the array's one-byte head.
        return bytes((0x90 | len(fields) + 1,)) + self.encode(list(fields))[1:] + self.encode(term)

    def _new_packer(self) -> Callable[[Any], bytes]:
        packer = _msgpack.Packer(strict_types=True, default=self.stand_in, buf_size=4096)
        return cast("Callable[[Any], bytes]", packer.pack)

    def stand_in(self, value: Any) -> Any:
        """What is to be packed in place of a value that msgpack has no type for: a list with a head, or an ExtType."""
        kind = _type_of(value)
        if kind is tuple:
            return [_TUPLE_HEAD, *value]
        head = self._heads.get(kind)
        if head is not None:
            return [head, *value.__fieldvalues__()]
        leaf = _LEAVES.get(kind)
        if leaf is not None:
            return leaf(value)
        if kind in _SET_HEADS:
            return [_SET_HEADS[kind], *value]
        if kind is Opaque:
            return [ExtType(MESSAGE, value.tag.encode()), *value.fields]
        if isinstance(value, Message) and kind.__tag__:
            self._heads[kind] = ExtType(MESSAGE, kind.__tag__.encode())
            return self.stand_in(value)
        raise _Unsendable


def _encode_afresh(value: Any) -> bytes:
    return PureEncoder().encode(value)


def _layout(kind: type[Any]) -> tuple[bytes, tuple[str, ...] | None] | None:
    """How the C twin writes a message class: its tag, and its fields, if they are what `getattr` finds. Otherwise None
    in their place, and the message itself is asked for their values. None for what is no message class."""
    if not (issubclass(kind, Message) and kind.__tag__):
        return None
    told = kind.__fieldvalues__
    ordinary = told is Message.__fieldvalues__ and is_plain(kind) and kind.__getattribute__ is object.__getattribute__
    return kind.__tag__.encode(), kind.__fields__ if ordinary else None


def _check_depth(value: Any, data: bytes) -> None:
    """Refuse an empty list or dict one level deeper than msgpack unpacks: it packs them."""
    stream = _msgpack.Unpacker(max_buffer_size=len(data))
    stream.feed(data)
    try:
        stream.skip()
    except StackError:
        raise EncodeError(f"a {type(value).__qualname__} can't be sent: recursion limit exceeded.") from None


_FIRST_BYTES: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])


def _most_containers(size: int) -> int:
    return max(CONTAINERS, size // CONTAINER_BYTES)


def _check_containers(value: Any, data: bytes) -> None:
    """Refuse what the reader would refuse."""
    most = _most_containers(len(data))
    # A look at the bytes is quick, and enough for most.
    if len(data) - len(data.translate(None, _FIRST_BYTES)) <= most:
        return
    count = 0

    def one_more(_: object) -> None:
        nonlocal count
        count += 1

    _unpackb(data, strict_map_key=False, list_hook=one_more, object_pairs_hook=one_more)
    if count > most:
        raise EncodeError(
            f"a {type(value).__qualname__} can't be sent: it holds {count} lists, tuples, dicts, sets and messages, "
            f"and {most} is the most for its size; send it in pieces"
        )


class _Unsendable(Exception):
    """No type that crosses the wire; `_refusal` finds out where it is."""


def _refusal(value: Any, error: Exception) -> EncodeError:
    if not isinstance(error, _Unsendable):
        return EncodeError(f"a {type(value).__qualname__} can't be sent: {error}")
    path, culprit = _find_unsendable(value)
    kind = _type_of(culprit)
    return EncodeError(
        f"message{path} is a {kind.__module__}.{kind.__qualname__}, which can't be sent: send what it stands for as "
        "None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, Atom, Pid, Ref, Alias, or a subclass "
        "of pydist.Message"
    )


_PLAIN: Final = frozenset({type(None), bool, float, str, bytes, bytearray, memoryview, ExtType, *_LEAVES})


def _find_unsendable(value: Any) -> tuple[str, Any]:
    """The first part of `value` that has no place on the wire, and the path to it."""
    waiting: list[tuple[str, Any]] = [("", value)]
    # By identity: what holds itself would have no end. They are kept, so that no other gets the identity of one.
    seen: dict[int, Any] = {}
    while waiting:
        path, part = waiting.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        kind = _type_of(part)
        if kind is dict:
            waiting += [(f"{path}[{key!r:.40}]", item) for key, item in part.items()]
            waiting += [(f"{path} (key {key!r:.40})", key) for key in part]
        elif kind in (list, tuple):
            waiting += [(f"{path}[{index}]", item) for index, item in enumerate(part)]
        elif kind in _SET_HEADS:
            waiting += [(f"{path} (member)", item) for item in part]
        elif kind is Opaque:
            waiting.append((f"{path}.fields", part.fields))
        elif isinstance(part, Message) and kind.__tag__:
            waiting += [
                (f"{path}.{name}", item) for name, item in zip(part.__fields__, part.__fieldvalues__(), strict=True)
            ]
        elif kind not in _PLAIN:
            return path, part
    return "", value


# Reading -------------------------------------------------------------------------------------------------------------

_I = TypeVar("_I", Pid, Ref)
_T = TypeVar("_T")


class TooDeep(DecodeError):
    """More arrays and maps inside each other than msgpack unpacks."""


def _read_id(kind: type[_I], data: bytes) -> _I:
    number, creation = _ID.unpack_from(data)
    return kind(str(data[_ID.size :], "utf-8"), number, creation)


def _read_alias(data: bytes) -> Alias:
    pid_number, pid_creation, ref_number, ref_creation, size = _TWO_IDS.unpack_from(data)
    node = str(data[_TWO_IDS.size : _TWO_IDS.size + size], "utf-8")
    other = str(data[_TWO_IDS.size + size :], "utf-8")
    return Alias(Pid(node, pid_number, pid_creation), Ref(other or node, ref_number, ref_creation))


_READ_LEAF: Final[dict[int, Callable[[bytes], Any]]] = {
    ATOM: lambda data: Atom(str(data, "utf-8")),
    PID: lambda data: _read_id(Pid, data),
    REF: lambda data: _read_id(Ref, data),
    ALIAS: _read_alias,
    INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
}

_COLLECTIONS: Final[dict[int, type]] = {TUPLE: tuple, SET: set, FROZENSET: frozenset}
_COLLECTION_TYPES: Final = frozenset(_COLLECTIONS.values())


@attrs.define
class _Tag:
    """The head of a message whose class is unknown here, or is made by a metaclass of its own."""

    tag: str

    def make(self, fields: list[Any]) -> Message | Opaque:
        cls = reader_of_tag(self.tag)
        return Opaque(self.tag, tuple(fields)) if cls is None else _message(cls, fields)


def _message(cls: type[Message], fields: list[Any]) -> Message | Opaque:
    try:
        return cls(*fields[: len(cls.__fields__)])
    except Exception:  # noqa: BLE001  # whatever a user's validator raises: the peer may have a newer class
        return Opaque(cls.__tag__, tuple(fields))


_SAFE: Final = frozenset({str, bytes, int, float, Atom, Pid, Ref, Alias})
"""A peer can't choose their hashes, or finds few with the same one; of integers that is true of 64 bits."""


def _check_hashes(keys: Iterable[Any]) -> None:
    """Refuse keys that were made to fall together: each is compared with all before it, for hours if there are many."""
    seen: dict[int, int] = {}
    for key in keys:
        kind = _type_of(key)
        if kind in _SAFE and not (kind is int and key.bit_length() > 63):
            continue
        value = hash(key)
        seen[value] = count = seen.get(value, 0) + 1
        if count > SAME_HASH:
            raise DecodeError(f"more than {SAME_HASH} keys of a map or members of a set have the same hash")


class Stream(Protocol):
    """What is used of msgpack's Unpacker."""

    def unpack(self) -> Any:
        """The next term."""
        ...

    def read_array_header(self) -> int:
        """The number of items of the array that begins here; they come next."""
        ...


class PureDecoder:
    """Decodes terms. Not for use by several threads."""

    __slots__ = ("_containers_left", "_heads", "_on_array", "_on_extension", "_on_map")

    def __init__(self) -> None:
        # Heads seen and not yet used up by their arrays.
        self._heads = 0
        self._on_extension = self._extension
        self._on_array = self._array
        self._on_map = self._map
        self._containers_left = 0

    def decode(self, data: bytes) -> Any:
        """The term whose bytes these are, all of them.

        Raises:
            DecodeError: they are no term. :class:`TooDeep` for one that nests too deep.
        """
        self._begin(data)
        try:
            # No length in the data is believed that is more than the bytes there are.
            value = _unpackb(
                data,
                strict_map_key=False,
                ext_hook=self._on_extension,
                list_hook=self._on_array,
                object_pairs_hook=self._on_map,
            )
        except Exception as error:
            raise _broken(error) from error
        if self._heads:
            raise DecodeError(_STRAY)
        return value

    def read_stream(self, data: bytes, read: Callable[[Stream], _T]) -> _T:
        """What `read` makes of `data`, piece by piece; it has to use all of it.

        Raises:
            DecodeError: as `decode`, or bytes are left over.
        """
        self._begin(data)
        stream = _msgpack.Unpacker(
            strict_map_key=False,
            ext_hook=self._on_extension,
            list_hook=self._on_array,
            object_pairs_hook=self._on_map,
            max_buffer_size=len(data),
        )
        stream.feed(data)
        try:
            value = read(stream)
        except Exception as error:
            raise _broken(error) from error
        if self._heads or stream.tell() != len(data):
            raise DecodeError(_STRAY)
        return value

    def _begin(self, data: bytes) -> None:
        self._heads = 0
        self._containers_left = _most_containers(len(data)) + MORE_CONTAINERS

    def _count_container(self) -> None:
        self._containers_left -= 1
        if self._containers_left < 0:
            raise DecodeError("too many arrays and maps for its size")

    def _map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        self._count_container()
        if len(pairs) > SAME_HASH:
            _check_hashes(key for key, _ in pairs)
        return dict(pairs)

    def _extension(self, code: int, data: bytes) -> Any:
        """A leaf, or the head of an array: the class that the array is to become, or a :class:`_Tag`."""
        if code == MESSAGE:
            self._heads += 1
            tag = str(data, "utf-8")
            cls = reader_of_tag(tag)
            return cls if type(cls) is type else _Tag(tag)
        collection = _COLLECTIONS.get(code)
        if collection is not None:
            self._heads += 1
            return collection
        leaf = _READ_LEAF.get(code)
        return leaf(data) if leaf is not None else ExtType(code, data)

    def _array(self, items: list[Any]) -> Any:
        self._count_container()
        if not items:
            return items
        head = items[0]
        kind = _type_of(head)
        if kind is not type and kind is not _Tag:
            return items
        self._heads -= 1
        del items[0]
        if kind is _Tag:
            return head.make(items)
        if head not in _COLLECTION_TYPES:
            return _message(head, items)
        if len(items) > SAME_HASH and head is not tuple:
            _check_hashes(items)
        return cast("Any", head)(items)


_STRAY: Final = "bytes behind the last term, or the head of a tuple, set or message that is not the first of an array"


def _broken(error: Exception) -> DecodeError:
    kind = TooDeep if isinstance(error, StackError) else DecodeError
    return kind(f"not a term: {type(error).__name__} {error}")


def _read_extension(code: int, data: bytes) -> Any:
    """For the C twin: an extension that it does not read itself."""
    if code == _TIMESTAMP:
        return _timestamp(data)
    leaf = _READ_LEAF.get(code)
    return leaf(data) if leaf is not None else ExtType(code, data)


_TIMESTAMP: Final = -1
"""msgpack's own."""

Encoder = PureEncoder
Decoder = PureDecoder

if not TYPE_CHECKING and native is not None:
    native.connect(
        pure_encoder=PureEncoder,
        layout_of=_layout,
        read_extension=_read_extension,
        as_decode_error=_broken,
        too_deep=StackError,
        format_error=FormatError,
        decode_error=DecodeError,
        encoded=Encoded,
        extension=ExtType,
    )
    Encoder, Decoder = native.Encoder, native.Decoder
