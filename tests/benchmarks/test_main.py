"""Each case runs for real with tiny counts: what the figures are is no matter here, only that there are some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest

from benchmarks import __main__ as program
from benchmarks.beam import beam_side
from benchmarks.cases import CASES
from benchmarks.harness import run_cases
from benchmarks.pydist_side import pydist_side

if TYPE_CHECKING:
    from pathlib import Path

# A tenth of this is the warm-up; each of the fifty callers has one call.
TINY = 50


@pytest.mark.real
def test_every_case_runs_on_both_sides() -> None:
    cases = [attrs.evolve(case, count=TINY) for case in CASES]

    with pydist_side() as pydist, beam_side() as beam:
        results = run_cases(cases, [pydist, beam], rounds=1, quick=False)

    assert [row.case for row in results] == [case.name for case in CASES]
    assert all(
        row.pydist > 0 and row.beam is not None and row.beam > 0 for row in results if row.unit != "bytes/process"
    )


@pytest.mark.real
def test_the_program_prints_the_table_and_writes_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"

    code = program.main(
        ["--quick", "--no-beam", "--rounds", "1", "--cases", "local_call_per_s,remote_rtt_us", "--output", str(output)]
    )

    assert code == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "case",
        "local_call_per_s",
        "remote_rtt_us",
    ]
    assert [(row["case"], row["beam"], row["ratio"]) for row in json.loads(output.read_text())] == [
        ("local_call_per_s", None, None),
        ("remote_rtt_us", None, None),
    ]


def test_an_unknown_case_is_an_error_that_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--cases", "spwan"]) == 1
    assert "there is no case 'spwan'; the cases are" in capsys.readouterr().err


def test_less_than_one_round_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--rounds", "0"])
    assert "at least one round, not 0" in capsys.readouterr().err
