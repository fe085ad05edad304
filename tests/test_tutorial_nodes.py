"""The chapter on nodes: its programs, each saved and started as the page says, print what the page says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_tutorials import FOLDER, ROOT, Program, pattern, programs

PAGE = FOLDER / "4-nodes.md"
TEXT = PAGE.read_text()
COMMANDS = re.findall(r"`python (\w+\.py)`", TEXT)


def saved(folder: Path) -> dict[str, Program]:
    """The programs of the page by the names of their files, in that folder."""
    found: dict[str, Program] = {}
    for program in programs(PAGE.name, TEXT):
        name = program.source.splitlines()[0].removeprefix("# ")
        (folder / name).write_text(program.source)
        found[name] = program
    return found


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """With a port mapper of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    mapper = subprocess.Popen([sys.executable, "-m", "pydist.epmd", "-port", port], stderr=subprocess.PIPE, cwd=ROOT)
    assert mapper.stderr is not None
    assert b"port_mapper_listening" in mapper.stderr.readline()
    yield os.environ | {"ERL_EPMD_PORT": port, "PYTHONPATH": str(ROOT)}
    mapper.kill()
    mapper.communicate(timeout=10)


@pytest.mark.real
def test_two_programs_print_what_the_page_says_and_one_kills_the_other(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    pages = saved(tmp_path)
    assert list(pages) == COMMANDS == ["kitchen.py", "waiter.py"]
    serves, asks = (pages[name].printed for name in COMMANDS)
    kitchen = subprocess.Popen(
        [sys.executable, "kitchen.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert kitchen.stdout is not None
        first = kitchen.stdout.readline()
        waiter = subprocess.run(
            [sys.executable, "waiter.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert re.fullmatch(pattern(asks), waiter.stdout), waiter.stdout + waiter.stderr
        assert first + kitchen.communicate(timeout=10)[0] == serves
    finally:
        kitchen.kill()
        kitchen.communicate(timeout=10)


def test_the_programs_are_clean_for_a_strict_type_checker(tmp_path: Path) -> None:
    saved(tmp_path)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
