"""The messages of a handshake and the proofs in them, as bytes and as values. `docs/wire.md` has the layouts.

A proof is HMAC-SHA256(cookie, role || transcript || decision), where the transcript is all bytes of hello and
challenge, so that names, creations, versions, flags, nonces and the direction are bound to it. The status and the
answer carry proofs of their own: nobody on the way can change a decision. Compare OTP's `dist_util.erl`, which
authenticates the nonces alone.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Sequence
from struct import Struct
from typing import Final

import attrs

from pydist.errors import BadNodeName, HandshakeError
from pydist.terms import NodeName
from pydist.wire.fields import Home
from pydist.wire.framing import SHORT

VERSION: Final = 2
OLDEST_VERSION: Final = 1
MESSAGE_LIMIT: Final = 1024
NONCE_SIZE: Final = 32
PROOF_SIZE: Final = 32
COOKIE_LIMIT: Final = 2
"""As many cookies a node may have for another: the one to come and the one that goes."""

HELLO: Final = b"pydist"
CHALLENGE: Final = b"C"
PROOF: Final = b"P"
STATUS: Final = b"S"
ANSWER: Final = b"A"

_INTRODUCTION: Final = Struct(f">BQI{NONCE_SIZE}sB")


class Flag(enum.IntFlag):
    """What a node can do. What both sides can is what counts, but for what a node says of itself alone."""

    SIGNALS = 1
    """The signals of version 1."""
    FRAGMENTS = 2
    """Large messages cross in pieces, between which others may pass."""
    COMPRESSION = 4
    """Large messages may be compressed."""
    CREDIT = 8
    """A bounded mailbox tells those who send to it from afar how much room there is."""
    HIDDEN = 16
    """Of itself alone: a node that is no member of the cluster, for those that count its members."""
    REQUESTS = 32
    """The signal ASK."""
    PRIORITY = 64
    """The signal SEND_URGENT."""
    PARTITIONS = 128
    """The signals LOST and PART: a node that wants no overlapping partitions."""
    DYNAMIC_NAME = 256
    """Gives a name to a node that has only a host; such a node has to have it."""
    SPAWN = 512
    """The signals SPAWN_REQUEST and SPAWN_REPLY."""


MANDATORY: Final = Flag.SIGNALS
OFFERED: Final = (
    Flag.SIGNALS
    | Flag.FRAGMENTS
    | Flag.COMPRESSION
    | Flag.REQUESTS
    | Flag.CREDIT
    | Flag.PRIORITY
    | Flag.PARTITIONS
    | Flag.DYNAMIC_NAME
    | Flag.SPAWN
)
"""What a node of this program can do."""
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
    NAMED = 5
    """The initiator had no name, and has one now; it is to come again with it."""


_NAMED: Final = bytes((Status.NAMED,))


class Role(enum.Enum):
    """Who proves what."""

    INITIATOR = b"initiator"
    ACCEPTOR = b"acceptor"
    ANSWER = b"answer"


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
    def nameless(self) -> bool:
        """It has only a host yet: `node` is @host, and there is no creation."""
        return self.node.startswith("@")

    @property
    def home(self) -> Home:
        """Where its bare numbers belong."""
        return Home(self.node, self.creation)


# Hello and challenge --------------------------------------------------------------------------------------------------


def introduction(start: bytes, who: Identity, version: int, nonce: bytes) -> bytes:
    """A hello or a challenge, by its `start`."""
    name = who.node.encode()
    flags = who.flags | Flag.HIDDEN if who.hidden else who.flags
    return start + _INTRODUCTION.pack(version, flags, who.creation, nonce, len(name)) + name


def read_introduction(start: bytes, message: bytes) -> tuple[Identity, bytes]:
    """Who wrote it, as it says itself, and its nonce.

    Raises:
        HandshakeError: it is not laid out as one.
    """
    head = len(start) + _INTRODUCTION.size
    if len(message) < head:
        raise HandshakeError(f"a message of {len(message)} bytes is too short to say who the peer is")
    version, flags, creation, nonce, size = _INTRODUCTION.unpack_from(message, len(start))
    name = message[head:]
    if not message.startswith(start) or len(name) != size:
        raise HandshakeError("the name's length does not fit the message")
    return Identity(_said_name(name), creation, Flag(flags & ~Flag.HIDDEN), version, bool(flags & Flag.HIDDEN)), nonce


def agree(local: Identity, told: Identity) -> Identity:
    """The peer as it counts for us: the lower version, and the flags that both have.

    Raises:
        HandshakeError: it is too old, or lacks a flag.
    """
    version = min(local.version, told.version)
    if version < OLDEST_VERSION:
        raise HandshakeError(f"the peer speaks version {told.version}, we speak {OLDEST_VERSION} to {local.version}")
    common = local.flags & told.flags
    if version == 1:
        common &= _VERSION_1
    if missing := MANDATORY & ~common:
        raise HandshakeError(f"the peer lacks {missing.name}, without which we can't talk")
    if told.nameless and Flag.DYNAMIC_NAME not in common:
        raise HandshakeError(f"no node name: {told.node}, and no way to give it one")
    return attrs.evolve(told, version=version, flags=common, hidden=told.hidden and version > 1)


def _said_name(raw: bytes) -> str:
    if raw.startswith(b"@"):
        return _node_name(b"x" + raw).removeprefix("x")
    return _node_name(raw)


def _node_name(raw: bytes) -> str:
    try:
        return str(NodeName.parse(raw.decode()))
    except (UnicodeDecodeError, BadNodeName) as error:
        raise HandshakeError(f"no node name: {error}") from error


# Proofs ---------------------------------------------------------------------------------------------------------------


def prove(cookie: bytes, role: Role, transcript: bytes, decision: bytes = b"") -> bytes:
    """The proof that one holds `cookie`."""
    return hmac.digest(cookie, role.value + transcript + decision, "sha256")


def proven_by(cookies: Sequence[bytes], proofs: bytes, role: Role, transcript: bytes, decision: bytes = b"") -> bytes:
    """The first of `cookies` with which one of `proofs` was made. Each comparison takes the same time.

    Raises:
        HandshakeError: there is none.
    """
    if not 0 < len(proofs) <= COOKIE_LIMIT * PROOF_SIZE or len(proofs) % PROOF_SIZE:
        raise HandshakeError(f"no proof has {len(proofs)} bytes")
    given = [proofs[start : start + PROOF_SIZE] for start in range(0, len(proofs), PROOF_SIZE)]
    for cookie in cookies:
        proof = prove(cookie, role, transcript, decision)
        if any(hmac.compare_digest(proof, one) for one in given):
            return cookie
    raise HandshakeError("the proof is wrong: the peer has another cookie")


def decided(start: bytes, decision: bytes, proof: bytes) -> bytes:
    """A status or an answer, by its `start`."""
    return start + decision + proof


def read_decision(start: bytes, message: bytes) -> tuple[bytes, bytes]:
    """What was decided, and its proof.

    Raises:
        HandshakeError: it is not laid out so.
    """
    decision, proof = message[len(start) : -PROOF_SIZE], message[-PROOF_SIZE:]
    if len(decision) != 1 and not (start == STATUS and decision[:1] == _NAMED):
        raise HandshakeError(f"no decision has {len(message)} bytes")
    return decision, proof


def give_name(short: str, creation: int) -> bytes:
    """The decision by which a node gets its name and creation."""
    return _NAMED + creation.to_bytes(4, "big") + short.encode()


def given_name(decision: bytes, host: str) -> Home:
    """What a node that called itself `host`, with the @, is called from now on.

    Raises:
        HandshakeError: that makes no name.
    """
    return Home(_node_name(decision[5:] + host.encode()), int.from_bytes(decision[1:5], "big"))


def framed(message: bytes) -> bytes:
    """The message as it crosses."""
    return SHORT.pack(len(message)) + message
