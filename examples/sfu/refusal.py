"""How one process tells another that it won't: a reply, not a crash, because it is the client's fault."""

from __future__ import annotations

from typing import Literal

from pydist import Message


class Refusal(Message, tag="sfu.refusal"):
    """Why a client does not get what it asked for."""

    kind: Literal["unusable", "unknown", "taken", "full", "unavailable"]
    reason: str
    """A sentence for the client."""
