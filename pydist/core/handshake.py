"""How two nodes prove to each other that they hold the same cookie, and agree whether to be connected.

    initiator                                acceptor
    hello: magic, version, flags,
           creation, name, nonce        ->
                                        <-   challenge: version, flags, creation, name, nonce
    proof                               ->   checks it, and only then asks its table of peers
                                        <-   status and proof
    (only after `alive`:) answer        ->

Each message is a 2-byte length and at most 1,024 bytes; `docs/wire.md` has the layouts. A proof is
HMAC-SHA256(cookie, role || transcript), where the transcript is all bytes of hello and challenge, so that names,
creations, versions, flags, nonces and the direction are bound to it. The status and the answer carry proofs of their
own: nobody on the way can change a decision. Compare OTP's `dist_util.erl`, which authenticates the nonces alone.

The sides speak in turn. Bytes that come before their turn end the handshake; bytes behind its last message belong to
the connection. Nothing is asked or kept about a stranger before the proof was right. One deadline covers the whole.

| state           | input     | next                        |
|-----------------|-----------|-----------------------------|
| AWAIT_HELLO     | HELLO     | AWAIT_PROOF                 |
| AWAIT_PROOF     | PROOF     | DECIDING                    |
| DECIDING        | DECISION  | UP, REFUSED, AWAIT_ANSWER   |
| AWAIT_ANSWER    | ANSWER    | UP, REFUSED                 |
| AWAIT_CHALLENGE | CHALLENGE | AWAIT_STATUS                |
| AWAIT_STATUS    | STATUS    | UP, REFUSED, CONFIRMING     |
| CONFIRMING      | DECISION  | UP, REFUSED                 |

Every other pair, and every message that does not check, leads to FAILED with a :class:`HandshakeError`.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Callable
from struct import Struct
from typing import Final, TypeAlias

import attrs

from pydist.errors import BadNodeName, FrameTooLarge, HandshakeError
from pydist.terms import NodeName
from pydist.wire.control import Home
from pydist.wire.framing import SHORT, FrameBuffer

MAGIC: Final = b"pydist"
VERSION: Final = 2
OLDEST_VERSION: Final = 1
MESSAGE_LIMIT: Final = 1024
SETUP_TIME: Final = 5.0
NONCE_SIZE: Final = 32

_HELLO: Final = Struct(f">{len(MAGIC)}sBQI{NONCE_SIZE}sB")
_CHALLENGE: Final = Struct(f">1sBQI{NONCE_SIZE}sB")


class Flag(enum.IntFlag):
    """What a node can do. What both sides can is what counts, but for what a node says of itself alone."""

    SIGNALS = 1
    """The signals of version 1."""
    FRAGMENTS = 2
    """Large messages cross in pieces, between which others may pass."""
    COMPRESSION = 4
    """Frames may be compressed."""
    CREDIT = 8
    """A bounded mailbox tells those who send to it from afar how much room there is."""
    HIDDEN = 16
    """Of itself alone: a node that is no member of the cluster, for those that count its members."""
    REQUESTS = 32
    """The signal ASK."""


MANDATORY: Final = Flag.SIGNALS
OFFERED: Final = Flag.SIGNALS | Flag.REQUESTS
"""What a node of this program can do."""
_OF_ITSELF: Final = Flag.HIDDEN
_VERSION_1: Final = Flag.SIGNALS


class Status(enum.IntEnum):
    """The acceptor's decision (OTP's names)."""

    OK = 1
    OK_SIMULTANEOUS = 2
    """Both were dialling; the acceptor has dropped its own attempt for this one."""
    NOK = 3
    """Both were dialling, and the acceptor's attempt is the one that counts: the initiator waits for it."""
    ALIVE = 4
    """The acceptor believes it is connected already, and asks whether this attempt is to replace that."""


class State(enum.Enum):
    """Where a handshake stands; the table is in the head of this file."""

    AWAIT_HELLO = enum.auto()
    AWAIT_PROOF = enum.auto()
    DECIDING = enum.auto()
    AWAIT_ANSWER = enum.auto()
    AWAIT_CHALLENGE = enum.auto()
    AWAIT_STATUS = enum.auto()
    CONFIRMING = enum.auto()
    UP = enum.auto()
    REFUSED = enum.auto()
    FAILED = enum.auto()


