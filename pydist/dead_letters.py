"""Messages that nobody gets: counted by reason, and told to those who watch for them.

| reason | the message was for |
|---|---|
| `noproc` | a process of this node that has ended, or that never was |
| `unknown_name` | a name that nobody on this node has, by `(name, node)` or by a peer |
| `inactive_alias` | an alias that counts no longer: a reply to a call that has timed out, say |
| `incarnation` | a process of an earlier life of a node |
| `noconnection` | a process of a node that can't be reached |
| `too_large` | a process of another node, and with its address it is too large to go there |
| `mailbox_full` | a process whose mailbox is bounded and full |
| `malformed` | a generic behaviour: a request that a peer has made by hand, and that names nobody to be answered |

Not counted: what a process has in its mailbox when it ends, for it had arrived; and what was on its way when a
connection was lost, for nobody knows what of it arrived.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from pydist.message import Message

DeadReason: TypeAlias = Literal[
    "noproc", "unknown_name", "inactive_alias", "incarnation", "noconnection", "too_large", "mailbox_full", "malformed"
]


class DeadLetter(Message, tag="$dead_letter"):
    """A message that nobody got; comes to those that have called `system_monitor(dead_letters=True)`."""

    target: Any
    """Whom it was for, as it was addressed: a pid, an alias, `(name, node)`, or a `Via`."""
    message: Any
    reason: str
    """"noproc", "unknown_name" and so on: see the head of `dead_letters.py`."""


class DeadLetters:
    """Those of one node."""

    __slots__ = ("counts", "listeners")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.listeners: dict[object, Callable[[DeadLetter], object]] = {}
        """Who wants to hear of each, and how to tell it."""

    def add(self, target: object, message: Any, reason: DeadReason) -> None:
        """Nobody gets `message`. One that is a `DeadLetter` itself is only counted, for else it might go round."""
        self.counts[reason] += 1
        if self.listeners and type(message) is not DeadLetter:
            letter = DeadLetter(target, message, reason)
            for listener in list(self.listeners.values()):
                listener(letter)
