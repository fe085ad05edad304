"""What docs/howto/wireguard.md shows is what happens."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.namespaces.hosts import ROOT, Host, Program

pytestmark = pytest.mark.real

PAGE: Final = (ROOT / "docs" / "howto" / "wireguard.md").read_text()


class Terminal:
    """A shell on one of the hosts, in a folder of its own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        binaries = folder / "bin"
        binaries.mkdir(parents=True)
        (binaries / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (binaries / "python").chmod(0o755)
        self._enter = f"cd {shlex.quote(str(folder))}; export PATH={binaries}:$PATH PYTHONPATH={ROOT}; set -e\n"

    def runs(self, commands: str) -> str:
        """What the commands say."""
        return self.host.run("sh", "-c", self._enter + commands)

    def begins(self, command: str) -> Program:
        """A command that goes on."""
        return self.host.start("sh", "-c", f"{self._enter}{command}")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_on_the_page_let_two_nodes_meet_through_the_tunnel(
    alpha: Host, beta: Host, tmp_path: Path
) -> None:
    terminals = [Terminal(host, tmp_path / host.name) for host in (alpha, beta)]
    keys, interface, listening = blocks("sh")
    own = list(zip(blocks("sh alpha"), blocks("sh beta"), strict=True))
    for terminal in terminals:
        terminal.runs(keys)
    for one, other in (terminals, terminals[::-1]):
        (one.folder / "peer").write_text((other.folder / "public").read_text())
        one.runs("umask 077; echo secret > cookie")
        [program] = blocks("python")
        (one.folder / "hello.py").write_text(program)
    for terminal, commands in zip(terminals, own[0], strict=True):
        terminal.runs(interface + commands)
    hello = [terminal.begins(command) for terminal, command in zip(terminals, own[1], strict=True)]
    assert [program.until("met") for program in hello] == ["met b@10.9.0.2", "met a@10.9.0.1"]
    for number, terminal in enumerate(terminals, 1):
        places = {line.split()[3].rpartition(":")[0] for line in terminal.runs(listening).splitlines()}
        assert places == {"127.0.0.1", "[::1]", f"10.9.0.{number}"}
