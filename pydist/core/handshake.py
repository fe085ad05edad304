"""How two nodes prove to each other that they hold the same cookie, and agree whether to be connected.

    initiator                                acceptor
    hello: magic, version, flags,
           creation, name, nonce        ->
                                        <-   challenge: version, flags, creation, name, nonce
    proof                               ->   checks it, and only then asks its table of peers
                                        <-   status and proof
    (only after `alive`:) answer        ->

`wire/handshake.py` has the messages and proofs, `handshake_states.py` the states. The peer's name, which is in its
first message, says which cookies count with it (`cookies.py`).

The sides speak in turn. Bytes that come before their turn end the handshake; bytes behind its last message belong to
the connection. Nothing is asked or kept about a stranger before the proof was right. One deadline covers the whole.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

import attrs

from pydist.core.cookies import Cookies
from pydist.core.handshake_states import ACCEPTOR_BEGINS, ENDS, INITIATOR_BEGINS, TRANSITIONS, Input, State
from pydist.errors import FrameTooLarge, HandshakeError
from pydist.wire.fields import Home
from pydist.wire.framing import SHORT, FrameBuffer
from pydist.wire.handshake import (
    ANSWER,
    CHALLENGE,
    HELLO,
    MESSAGE_LIMIT,
    NONCE_SIZE,
    PROOF,
    STATUS,
    Identity,
    Role,
    Status,
    agree,
    decided,
    framed,
    give_name,
    given_name,
    introduction,
    prove,
    proven_by,
    read_decision,
    read_introduction,
)

SETUP_TIME: Final = 5.0
"""Seconds for the whole handshake."""

_KINDS: Final = {
    HELLO[0]: Input.HELLO,
    CHALLENGE[0]: Input.CHALLENGE,
    PROOF[0]: Input.PROOF,
    STATUS[0]: Input.STATUS,
    ANSWER[0]: Input.ANSWER,
}


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


@attrs.frozen
class NameWanted:
    """To the acceptor's driver: the peer has proven itself, and has only a host yet; answer with `give_name`."""

    peer: Identity


@attrs.frozen
class Named:
    """The initiator had no name, and has this one now. The handshake is over, and it is to come again with it."""

    home: Home


Event: TypeAlias = Decide | Confirm | Established | Refused | NameWanted | Named


