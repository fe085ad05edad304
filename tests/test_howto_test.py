"""The test file that docs/howto/test.md shows passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.real
def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    [text] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "test.md").read_text(), re.DOTALL)
    (tmp_path / "test_counter.py").write_text(text)
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    )
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert re.search(r"^3 passed", done.stdout, re.MULTILINE), done.stdout
