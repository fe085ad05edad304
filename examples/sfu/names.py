"""What the processes of a node are registered as; the same on every node."""

from __future__ import annotations

from typing import Final

TOP: Final = "main"
ROOT: Final = "sfu"
MEDIA: Final = "media"
DIRECTORY: Final = "directory"
CHANNELS: Final = "channels"
SESSIONS: Final = "sessions"
HTTP: Final = "http"


def channel_name(channel: str) -> str:
    """The process that looks after a channel, on each node that has publisher or subscribers of it."""
    return f"channel:{channel}"


def session_name(session: str) -> str:
    """The process that looks after a session."""
    return f"session:{session}"
