"""What docs/howto/epmd.md shows is what happens."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydist import epmd
from tests.port_mappers import free_port

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "howto" / "epmd.md").read_text()
PORTS = ("4369", "14369", "9100")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


class Shell:
    """Runs the commands of the page, on ports that are free: those of the page may not be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        self.shown = 0
        self.programs: list[subprocess.Popen[bytes]] = []
        python = folder / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        for text in blocks("python"):
            (folder / text.split()[1]).write_text(self._there(text))
        self.environment = os.environ | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "ERL_EPMD_PORT": self.ports["4369"],
        }

    def _there(self, text: str) -> str:
        return re.sub(r"\b(4369|14369|9100)\b", lambda found: self.ports[found[0]], text)

    def says(self, command: str, expected: str) -> str:
        """What the command says; one that goes on in the background says what it is waited for."""
        *words, last = shlex.split(self._there(command))
        background = last == "&"
        if not background:
            words.append(last)
        environment = dict(self.environment)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if background:
            return self._in_background(words, environment, expected)
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    def _in_background(self, words: list[str], environment: dict[str, str], expected: str) -> str:
        """All that goes on in the background writes to one terminal."""
        terminal = self.folder / "terminal"
        with terminal.open("a") as file:
            program = subprocess.Popen(words, cwd=self.folder, env=environment, stdout=file, stderr=subprocess.DEVNULL)
        self.programs.append(program)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            said = terminal.read_text().splitlines()[self.shown :]
            if sorted(said) == sorted(expected.splitlines()):
                self.shown += len(said)
                return expected
        return terminal.read_text()

    def stop(self) -> None:
        """End what goes on, the port mapper last."""
        for program in self.programs:
            program.terminate()
            program.wait(60)
        for port in ("4369", "14369"):
            while "nodes are registered" in self.says(f"python -m pydist.epmd -port {port} -kill", ""):
                pass  # it has not seen yet that they have gone


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.stop()


def commands(block: str) -> list[tuple[str, str]]:
    """Each command, and what stands below it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def alike(text: str) -> str:
    """Without the numbers of ports, which differ from run to run."""
    return re.sub(r"\d{4,5}\b", "PORT", text)


@pytest.mark.real
def test_the_commands_on_the_page_say_what_stands_below_them(shell: Shell) -> None:
    conversation = [command for block in blocks("console") for command in commands(block)]
    assert len(conversation) > 10
    said = [(command, shell.says(command, expected)) for command, expected in conversation]
    assert [(command, alike(text)) for command, text in said] == [
        (command, alike(expected)) for command, expected in conversation
    ]


@pytest.mark.real
def test_the_units_on_the_page_are_units_and_the_service_starts_what_takes_the_options() -> None:
    units: dict[str, configparser.ConfigParser] = {}
    for text in blocks("ini"):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.read_string(text)
        units[text.splitlines()[0].removeprefix("# /etc/systemd/system/")] = unit
    socket, service = units["pydist-epmd.socket"], units["pydist-epmd.service"]
    assert service["Unit"]["Requires"] == "pydist-epmd.socket"
    assert service["Service"]["Type"] == "notify"  # see tests/test_epmd.py for what systemd is told
    assert socket["Socket"]["ListenStream"] == "[::1]:4369"
    program, *arguments = service["Service"]["ExecStart"].split()
    assert (program, arguments[:2]) == ("/usr/bin/python3", ["-m", "pydist.epmd"])
    assert epmd._parser().parse_args(arguments[2:]).systemd


def test_the_page_names_all_options_and_no_others() -> None:
    known = {option for action in epmd._parser()._actions for option in action.option_strings}
    table = set(re.findall(r"^\| `(-[\w-]+)|, `(-\w+) S`", PAGE, re.MULTILINE))
    named = {option for pair in table for option in pair if option}
    assert named - known == set()
    short = {option for option in known if not option.startswith("--")} | {"--allow-any-address"}
    assert short - named == {"-h", "-debug"}
