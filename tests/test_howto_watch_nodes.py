"""What docs/howto/watch-nodes.md shows is what happens."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "watch-nodes.md").read_text()
[PROGRAM] = re.findall(r"```python\n# watch.py\n(.*?)```", PAGE, re.DOTALL)
[COMMANDS] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[SEEN] = re.findall(r"```\n(worker.*?)```", PAGE, re.DOTALL)

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts one of the two programs; all are killed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ERL_EPMD_PORT": port, "HOME": str(tmp_path)}
    (tmp_path / "watch.py").write_text(PROGRAM)
    programs: list[subprocess.Popen[str]] = []

    def begin(*command: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        programs.append(program)
        return program

    mapper = subprocess.Popen(
        [sys.executable, "-m", "pydist.epmd"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    programs.append(mapper)
    assert mapper.stderr is not None
    assert "port_mapper_listening" in mapper.stderr.readline()
    yield lambda name: begin("watch.py", name)
    for program in reversed(programs):
        program.kill()
        program.communicate(timeout=10)


def test_the_watcher_sees_what_the_page_shows(start: Start) -> None:
    """Step by step, where the page sleeps: each signal is sent when the one before has been told of."""
    lines = iter(SEEN.splitlines(keepends=True))
    watcher = start("watcher")
    worker = start("worker")
    told = watcher.stdout
    assert told is not None
    assert told.readline() == next(lines)
    worker.send_signal(signal.SIGSTOP)
    assert told.readline() == next(lines)
    worker.send_signal(signal.SIGCONT)
    assert told.readline() == next(lines)
    worker.kill()
    worker.communicate(timeout=10)
    assert re.sub(r"\(.*\)", "", told.readline()) == re.sub(r"\(.*\)", "", next(lines))
    worker = start("worker")
    for line in [next(lines)]:
        assert told.readline() == line
    worker.send_signal(signal.SIGSTOP)
    assert [told.readline(), told.readline()] == list(lines)


def test_the_commands_start_and_stop_what_the_test_does() -> None:
    words = re.findall(r"watch\.py \w+|-\w+ (?=\$)", COMMANDS)
    assert [word.strip() for word in words] == [
        "watch.py watcher",
        "watch.py worker",
        "-STOP",
        "-CONT",
        "-KILL",
        "watch.py worker",
        "-STOP",
    ]
