"""Tables for people: columns that stand under each other, and no line longer than the terminal is wide."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

GAP = "  "


def width_of(text: str) -> int:
    """Cells of a terminal that a text takes."""
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def fitted(text: str, width: int) -> str:
    """As much of the text as has room; `...` where some had not."""
    if width_of(text) <= width:
        return text
    kept, room = "", width - 3
    for each in text:
        room -= width_of(each)
        if room < 0:
            break
        kept += each
    return f"{kept}..." if width > 3 else "." * width


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, numbers: frozenset[int]) -> list[str]:
    """The lines of a table, a head first.

    Args:
        head: what stands over each column.
        rows: the cells.
        width: cells that a line may take.
        numbers: the columns that are written to the right.
    """
    columns = [max(map(width_of, column)) for column in zip(head, *rows, strict=True)]
    return [fitted(_line(row, columns, numbers), width) for row in (head, *rows)]


def _line(row: Sequence[str], columns: Sequence[int], numbers: frozenset[int]) -> str:
    cells: list[str] = []
    for index, (cell, column) in enumerate(zip(row, columns, strict=True)):
        space = " " * (column - width_of(cell))
        cells.append(space + cell if index in numbers else cell + space)
    return GAP.join(cells).rstrip()


def amount(size: int) -> str:
    """A number of bytes, short: `312`, `4.1k`, `17M`."""
    value = float(size)
    for unit in ("", "k", "M", "G"):
        if value < 1000 or unit == "G":
            break
        value /= 1000
    return f"{size}" if unit == "" else f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
