"""What strangers and peers send, against what reads it: each target takes any bytes, and raises only on a bug.

The first bytes say how the rest is cut into pieces, or where a true conversation is altered. So one corpus of plain
bytes serves atheris (`python -m fuzz`) as well as hypothesis (`tests/test_fuzz_targets.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from pydist.core.connection import Connection
from pydist.core.cookies import Cookies
from pydist.core.handshake import Confirm, Decide, Established, Event, Handshake
from pydist.core.portmap import PortMap
from pydist.errors import DecodeError, EncodeError, FragmentError, FrameTooLarge, HandshakeError, WireError
from pydist.wire import epmd
from pydist.wire.bodies import STREAMS_LIMIT
from pydist.wire.codec import Decoder, Encoder, PureDecoder, PureEncoder
from pydist.wire.control import Incoming, Messages, Send
from pydist.wire.fields import Home
from pydist.wire.fragments import SIGNALS_LIMIT, FragmentBuffer
from pydist.wire.framing import LONG, SHORT, FrameBuffer
from pydist.wire.handshake import MESSAGE_LIMIT, Flag, Identity, Status
from pydist.wire.local_api import decode_status, decode_whois
from pydist.wire.signal_arrays import PureSignalReader, SignalReader, write_signal

LIMIT: Final = 4096
"""Bytes in a frame, for these targets."""
LOG_LIMIT: Final = 1000
"""Characters in an error that a peer brings about."""
A: Final = Home("a@h", 1)
B: Final = Home("b@h", 2)
FLAGS: Final = (Flag.SIGNALS, Flag(sum(Flag)))


def pieces(data: bytes) -> Iterator[bytes]:
    """The data in pieces: its first byte says how many cuts there are, and one byte each how far apart."""
    cuts = data[:1] and data[1 : 1 + data[0] % 16]
    rest = data[1 + len(cuts) :]
    for size in cuts:
        yield rest[:size]
        rest = rest[size:]
    yield rest


@contextmanager
def _short(error: type[Exception]) -> Generator[None]:
    """Allows the error, which goes into the log, and so may not be long."""
    try:
        yield
    except error as raised:
        if len(str(raised)) > LOG_LIMIT:
            raise AssertionError(f"an error of {len(str(raised))} characters") from raised


# Framing and terms ---------------------------------------------------------------------------------------------------


def framing(data: bytes) -> None:
    """Frames come out the same however the bytes are cut, and no more is held than one frame."""
    for head in (LONG, SHORT):
        whole = _frames(FrameBuffer(head, LIMIT), [b"".join(pieces(data))])
        assert _frames(FrameBuffer(head, LIMIT), pieces(data)) == whole


def _frames(buffer: FrameBuffer, chunks: Iterator[bytes] | list[bytes]) -> list[bytes]:
    frames: list[bytes] = []
    with suppress(FrameTooLarge):
        for chunk in chunks:
            buffer.feed(chunk)
            frames += iter(buffer.next_frame, None)
            assert len(buffer) < LIMIT + 4
    return frames


def fragments(data: bytes) -> None:
    """Bodies come out the same however the bytes are cut, and no more is held than may be announced."""
    whole = _bodies([b"".join(pieces(data))])
    assert _bodies(pieces(data)) == whole


def _bodies(chunks: Iterator[bytes] | list[bytes]) -> list[bytes]:
    buffer, bodies = FragmentBuffer(LIMIT), list[bytes]()
    with suppress(FrameTooLarge, FragmentError):
        for chunk in chunks:
            buffer.feed(chunk)
            while (frame := buffer.next_frame()) is not None:
                bodies.append(bytes(frame))
            held = sum(body.room for body in buffer._bodies._open.values())
            assert held <= STREAMS_LIMIT * LIMIT
            assert len(buffer._held) <= SIGNALS_LIMIT + 4
    return bodies


def terms(data: bytes) -> None:
    """A term, or a DecodeError; a term can be written again, and is then the same."""
    with _short(DecodeError):
        _written_again(Decoder().decode(data))


def _written_again(value: Any) -> None:
    """Compared as bytes: not all that can be received equals itself."""
    with suppress(EncodeError):  # msgpack packs half as deep as it unpacks
        written = Encoder().encode(value)
        assert Encoder().encode(Decoder().decode(written)) == written


# Signals -------------------------------------------------------------------------------------------------------------


def signals(data: bytes) -> None:
    """Signals, or a DecodeError; each can be written again, and is then the same."""
    with _short(DecodeError):
        for signal in SignalReader(B, A).read(data):
            _signal_written_again(signal)


def _signal_written_again(signal: Incoming) -> None:
    if isinstance(signal, Messages):
        assert 0 <= signal.number < 1 << 64
        _written_again(signal.messages)
        return
    with suppress(EncodeError):
        written = write_signal(signal, Encoder())
        assert [write_signal(again, Encoder()) for again in SignalReader(B, A).read(b"\x91" + written)] == [written]  # type: ignore[arg-type]  # no run


def twins(data: bytes) -> None:
    """The twin in C reads and writes as the one in Python does, and refuses the same."""
    for read, pure in (
        (Decoder().decode, PureDecoder().decode),
        (SignalReader(B, A).read, PureSignalReader(B, A).read),
    ):
        value, expected = _outcome(read, data), _outcome(pure, data)
        assert repr(value) == repr(expected)  # NaN equals nothing
        assert _outcome(Encoder().encode, value) == _outcome(PureEncoder().encode, value)


def _outcome(act: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return act(argument)
    except EncodeError:
        return "can't be sent"
    except DecodeError:
        return "refused"  # bytes that are wrong in two ways may be so for either


def connection(data: bytes) -> None:
    """A connection of either version takes any bytes in any pieces; it gives signals, or a WireError."""
    for flags in FLAGS:
        machine = Connection(_identity(B, flags), _identity(A, flags), 0.0, frame_limit=LIMIT, message_limit=LIMIT)
        with suppress(WireError):
            for chunk in pieces(data):
                for signal in machine.receive_data(chunk, 0.0):
                    assert signal is not None
            machine.receive_eof(0.0)


def altered_connection(data: bytes) -> None:
    """As `connection`, for what a true peer writes, with a few bytes altered."""
    for flags in FLAGS:
        sender = Connection(_identity(A, flags), _identity(B, flags), 0.0, frame_limit=LIMIT, message_limit=LIMIT)
        for number in range(4):
            sender.send(Send(B.pid(number % 2), [number, "x" * 100 * number, {b"k": (1.5, None)}]))
        receiver = Connection(_identity(B, flags), _identity(A, flags), 0.0, frame_limit=LIMIT, message_limit=LIMIT)
        with suppress(WireError):
            receiver.receive_data(_altered(sender.data_to_send(), data), 0.0)


def _identity(home: Home, flags: Flag) -> Identity:
    return Identity(home.node, home.creation, flags, 1 if flags == Flag.SIGNALS else 2)


def _altered(message: bytes, data: bytes) -> bytes:
    """The message, with each third byte of `data` put in where the two before it say."""
    altered = bytearray(message)
    for position in range(0, len(data) - 2, 3):
        if altered:
            altered[int.from_bytes(data[position : position + 2], "big") % len(altered)] = data[position + 2]
    return bytes(altered)


# Handshake -----------------------------------------------------------------------------------------------------------


def stranger(data: bytes) -> None:
    """Either side of a handshake takes any bytes, and nobody gets up by them."""
    for machine in (_initiator(), _acceptor()):
        machine.data_to_send()
        with suppress(HandshakeError):
            for chunk in pieces(data):
                assert machine.receive_data(chunk, 0.0) == []
                assert len(machine.data_to_send()) <= MESSAGE_LIMIT
            machine.receive_eof(0.0)


def altered_handshake(data: bytes) -> None:
    """A true conversation in which one message is altered ends before both sides are up."""
    which, how, change = data[:1], data[1:2], data[2:]
    initiator, acceptor = _initiator(), _acceptor()
    status = Status(1 + how[0] % 4) if how else Status.OK
    up: list[Event] = []
    changed = False
    with suppress(HandshakeError):
        for turn, (speaker, hearer) in enumerate([(initiator, acceptor), (acceptor, initiator)] * 3):
            said = speaker.data_to_send()
            heard = _altered(said, change) if which and turn == which[0] % 6 else said
            changed = changed or heard != said
            for event in hearer.receive_data(heard, 0.0):
                up += [event] if isinstance(event, Established) else _decided(hearer, event, status)
    assert not (changed and len(up) == 2)


def _decided(machine: Handshake, event: Event, status: Status) -> list[Event]:
    if isinstance(event, Decide):
        events = machine.decide(status, 0.0)
    elif isinstance(event, Confirm):
        events = machine.confirm(wanted=True, now=0.0)
    else:
        return []
    return [event for event in events if isinstance(event, Established)]


def _initiator() -> Handshake:
    return Handshake(_identity(A, FLAGS[1]), Cookies((b"secret",)), b"A" * 32, 0.0, dialled="b@h")


def _acceptor() -> Handshake:
    return Handshake(_identity(B, FLAGS[1]), Cookies((b"secret",)), b"B" * 32, 0.0)


# Port mapper ---------------------------------------------------------------------------------------------------------


def epmd_codec(data: bytes) -> None:
    """Requests and answers are read, or refused with a WireError; a request that was read can be written again."""
    for read in (epmd.take_request, epmd.take_alive_reply, epmd.decode_port_reply, epmd.decode_names_reply):
        with suppress(WireError):
            read(data)
    with suppress(WireError):
        request = epmd.take_request(data)
        if request is not None and not isinstance(request, epmd.BadNode):
            assert epmd.take_request(epmd.encode_request(request)) == request


def port_mapper(data: bytes) -> None:
    """Many clients that say anything: each gets an answer or is gone, and names are held by the living alone."""
    portmap = PortMap(4369, bytes)
    visitors = [portmap.open(float(number), local=number % 4 != 3) for number in range(4)]
    for number, chunk in enumerate(pieces(data)):
        visitor = visitors[number % 4]
        visitor.receive_data(chunk, float(number))
        visitor.data_to_send()
        assert visitor.state in {"asking", "registered", "gone"}
    for visitor in visitors:
        visitor.receive_eof(100.0)
        visitor.closed()
    assert len(portmap.nodes) == 0


# tailscaled -----------------------------------------------------------------------------------------------------------


def tailscaled(data: bytes) -> None:
    """What tailscaled says of its tailnet is read or refused, and whom it names has a name."""
    with _short(DecodeError):
        assert all(machine.name and machine.addresses for machine in decode_status(data).peers)
    with _short(DecodeError):
        assert decode_whois(data).machine.name


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        framing,
        fragments,
        terms,
        signals,
        twins,
        connection,
        altered_connection,
        stranger,
        altered_handshake,
        epmd_codec,
        port_mapper,
        tailscaled,
    )
}
