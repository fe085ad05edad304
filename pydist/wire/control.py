"""The signals that nodes exchange, as values, and as the arrays they are on the wire.

Each signal is a msgpack array `[op, ...]` (`docs/wire.md` has the table). Pids and refs of the two nodes cross as bare
numbers: what a node says *from* can only be its own processes, and what it says *to* can only be the receiver's, so
nobody can speak for another node's pid, and no pid of an older incarnation can come out of the wire. Whoever sends
compares creations first, see :meth:`pydist.core.connection.Connection.reaches`.

Links follow OTP's protocol with unlink ids (erl_dist_protocol, "Link Protocol").
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from pydist.errors import BadNodeName, DecodeError
from pydist.message import quicken
from pydist.speedups import native
from pydist.terms import Alias, NodeName, Pid, Reason, Ref
from pydist.wire.codec import Encoded, Encoder, PureDecoder, Stream, TooDeep

SEND: Final = 1
SEND_NAME: Final = 2
SEND_ALIAS: Final = 3
LINK: Final = 10
UNLINK: Final = 11
UNLINK_ACK: Final = 12
EXIT: Final = 13
EXIT_TO: Final = 14
MONITOR: Final = 20
DEMONITOR: Final = 21
MONITOR_EXIT: Final = 22
ASK: Final = 23
# 30 and up are kept for remote spawns.
GRANT: Final = 40
UNBOUNDED: Final = 41
SEND_URGENT: Final = 42
LOST: Final = 50
PART: Final = 51


@attrs.frozen
class Send:
    """A message to a process. Received ones come in runs, as :class:`Messages`."""

    target: Pid
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """The number of the process whose signal it is, or 0. For the order of what is sent; it does not cross."""


@attrs.frozen
class SendName:
    """A message to whoever has the name on the receiving node; nobody has it: dropped."""

    name: str
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class SendAlias:
    """A message to an alias; dropped once the alias is deactivated."""

    alias: Alias
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class Link:
    """Set up the link between the two, or make it active again."""

    source: Pid
    target: Pid


@attrs.frozen
class Unlink:
    """Take the link away. The receiver must answer with the same `id` before any other signal to that pid."""

    source: Pid
    target: Pid
    id: int


@attrs.frozen
class UnlinkAck:
    """The answer to :class:`Unlink`."""

    source: Pid
    target: Pid
    id: int


@attrs.frozen
class Exit:
    """`source` died, and tells `target` over their link."""

    source: Pid
    target: Pid
    reason: Reason


@attrs.frozen
class ExitTo:
    """`exit(target, reason)`, called by `source`; needs no link."""

    source: Pid
    target: Pid
    reason: Reason


@attrs.frozen
class Monitor:
    """`source` watches a process, or the name of one, on the receiving node. `ref` is a ref of the sending node."""

    source: Pid
    target: Pid | str
    ref: Ref


@attrs.frozen
class Demonitor:
    """`source` watches no longer. `target` is as it was in :class:`Monitor`."""

    source: Pid
    target: Pid | str
    ref: Ref


@attrs.frozen
class MonitorExit:
    """What `target` watched is gone. `source` is as it was watched: the process, or its name on the sending node."""

    source: Pid | str
    target: Pid
    ref: Ref
    reason: Reason
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`; for the dead that were watched by a name."""


@attrs.frozen
class Ask:
    """A :class:`Monitor` and a message to the same process, which the first message to the alias of `ref` ends.

    Both nodes know from that message that there is nothing to take back, and no :class:`Demonitor` follows.
    """

    source: Pid
    target: Pid | str
    ref: Ref
    message: Any


@attrs.frozen
class SendUrgent:
    """As :class:`SendAlias`, and goes before all ordinary messages, if the alias was made for that."""

    alias: Alias
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class Grant:
    """`source`, a process or a name of the sending node, takes `more` messages than were granted before."""

    source: Pid | str
    more: int


@attrs.frozen
class Unbounded:
    """Messages to `source` are counted no longer; it may be dead."""

    source: Pid | str


