"""What docs/howto/tailscale.md shows is what happens, with a stand-in for tailscaled on each of two machines."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "tailscale.md").read_text()
[PROGRAM] = re.findall(r"```python\n# worker.py\n(.*?)```", PAGE, re.DOTALL)
[COMMANDS] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[SEEN] = re.findall(r"```\n(worker.*?)```", PAGE, re.DOTALL)
ALPHA, BETA, STRANGER = "alpha=127.0.0.72,tag:worker", "beta=127.0.0.73,tag:worker", "gamma=127.0.0.74"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program of Python; all are killed at the end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
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

    yield begin
    for program in reversed(programs):
        program.kill()
        program.communicate(timeout=10)


def line_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    assert select.select([program.stdout], [], [], 30) != ([], [], []), "it says nothing"
    return program.stdout.readline()


def machine(start: Start, folder: Path, me: str, *peers: str) -> str:
    """A machine of the tailnet with its tailscaled; the file of the program there."""
    name = me.partition("=")[0]
    path = folder / f"{name}.sock"
    assert line_of(start("-m", "tests.tailscaled", str(path), me, *peers)) == "listening\n"
    program = folder / f"worker_{name}.py"
    program.write_text(PROGRAM.replace("/var/run/tailscale/tailscaled.sock", str(path)).replace("9100", "29100"))
    return str(program)


def test_two_machines_of_a_tag_find_each_other_and_a_third_is_not_let_in(start: Start, tmp_path: Path) -> None:
    on_alpha = machine(start, tmp_path, ALPHA, BETA, STRANGER)
    on_beta = machine(start, tmp_path, BETA, ALPHA, STRANGER)
    assert re.findall(r"python worker\.py (\w+)", COMMANDS) == ["alpha", "beta"]
    alpha, beta = start(on_alpha, "alpha"), start(on_beta, "beta")
    assert line_of(alpha) == SEEN
    assert line_of(beta) == "worker@alpha is up\n"
    with socket.create_connection(("127.0.0.72", 29100), 5, source_address=("127.0.0.74", 0)) as stranger:
        stranger.settimeout(5)
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
