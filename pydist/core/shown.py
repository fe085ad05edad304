"""How a value is shown to people: always as one short line, without a character that a terminal would obey.

A value in a log may have come from a peer, may be a million entries long, and may have a `__repr__` that fails. None of
that may hurt who reads the log, or who writes it. Cost: bounded for what Python's own containers hold; the `repr` of
any other object is made in full before it is cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, cast

LIMIT: Final = 500
"""Characters of a shown value."""
ITEMS: Final = 20
"""Entries of a container that are shown."""
DEPTH: Final = 4
"""Containers inside each other that are shown."""

_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
    dict: ("{", "}"),
}


def shown(value: object, limit: int = LIMIT) -> str:
    """`repr(value)`, or as much of it as `limit` characters hold. Never raises."""
    return cut(escaped(_show(value, DEPTH, limit)), limit)


def bare(value: object, limit: int = LIMIT) -> str:
    """As `shown`, but of a text without its quotes."""
    return cut(escaped(value[: limit + 1]), limit) if type(value) is str else shown(value, limit)


def cut(text: str, limit: int) -> str:
    """The text, with `...` for what is over the limit."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def escaped(text: str) -> str:
    r"""The text with `\x1b` for an escape character, and so on: nothing in it moves a cursor, or begins a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def kind_of(value: object) -> type[object]:
    """Its very type: a subclass of `str` or `list` may have code of its own, and is taken as any other object."""
    return type(value)


def of_own_code(make: Callable[[], str], value: object) -> str:
    """A text that the value's own code makes, or a word that it could not."""
    try:
        return make()
    except BaseException:  # noqa: BLE001  # the user's code may raise anything, and the log has to be written all the same
        return f"<{type(value).__qualname__} that can't be shown>"


def _show(value: Any, depth: int, limit: int) -> str:
    kind = kind_of(value)
    if kind is str or kind is bytes:
        return repr(value[:limit])
    brackets = _BRACKETS.get(kind)
    if brackets is None:
        return of_own_code(lambda: repr(value), value)
    opening, closing = brackets
    if depth == 0 and value:
        return f"{opening}...{closing}"
    if not value and kind in {set, frozenset}:
        return repr(value)
    entries = _pairs(value, depth, limit) if kind is dict else [_show(each, depth - 1, limit) for each in _first(value)]
    if len(value) > ITEMS:
        entries.append(f"... {len(value) - ITEMS} more")
    elif kind is tuple and len(value) == 1:
        closing = ",)"
    return f"{opening}{', '.join(entries)}{closing}"


def _first(value: Iterable[Any]) -> list[Any]:
    return list(islice(value, ITEMS))


def _pairs(value: dict[Any, Any], depth: int, limit: int) -> list[str]:
    first = cast("list[tuple[Any, Any]]", _first(value.items()))
    return [f"{_show(key, depth - 1, limit)}: {_show(each, depth - 1, limit)}" for key, each in first]