@attrs.frozen
class Lost:
    """`reporter`, in the incarnation `creation`, has lost its connection with `node`, which was in `node_creation`.

    See `core/partitions.py`. Of the same pair of names, later losses have higher numbers.
    """

    reporter: str
    creation: int
    number: int
    node: str
    node_creation: int


@attrs.frozen
class Part:
    """The node that writes this leaves the one that reads it, to prevent overlapping partitions."""


@attrs.define
class Messages:
    """A run of messages to one process, as received. Made once for each run: left unfrozen because that is faster."""

    number: int
    """The number of the receiving process; node and creation are the receiver's."""
    messages: list[Any]


for _each in (
    Send,
    SendName,
    SendAlias,
    Link,
    Unlink,
    UnlinkAck,
    Exit,
    ExitTo,
    Monitor,
    Demonitor,
    MonitorExit,
    Messages,
):
    quicken(_each)

Signal: TypeAlias = (
    Send
    | SendName
    | SendAlias
    | Link
    | Unlink
    | UnlinkAck
    | Exit
    | ExitTo
    | Monitor
    | Demonitor
    | MonitorExit
    | Ask
    | SendUrgent
    | Grant
    | Unbounded
    | Lost
    | Part
)
"""What can be sent."""

Incoming: TypeAlias = (
    Messages
    | SendName
    | SendAlias
    | Link
    | Unlink
    | UnlinkAck
    | Exit
    | ExitTo
    | Monitor
    | Demonitor
    | MonitorExit
    | Ask
    | SendUrgent
    | Grant
    | Unbounded
    | Lost
    | Part
)
"""What can arrive: as :data:`Signal`, with runs in place of single messages."""


@attrs.frozen
class Home:
    """The node that a bare number belongs to."""

    node: str
    creation: int

    def pid(self, number: object) -> Pid:
        """The pid with this number.

        Raises:
            DecodeError: not a 64-bit number.
        """
        return Pid(self.node, _number(number), self.creation)

    def ref(self, number: object) -> Ref:
        """The ref with this number; raises as `pid`."""
        return Ref(self.node, _number(number), self.creation)

    def address(self, value: object) -> Pid | str:
        """The pid with this number, or the name; raises as `pid`."""
        return value if type(value) is str else self.pid(value)


def _shown(value: object) -> str:
    """What a peer sent where a number or name belongs; written out only if short, and sure to have a text.

    Python writes no integer of thousands of digits, and no list in a list a thousand times.
    """
    if type(value) is int:
        return str(value) if value.bit_length() <= 128 else "(a huge int)"
    short = isinstance(value, str | bytes) and len(value) <= 100
    return repr(value) if short or isinstance(value, bool | float | None) else f"(a {type(value).__name__})"


def _number(value: object) -> int:
    if type(value) is int and 0 <= value < 1 << 64:
        return value
    raise DecodeError(f"a process or ref number is from 0 to 2**64-1, this is {_shown(value)}")


def _name(value: object) -> str:
    if type(value) is str:
        return value
    raise DecodeError(f"a registered name is a string, this is {_shown(value)}")


def _node(value: object) -> str:
    if type(value) is str:
        with suppress(BadNodeName):
            return str(NodeName.parse(value))
    raise DecodeError(f"the name of a node is name@host, this is {_shown(value)}")


def _run(value: object) -> list[Any]:
    if type(value) is list:
        return cast("list[object]", value)
    raise DecodeError("a run of messages is an array")


def _term(value: Any) -> Any:
    return value


def _address(target: Pid | str) -> int | str:
    return target if isinstance(target, str) else target.number


# Writing -------------------------------------------------------------------------------------------------------------

