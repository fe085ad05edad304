"""What docs/howto/types.md calls wrong is what type checkers refuse, and nothing else; and its program runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.typing.test_typing import Errors, mypy, pyright

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program of the page, in a file."""
    [text] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "types.md").read_text(), re.DOTALL)
    path = tmp_path / "tally.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("check", [mypy, pyright])
def test_the_lines_that_are_called_wrong_are_refused(program: Path, check: Callable[..., Errors]) -> None:
    lines = enumerate(program.read_text().splitlines(), 1)
    assert {line for line, _ in check(program)} == {number for number, line in lines if "# wrong: " in line}


def test_the_program_runs(program: Path) -> None:
    command, here = [sys.executable, str(program)], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=here, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("the total is 3\n", 0)
