"""Pages that name tests, and whether those exist. A test is named as `tests/file.py::test`, or by its name alone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def named_tests(page: str) -> list[str]:
    """The tests that a page of the project names."""
    return re.findall(r"`((?:tests/[\w/]+\.py::)?test_\w+)`", (ROOT / page).read_text())


def missing_tests(page: str) -> list[str]:
    """Those of them that do not exist."""
    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    everywhere = "\n".join(sources.values())

    def exists(name: str) -> bool:
        file, _, test = name.rpartition("::")
        return f"def {test}(" in (sources.get(file, "") if file else everywhere)

    return [name for name in named_tests(page) if not exists(name)]


def rows(page: str) -> list[str]:
    """The rows of all tables on a page, without their heads."""
    lines = (ROOT / page).read_text().splitlines()
    return [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("| ") and not following.startswith("|---")
    ]
