"""The kit itself: hosts that reach each other, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.namespaces.hosts import ROOT, Host

pytestmark = pytest.mark.real

HEAR_A_WORD = """
import socket, sys
with socket.create_server((sys.argv[1], 7000)) as server:
    print("listening", flush=True)
    print(server.accept()[0].recv(100).decode(), flush=True)
"""
SAY_A_WORD = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), 1) as connection:
    connection.sendall(b"a word")
"""
MAKE_A_HOST = """
import sys
from tests.namespaces.hosts import Switch
host = Switch().add("victim")
host.start("sleep", "1000")
print(host.run("readlink", "/proc/self/ns/net"), flush=True)
sys.stdin.read()
"""


def test_hosts_reach_each_other_unless_one_is_unplugged(alpha: Host, beta: Host) -> None:
    hears = alpha.start(sys.executable, "-c", HEAR_A_WORD, alpha.address)
    hears.until("listening")
    alpha.unplug()
    assert not beta.succeeds(sys.executable, "-c", SAY_A_WORD, alpha.address)
    alpha.plug()
    assert beta.succeeds(sys.executable, "-c", SAY_A_WORD, alpha.address)
    hears.until("a word")


def test_a_host_ends_with_the_program_that_made_it_however_that_ends() -> None:
    command = [sys.executable, "-c", MAKE_A_HOST]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        namespace = maker.stdout.readline().strip()
        assert processes_in(namespace) != set()
        maker.kill()
    while processes_in(namespace):
        pass  # the kernel is about to end them


def processes_in(namespace: str) -> set[int]:
    """The numbers of all processes in a namespace, as /proc names it."""
    found: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "net") == namespace:  # noqa: PTH115  # it is no path
                found.add(int(folder.name))
        except OSError:
            continue  # it has ended
    return found
