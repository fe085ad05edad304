"""What an operator is told when a node can't start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).parents[2]


def start(*options: str, cookie: str = "secret") -> tuple[int, str]:
    """Exit status, and what was written to stderr."""
    ended = subprocess.run(
        [sys.executable, "-m", "examples.sfu.node", "--name", "a@127.0.0.1", *options],
        cwd=REPOSITORY,
        env={**os.environ, "SFU_COOKIE": cookie},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stderr


def choose(starter: str, node: str) -> str:
    return f'choose another: make run ARGS="{starter} PORT", or {node} HOST:PORT for this node alone'


def test_an_http_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        http, media = f"127.0.0.1:{taken.getsockname()[1]}", f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        reason = f"a@127.0.0.1: TCP {http}: Address already in use; {choose('--http-port', '--http')}\n"
        assert start("--http", http, "--media", media) == (1, reason)


def test_a_media_port_in_use_is_named_with_what_to_do() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        media = f"127.0.0.1:{taken.getsockname()[1]}"
        reason = f"a@127.0.0.1: UDP {media}: Address already in use; {choose('--udp-port', '--media')}\n"
        assert start("--http", "127.0.0.1:1", "--media", media) == (1, reason)


def test_a_node_without_a_secret_does_not_start() -> None:
    reason = "the nodes' shared secret must stand in the environment, as SFU_COOKIE\n"
    assert start("--http", "127.0.0.1:1", "--media", "127.0.0.1:1", cookie="") == (2, reason)


def test_an_address_without_a_port_is_refused() -> None:
    status, said = start("--http", "127.0.0.1", "--media", "127.0.0.1:1")
    assert (status, said.splitlines()[-1]) == (
        2,
        "python -m examples.sfu.node: error: argument --http: '127.0.0.1' is not of the form host:port",
    )
