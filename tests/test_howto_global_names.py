"""What docs/howto/global-names.md shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.port_mappers import free_port

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "global-names.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"`python (.*?)`", PAGE)
FIRST, SECOND = re.findall(r"```\n(the bank.*?\n)```", PAGE)
ASKED, ASKED_AGAIN = re.findall(r"prints `(.*?)`", PAGE)


class Terminals:
    """Where the commands of the page are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PYTHONPATH": str(ROOT), "ERL_EPMD_PORT": str(free_port())}
        self.programs: list[subprocess.Popen[str]] = []

    def begin(self, command: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, *command.split()],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.programs.append(program)
        return program

    def says(self, command: str) -> str:
        return self.begin(command).communicate(timeout=30)[0].rstrip("\n")


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """All programs are killed at the end, and their port mapper."""
    for name, source in PROGRAMS.items():
        (tmp_path / name).write_text(source)
    terminals = Terminals(tmp_path)
    mapper = subprocess.Popen(
        [sys.executable, "-m", "pydist.epmd"], env=terminals.environment, stderr=subprocess.PIPE, text=True
    )
    assert mapper.stderr is not None
    assert "port_mapper_listening" in mapper.stderr.readline()
    yield terminals
    for program in (*terminals.programs, mapper):
        program.kill()
        program.communicate(timeout=10)


def line_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def test_the_name_moves_to_the_other_node_when_the_first_is_killed(terminals: Terminals) -> None:
    start_a, start_b, *asks = COMMANDS
    assert asks == ["ask.py", "ask.py"]
    a = terminals.begin(start_a)
    assert line_of(a) == FIRST
    b = terminals.begin(start_b)
    assert line_of(b) == FIRST
    assert terminals.says(asks[0]) == ASKED
    a.kill()
    assert line_of(b) == SECOND
    assert terminals.says(asks[1]) == ASKED_AGAIN


def test_the_programs_are_clean_for_a_strict_type_checker(tmp_path: Path) -> None:
    for name, source in PROGRAMS.items():
        (tmp_path / name).write_text(source)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
