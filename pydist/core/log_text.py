"""Log lines for people: an event on a line, a report on several, tracebacks as Python shows them.

    2026-11-25 02:30:04.573120 info     node_started  node=a@127.0.0.1 port=4370
    2026-11-25 02:30:09.120440 error    crash_report
        pid        <Pid a@127.0.0.1/4.1>
        name       counter
        ...
        Traceback (most recent call last):
          ...

All that is written is text of one line that a terminal can only show: see `core/shown.py`. What is not at the margin
belongs to the line above, so that no value can pass for a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from pydist.core.shown import ITEMS, bare, escaped, kind_of, shown

TRACEBACK_LINES: Final = 100
"""Of a longer traceback only its first and its last lines are shown, half of this each."""
LINE: Final = 1000
"""Characters of a line of a traceback."""

Paint: TypeAlias = Callable[[str, str], str]
"""Marks a text by its role."""

_INDENT: Final = "    "
_LEVEL_WIDTH: Final = len("critical")
_OF_THE_LINE: Final = ("timestamp", "level", "event")
_BLOCKS: Final = ("stack", "exception")

_RESET: Final = "\x1b[0m"
_COLOURS: Final = {
    "critical": "\x1b[1;31m",
    "error": "\x1b[31m",
    "warning": "\x1b[33m",
    "info": "\x1b[32m",
    "debug": "\x1b[2m",
    "event": "\x1b[1m",
    "key": "\x1b[36m",
}


def render_text(event: Mapping[str, Any], *, colour: bool = False) -> str:
    """One event as text, without a newline at its end.

    Args:
        event: what structlog hands to its last processor: `event`, `level`, `timestamp`, and any other fields.
        colour: mark levels and names by the escape sequences of a terminal.
    """
    paint = _coloured if colour else _plain
    name = bare(event.get("event", ""))
    head = _head(event, name, paint)
    fields = {key: value for key, value in event.items() if key not in _OF_THE_LINE and key not in _BLOCKS}
    if name.endswith("_report"):
        lines = [head, *_rows(fields, paint)]
    else:
        lines = [" ".join([head, *([""] if fields else []), *_pairs(fields, paint)])]
    for block in _BLOCKS:
        if isinstance(event.get(block), str):
            lines += [f"{_INDENT}{line}" for line in _block(event[block])]
    return "\n".join(lines)


def _head(event: Mapping[str, Any], name: str, paint: Paint) -> str:
    level = bare(event.get("level", ""))
    when = bare(event.get("timestamp", ""))
    return " ".join(filter(None, [when, paint(level, f"{level:<{_LEVEL_WIDTH}}"), paint("event", name)]))


def _pairs(fields: Mapping[Any, Any], paint: Paint) -> Iterator[str]:
    for key, value in fields.items():
        yield f"{paint('key', bare(key))}={_word(value)}"


def _rows(fields: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    """A report's fields below each other. The error is not among them: the traceback ends with it."""
    told = {bare(key): value for key, value in fields.items() if key != "error" and not _says_nothing(value)}
    width = max(map(len, told), default=0)
    for key, value in told.items():
        yield f"{_INDENT}{paint('key', f'{key:<{width}}')}  {_cell(value)}"


def _says_nothing(value: object) -> bool:
    return value is None or value == []


def _cell(value: Any) -> str:
    kind = kind_of(value)
    if kind is dict:
        return " ".join(islice(_pairs(value, _plain), ITEMS))
    if kind is list:
        more = [f"... {len(value) - ITEMS} more"] if len(value) > ITEMS else []
        return ", ".join([*map(bare, value[:ITEMS]), *more])
    return bare(value)


def _word(value: object) -> str:
    """A text without quotes, if it can't be taken for anything else."""
    text = bare(value)
    return text if text and not {" ", "=", '"', "'"} & set(text) else shown(value)


def _block(text: str) -> list[str]:
    lines = [escaped(line.expandtabs(4))[:LINE] for line in text.rstrip("\n").split("\n")]
    if len(lines) <= TRACEBACK_LINES:
        return lines
    half = TRACEBACK_LINES // 2
    return [*lines[:half], f"... {len(lines) - 2 * half} lines left out", *lines[-half:]]


def _coloured(role: str, text: str) -> str:
    return f"{_COLOURS[role]}{text}{_RESET}" if role in _COLOURS else text


def _plain(_role: str, text: str) -> str:
    return text
