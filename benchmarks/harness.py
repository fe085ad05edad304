"""Runs the cases: side against side in turn, round after round; the median of the rounds is the result."""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.cases import Case


class Side(Protocol):
    """One of the systems that are compared."""

    @property
    def name(self) -> str: ...

    def measure(self, case: Case, count: int) -> int:
        """Do the work of `case` `count` times, in fresh OS processes.

        Returns:
            Nanoseconds for the whole, or bytes for `process_bytes`.
        Raises:
            ChildFailed: a program that does the work ended badly, or not in time.
        """
        ...


@attrs.frozen
class Result:
    """One line of the table. `beam` and `ratio` are None where no BEAM took part."""

    case: str
    unit: str
    pydist: float
    beam: float | None
    ratio: float | None


def run_cases(cases: Iterable[Case], sides: Sequence[Side], *, rounds: int, quick: bool) -> list[Result]:
    """Measure each case on each side `rounds` times; each run is a line on stderr."""
    return [run_case(case, sides, rounds=rounds, quick=quick) for case in cases]


def run_case(case: Case, sides: Sequence[Side], *, rounds: int, quick: bool) -> Result:
    """The sides take turns, so that a machine that is busy for a while is busy for both."""
    count = case.times(quick=quick)
    figures: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides:
            figure = case.figure(count, side.measure(case, count))
            figures[side.name].append(figure)
            _progress(f"{case.name}  round {number}/{rounds}  {side.name} {figure:,.1f} {case.unit}")
    return _result(case, figures)


def _result(case: Case, figures: dict[str, list[float]]) -> Result:
    pydist = median(figures["pydist"])
    beam = median(figures["beam"]) if "beam" in figures else None
    ratio = None if beam is None else _digits(pydist / beam, 3)
    return Result(case.name, case.unit, _digits(pydist, 4), None if beam is None else _digits(beam, 4), ratio)


def _digits(value: float, digits: int) -> float:
    """What a measurement that scatters by some percent can honestly claim."""
    return float(f"{value:.{digits}g}")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def table(results: Iterable[Result]) -> str:
    """The results as text, one case per line."""
    lines = [f"{'case':<26} {'unit':<14} {'pydist':>12} {'beam':>12} {'ratio':>7}"]
    lines += [
        f"{row.case:<26} {row.unit:<14} {_cell(row.pydist):>12} {_cell(row.beam):>12} {_ratio_cell(row.ratio):>7}"
        for row in results
    ]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _ratio_cell(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def write_results(results: Iterable[Result], path: Path) -> None:
    """Write the list of `{"case", "unit", "pydist", "beam", "ratio"}` as JSON."""
    path.write_text(json.dumps([attrs.asdict(row) for row in results], indent=2) + "\n")
