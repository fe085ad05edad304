"""The chat of examples/chat, as its reader runs it: three programs, of which one is killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent


class Guest:
    """The program of one node."""

    def __init__(self, name: str, epmd_port: int) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "examples.chat", name],
            cwd=ROOT,
            env=os.environ | {"ERL_EPMD_PORT": str(epmd_port)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seen: list[str] = []

    def say(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def until(self, *lines: str) -> None:
        """All these have been shown, in whatever order."""
        assert self.popen.stdout is not None
        while not set(lines) <= set(self.seen):
            line = self.popen.stdout.readline()
            assert line, f"{set(lines) - set(self.seen)} did not come: {self.seen}"
            self.seen.append(line.rstrip("\n"))


@pytest.fixture
def guests() -> Iterator[list[Guest]]:
    """Those on a, b and c, with a port mapper of their own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    mapper = subprocess.Popen(
        [sys.executable, "-m", "pydist.epmd", "-port", str(port)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert mapper.stderr is not None
    assert "port_mapper_listening" in mapper.stderr.readline()
    started = [Guest(name, port) for name in "abc"]
    yield started
    for popen in (*(guest.popen for guest in started), mapper):
        popen.kill()
        popen.communicate(timeout=10)


def test_presence_and_messages_go_on_when_a_node_is_killed(guests: list[Guest]) -> None:
    a, b, c = guests
    a.until("* b is here", "* c is here")
    b.until("* a is here", "* c is here")
    c.until("* a is here", "* b is here")
    a.say("hello")
    for guest in guests:
        guest.until("a: hello")
    c.popen.kill()
    for guest in (a, b):
        guest.until("* c has left")
    b.say("still here")
    for guest in (a, b):
        guest.until("b: still here")


def test_one_memory_serves_all_and_when_its_node_is_killed_there_is_another(guests: list[Guest]) -> None:
    a, b, c = guests
    for guest in guests:
        guest.until("* a is here", "* b is here", "* c is here")
    remembers(a, "a", c)
    a.popen.kill()
    b.until("* a has left")
    remembers(b, "b", c)


def remembers(speaker: Guest, name: str, reader: Guest) -> None:
    """Say something until another can recall it: while the memory moves to another node, nobody remembers."""
    end = time.monotonic() + 30
    while f"> {name}: remember" not in reader.seen:
        assert time.monotonic() < end, reader.seen
        mark = f"mark {len(reader.seen)}"
        speaker.say("remember")
        reader.say("/recall")
        reader.say(mark)
        reader.until(f"c: {mark}")


def test_a_start_without_the_name_of_a_node_says_which_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.chat"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (1, "usage: python -m examples.chat a|b|c\n")


def test_a_guest_that_is_told_to_stop_does_not_wait_for_another_line(guests: list[Guest]) -> None:
    a, b, _ = guests
    a.until("* b is here")
    b.popen.terminate()
    assert b.popen.wait(timeout=10) == 143
    a.until("* b has left")
