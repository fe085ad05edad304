"""What drivers are told to do, and what is seen of them: the words that the model and the stage share.

A driver is a process that does what it is told by message, and writes down what it gets. Processes are named by keys,
monitors and messages by the number of the action that made them; so the model and pydist speak of the same things.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, TypeAlias

import attrs

Key: TypeAlias = int
"""Which process. A child has the number of the action that spawned it."""

MAIN: Final[Key] = -1
"""Who gives the orders."""
NOBODY: Final[Key] = -2
"""Who answers for a name that nobody has."""

NAMES: Final = ("north", "south")

TARGETED: Final = frozenset({"send", "link", "unlink", "monitor", "exit", "register", "is_alive", "farewell"})
"""The verbs that say something about another process."""
NAMED: Final = frozenset({"send_name", "monitor_name", "register", "unregister", "whereis"})
"""The verbs that say something about a name."""
REFERRING: Final = frozenset({"demonitor", "unalias", "send_alias"})
"""The verbs whose target is the number of a monitor or an alias."""

Entry: TypeAlias = tuple[Any, ...]
"""What a driver writes into its journal: a message that it has got, or the answer to what it has asked."""


@attrs.frozen
class Action:
    """One thing that a driver does. Which fields count depends on the verb; see the methods of `World` or `Stage`."""

    verb: str
    number: int
    target: Key = 0
    name: str | None = None
    reason: Any = None
    flags: frozenset[str] = frozenset()
    first: tuple[Action, ...] = ()
    """What a child does before anything else."""

    def possible(self, known: Container[Key]) -> bool:
        """Whether the process that it is about has ever been there."""
        return self.verb not in TARGETED or self.target in known

    def __str__(self) -> str:
        first = [f"({action})" for action in self.first]
        about = [self.target] if self.verb in TARGETED | REFERRING else []
        details = [self.name, self.reason, *sorted(self.flags), *first]
        return " ".join(str(word) for word in [self.number, self.verb, *about, *filter(None, details)])


@attrs.frozen
class Order:
    """A message to a driver: do all this, without a pause."""

    driver: Key
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return f"{self.driver}: {', '.join(map(str, self.actions))}"


@attrs.frozen
class Batch:
    """What is under way at the same time: new drivers, and orders that are sent before anybody has done anything."""

    newcomers: tuple[Key, ...]
    orders: tuple[Order, ...]

    def __str__(self) -> str:
        new = [f"new {' '.join(map(str, self.newcomers))}"] if self.newcomers else []
        return "; ".join([*new, *map(str, self.orders)])

    def one_by_one(self) -> list[Batch]:
        """The same with one order in each."""
        return [Batch(self.newcomers, ()), *(Batch((), (order,)) for order in self.orders)]


class Plan(list[Batch]):
    """Batch by batch; all is quiet between two of them."""

    def __repr__(self) -> str:
        return "\n".join(["", *map(str, self)])


@attrs.frozen
class Portrait:
    """What is known of one process when all is quiet."""

    alive: bool
    reason: Any
    trapping: bool
    unread: int
    aliases: frozenset[int]
    links: frozenset[Key]
    monitors: dict[int, Key]
    watchers: dict[int, tuple[Key, Key | str]]


@attrs.frozen
class Picture:
    """What is known of all processes when all is quiet."""

    living: frozenset[Key]
    portraits: dict[Key, Portrait]
    names: dict[str, Key]
    journals: dict[Key, tuple[Entry, ...]]
