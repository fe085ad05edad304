from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import Node, Pid, nodes, receive, self_pid, send
from pydist.env import Env
from pydist.errors import BadNodeName, NodeStartError, Unreachable
from pydist.naming import chosen_name
from pydist.transport.memory import MemoryNetwork

StartNode = Callable[..., Awaitable[Node]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


async def echo() -> None:
    while True:
        sender, message = await receive()
        send(sender, message)


async def say(there: Pid, message: Any) -> Any:
    send(there, (self_pid(), message))
    return await receive(timeout=5.0)


@pytest.fixture
def nameless(port_mapper: int, network: MemoryNetwork) -> Callable[..., Node]:
    """Makes nodes that get their names from b."""

    def make(**options: Any) -> Node:
        settings: dict[str, Any] = {"cookie": "secret", "named_by": "b@127.0.0.1", **options}
        return Node("@127.0.0.1", epmd_port=port_mapper, network=network, **settings)

    return make


async def test_a_node_gets_its_name_and_creation_from_another_and_talks_to_it(
    start_node: StartNode, nameless: Callable[..., Node], until: Until
) -> None:
    b, node = await start_node("b"), nameless()
    await node.start()
    server = b.spawn(echo)
    assert await node.run(say, server, "hello") == "hello"
    assert b._cluster is not None
    [peer] = b._cluster.up.values()
    pid = node.spawn(echo)
    assert (peer.identity.node, peer.identity.creation) == (node.name, pid.creation)
    assert node.name.endswith("@127.0.0.1")
    assert pid.creation > 3
    assert await b.run(say, pid, "back") == "back"
    await node.stop()
    await until(lambda: not b._cluster or not b._cluster.up)


async def test_two_such_nodes_have_two_names_and_are_hidden(
    start_node: StartNode, nameless: Callable[..., Node], until: Until
) -> None:
    b, one, other = await start_node("b"), nameless(), nameless()
    await one.start()
    await other.start()
    assert b._cluster is not None
    await until(lambda: b._cluster and len(b._cluster.up) == 2)

    async def ask() -> tuple[list[str], list[str]]:
        return nodes(), nodes("hidden")

    visible, hidden = await b.run(ask)
    assert (visible, sorted(hidden)) == ([], sorted([one.name, other.name]))
    assert one.name != other.name
    await one.stop()
    await other.stop()


async def test_a_node_that_gets_no_name_does_not_start(
    start_node: StartNode, nameless: Callable[..., Node], logs: list[EventDict]
) -> None:
    with pytest.raises(Unreachable, match="knows no node 'b'"):
        await nameless().start()
    await start_node("b")
    with pytest.raises(NodeStartError, match=r"b@127.0.0.1 gives no name: .* its cookie is another"):
        await nameless(cookie="wrong").start()
    assert [line["event"] for line in logs].count("node_named") == 0


async def test_a_node_that_is_cancelled_while_it_waits_for_its_name_leaves_nothing(
    start_node: StartNode, nameless: Callable[..., Node], network: MemoryNetwork
) -> None:
    await start_node("b")
    network.silence()
    starting = asyncio.ensure_future(nameless().start())
    while not network.transports:  # noqa: ASYNC110  # the loop itself is what is waited for
        await asyncio.sleep(0)
    ours, _ = network.transports
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    assert ours.is_closing()


def test_a_node_has_a_name_or_is_named_by_another() -> None:
    for name in ("a@127.0.0.1", None):
        with pytest.raises(NodeStartError, match=f"a node that is named by another has a name like @host, not {name}"):
            Node(name, named_by="b@h", cookie="secret")
    for name, by in (("@h", None), ("@", "b@h"), ("@h", "b"), ("@h h", "b@h")):
        with pytest.raises(BadNodeName):
            Node(name, named_by=by, cookie="secret")


def test_a_chosen_name_is_drawn_by_lot() -> None:
    env = Env(lambda: 0.0, lambda size: bytes(range(size)))
    assert chosen_name(env) == ("aaaqeayeaudaocaj", 4 + 0x00010203)
