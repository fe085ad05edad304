"""Which of what a node exports is there for which other nodes.

A *pattern* is the name of a node, in which a `*` stands for any characters, or a tag, as `tag:ops`, that the underlay
knows the node's host by. A node says of itself what it is called, and proves no more than that it holds the cookie; its
tags are what the underlay says of the address it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

TAG: Final = "tag:"


@attrs.frozen
class Visitor:
    """Another node, as far as lists are concerned."""

    node: str
    tags: frozenset[str] = frozenset()
    """With `tag:` before each."""


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is what `pattern` says, in which each `*` stands for any characters."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def is_meant(patterns: Iterable[str], visitor: Visitor) -> bool:
    """Whether one of the patterns is true of the node."""
    return any(
        pattern in visitor.tags if pattern.startswith(TAG) else matches(pattern, visitor.node) for pattern in patterns
    )


@attrs.frozen
class Policy:
    """What one node exports, of all that is marked."""

    rules: Mapping[str, tuple[str, ...]] | None = None
    """Names of exports, which may have a `*`, for each pattern of nodes; None: all that is marked, for all nodes."""

    @classmethod
    def for_all(cls, names: Iterable[str]) -> Policy:
        """These exports, for all nodes."""
        return cls({"*": tuple(names)})

    def admits(self, export: str, visitor: Visitor) -> bool:
        """Whether the export is there for the node."""
        if self.rules is None:
            return True
        return any(
            is_meant((nodes,), visitor) and any(matches(name, export) for name in names)
            for nodes, names in self.rules.items()
        )
