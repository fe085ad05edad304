"""What the name servers of a cluster say to each other, and how much of it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from pydist.message import PeerMessage
from pydist.terms import Atom, Pid


class Greet(PeerMessage, tag="$global_greet"):
    """Who has seen the other come up says so; it is answered by `Names`."""

    sender: Pid


class Names(PeerMessage, tag="$global_names"):
    """All names of the sender's own processes, and from now on it tells of each change."""

    sender: Pid
    names: Sequence[tuple[Any, Pid]]
    asks: bool
    """Send yours, too."""


class Changed(PeerMessage, tag="$global_changed"):
    """Names that have come (True), or gone (False)."""

    sender: Pid
    changes: Sequence[tuple[Any, Pid, bool]]


class Ask(PeerMessage, tag="$global_ask"):
    """For the turn at the receiver's node: until it ends, nobody else changes names there."""

    sender: Pid
    turn: int
    names: Sequence[Any]
    """Those that are to be registered."""
    waits: bool
    """Put it into the queue, if another has the turn; otherwise refuse it."""


class Granted(PeerMessage, tag="$global_granted"):
    """The turn is the receiver's."""

    sender: Pid
    turn: int
    taken: Sequence[Any]
    """Of the names that were asked for, those that somebody has."""


class Refused(PeerMessage, tag="$global_refused"):
    """Another has the turn."""

    sender: Pid
    turn: int


class Release(PeerMessage, tag="$global_release"):
    """The turn is over, or is wanted no longer."""

    sender: Pid
    turn: int
    answer: bool
    """Whether a `Released` is wanted: then all that was told before is known."""


class Released(PeerMessage, tag="$global_released"):
    """It is, and all that came before has been done."""

    sender: Pid
    turn: int


NAMES_LIMIT: Final = 1_000_000
"""So many names of one other node are kept."""
DEEPEST: Final = 8
"""So many tuples a name may have inside each other."""


def is_name(value: object, depth: int = DEEPEST) -> bool:
    """Whether it can be a name of the cluster: such values arrive as they were sent, and are equal there."""
    if type(value) is tuple:
        parts = cast("tuple[object, ...]", value)
        return depth > 0 and all(is_name(part, depth - 1) for part in parts)
    return type(value) in (str, bytes, int, bool, Atom, Pid)


def is_sound(message: Any, node: str) -> bool:
    """Whether the fields of a message are what they should be; it comes from a peer, `node`, and may be anything."""
    if type(message.sender) is not Pid or message.sender.node != node:
        return False
    match message:
        case Names(_, names, bool()):
            return _is_list(names) and all(map(_is_entry, names))
        case Changed(_, changes):
            return _is_list(changes) and all(map(_is_change, changes))
        case Ask(_, int(), names, bool()):
            return _is_list(names) and all(map(is_name, names))
        case Granted(_, int(), taken):
            return _is_list(taken) and all(map(is_name, taken))
        case Refused(_, int()) | Released(_, int()) | Release(_, int(), bool()) | Greet():
            return True
        case _:
            return False


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(cast("Sequence[object]", value)) <= NAMES_LIMIT


def _is_entry(entry: Any) -> bool:
    match entry:
        case (name, Pid()):
            return is_name(name)
        case _:
            return False


def _is_change(change: Any) -> bool:
    match change:
        case (name, Pid(), bool()):
            return is_name(name)
        case _:
            return False
