from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from benchmarks.cases import Case, microseconds_each, per_second
from benchmarks.harness import Result, run_case, run_cases, table, write_results

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RATE = Case("a_rate_per_s", "things/s", 1000, per_second)
LATENCY = Case("a_latency_us", "us", 10, microseconds_each)


@attrs.define
class Scripted:
    """A side whose measurements are written down beforehand; `diary` is shared, to see who measured when."""

    name: str
    amounts: list[int]
    diary: list[tuple[str, str, int]]

    def measure(self, case: Case, count: int) -> int:
        self.diary.append((self.name, case.name, count))
        return self.amounts.pop(0)


def test_the_sides_take_turns_in_every_round_and_do_the_work_equally_often() -> None:
    diary: list[tuple[str, str, int]] = []
    sides = [Scripted("pydist", [1, 1], diary), Scripted("beam", [1, 1], diary)]

    run_case(RATE, sides, rounds=2, quick=False)

    assert diary == [("pydist", "a_rate_per_s", 1000), ("beam", "a_rate_per_s", 1000)] * 2


def test_the_result_is_the_median_of_the_rounds_and_the_ratio_is_pydist_by_beam() -> None:
    # 1000 things in 1 s, 9 s and 2 s; beside them 1 s each time.
    sides = [Scripted("pydist", [10**9, 9 * 10**9, 2 * 10**9], []), Scripted("beam", [10**9] * 3, [])]

    assert run_case(RATE, sides, rounds=3, quick=False) == Result("a_rate_per_s", "things/s", 500.0, 1000.0, 0.5)


def test_a_latency_is_what_one_of_many_took() -> None:
    sides = [Scripted("pydist", [400_000], []), Scripted("beam", [1_600_000], [])]

    assert run_case(LATENCY, sides, rounds=1, quick=False) == Result("a_latency_us", "us", 40.0, 160.0, 0.25)


def test_without_a_beam_there_is_neither_its_figure_nor_a_ratio() -> None:
    result = run_case(RATE, [Scripted("pydist", [10**9], [])], rounds=1, quick=False)

    assert result == Result("a_rate_per_s", "things/s", 1000.0, None, None)


def test_quick_does_a_small_part_of_the_work_but_enough_for_fifty_callers() -> None:
    diary: list[tuple[str, str, int]] = []

    run_cases([attrs.evolve(RATE, count=100_000), RATE], [Scripted("pydist", [1, 1], diary)], rounds=1, quick=True)

    assert [count for _, _, count in diary] == [5_000, 50]


def test_each_measurement_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run_case(RATE, [Scripted("pydist", [10**9, 10**9], [])], rounds=2, quick=False)

    assert capsys.readouterr().err.splitlines() == [
        "a_rate_per_s  round 1/2  pydist 1,000.0 things/s",
        "a_rate_per_s  round 2/2  pydist 1,000.0 things/s",
    ]


def test_the_table_has_a_line_for_each_case_and_a_dash_for_what_was_not_measured() -> None:
    text = table([Result("one", "things/s", 1234567.0, 2000000.0, 0.617), Result("two", "us", 45.25, None, None)])

    assert [line.split() for line in text.splitlines()] == [
        ["case", "unit", "pydist", "beam", "ratio"],
        ["one", "things/s", "1,234,567", "2,000,000", "0.62"],
        ["two", "us", "45.2", "-", "-"],
    ]


def test_the_results_are_written_as_a_list_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "results.json"

    write_results([Result("one", "us", 45.2, 90.4, 0.5), Result("two", "us", 1.0, None, None)], path)

    assert json.loads(path.read_text()) == [
        {"case": "one", "unit": "us", "pydist": 45.2, "beam": 90.4, "ratio": 0.5},
        {"case": "two", "unit": "us", "pydist": 1.0, "beam": None, "ratio": None},
    ]
