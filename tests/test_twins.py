"""Whether both twins are one: the same random programs run on each, and all that is seen of them must be equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twin_programs.verbs import VERBS

PROGRAMS = 200
ROOT = Path(__file__).parent.parent

History = list[str]


def start(pure: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.twin_programs", str(PROGRAMS)]
    environment = {**os.environ, "PYDIST_PURE": pure}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def histories(running: subprocess.Popen[str]) -> list[History]:
    said, _ = running.communicate(timeout=100)
    assert running.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def done_in(history: History) -> set[str]:
    """The verbs of which something came."""
    lines = [line.split() for line in history]
    return {line[2] for line in lines if len(line) > 3 and not line[3].endswith("Error:")}


@pytest.mark.real
def test_random_programs_go_the_same_way_on_both_twins() -> None:
    twin, pure = map(histories, [start(""), start("1")])
    differing = [seed for seed in range(PROGRAMS) if twin[seed] != pure[seed]]
    if differing:
        assert twin[differing[0]] == pure[differing[0]]
    assert {verb.__name__ for verb in VERBS} <= set().union(*map(done_in, pure))
