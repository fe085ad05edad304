"""What docs/howto/one-node-per-core.md shows runs as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.port_mappers import free_port

ROOT = Path(__file__).parent.parent


@pytest.mark.real
def test_the_program_on_the_page_hashes_on_every_core(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "one-node-per-core.md").read_text()
    (tmp_path / "hashes.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    [command] = re.findall(r"```\npython (.*)\n```", page)
    port = str(free_port())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ERL_EPMD_PORT": port}
    try:
        done = subprocess.run(
            [sys.executable, command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        subprocess.run(
            [sys.executable, "-m", "pydist.epmd", "-port", port, "-kill"], cwd=ROOT, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"([0-9a-f]{64}\n)+", done.stdout)
    assert len(done.stdout.splitlines()) == len(os.sched_getaffinity(0))
