"""Log lines for programs: one JSON object a line, of ASCII, and of bounded size.

What JSON has is written as it is: texts, numbers, booleans, null, arrays, objects with texts for keys. All else,
tuples too, is the text that stands for it: `"<Pid a@127.0.0.1/4.1>"`, `"(Atom('shutdown'), 'why')"`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Any, Final

from pydist.core.shown import DEPTH, ITEMS, cut, kind_of, shown

TEXT: Final = 2_000
"""Characters of a text."""
BLOCK: Final = 20_000
"""Characters of a traceback."""
DIGITS: Final = 64
"""Bits of a number that other programs than Python can be expected to read."""

_BLOCKS: Final = ("stack", "exception")


def render_json(event: Mapping[str, Any]) -> str:
    """One event as JSON, without a newline at its end; `timestamp`, `level` and `event` first. Never raises."""
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    fields = {_key(key): _plain(value, _limit(key), DEPTH) for key, value in {**first, **event}.items()}
    return json.dumps(fields)


def _limit(key: object) -> int:
    return BLOCK if key in _BLOCKS else TEXT


def _key(key: object) -> str:
    return cut(key, TEXT) if type(key) is str else shown(key)


def _plain(value: Any, limit: int, depth: int) -> Any:
    """The value as JSON has it, or as it is shown."""
    kind = kind_of(value)
    if kind is str:
        return cut(value, limit)
    if value is None or kind is bool or (kind is int and value.bit_length() <= DIGITS):
        return value
    if kind is float and isfinite(value):
        return value
    if kind is list and depth > 0:
        return _array(value, limit, depth)
    if kind is dict and depth > 0:
        return _object(value, limit, depth)
    return shown(value)


def _array(items: list[Any], limit: int, depth: int) -> list[Any]:
    more = [f"... {len(items) - ITEMS} more"] if len(items) > ITEMS else []
    return [*(_plain(each, limit, depth - 1) for each in items[:ITEMS]), *more]


def _object(pairs: dict[Any, Any], limit: int, depth: int) -> dict[str, Any]:
    more = {"...": f"{len(pairs) - ITEMS} more"} if len(pairs) > ITEMS else {}
    return {**{_key(key): _plain(each, limit, depth - 1) for key, each in islice(pairs.items(), ITEMS)}, **more}
