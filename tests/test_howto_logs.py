"""What docs/howto/logs.md shows is what happens."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "logs.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def program(name: str, folder: Path) -> Path:
    [text] = [block for block in blocks("python") if block.startswith(f"# {name}\n")]
    path = folder / name
    path.write_text(text)
    return path


ENVIRONMENT = os.environ | {"NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)


def on_a_terminal(path: Path) -> str:
    """What a program writes when its standard error is a terminal."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen([sys.executable, path.name], cwd=path.parent, env=ENVIRONMENT, stderr=theirs)
    os.close(theirs)
    text = b""
    with suppress(OSError):  # how Linux tells that the other side has closed it
        while more := os.read(ours, 4096):
            text += more
    os.close(ours)
    assert program.wait() == 0
    return text.decode().replace("\r\n", "\n")


def alike(text: str) -> str:
    """Without what differs between two runs: times, folders, and the marks below a line of a traceback."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", "NOW", text)
    text = re.sub(r'File "[^"]*/', 'File "', text)
    return re.sub(r"\n *[~^]+\n", "\n", text)


@pytest.mark.real
def test_on_a_terminal_the_program_writes_what_stands_on_the_page(tmp_path: Path) -> None:
    assert alike(on_a_terminal(program("crash.py", tmp_path))) == alike(blocks("text")[0])


@pytest.mark.real
def test_elsewhere_it_writes_json_as_on_the_page(tmp_path: Path) -> None:
    done = run_in(tmp_path, sys.executable, str(program("crash.py", tmp_path)))
    line = next(line for line in done.stderr.splitlines() if "crash_report" in line)
    [shown] = blocks("json")
    stamp = re.compile(r'"timestamp": "[^"]*"')
    assert stamp.sub("", line).startswith(stamp.sub("", shown.strip()))
    assert json.loads(line)["error"] == "TypeError"


@pytest.mark.real
def test_the_command_on_the_page_counts_the_crashes(tmp_path: Path) -> None:
    program("crash.py", tmp_path)
    [command] = blocks("sh")
    done = run_in(tmp_path, "sh", "-c", command.replace("python", shlex.quote(sys.executable), 1))
    assert done.stdout == "1\n"


@pytest.mark.real
def test_lost_messages_are_told_as_on_the_page(tmp_path: Path) -> None:
    done = run_in(tmp_path, sys.executable, str(program("watch.py", tmp_path)))
    assert done.stdout == blocks("text")[1]


@pytest.mark.real
def test_the_settings_on_the_page_are_settings(tmp_path: Path) -> None:
    [settings] = [block for block in blocks("python") if block.startswith("from pydist import configure_logging")]
    logs = "import structlog; structlog.get_logger('pydist').info('node_stopped')"
    run_in(tmp_path, sys.executable, "-c", f"{settings}\n{logs}")
    assert json.loads((tmp_path / "node.log").read_text())["event"] == "node_stopped"


def test_every_event_on_the_page_is_one_that_the_code_logs() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "pydist").rglob("*.py"))
    events = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert events
    assert [event for event in events if f'"{event}"' not in sources] == []