class Input(enum.Enum):
    """What moves a handshake on."""

    HELLO = enum.auto()
    CHALLENGE = enum.auto()
    PROOF = enum.auto()
    STATUS = enum.auto()
    ANSWER = enum.auto()
    DECISION = enum.auto()


TRANSITIONS: Final[dict[tuple[State, Input], frozenset[State]]] = {
    (State.AWAIT_HELLO, Input.HELLO): frozenset({State.AWAIT_PROOF}),
    (State.AWAIT_PROOF, Input.PROOF): frozenset({State.DECIDING}),
    (State.DECIDING, Input.DECISION): frozenset({State.UP, State.REFUSED, State.AWAIT_ANSWER}),
    (State.AWAIT_ANSWER, Input.ANSWER): frozenset({State.UP, State.REFUSED}),
    (State.AWAIT_CHALLENGE, Input.CHALLENGE): frozenset({State.AWAIT_STATUS}),
    (State.AWAIT_STATUS, Input.STATUS): frozenset({State.UP, State.REFUSED, State.CONFIRMING}),
    (State.CONFIRMING, Input.DECISION): frozenset({State.UP, State.REFUSED}),
}

_KINDS: Final = {
    MAGIC[0]: Input.HELLO,
    ord("C"): Input.CHALLENGE,
    ord("P"): Input.PROOF,
    ord("S"): Input.STATUS,
    ord("A"): Input.ANSWER,
}


@attrs.frozen
class Identity:
    """Who a node is: its name, its incarnation, what it can do.

    Of a peer, `flags` are those that both sides have, and `version` is the one that both speak.
    """

    node: str
    creation: int
    flags: Flag = OFFERED
    version: int = VERSION
    hidden: bool = False

    @property
    def home(self) -> Home:
        """Where its bare numbers belong."""
        return Home(self.node, self.creation)


@attrs.frozen
class Decide:
    """To the acceptor's driver: the peer has proven itself; answer with `decide`."""

    peer: Identity


@attrs.frozen
class Confirm:
    """To the initiator's driver: the peer believes it is connected to us already; answer with `confirm`."""

    peer: Identity


@attrs.frozen
class Established:
    """Both sides are sure of each other. `leftover` came behind the handshake, and is for the connection."""

    peer: Identity
    leftover: bytes


@attrs.frozen
class Refused:
    """Both sides are sure of each other, and this attempt is not to be the connection."""

    peer: Identity
    status: Status


Event: TypeAlias = Decide | Confirm | Established | Refused


