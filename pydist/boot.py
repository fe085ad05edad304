"""What runs on every named node from its start: the servers that the nodes of a cluster expect of each other.

A table of definitions, as that of the tags of messages: a module that defines such a server enters it, and each node
runs all of them as it starts, before anybody else has a process, unless it is told to do without.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, TypeVar

Boot: TypeAlias = Callable[[bool], Coroutine[Any, Any, Any]]
"""Starts a server. It is told whether the node is visible."""

B = TypeVar("B", bound=Boot)

BOOT: Final[list[Boot]] = []


def at_boot(function: B) -> B:
    """Run `function` as a process of each named node when it starts; `Node.start` waits for it to end."""
    BOOT.append(function)
    return function
