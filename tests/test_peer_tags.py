from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from pydist import Node
from pydist.peer import Peer
from pydist.transport.memory import MemoryNetwork
from pydist.underlay import Member
from pydist.underlay.loopback import LoopbackUnderlay
from tests.doors import quiet, until

TAGS = frozenset({"tag:ops"})


class Failing(LoopbackUnderlay):
    """Does not tell who anybody is."""

    async def whois(self, address: str) -> Member | None:
        raise RuntimeError("nobody answers")


class Hanging(LoopbackUnderlay):
    """Never tells."""

    async def whois(self, address: str) -> Member | None:
        await asyncio.Event().wait()
        return None


@asynccontextmanager
async def connected(underlay: LoopbackUnderlay) -> AsyncGenerator[Peer]:
    """A node with this underlay, as it sees another that has connected."""
    network = MemoryNetwork()
    ports = {"a@127.0.0.1": 9101, "b@127.0.0.1": 9102}
    a = Node("a@127.0.0.1", cookie="x", port=9101, peer_ports=ports, network=network, underlay=underlay)
    b = Node("b@127.0.0.1", cookie="x", port=9102, peer_ports=ports, network=network)
    await a.start()
    await b.start()
    try:
        assert a._cluster is not None
        up = a._cluster.up
        a._cluster.connect("b@127.0.0.1")
        await until(lambda: "b@127.0.0.1" in up)
        yield up["b@127.0.0.1"]
    finally:
        await a.stop()
        await b.stop()


async def test_a_peer_has_the_tags_of_its_machine() -> None:
    async with connected(LoopbackUnderlay(members={"127.0.0.1": Member("beta", TAGS)})) as peer:
        await until(lambda: peer.tags == TAGS)


@pytest.mark.parametrize("underlay", [LoopbackUnderlay(), Failing(), Hanging()])
async def test_a_peer_of_whose_machine_nothing_is_told_has_no_tags_and_stays(underlay: LoopbackUnderlay) -> None:
    with capture_logs() as logs:
        async with connected(underlay) as peer:
            await quiet()
            assert (peer.tags, peer.up) == (frozenset(), True)
    said = [entry["reason"] for entry in logs if entry["event"] == "peer_without_tags"]
    assert said == (["nobody answers"] if isinstance(underlay, Failing) else [])
