"""The program that docs/howto/back-pressure.md shows runs, and the page says of each policy what it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pydist.bounds import POLICIES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "back-pressure.md").read_text()


@pytest.mark.real
def test_the_pipeline_reads_on_as_it_stores(tmp_path: Path) -> None:
    [text] = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "# pipeline.py" in block]
    (tmp_path / "pipeline.py").write_text(text)
    command, here = [sys.executable, str(tmp_path / "pipeline.py")], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=here, capture_output=True, text=True, timeout=60, check=False)
    rows = [f"read {row}" for row in range(0, 100, 10)]
    assert (done.stdout.splitlines(), done.returncode) == ([*rows, "stored 99"], 0)


def test_the_page_has_a_row_for_each_policy() -> None:
    assert re.findall(r"^\| `\"(\w+)\"` \|", PAGE, re.MULTILINE) == list(POLICIES)
