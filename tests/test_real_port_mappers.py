"""Port mappers that are killed while pydist nodes run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from pydist.epmd_client import names
from pydist.errors import PortMapperError
from tests.port_mappers import free_port

pytestmark = pytest.mark.real

COMMANDS = {"pydist": [sys.executable, "-m", "pydist.epmd"], "erlang": ["epmd"]}

NODE = """
import pydist

async def serve():
    print("serving", flush=True)
    await pydist.receive()

pydist.run(serve, name="a@127.0.0.1", cookie="secret")
"""


@contextmanager
def _killed_at_the_end(command: list[str], port: int) -> Generator[subprocess.Popen[str]]:
    environment = os.environ | {"ERL_EPMD_PORT": str(port)}
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def _listed(port: int, wanted: list[str], seconds: float = 20.0) -> list[str] | None:
    """The names of the nodes, as soon as they are those that are wanted."""
    listed = None
    give_up = time.monotonic() + seconds
    while listed != wanted and time.monotonic() < give_up:
        with suppress(PortMapperError):
            listed = [name for name, _ in asyncio.run(names(epmd_port=port))]
    return listed


@pytest.mark.parametrize(("first", "second"), [("pydist", "erlang"), ("erlang", "pydist")])
def test_a_node_registers_again_whichever_port_mapper_comes_after_the_one_that_was_killed(
    first: str, second: str
) -> None:
    port = free_port()
    with ExitStack() as until_the_end:
        with _killed_at_the_end(COMMANDS[first], port):
            assert _listed(port, []) == []
            node = until_the_end.enter_context(_killed_at_the_end([sys.executable, "-c", NODE], port))
            assert node.stdout is not None
            assert node.stdout.readline() == "serving\n"
            assert _listed(port, ["a"]) == ["a"]
        until_the_end.enter_context(_killed_at_the_end(COMMANDS[second], port))
        assert _listed(port, ["a"]) == ["a"]
        assert node.poll() is None
