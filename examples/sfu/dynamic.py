"""Children that come and go, by ids that are made at run time."""

from __future__ import annotations

from contextlib import suppress

from pydist import ChildSpec, delete_child, start_child, terminate_child
from pydist.errors import AlreadyStarted, ChildError


async def ensure(supervisor: str, spec: ChildSpec) -> None:
    """Have the child there, unless it is there already."""
    with suppress(ChildError, AlreadyStarted):
        await start_child(supervisor, spec)


async def dismiss(supervisor: str, child_id: str) -> None:
    """Stop a child and forget it. To be spawned: a child that calls its own supervisor would wait for itself."""
    with suppress(ChildError):
        await terminate_child(supervisor, child_id)
        await delete_child(supervisor, child_id)