class Handshake:
    """One side of one handshake. With `dialled`, the name expected at the other end, the initiator; else the acceptor.

    `nonce` is 32 bytes of entropy, `setup_time` the seconds for the whole. The initiator sends a proof for each cookie
    that it has for the other node; the acceptor goes on with the first of its own that is among them.

    Every method that takes input raises :class:`HandshakeError` when the other side is not to be talked to; the
    transport is to be closed then, after `data_to_send` was written.
    """

    def __init__(
        self,
        local: Identity,
        cookies: Cookies,
        nonce: bytes,
        now: float,
        *,
        dialled: str | None = None,
        setup_time: float = SETUP_TIME,
    ) -> None:
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes, this one has {len(nonce)}")
        self._local = local
        self._cookies = cookies
        self._cookie = b""
        self._nonce = nonce
        self._dialled = dialled
        self._deadline = now + setup_time
        self._setup_time = setup_time
        self._peer = local
        self._frames = FrameBuffer(SHORT, MESSAGE_LIMIT)
        self._out: list[bytes] = []
        self._transcript = b""
        self._state = ACCEPTOR_BEGINS
        if dialled is not None:
            self._state = INITIATOR_BEGINS
            self._transcript = self._say(introduction(HELLO, local, local.version, nonce))

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
            self._say(decided(STATUS, code, prove(self._cookie, Role.ACCEPTOR, self._transcript, code)))
            match status:
                case Status.ALIVE:
                    return self._go(Input.DECISION, State.AWAIT_ANSWER)
                case Status.NOK:
                    return self._go(Input.DECISION, State.REFUSED, Refused(self._peer, status))
                case _:
                    return self._go(Input.DECISION, State.UP, self._established())

    def give_name(self, short: str, creation: int, now: float) -> list[Event]:  # noqa: ARG002
        """Answer :class:`NameWanted`."""
        with self._failing():
            self._expect(Input.DECISION)
            decision = give_name(short, creation)
            self._say(decided(STATUS, decision, prove(self._cookie, Role.ACCEPTOR, self._transcript, decision)))
            return self._go(Input.DECISION, State.NAMED, Named(given_name(decision, self._peer.node)))

    def confirm(self, *, wanted: bool, now: float) -> list[Event]:  # noqa: ARG002
        """Answer :class:`Confirm`: True when this attempt is to replace what the peer believes is connected."""
        with self._failing():
            self._expect(Input.DECISION)
            code = bytes((wanted,))
            self._say(decided(ANSWER, code, prove(self._cookie, Role.ANSWER, self._transcript, code)))
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
        events = self._ON_MESSAGE[kind](self, message)
        if len(self._frames) and self._state is not State.UP:
            raise HandshakeError(f"the peer spoke before its turn, in {self._state.name}")
        return events

    def _check_first_bytes(self) -> None:
        """A stranger that waits for an answer to its first bytes gets none: its hello has to begin like one."""
        first = self._frames.peek(SHORT.size + len(HELLO))
        if not HELLO.startswith(first[SHORT.size :]):
            raise HandshakeError(f"no pydist node: it begins with {first!r}")

    def _hello(self, message: bytes) -> list[Event]:
        told, _ = read_introduction(HELLO, message)
        self._peer = agree(self._local, told)
        if self._peer.node == self._local.node:
            raise HandshakeError(f"the peer calls itself {self._peer.node}, as we do")
        challenge = introduction(CHALLENGE, self._local, self._peer.version, self._nonce)
        self._transcript = framed(message) + self._say(challenge)
        return self._go(Input.HELLO, State.AWAIT_PROOF)

    def _challenge(self, message: bytes) -> list[Event]:
        told, nonce = read_introduction(CHALLENGE, message)
        if told.version > self._local.version:
            raise HandshakeError(f"the peer speaks version {told.version}, we offered {self._local.version}")
        self._peer = agree(self._local, told)
        if self._peer.node != self._dialled:
            raise HandshakeError(f"dialled {self._dialled}, and {self._peer.node} answers")
        if self._peer.node == self._local.node or hmac.compare_digest(nonce, self._nonce):
            raise HandshakeError("our own challenge comes back: we are talking to ourselves, or to a mirror")
        self._transcript += framed(message)
        self._say(PROOF + self._initiators_proofs())
        return self._go(Input.CHALLENGE, State.AWAIT_STATUS)

    def _initiators_proofs(self) -> bytes:
        cookies = self._cookies.of(self._peer.node)
        if not cookies:
            raise HandshakeError(f"this node has no cookie for {self._peer.node}")
        count = 1 if self._peer.version == 1 else len(cookies)
        return b"".join(prove(cookie, Role.INITIATOR, self._transcript) for cookie in cookies[:count])

    def _proof(self, message: bytes) -> list[Event]:
        cookies = self._cookies.of(self._peer.node)
        self._cookie = proven_by(cookies, message[len(PROOF) :], Role.INITIATOR, self._transcript)
        event = NameWanted(self._peer) if self._peer.nameless else Decide(self._peer)
        return self._go(Input.PROOF, State.DECIDING, event)

    def _status(self, message: bytes) -> list[Event]:
        decision, proof = read_decision(STATUS, message)
        cookies = self._cookies.of(self._peer.node)
        self._cookie = proven_by(cookies, proof, Role.ACCEPTOR, self._transcript, decision)
        try:
            status = Status(decision[0])
        except ValueError:
            raise HandshakeError(f"a status that we do not know: {decision[0]}") from None
        if self._local.nameless is not (status is Status.NAMED):
            raise HandshakeError(f"the peer answers {status.name} to a node that calls itself {self._local.node}")
        if status is Status.NAMED:
            return self._go(Input.STATUS, State.NAMED, Named(given_name(decision, self._local.node)))
        if status is Status.ALIVE:
            return self._go(Input.STATUS, State.CONFIRMING, Confirm(self._peer))
        return self._finish(Input.STATUS, status, accepted=status is not Status.NOK)

    def _answer(self, message: bytes) -> list[Event]:
        code, proof = read_decision(ANSWER, message)
        proven_by([self._cookie], proof, Role.ANSWER, self._transcript, code)
        return self._finish(Input.ANSWER, Status.ALIVE, accepted=code[0] == 1)

    # Functions, not methods of this one: so that a handshake that is over goes away without the garbage collector.
    _ON_MESSAGE: ClassVar[dict[Input, Callable[[Handshake, bytes], list[Event]]]] = {
        Input.HELLO: _hello,
        Input.CHALLENGE: _challenge,
        Input.PROOF: _proof,
        Input.STATUS: _status,
        Input.ANSWER: _answer,
    }

    # Parts -----------------------------------------------------------------------------------------------------------

    def _say(self, message: bytes) -> bytes:
        data = framed(message)
        self._out.append(data)
        return data

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
        return self._state in ENDS

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