_WITHOUT_TERM: Final[dict[type, Callable[[Any], list[int | str]]]] = {
    Link: lambda s: [LINK, s.source.number, s.target.number],
    Unlink: lambda s: [UNLINK, s.source.number, s.target.number, s.id],
    UnlinkAck: lambda s: [UNLINK_ACK, s.source.number, s.target.number, s.id],
    Monitor: lambda s: [MONITOR, s.source.number, _address(s.target), s.ref.number],
    Lost: lambda s: [LOST, s.reporter, s.creation, s.number, s.node, s.node_creation],
    Part: lambda _: [PART],
    Demonitor: lambda s: [DEMONITOR, s.source.number, _address(s.target), s.ref.number],
    Grant: lambda s: [GRANT, _address(s.source), s.more],
    Unbounded: lambda s: [UNBOUNDED, _address(s.source)],
}


_BEFORE_TERM: Final[dict[type, Callable[[Any], tuple[int | str, ...]]]] = {
    SendName: lambda s: (SEND_NAME, s.name),
    SendAlias: lambda s: (SEND_ALIAS, s.alias.pid.number, s.alias.ref.number),
    SendUrgent: lambda s: (SEND_URGENT, s.alias.pid.number, s.alias.ref.number),
    Exit: lambda s: (EXIT, s.source.number, s.target.number),
    ExitTo: lambda s: (EXIT_TO, s.source.number, s.target.number),
    MonitorExit: lambda s: (MONITOR_EXIT, _address(s.source), s.target.number, s.ref.number),
    Ask: lambda s: (ASK, s.source.number, _address(s.target), s.ref.number),
}


MESSAGES: Final = (Send, SendName, SendAlias, SendUrgent, Ask)
"""The signals that are messages."""


def term_of(signal: Signal) -> Any:
    """The message or reason that the signal carries. Only for those of which :func:`carries_term` is true."""
    return signal.message if isinstance(signal, MESSAGES) else signal.reason  # type: ignore[union-attr]  # see above


def source_of(signal: Signal) -> int:
    """The number of the process whose signal it is, 0 if that is not known."""
    if isinstance(signal, Send | SendName | SendAlias | SendUrgent):
        return signal.sender
    if isinstance(signal, Grant | Unbounded | Lost | Part):
        return 0
    source = signal.source
    if isinstance(source, str):
        return cast("MonitorExit", signal).sender
    return source.number


def carries_term(signal: Signal) -> bool:
    """True for signals with a message or an exit reason in them."""
    return type(signal) is Send or type(signal) in _BEFORE_TERM


def snapshot(signal: Signal, encoder: Encoder) -> tuple[Signal, int]:
    """The signal with its term encoded already, and about how many bytes it will take.

    What waits for a connection is kept like this: the sender may change the value afterwards, and learns at once when
    it can't be sent.

    Raises:
        EncodeError: the term can't cross the wire.
    """
    if not carries_term(signal):
        return signal, _OVERHEAD
    encoded = Encoded(encoder.encode(term_of(signal)))
    field = "message" if isinstance(signal, MESSAGES) else "reason"
    frozen = attrs.evolve(cast("Any", signal), **{field: encoded})
    return cast("Signal", frozen), _OVERHEAD + len(encoded.data)


_OVERHEAD: Final = 200


def fields_before_term(signal: Signal) -> tuple[int | str, ...] | None:
    """What stands before the message or reason of a signal; None if it carries none, and for `Send`."""
    before_term = _BEFORE_TERM.get(type(signal))
    return None if before_term is None else before_term(signal)


def write_signal(signal: Signal, encoder: Encoder) -> bytes:
    """The array of any signal but `Send`, which the outbox writes in runs.

    Raises:
        EncodeError: the message or the reason can't cross the wire.
    """
    before_term = _BEFORE_TERM.get(type(signal))
    if before_term is None:
        return encoder.encode(_WITHOUT_TERM[type(signal)](signal))
    return encoder.signal(before_term(signal), term_of(signal))


# Reading -------------------------------------------------------------------------------------------------------------


