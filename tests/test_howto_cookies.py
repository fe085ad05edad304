"""The commands of docs/howto/cookies.md do what the page says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "cookies.md").read_text()
PROGRAM = re.findall(r"```python\n# hello.py\n(.*?)```", PAGE, re.DOTALL)[0]
MAKE, HELLO, BAD_MODE, GOOD_MODE, ADD, REMOVE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[ERROR] = re.findall(r"```\n(pydist.errors.*?)\n```", PAGE)


class Shell:
    """Runs commands in one folder."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": paths, "ERL_EPMD_PORT": port}
        self.folder = folder

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],  # the page says so, too
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Up to the first line of its log."""
        program = subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True
        )
        assert program.stderr is not None
        while "listening" not in (line := program.stderr.readline()) and "node_started" not in line:
            assert line
        return program


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    (tmp_path / "hello.py").write_text(PROGRAM)
    assert shell.run(MAKE).returncode == 0
    programs = [shell.start("-m", "pydist.epmd"), shell.start("hello.py", "a")]
    yield shell
    for program in reversed(programs):
        program.terminate()
        program.communicate(timeout=10)


def test_the_commands_do_what_the_page_says(shell: Shell, tmp_path: Path) -> None:
    assert shell.run(HELLO).stdout == "connected\n"
    refused = shell.run(BAD_MODE)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (1, ERROR)
    shell.run(GOOD_MODE)
    old = (tmp_path / "cookie").read_text()
    for command in (ADD, REMOVE):
        assert shell.run(command).returncode == 0
        assert shell.run(HELLO).stdout == "connected\n"
    new = (tmp_path / "cookie").read_text()
    assert (len(new.splitlines()), new == old) == (1, False)
