"""Signals as the arrays they are on the wire.

Each is a msgpack array `[op, ...]`; `docs/wire.md` has the table. What is frequent is written and read by the C twin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from pydist.errors import DecodeError
from pydist.speedups import native
from pydist.terms import Alias, Pid, Ref
from pydist.wire.codec import Encoded, Encoder, PureDecoder, Stream, TooDeep
from pydist.wire.control import (
    ASK,
    DEMONITOR,
    EXIT,
    EXIT_TO,
    GRANT,
    LINK,
    LOST,
    MONITOR,
    MONITOR_EXIT,
    PART,
    SEND,
    SEND_ALIAS,
    SEND_NAME,
    SEND_URGENT,
    SPAWN_REPLY,
    SPAWN_REQUEST,
    UNBOUNDED,
    UNLINK,
    UNLINK_ACK,
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
    term_name,
    term_of,
)
from pydist.wire.fields import (
    Home,
    args_field,
    export_field,
    name_field,
    node_field,
    number_field,
    run_field,
    shown_field,
    term_field,
)

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
    SpawnRequest: lambda s: (SPAWN_REQUEST, s.source.number, s.ref.number, s.export, s.name, s.options),
    SpawnReply: lambda s: (SPAWN_REPLY, s.source.number, s.target.number, s.ref.number, s.state),
}


def _address(target: Pid | str) -> int | str:
    return target if isinstance(target, str) else target.number


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
    frozen = attrs.evolve(cast("Any", signal), **{term_name(signal): encoded})
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
            SEND: (Messages, (number_field, run_field)),
            SEND_NAME: (SendName, (name_field, term_field)),
            SEND_ALIAS: (to_alias, (local.pid, local.ref, term_field)),
            LINK: (Link, (peer.pid, local.pid)),
            UNLINK: (Unlink, (peer.pid, local.pid, number_field)),
            UNLINK_ACK: (UnlinkAck, (peer.pid, local.pid, number_field)),
            EXIT: (Exit, (peer.pid, local.pid, term_field)),
            EXIT_TO: (ExitTo, (peer.pid, local.pid, term_field)),
            MONITOR: (Monitor, (peer.pid, local.address, peer.ref)),
            DEMONITOR: (Demonitor, (peer.pid, local.address, peer.ref)),
            MONITOR_EXIT: (MonitorExit, (peer.address, local.pid, local.ref, term_field)),
            ASK: (Ask, (peer.pid, local.address, peer.ref, term_field)),
            SPAWN_REQUEST: (SpawnRequest, (peer.pid, peer.ref, export_field, name_field, number_field, args_field)),
            SPAWN_REPLY: (SpawnReply, (peer.pid, local.pid, local.ref, number_field, term_field)),
            SEND_URGENT: (to_alias_urgently, (local.pid, local.ref, term_field)),
            GRANT: (Grant, (peer.address, number_field)),
            UNBOUNDED: (Unbounded, (peer.address,)),
            LOST: (Lost, (node_field, number_field, number_field, node_field, number_field)),
            PART: (Part, ()),
        }

    def read(self, frame: bytes) -> list[Incoming]:
        """The signals of one frame, in order.

        Raises:
            DecodeError: no term, an unknown op, or fields that do not fit it.
        """
        return [self.signal(array) for array in self._arrays(frame)]

    def read_tailed(self, head: bytes, tail: bytes) -> list[Incoming]:
        """The signals of a body in two (`bodies.py`); raises as `read`."""
        return self.read(head + tail)

    def signal(self, array: Any) -> Incoming:
        """The signal whose array this is; raises as `read`."""
        if type(array) is not list or not array:
            raise DecodeError("a signal is an array that begins with its op")
        items = cast("list[object]", array)
        if type(items[0]) is int and items[0] == SEND and len(items) == 3:
            # By far the most frequent: past the general way.
            return Messages(number_field(items[1]), run_field(items[2]))
        op, *values = items
        layout = self._layouts.get(op) if type(op) is int else None
        if layout is None:
            raise DecodeError(f"no signal has the op {shown_field(op)}")
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
