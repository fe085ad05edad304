"""Connections that are made at the same time from both sides, that break, and that follow each other."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NOCONNECTION,
    NOPROC,
    DeadLetter,
    Down,
    Exited,
    Node,
    NodeDown,
    NodeUp,
    Pid,
    connect_node,
    disconnect,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    monitor_nodes,
    node_info,
    nodes,
    receive,
    register,
    self_pid,
    send,
    spawn,
    system_monitor,
    trap_exit,
)
from pydist.transport import P
from pydist.transport.memory import MemoryNetwork
from pydist.transport.tcp import TcpNetwork
from tests.helpers import mailbox

StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


async def wait() -> None:
    await receive()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# At the same time


class SlowNetwork(MemoryNetwork):
    """Dials take some turns of the loop, each a different number."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def dial(self, protocol_factory: Callable[[], P], host: str, port: int, timeout: float) -> P:
        await turns(self._chance.randrange(6))
        protocol = await super().dial(protocol_factory, host, port, timeout)
        await turns(self._chance.randrange(3))
        return protocol


async def test_of_two_hundred_simultaneous_connects_none_fails_and_none_makes_two_connections(
    start_node: StartNode, settled: Settled
) -> None:
    chance = random.Random(4711)  # noqa: S311  # no secret
    network = SlowNetwork(chance)
    a, b = await start_node("a", network=network), await start_node("b", network=network)
    told: list[Any] = []

    async def watch() -> None:
        monitor_nodes(True)
        while True:
            told.append(type(await receive()))

    async def after(delay: int, node: Node, other: str) -> bool:
        await turns(delay)
        return await node.run(connect_node, other)

    async def leave() -> list[Any]:
        return [disconnect(b.name)]

    a.spawn(watch)
    for round_ in range(200):
        skew = chance.randrange(-12, 12)
        both = [after(max(0, skew), a, b.name), after(max(0, -skew), b, a.name)]
        assert await asyncio.gather(*both) == [True, True]
        await settled()
        assert len(network.transports) == 2, f"in round {round_}"
        assert await a.run(leave) == [True]
        await settled()
        assert network.transports == []
    assert told == [NodeUp, NodeDown] * 200


# One after the other


@pytest.mark.parametrize("seed", range(10))
async def test_all_of_a_connection_comes_before_all_of_a_later_one_or_never(
    start_node: StartNode, network: MemoryNetwork, settled: Settled, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret
    a, b = await start_node("a"), await start_node("b")
    told: list[Any] = []

    async def listen() -> None:
        monitor_nodes(True)
        while True:
            told.append(await receive())

    async def talk(target: Pid) -> None:
        for word in range(300):
            send(target, word)
            await turns(chance.randrange(3))

    talker = asyncio.create_task(a.run(talk, b.spawn(listen)))
    while not talker.done():
        await turns(chance.randrange(100))
        network.cut()
    await talker
    await settled()
    words = [message for message in told if type(message) is int]
    assert words == sorted(set(words))
    assert len(words) > 10
    up = 0
    for message in told:
        match message:
            case NodeUp():
                assert message.connection_id > up
                up = message.connection_id
            case NodeDown():
                assert message.connection_id == up
            case _:
                assert up


async def test_links_and_monitors_end_with_their_connection_before_the_next_begins(
    start_node: StartNode, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def watch(target: Pid) -> list[Any]:
        trap_exit(True)
        monitor_nodes(True)
        told: list[Any] = []
        for _ in range(3):
            ref = monitor(target)
            link(target)
            assert await connect_node(b.name)
            network.cut()
            told += [(await receive(timeout=5)) for _ in range(4)]
            assert [type(message) for message in told[-4:]] == [NodeUp, Exited, Down, NodeDown]
            assert told[-2] == Down(ref, target, NOCONNECTION)
        return [message.connection_id for message in told if isinstance(message, NodeUp | NodeDown)]

    assert await a.run(watch, b.spawn(wait)) == [1, 1, 2, 2, 3, 3]


# How connections end


async def test_a_reset_is_seen_at_once(start_node: StartNode, until: Until) -> None:
    a, b = [await start_node(name, network=TcpNetwork()) for name in "ab"]

    async def watch() -> Any:
        monitor_nodes(True)
        assert await connect_node(b.name)
        await receive(NodeUp, 5)
        assert b._cluster is not None
        await asyncio.sleep(0)
        while not b._cluster.up:  # noqa: ASYNC110  # the loop itself is what is waited for
            await asyncio.sleep(0)
        transport: Any = b._cluster.up[a.name]._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        begun = asyncio.get_running_loop().time()
        transport.abort()
        return await receive(NodeDown, 5), asyncio.get_running_loop().time() - begun

    down, seconds = await a.run(watch)
    assert (down.node, down.reason, down.text) == (b.name, "connection_closed", "[Errno 104] Connection reset by peer")
    assert seconds < 2.0


async def test_a_close_is_seen_at_once(start_node: StartNode) -> None:
    a, b = [await start_node(name, network=TcpNetwork()) for name in "ab"]

    async def watch() -> Any:
        monitor_nodes(True)
        assert await connect_node(b.name)
        await receive(NodeUp, 5)
        stopping = asyncio.create_task(b.stop())
        down = await receive(NodeDown, 5)
        await stopping
        return down

    assert await a.run(watch) == NodeDown(b.name, "connection_closed", "closed by the peer", connection_id=1)


# Processes of an earlier life


async def test_a_pid_that_travelled_reaches_nobody_in_a_later_life_of_its_node(
    start_node: StartNode, settled: Settled
) -> None:
    """By way of a third node, inside a message."""
    a, b, c = [await start_node(name) for name in "abc"]
    told: list[Any] = []

    async def keep() -> None:
        register("keeper", self_pid())
        old = await receive()
        while True:
            asker = await receive()
            send(asker, ("it was", old))

    async def introduce() -> None:
        send(("keeper", c.name), spawn(wait))
        await connect_node(c.name)

    c.spawn(keep)
    await settled()
    await b.run(introduce)
    await settled()
    await b.stop()
    await settled()
    b = await start_node("b")

    async def listen() -> None:
        trap_exit(True)
        while True:
            told.append(await receive())

    for _ in range(5):
        b.spawn(listen)

    async def use() -> list[Any]:
        trap_exit(True)
        system_monitor(dead_letters=True)
        assert await connect_node(b.name)
        send(("keeper", c.name), self_pid())
        answer: Any = await receive(timeout=5)
        old: Pid = answer[1]
        assert (answer[0], old.node) == ("it was", b.name)
        send(old, "a message")
        exit(old, "an exit")
        ref = monitor(old)
        link(old)
        assert mailbox() == [
            DeadLetter(old, "a message", "incarnation"),
            Down(ref, old, NOPROC),
            Exited(old, NOPROC),
        ]
        info = node_info(b.name)
        assert info is not None
        return [info.creation != old.creation, nodes()]

    assert await a.run(use) == [True, [b.name, c.name]]
    await settled()
    assert told == []
