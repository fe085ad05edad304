"""What the README's first screen promises: its counter works when pasted, and is clean for strict type checkers.

And the decisions are all in their list.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """The README's first block of Python, as the file that it says it is."""
    block = re.search(r"```python\n# counter\.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None, "the README has no block that begins with '# counter.py'"
    path = tmp_path / "counter.py"
    path.write_text(block[1])
    return path


@pytest.fixture
def own_port_mapper() -> Iterator[dict[str, str]]:
    """An environment whose nodes start a port mapper of their own; it is stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"ERL_EPMD_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    yield environment
    subprocess.run([sys.executable, "-m", "pydist.epmd", "-kill"], env=environment, check=True)


def test_each_decision_stands_in_the_list() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"^\| \[\d{4}\]\((.*?)\) \| (.*?) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    pages = sorted(folder.glob("[0-9]*.md"))
    assert listed == [(page.name, page.read_text().partition("\n")[0][len("# 0000 ") :]) for page in pages]


@pytest.mark.real
def test_the_counter_counts_on_two_nodes(counter: Path, own_port_mapper: dict[str, str]) -> None:
    serve = subprocess.Popen(
        [sys.executable, counter, "a"], env=own_port_mapper, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert serve.stdout is not None
    try:
        for line in serve.stdout:
            if "node_started" in line:
                break
        use = subprocess.run(
            [sys.executable, counter, "b"], env=own_port_mapper, capture_output=True, text=True, timeout=30, check=False
        )
    finally:
        serve.terminate()
        rest, _ = serve.communicate(timeout=30)

    answers = [line for line in use.stdout.splitlines() if line.isdecimal()]
    assert (answers, use.returncode, serve.returncode) == (["12"], 0, 143), use.stdout + use.stderr + rest


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["pyright"]], ids=["mypy", "pyright"])
def test_the_counter_is_clean_for_strict_type_checkers(counter: Path, checker: list[str]) -> None:
    strict = counter.with_name("pyrightconfig.json")
    strict.write_text('{"typeCheckingMode": "strict"}')
    done = subprocess.run(
        [Path(sys.executable).with_name(checker[0]), *checker[1:], counter],
        cwd=counter.parent,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
