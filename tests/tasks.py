"""Functions that tests of tasks run."""

from __future__ import annotations

from typing import Any

from pydist import receive


async def double(number: int) -> int:
    return 2 * number


async def when_told() -> Any:
    """Return the first message, or raise it."""
    told = await receive()
    if isinstance(told, BaseException):
        raise told
    return told