class Handshake:
    """One side of one handshake. With `dialled`, the name expected at the other end, the initiator; else the acceptor.

    `nonce` is 32 bytes of entropy, `setup_time` the seconds for the whole. Every method that takes input raises
    :class:`HandshakeError` when the other side is not to be talked to; the transport is to be closed then, after
    `data_to_send` was written.
    """

    def __init__(
        self,
        local: Identity,
        cookie: bytes,
        nonce: bytes,
        now: float,
        *,
        dialled: str | None = None,
        setup_time: float = SETUP_TIME,
    ) -> None:
        if not cookie:
            raise ValueError("the cookie is empty: anybody could connect")
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes, this one has {len(nonce)}")
        self._local = local
        self._cookie = cookie
        self._nonce = nonce
        self._dialled = dialled
        self._deadline = now + setup_time
        self._setup_time = setup_time
        self._peer = local
        self._frames = FrameBuffer(SHORT, MESSAGE_LIMIT)
        self._out: list[bytes] = []
        self._transcript = b""
        self._state = State.AWAIT_HELLO
        self._on_message: dict[Input, Callable[[bytes], list[Event]]] = {
            Input.HELLO: self._hello,
            Input.CHALLENGE: self._challenge,
            Input.PROOF: self._proof,
            Input.STATUS: self._status,
            Input.ANSWER: self._answer,
        }
        if dialled is not None:
            self._state = State.AWAIT_CHALLENGE
            self._say_identity(_HELLO, MAGIC, local.version)

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    # The machine's verbs ---------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[Event]:  # noqa: ARG002  # all machines have these verbs
        """Take bytes from the peer."""
        self._frames.feed(data)
        with self._failing():
            return self._next_message()

    def receive_eof(self, now: float) -> None:  # noqa: ARG002
        """The peer closed before the end.

        Raises:
            HandshakeError: always, unless the handshake was over.
        """
        with self._failing():
            if self._state is State.AWAIT_STATUS:
                raise HandshakeError("the peer closed after our proof: most likely its cookie is another")
            if not self._over:
                raise HandshakeError(f"the peer closed the connection in {self._state.name}")

    def decide(self, status: Status, now: float) -> list[Event]:  # noqa: ARG002
        """Answer :class:`Decide`."""
        with self._failing():
            self._expect(Input.DECISION)
            code = bytes((status,))
            self._say(b"S" + code + self._proof_of(b"acceptor", code))
            match status:
                case Status.ALIVE:
                    return self._go(Input.DECISION, State.AWAIT_ANSWER)
                case Status.NOK:
                    return self._go(Input.DECISION, State.REFUSED, Refused(self._peer, status))
                case _:
                    return self._go(Input.DECISION, State.UP, self._established())

    def confirm(self, *, wanted: bool, now: float) -> list[Event]:  # noqa: ARG002
        """Answer :class:`Confirm`: True when this attempt is to replace what the peer believes is connected."""
        with self._failing():
            self._expect(Input.DECISION)
            code = bytes((wanted,))
            self._say(b"A" + code + self._proof_of(b"answer", code))
            return self._finish(Input.DECISION, Status.ALIVE, accepted=wanted)

    def data_to_send(self) -> bytes:
        """What is to be written now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_timer(self) -> float | None:
        """The deadline, or None once the handshake is over."""
        return None if self._over else self._deadline

    def handle_timer(self, now: float) -> None:
        """Raise :class:`HandshakeError` when the deadline has passed."""
        with self._failing():
            if not self._over and now >= self._deadline:
                raise HandshakeError(f"not done within {self._setup_time:g} s, still in {self._state.name}")

    # Messages --------------------------------------------------------------------------------------------------------

    def _next_message(self) -> list[Event]:
        if self._state is State.AWAIT_HELLO:
            self._check_first_bytes()
        try:
            message = self._frames.next_frame()
        except FrameTooLarge as error:
            raise HandshakeError(f"no pydist node: {error}; it begins with {self._frames.peek(16)!r}") from error
        if message is None:
            return []
        kind = _KINDS.get(message[0]) if message else None
        if kind is None or (self._state, kind) not in TRANSITIONS:
            raise HandshakeError(f"unexpected in {self._state.name}: {message[:16]!r}")
        events = self._on_message[kind](message)
        if len(self._frames) and self._state is not State.UP:
            raise HandshakeError(f"the peer spoke before its turn, in {self._state.name}")
        return events

    def _check_first_bytes(self) -> None:
        """A stranger that waits for an answer to its first bytes gets none: its hello has to begin like one."""
        first = self._frames.peek(SHORT.size + len(MAGIC))
        if not MAGIC.startswith(first[SHORT.size :]):
            raise HandshakeError(f"no pydist node: it begins with {first!r}")

    def _hello(self, message: bytes) -> list[Event]:
        self._transcript += SHORT.pack(len(message)) + message
        self._peer, _ = self._read_identity(_HELLO, MAGIC, message)
        if self._peer.node == self._local.node:
            raise HandshakeError(f"the peer calls itself {self._peer.node}, as we do")
        self._say_identity(_CHALLENGE, b"C", self._peer.version)
        return self._go(Input.HELLO, State.AWAIT_PROOF)

    def _challenge(self, message: bytes) -> list[Event]:
        self._transcript += SHORT.pack(len(message)) + message
        self._peer, nonce = self._read_identity(_CHALLENGE, b"C", message)
        if self._peer.node != self._dialled:
            raise HandshakeError(f"dialled {self._dialled}, and {self._peer.node} answers")
        if self._peer.node == self._local.node or hmac.compare_digest(nonce, self._nonce):
            raise HandshakeError("our own challenge comes back: we are talking to ourselves, or to a mirror")
        self._say(b"P" + self._proof_of(b"initiator"))
        return self._go(Input.CHALLENGE, State.AWAIT_STATUS)

    def _proof(self, message: bytes) -> list[Event]:
        self._check(message, b"P", b"initiator")
        return self._go(Input.PROOF, State.DECIDING, Decide(self._peer))

    def _status(self, message: bytes) -> list[Event]:
        code = self._check(message[:1] + message[2:], b"S", b"acceptor", message[1:2])
        try:
            status = Status(code)
        except ValueError:
            raise HandshakeError(f"a status that we do not know: {code}") from None
        if status is Status.ALIVE:
            return self._go(Input.STATUS, State.CONFIRMING, Confirm(self._peer))
        return self._finish(Input.STATUS, status, accepted=status is not Status.NOK)

    def _answer(self, message: bytes) -> list[Event]:
        code = self._check(message[:1] + message[2:], b"A", b"answer", message[1:2])
        return self._finish(Input.ANSWER, Status.ALIVE, accepted=code == 1)

    # Parts -----------------------------------------------------------------------------------------------------------

    def _read_identity(self, layout: Struct, kind: bytes, message: bytes) -> tuple[Identity, bytes]:
        if len(message) < layout.size:
            raise HandshakeError(f"a message of {len(message)} bytes is too short to say who the peer is")
        start, version, flags, creation, nonce, size = layout.unpack_from(message)
        name = message[layout.size :]
        if start != kind or len(name) != size:
            raise HandshakeError("the name's length does not fit the message")
        agreed = min(version, self._local.version)
        if agreed < OLDEST_VERSION or (self._dialled is not None and version > self._local.version):
            raise HandshakeError(
                f"the peer speaks version {version}, we speak {OLDEST_VERSION} to {self._local.version}"
            )
        told = flags & _VERSION_1 if agreed == 1 else Flag(flags)
        common = self._local.flags & told & ~_OF_ITSELF
        if missing := MANDATORY & ~common:
            raise HandshakeError(f"the peer lacks {missing.name}, without which we can't talk")
        return Identity(_node_name(name), creation, common, agreed, hidden=Flag.HIDDEN in told), nonce

    def _say_identity(self, layout: Struct, kind: bytes, version: int) -> None:
        local = self._local
        name = local.node.encode()
        flags = local.flags | Flag.HIDDEN if local.hidden else local.flags
        head = layout.pack(kind, version, flags, local.creation, self._nonce, len(name))
        self._transcript += self._say(head + name)

    def _say(self, message: bytes) -> bytes:
        framed = SHORT.pack(len(message)) + message
        self._out.append(framed)
        return framed

    def _proof_of(self, role: bytes, decision: bytes = b"") -> bytes:
        return hmac.digest(self._cookie, role + self._transcript + decision, "sha256")

    def _check(self, message: bytes, kind: bytes, role: bytes, decision: bytes = b"") -> int:
        """The decision's code, once the proof is right."""
        if not hmac.compare_digest(message, kind + self._proof_of(role, decision)):
            raise HandshakeError("the proof is wrong: the peer has another cookie")
        return decision[0] if decision else 0

    def _finish(self, cause: Input, status: Status, *, accepted: bool) -> list[Event]:
        if accepted:
            return self._go(cause, State.UP, self._established())
        return self._go(cause, State.REFUSED, Refused(self._peer, status))

    def _established(self) -> Established:
        return Established(self._peer, self._frames.take_rest())

    def _expect(self, cause: Input) -> None:
        if (self._state, cause) not in TRANSITIONS:
            raise HandshakeError(f"no {cause.name} is due in {self._state.name}")

    def _go(self, cause: Input, state: State, *events: Event) -> list[Event]:
        if state not in TRANSITIONS[self._state, cause]:
            raise AssertionError(f"{self._state.name} does not lead to {state.name}")
        self._state = state
        return list(events)

    @property
    def _over(self) -> bool:
        return self._state in {State.UP, State.REFUSED, State.FAILED}

    def _failing(self) -> _Failing:
        return _Failing(self)

    def fail(self) -> None:
        """Give up: nothing that arrives is looked at any more."""
        self._state = State.FAILED


class _Failing:
    """Turns the handshake to FAILED when a HandshakeError passes."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self._handshake.fail()


def _node_name(raw: bytes) -> str:
    try:
        return str(NodeName.parse(raw.decode()))
    except (UnicodeDecodeError, BadNodeName) as error:
        raise HandshakeError(f"no node name: {error}") from error
