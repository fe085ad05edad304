"""docs/semantics.md names a test for each guarantee, tests/behaviours/README.md for each case: both are held to it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "semantics.md").read_text())

    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]

    assert (missing, len(named) > 60) == ([], True)


def test_every_guarantee_names_a_test() -> None:
    page = (ROOT / "docs" / "semantics.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| guarantee")]

    assert [row for row in rows if "::test_" not in row] == []


def test_every_test_that_the_lists_of_cases_name_exists() -> None:
    tests = ROOT / "tests"
    named = re.findall(r"`(test_\w+)`", (tests / "behaviours" / "README.md").read_text())
    there = set(re.findall(r"def (test_\w+)\(", "".join(path.read_text() for path in tests.rglob("test_*.py"))))

    assert (sorted(set(named) - there), len(named) > 60) == ([], True)
