from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from pydist import Found, Node, NodeStartError
from pydist.discoverer import Discoverer
from pydist.env import Env
from pydist.errors import Unreachable
from pydist.transport.memory import MemoryNetwork
from tests.doors import until
from tests.virtual_time import VirtualLoop


class Place:
    """A discovery whose answers a test chooses."""

    interval = 30.0

    def __init__(self, *nodes: str) -> None:
        self.nodes: list[str] = list(nodes)
        self.error: Exception | None = None
        self.hangs = False
        self.looks = 0

    async def look(self) -> Sequence[Found]:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return [Found(node) for node in self.nodes]


class Keeper:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.up: set[str] = set()
        self.story: list[Any] = []

    def keep(self, node: str, port: int | None) -> None:
        self.story.append(("keep", node, port))

    def forget(self, node: str) -> None:
        self.story.append(("forget", node))


def discovering(test: Callable[[Place, Keeper], Coroutine[Any, Any, None]], *nodes: str) -> list[Any]:
    """Run a test beside a discoverer, in virtual time; what was logged."""

    async def main() -> None:
        place, keeper = Place(*nodes), Keeper()
        env = Env(asyncio.get_running_loop().time, bytes)
        discoverer = Discoverer("me@h", place, keeper, env)
        try:
            await test(place, keeper)
        finally:
            discoverer.close()
            await discoverer.closed()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, capture_logs() as logs:
        runner.run(main())
    return [(entry["event"], entry.get("reason")) for entry in logs]


def test_what_is_found_is_kept_and_what_is_gone_is_forgotten_after_the_grace() -> None:
    async def test(place: Place, keeper: Keeper) -> None:
        await asyncio.sleep(1)
        assert keeper.story == [("keep", "a@h", None), ("keep", "b@h", None)]
        place.nodes.remove("b@h")
        await asyncio.sleep(60)
        assert len(keeper.story) == 2
        await asyncio.sleep(60)
        assert keeper.story[2:] == [("forget", "b@h")]

    assert discovering(test, "a@h", "b@h", "me@h") == [
        ("node_discovered", None),
        ("node_discovered", None),
        ("node_forgotten", None),
    ]


def test_a_look_that_fails_keeps_the_last_list_and_is_reported_once() -> None:
    async def test(place: Place, keeper: Keeper) -> None:
        await asyncio.sleep(1)
        place.error = Unreachable("no DNS\n")
        await asyncio.sleep(600)
        assert keeper.story == [("keep", "a@h", None)]
        assert place.looks == 5  # after 0, 30, 90, 210 and 450 s
        place.error = None
        await asyncio.sleep(300)

    assert discovering(test, "a@h") == [
        ("node_discovered", None),
        ("discovery_failed", "no DNS\\n"),
        ("discovery_recovered", None),
    ]


def test_a_look_that_hangs_is_given_up_and_one_that_breaks_does_not_end_the_looking() -> None:
    async def test(place: Place, keeper: Keeper) -> None:
        place.hangs = True
        await asyncio.sleep(20)
        place.hangs, place.error = False, ZeroDivisionError("oops")
        await asyncio.sleep(100)
        place.error = None
        await asyncio.sleep(300)
        assert keeper.story == [("keep", "a@h", None)]

    assert [event for event in discovering(test, "a@h") if event[0] == "discovery_failed"] == [
        ("discovery_failed", "a look takes more than 15 s"),
        ("discovery_failed", "ZeroDivisionError: oops"),
    ]


def test_what_is_no_name_of_a_node_is_left_out() -> None:
    async def test(_place: Place, keeper: Keeper) -> None:
        await asyncio.sleep(1)
        assert keeper.story == [("keep", "a@h", None)]

    discovering(test, "a@h", "nonsense", "x@y z", "@", "é" * 200 + "@h")


def test_a_node_without_a_name_discovers_nothing() -> None:
    with pytest.raises(NodeStartError, match="needs a name by which they know it"):
        Node(discovery=Place())


async def test_a_node_that_is_discovered_is_connected_and_again_when_it_was_lost() -> None:
    network = MemoryNetwork()
    place = Place("a@h", "b@h")
    b = Node("b@h", cookie="x", port=9102, peer_ports={"a@h": 9101}, network=network)
    a = Node("a@h", cookie="x", port=9101, peer_ports={"b@h": 9102}, network=network, discovery=place)
    await b.start()
    await a.start()
    try:
        await until(lambda: connected(a) == ["b@h"] and connected(b) == ["a@h"])
        network.cut()
        await until(lambda: connected(a) == [])
        await until(lambda: connected(a) == ["b@h"])
    finally:
        await a.stop()
        await b.stop()


def connected(node: Node) -> list[str]:
    return node._started().neighbours.nodes("connected")
