"""The names of one node: one name per process and one process per name (Erlang's `register/2`)."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydist.errors import NameTaken, UnknownName
from pydist.terms import NAME_LIMIT

P = TypeVar("P")


class Names(Generic[P]):
    """Names, and the processes that hold them. Whoever ends a process calls `release`."""

    __slots__ = ("_holders", "_names")

    def __init__(self) -> None:
        self._holders: dict[str, P] = {}
        self._names: dict[P, str] = {}

    def register(self, name: str, holder: P) -> None:
        """Give `name` to `holder`.

        Raises:
            NameTaken: another process has the name, or this one has a name already.
            TypeError, ValueError: the name is no text, or empty.
        """
        check_name(name)
        if name in self._holders:
            raise NameTaken(
                f"the name {name!r} belongs to {self._holders[name]!r}; choose another, or unregister it first"
            )
        if holder in self._names:
            raise NameTaken(
                f"{holder!r} is registered as {self._names[holder]!r} already; a process has one name at most"
            )
        self._holders[name] = holder
        self._names[holder] = name

    def unregister(self, name: str) -> None:
        """Free `name`.

        Raises:
            UnknownName: nobody has it.
        """
        holder = self._holders.pop(name, None)
        if holder is None:
            raise UnknownName(f"nobody on this node is registered as {name!r}")
        del self._names[holder]

    def release(self, holder: P) -> str | None:
        """Free whatever name `holder` has, and return it."""
        name = self._names.pop(holder, None)
        if name is not None:
            del self._holders[name]
        return name

    def holder(self, name: str) -> P | None:
        """Who has `name`, or None."""
        return self._holders.get(name)

    def name_of(self, holder: P) -> str | None:
        """The name of `holder`, or None."""
        return self._names.get(holder)

    def all(self) -> list[str]:
        """All names, oldest first."""
        return list(self._holders)


def check_name(name: object) -> None:
    """Raise TypeError for what is no str, ValueError for a name that is empty, too long, or not sendable."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {type(name).__name__}")
    if not name:
        raise ValueError("a name has at least one character")
    if len(name) > NAME_LIMIT:
        raise ValueError(f"a name has at most {NAME_LIMIT} characters, this one has {len(name)}")
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"a name is text that can be encoded, and {name!r} has a lone surrogate")
