"""The settings in which each test of this folder is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Final

import attrs
import pytest

from pydist import Node
from pydist.transport.memory import MemoryNetwork
from pydist.wire.handshake import Flag
from tests.conformance.deeds import HOST, host
from tests.conformance.far import Far, own_port_mapper
from tests.conformance.stage import Setting, Stage, opposite

StartNode = Callable[..., Awaitable[Node]]

_NUMBERS: Final = count(1)
"""Each node of the tests with programs has a name of its own, so that none waits for another's to be free."""


@pytest.fixture(scope="session")
def far_epmd_port() -> Iterator[int]:
    """Where the port mapper listens that programs use."""
    with own_port_mapper() as port:
        yield port


@pytest.fixture(scope="module")
def far(far_epmd_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    """The program on the other side; all tests of a module share it."""
    program = Far(f"far{next(_NUMBERS)}@127.0.0.1", far_epmd_port, tmp_path_factory.mktemp("far") / "log")
    yield program
    program.kill()


@pytest.fixture(params=["local", "memory", "version 1", pytest.param("tcp", marks=pytest.mark.real)])
async def stage(request: pytest.FixtureRequest, start_node: StartNode, network: MemoryNetwork) -> Stage:
    """The stage, in each of the settings."""
    return await _STAGES[request.param](request, start_node, network)


@pytest.fixture(params=["memory", "version 1", pytest.param("tcp", marks=pytest.mark.real)])
async def far_stage(request: pytest.FixtureRequest, start_node: StartNode, network: MemoryNetwork) -> Stage:
    """The stage, in each setting in which there is a connection."""
    return await _STAGES[request.param](request, start_node, network)


async def _local(_request: pytest.FixtureRequest, start_node: StartNode, network: MemoryNetwork) -> Stage:
    node = await start_node("here")
    node.spawn(host, name=HOST)
    return Stage("local", node, node.name, network.cut)


async def _memory(_request: pytest.FixtureRequest, start_node: StartNode, network: MemoryNetwork) -> Stage:
    return await _two_nodes("memory", start_node, network, await start_node("there"))


async def _version_1(_request: pytest.FixtureRequest, start_node: StartNode, network: MemoryNetwork) -> Stage:
    there = await start_node("there")
    assert there._cluster is not None
    door = there._cluster.door
    door.settings = attrs.evolve(door.settings, local=attrs.evolve(door.settings.local, version=1, flags=Flag.SIGNALS))
    return await _two_nodes("version 1", start_node, network, there)


async def _two_nodes(setting: Setting, start_node: StartNode, network: MemoryNetwork, there: Node) -> Stage:
    here = await start_node("here")
    for node in (here, there):
        node.spawn(host, name=HOST)
    return Stage(setting, here, there.name, network.cut)


async def _tcp(request: pytest.FixtureRequest, start_node: StartNode, _network: MemoryNetwork) -> Stage:
    return await opposite(request.getfixturevalue("far"), start_node)


_STAGES: Final = {"local": _local, "memory": _memory, "version 1": _version_1, "tcp": _tcp}
