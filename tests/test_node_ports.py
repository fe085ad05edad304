"""Nodes that need no port mapper."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import BadNodeName, Node, NodeStartError, NodeUp, connect, monitor_nodes, receive, self_pid
from pydist.env import Env
from pydist.node_ports import node_ports
from pydist.terms import NodeName
from tests.port_mappers import free_port

Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_port_mapper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for one fails: nobody may listen on port 1."""
    monkeypatch.setenv("ERL_EPMD_PORT", "1")


@asynccontextmanager
async def _started(*nodes: Node) -> AsyncGenerator[None]:
    for node in nodes:
        await node.start()
    try:
        yield
    finally:
        for node in nodes:
            await node.stop(0.1)


async def _meet(node: str) -> str:
    monitor_nodes(True)
    connect(node)
    return (await receive(NodeUp, 5.0)).node


async def test_nodes_that_all_listen_on_one_port_need_no_port_mapper() -> None:
    port = free_port()
    a, b = (Node(f"{at}", cookie="secret", port=port, peer_ports=port) for at in ("a@127.0.0.1", "b@127.0.0.2"))
    async with _started(a, b):
        assert await a.run(_meet, "b@127.0.0.2") == "b@127.0.0.2"


async def test_nodes_whose_ports_are_told_by_name_need_no_port_mapper() -> None:
    ports = {"a@127.0.0.1": free_port(), "b@127.0.0.1": free_port()}
    a, b = (Node(name, cookie="secret", port=port, peer_ports=ports) for name, port in ports.items())
    async with _started(a, b):
        assert await b.run(_meet, "a@127.0.0.1") == "a@127.0.0.1"


async def test_a_node_whose_port_nobody_told_is_unreachable(logs: list[EventDict], until: Until) -> None:
    a = Node("a@127.0.0.1", cookie="secret", port=free_port(), peer_ports={})

    async def dial() -> None:
        connect("b@127.0.0.1")

    async with _started(a):
        await a.run(dial)
        await until(lambda: any(line["event"] == "node_unreachable" for line in logs))
    [line] = [line for line in logs if line["event"] == "node_unreachable"]
    assert line["reason"] == "b@127.0.0.1 is not among the peer_ports of this node: add it there with its port"


@pytest.mark.parametrize(("draw", "creation"), [(0, 4), (7, 11), (0xFFFF_FFFB, 0xFFFF_FFFF), (0xFFFF_FFFC, 4)])
async def test_the_creation_has_32_bits_of_chance_and_is_none_of_an_old_node(draw: int, creation: int) -> None:
    ports = node_ports(epmd_port=None, peer_ports=1, port=2, entropy=draw.to_bytes)
    assert await ports.enter(NodeName.parse("a@127.0.0.1"), 2) == creation


async def test_each_start_has_another_creation() -> None:
    async def creation() -> int:
        return self_pid().creation

    seen: set[int] = set()
    for _ in range(3):
        node = Node("a@127.0.0.1", cookie="secret", port=free_port(), peer_ports={}, env=Env(lambda: 0.0, os.urandom))
        async with _started(node):
            seen.add(await node.run(creation))
    assert (len(seen), min(seen) > 3) == (3, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"peer_ports": 9100}, "needs a port of its own that others can know: port=9100"),
        ({"peer_ports": 0, "port": 9100}, "peer_ports is 0: a port is a number from 1 to 65535"),
        ({"peer_ports": True, "port": 9100}, "peer_ports is True: a port is"),
        ({"peer_ports": "9100", "port": 9100}, "peer_ports is '9100': a port is"),
        ({"peer_ports": {"b@h": 65536}, "port": 9100}, "the port of b@h is 65536: a port is"),
        ({"peer_ports": 9100, "port": 9100, "epmd_port": 4369}, "so epmd_port says nothing: leave one out"),
        ({"port": 65536}, "port is 65536: a port is"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(NodeStartError, match=complaint):
        Node("a@127.0.0.1", cookie="secret", **options)


@pytest.mark.parametrize("ports", [{"b": 9100}, {5: 9100}, {"b@c@d": 9100}])
def test_names_of_peers_are_checked(ports: Any) -> None:
    with pytest.raises(BadNodeName):
        Node("a@127.0.0.1", cookie="secret", port=9100, peer_ports=ports)


@pytest.mark.parametrize("port", [0, -1, 65536, "4369", 4369.0])
def test_a_port_mapper_has_a_port_that_there_is(port: Any) -> None:
    with pytest.raises(NodeStartError, match=r"epmd_port is .*: a port is a number from 1 to 65535"):
        Node("a@127.0.0.1", cookie="secret", epmd_port=port)
