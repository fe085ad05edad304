"""Where connections to a node begin: those that it dials, and those of strangers (`core/strangers.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.core.strangers import Strangers
from pydist.flusher import Flusher
from pydist.greeting import Greeting, Owner
from pydist.own_log import log
from pydist.peer import Settings

LANDING: Final = 256 * 1024
"""Bytes that are read at once, at most."""


class Door:
    """Makes the greetings of one node, and knows the strangers among them."""

    def __init__(self, settings: Settings, owner: Owner) -> None:
        self.settings = settings
        self.owner = owner
        self.flusher = Flusher()
        self.landing = memoryview(bytearray(LANDING))
        self.strangers: Strangers[Greeting] = Strangers(settings.unfinished_limit)
        self._refusals = LogAllowance()

    @property
    def unfinished(self) -> int:
        """How many handshakes of strangers are not over."""
        return len(self.strangers)

    def answer(self) -> Greeting:
        """The protocol for a transport that somebody else opened."""
        return Greeting(self)

    def dial(self, node: str, attempt: int) -> Callable[[], Greeting]:
        """Makes the protocol for a transport that we open to `node`."""
        return lambda: Greeting(self, dialled=node, attempt=attempt)

    def admit(self, stranger: Greeting) -> None:
        """Somebody has dialled us."""
        self._turn_away(self.strangers.admit(stranger, stranger.host))

    def introduce(self, stranger: Greeting) -> None:
        """It has said who it is."""
        self._turn_away(self.strangers.introduce(stranger))

    def _turn_away(self, stranger: Greeting | None) -> None:
        if stranger is not None:
            limit = self.settings.unfinished_limit
            stranger.turn_away(f"too many handshakes are unfinished ({limit}), and this one waited longest")

    def leave(self, greeting: Greeting) -> None:
        """The handshake is over, if it was a stranger's."""
        self.strangers.leave(greeting)

    def log_refused(self, greeting: Greeting, reason: str) -> None:
        """One line for each handshake that fails, unless strangers bring too many."""
        withheld = self._refusals.take(self.settings.env.clock()) if greeting.dialled is None else 0
        if withheld is not None:
            fields = withheld_field(withheld)
            log.warning("handshake_refused", peer=greeting.address, dialled=greeting.dialled, reason=reason, **fields)