class PureSignalReader:
    """Reads the frames that `peer` writes to `local`."""

    def __init__(self, local: Home, peer: Home) -> None:
        self._decoder = PureDecoder()

        def to_alias(pid: Pid, ref: Ref, message: Any) -> SendAlias:
            return SendAlias(Alias(pid, ref), message)

        def to_alias_urgently(pid: Pid, ref: Ref, message: Any) -> SendUrgent:
            return SendUrgent(Alias(pid, ref), message)

        # What makes the signal, and what reads each of its fields.
        self._layouts: dict[int, tuple[Callable[..., Incoming], tuple[Callable[[Any], Any], ...]]] = {
            SEND: (Messages, (_number, _run)),
            SEND_NAME: (SendName, (_name, _term)),
            SEND_ALIAS: (to_alias, (local.pid, local.ref, _term)),
            LINK: (Link, (peer.pid, local.pid)),
            UNLINK: (Unlink, (peer.pid, local.pid, _number)),
            UNLINK_ACK: (UnlinkAck, (peer.pid, local.pid, _number)),
            EXIT: (Exit, (peer.pid, local.pid, _term)),
            EXIT_TO: (ExitTo, (peer.pid, local.pid, _term)),
            MONITOR: (Monitor, (peer.pid, local.address, peer.ref)),
            DEMONITOR: (Demonitor, (peer.pid, local.address, peer.ref)),
            MONITOR_EXIT: (MonitorExit, (peer.address, local.pid, local.ref, _term)),
            ASK: (Ask, (peer.pid, local.address, peer.ref, _term)),
            SEND_URGENT: (to_alias_urgently, (local.pid, local.ref, _term)),
            GRANT: (Grant, (peer.address, _number)),
            UNBOUNDED: (Unbounded, (peer.address,)),
            LOST: (Lost, (_node, _number, _number, _node, _number)),
            PART: (Part, ()),
        }

    def read(self, frame: bytes) -> list[Incoming]:
        """The signals of one frame, in order.

        Raises:
            DecodeError: no term, an unknown op, or fields that do not fit it.
        """
        return [self.signal(array) for array in self._arrays(frame)]

    def signal(self, array: Any) -> Incoming:
        """The signal whose array this is; raises as `read`."""
        if type(array) is not list or not array:
            raise DecodeError("a signal is an array that begins with its op")
        items = cast("list[object]", array)
        if type(items[0]) is int and items[0] == SEND and len(items) == 3:
            # By far the most frequent: past the general way.
            return Messages(_number(items[1]), _run(items[2]))
        op, *values = items
        layout = self._layouts.get(op) if type(op) is int else None
        if layout is None:
            raise DecodeError(f"no signal has the op {_shown(op)}")
        make, fields = layout
        if len(values) != len(fields):
            raise DecodeError(f"a signal with op {op} has {len(fields)} fields, this one has {len(values)}")
        return make(*[read(value) for read, value in zip(fields, values, strict=True)])

    def _arrays(self, frame: bytes) -> list[Any]:
        try:
            arrays = self._decoder.decode(frame)
        except TooDeep:
            # What the sender could pack may be too deep only because of the arrays that stand around it here.
            return self._decoder.read_stream(frame, _deep_frame)
        if type(arrays) is not list:
            raise DecodeError("a frame is an array of signals")
        return cast("list[object]", arrays)


def _deep_frame(stream: Stream) -> list[Any]:
    return [_deep_signal(stream) for _ in range(stream.read_array_header())]


def _deep_signal(stream: Stream) -> list[Any]:
    """One signal, with msgpack's whole depth for its term, or for each message of a run."""
    array: list[Any] = [stream.unpack() for _ in range(stream.read_array_header() - 1)]
    if array and type(array[0]) is int and array[0] == SEND:
        return [*array, [stream.unpack() for _ in range(stream.read_array_header())]]
    return [*array, stream.unpack()]


SignalReader = PureSignalReader

if not TYPE_CHECKING and native is not None:
    native.connect(
        pure_reader=PureSignalReader,
        messages=Messages,
        alias_message=SendAlias,
        link=Link,
        monitor=Monitor,
        demonitor=Demonitor,
        monitor_exit=MonitorExit,
        ask=Ask,
    )
    SignalReader = native.SignalReader
