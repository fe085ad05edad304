"""Where a handshake can stand, and what leads from where to where. The picture in `docs/wire.md` is drawn from this.

Every pair that is not in the table, and every message that does not check, leads to FAILED.
"""

from __future__ import annotations

import enum
from typing import Final


class State(enum.Enum):
    """Where a handshake stands."""

    AWAIT_HELLO = enum.auto()
    AWAIT_PROOF = enum.auto()
    DECIDING = enum.auto()
    AWAIT_ANSWER = enum.auto()
    AWAIT_CHALLENGE = enum.auto()
    AWAIT_STATUS = enum.auto()
    CONFIRMING = enum.auto()
    UP = enum.auto()
    REFUSED = enum.auto()
    NAMED = enum.auto()
    FAILED = enum.auto()


class Input(enum.Enum):
    """What moves a handshake on."""

    HELLO = enum.auto()
    CHALLENGE = enum.auto()
    PROOF = enum.auto()
    STATUS = enum.auto()
    ANSWER = enum.auto()
    DECISION = enum.auto()


ACCEPTOR_BEGINS: Final = State.AWAIT_HELLO
INITIATOR_BEGINS: Final = State.AWAIT_CHALLENGE
ENDS: Final = frozenset({State.UP, State.REFUSED, State.NAMED, State.FAILED})

TRANSITIONS: Final[dict[tuple[State, Input], frozenset[State]]] = {
    (State.AWAIT_HELLO, Input.HELLO): frozenset({State.AWAIT_PROOF}),
    (State.AWAIT_PROOF, Input.PROOF): frozenset({State.DECIDING}),
    (State.DECIDING, Input.DECISION): frozenset({State.UP, State.REFUSED, State.NAMED, State.AWAIT_ANSWER}),
    (State.AWAIT_ANSWER, Input.ANSWER): frozenset({State.UP, State.REFUSED}),
    (State.AWAIT_CHALLENGE, Input.CHALLENGE): frozenset({State.AWAIT_STATUS}),
    (State.AWAIT_STATUS, Input.STATUS): frozenset({State.UP, State.REFUSED, State.NAMED, State.CONFIRMING}),
    (State.CONFIRMING, Input.DECISION): frozenset({State.UP, State.REFUSED}),
}
