"""Bounded mailboxes: how many messages may wait for a process, and what becomes of one more.

A bound is the receiver's own choice, and never silent: each message that is dropped is a dead letter. With "block" none
is: who has sent one message too many is held at its next await until there is room (see `gates.py`). It holds for what
others send to a pid or a name. What the process has asked for comes in however full the mailbox is, and is never
dropped for another: `Down`, `Exited`, replies, timeouts, and all else that comes by an alias or carries a reference.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from pydist.mailbox import carried_by
from pydist.terms import Exited, NodeDown, NodeRecovered, NodeSuspect, NodeUp, Ref

WhenFull: TypeAlias = Literal["drop_newest", "drop_oldest", "exit", "block"]

POLICIES: Final[tuple[str, ...]] = get_args(WhenFull)
_ASKED_FOR: Final = (Exited, NodeUp, NodeDown, NodeSuspect, NodeRecovered)


@attrs.frozen
class Bound:
    """How many messages may wait, and what becomes of one more. Raises ValueError and TypeError for what is none."""

    limit: int
    when_full: WhenFull

    def __attrs_post_init__(self) -> None:
        """Check it."""
        given: object = self.limit
        if type(given) is not int:
            raise TypeError(f"the bound of a mailbox is a number of messages, not {given!r}")
        if given < 1:
            raise ValueError(f"a mailbox has room for at least 1 message, not for {given}")
        if self.when_full not in POLICIES:
            raise ValueError(f"when_full is one of {', '.join(POLICIES)}, not {self.when_full!r}")


def may_be_dropped(message: Any) -> bool:
    """Whether the message is one that anybody may send, and not one that the process has asked for."""
    return not isinstance(message, _ASKED_FOR) and type(carried_by(message)) is not Ref
