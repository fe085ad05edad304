"""The types of pydist's face, as mypy and pyright see them in strict mode from a user's code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXPECTED = re.compile(r"#! (\S+) (\S+)$")
MYPY_ERROR = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)

Errors = set[tuple[int, str]]


def _run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


def mypy(*paths: Path) -> Errors:
    """The lines that mypy complains of, and its codes."""
    report = _run("mypy", "--config-file", "pyproject.toml", "--no-pretty", "--no-color-output", *map(str, paths))
    assert re.search(r"^(Success|Found \d+ errors?)", report, re.MULTILINE), report
    return {(int(line), code) for line, code in MYPY_ERROR.findall(report)}


def pyright(*paths: Path) -> Errors:
    """The lines that pyright complains of, and its rules."""
    report = json.loads(_run("pyright", "--outputjson", *map(str, paths)))
    assert report["summary"]["filesAnalyzed"] == len(paths), report
    found = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    return {(each["range"]["start"]["line"] + 1, each["rule"]) for each in found}


@pytest.mark.parametrize("check", [mypy, pyright])
def test_what_is_right_is_accepted_and_has_the_types_it_should(check: Callable[..., Errors]) -> None:
    assert check(HERE / "right.py", HERE / "right_processes.py") == set()


@pytest.mark.parametrize(("check", "column"), [(mypy, 1), (pyright, 2)])
def test_what_is_wrong_is_refused_line_by_line(check: Callable[..., Errors], column: int, tmp_path: Path) -> None:
    source = (HERE / "wrong.txt").read_text()
    expected = {
        (number, code)
        for number, line in enumerate(source.splitlines(), 1)
        if (marked := EXPECTED.search(line))
        for code in marked[column].split(",")
    }
    copy = tmp_path / "wrong.py"
    copy.write_text(source)
    assert check(copy) == expected
