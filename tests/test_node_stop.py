"""How a node stops: its processes clean up or are killed, and nothing is left of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from pydist import (
    SHUTDOWN,
    Exit,
    GenServer,
    GenStatem,
    Node,
    NodeStartError,
    Supervisor,
    child,
    connect_node,
    link,
    monitor,
    next_state,
    receive,
    self_pid,
    send,
    spawn,
    suspend,
    trap_exit,
)
from pydist.peer import STALL
from pydist.transport.memory import MemoryNetwork
from tests.virtual_time import VirtualLoop

Until = Callable[[Callable[[], object]], Awaitable[None]]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]


async def wait() -> None:
    await receive()


async def test_stop_shuts_down_and_waits_for_clean_up(start_node: StartNode) -> None:
    story: list[Any] = []

    async def tidy(name: str) -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(0.01)
            story.append(name)

    async def parent() -> None:
        spawn(tidy, "linked child", link=True)
        await tidy("parent")

    node = await start_node("a")
    node.spawn(parent)
    node.spawn(tidy, "other")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await node.stop()
    assert sorted(story) == ["linked child", "other", "parent"]


async def test_stop_kills_what_does_not_end_in_time(start_node: StartNode) -> None:
    story: list[str] = []

    async def stubborn() -> None:
        trap_exit(True)
        try:
            while True:
                story.append(str((await receive()).reason.name))
        finally:
            story.append("closed")

    async def unrelated() -> None:
        try:
            await receive()
        finally:
            story.append("unrelated closed")

    async def main() -> None:
        spawn(unrelated)
        await stubborn()

    node = await start_node("a")
    pid = node.spawn(main)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await node.stop(0.05)
    await asyncio.sleep(0)
    assert story[0] == "shutdown"
    assert sorted(story[1:]) == ["closed", "unrelated closed"]
    assert pid.node == node.name


async def test_stop_lets_a_supervisor_stop_its_children_in_reverse_order(start_node: StartNode, until: Until) -> None:
    story: list[Any] = []

    class Tidy(GenServer):
        async def init(self, name: str) -> None:
            trap_exit(True)
            self.name = name

        async def terminate(self, reason: Any) -> None:
            await asyncio.sleep(0.01)
            story.append((self.name, reason))

    async def main() -> None:
        await Supervisor.start_link([child(Tidy, name, id=name) for name in ("first", "second")])
        spawn(wait)
        await receive()

    node = await start_node("a")
    node.spawn(main)
    await until(lambda: node._runtime is not None and len(node._runtime.table) == 5)
    await node.stop()
    assert story == [("second", SHUTDOWN), ("first", SHUTDOWN)]


async def test_a_node_that_stops_starts_no_more_processes(start_node: StartNode) -> None:
    refused: list[str] = []
    node = await start_node("a")

    async def clean_up() -> None:
        try:
            await receive()
        finally:
            try:
                node.spawn(wait)
            except NodeStartError as error:
                refused.append(str(error))

    node.spawn(clean_up)
    await asyncio.sleep(0)
    await node.stop()
    assert refused == ["the node a@127.0.0.1 is not running: it has been stopped"]


async def test_the_name_is_free_after_stop(start_node: StartNode, port_mapper: int, network: MemoryNetwork) -> None:
    for _ in range(5):
        node = await start_node("a")
        await node.stop()
    assert network.listeners == {}


async def test_stop_can_be_asked_for_twice_or_before_the_start(start_node: StartNode, port_mapper: int) -> None:
    a = await start_node("a")
    await asyncio.gather(a.stop(), a.stop())
    await a.stop()
    await Node("b@127.0.0.1", cookie="secret", epmd_port=port_mapper).stop()


async def test_nothing_is_left_of_a_node(port_mapper: int) -> None:
    tasks = asyncio.all_tasks()
    nodes = [Node(f"{short}@127.0.0.1", cookie="secret", epmd_port=port_mapper) for short in "ab"]
    for node in nodes:
        await node.start()
    a, b = nodes

    async def meet() -> str:
        trap_exit(True)
        link(target)
        send(target, self_pid())
        send(("x", "nowhere@127.0.0.1"), "leaves a look-up under way")
        return str(await receive(timeout=5))

    async def answer() -> None:
        send(await receive(), "hello")
        await receive()

    target = b.spawn(answer)
    assert await a.run(meet) == "hello"
    await a.stop()
    await b.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    # The loop itself keeps threads, for look-ups of names; the node has none.
    assert [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")] == ["MainThread"]
    for node in nodes:
        assert node._runtime is not None
        assert node._runtime.table == {}


async def test_a_connection_that_is_half_made_does_not_outlive_stop(
    start_node: StartNode, until: Until, network: MemoryNetwork, settled: Settled, logs: list[EventDict]
) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def call_out() -> None:
        send(("x", b.name), "hello")
        await receive()

    a.spawn(call_out)
    await until(lambda: network.transports)
    stops = [asyncio.ensure_future(node.stop()) for node in (a, b)]
    await asyncio.gather(*stops)
    await settled()
    assert network.transports == []
    assert [line for line in logs if line["event"] == "node_up"] == []


@pytest.mark.parametrize("stopped", ["the one that dials", "the one that answers"])
async def test_one_side_of_a_half_made_connection_can_stop(
    start_node: StartNode, until: Until, network: MemoryNetwork, settled: Settled, stopped: str
) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def call_out() -> Any:
        return await receive(monitor(("x", b.name)), 5)

    waiting = asyncio.ensure_future(a.run(call_out))
    await until(lambda: network.transports)
    await (a if stopped == "the one that dials" else b).stop()
    await settled()
    assert network.transports == []
    if stopped == "the one that dials":
        with pytest.raises(Exit):
            await waiting
    else:
        assert (await waiting).reason.name == "noconnection"


async def test_what_a_process_does_while_it_is_killed_makes_no_connection(
    start_node: StartNode, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def last_words() -> None:
        trap_exit(True)
        try:
            while True:
                await receive()
        finally:
            send(("x", b.name), "farewell")

    a.spawn(last_words)
    await asyncio.sleep(0)
    await a.stop(0.01)
    tasks = asyncio.all_tasks()
    await settled()
    assert network.transports == []
    assert asyncio.all_tasks() <= tasks


async def test_what_the_killed_start_in_their_clean_up_does_not_outlive_the_node(start_node: StartNode) -> None:
    refused: list[str] = []

    async def comes_again() -> None:
        trap_exit(True)
        try:
            while True:
                await receive()
        finally:
            try:
                spawn(comes_again)
            except NodeStartError as error:
                refused.append(str(error))

    node = await start_node("a")
    node.spawn(comes_again)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await node.stop(0.01)
    assert refused == ["no process can be started: the node has stopped"]


async def test_a_log_that_fails_keeps_no_node_from_starting_and_stopping() -> None:
    structlog.configure(processors=[_fails])
    try:
        node = Node()
        await node.start()
        assert await node.run(_returns_one) == 1
        await node.stop()
    finally:
        structlog.reset_defaults()


def _fails(*_line: Any) -> Any:
    raise ValueError("no room left on the device")


async def _returns_one() -> int:
    return 1


class Tidy(GenServer):
    """Traps exits, and has no parent."""

    async def init(self, story: list[Any], name: str) -> None:
        trap_exit(True)
        self.story = story
        self.name = name

    async def terminate(self, reason: Any) -> None:
        self.story.append((self.name, reason))


class Machine(GenStatem[str, list[Any]]):
    async def init(self, story: list[Any]) -> Any:
        trap_exit(True)
        return next_state("on", story)

    async def handle_event(self, event: Any, state: str, data: list[Any]) -> None: ...

    async def terminate(self, reason: Any, state: str, data: list[Any]) -> None:
        data.append(("machine", reason))


async def test_behaviours_without_a_parent_end_in_order_when_their_node_stops(start_node: StartNode) -> None:
    story: list[Any] = []

    async def main() -> None:
        await Tidy.start(story, "server")
        await Machine.start(story)
        await Supervisor.start([child(Tidy, story, name, id=name) for name in ("first", "second")])
        await suspend(await Tidy.start(story, "suspended"))

    node = await start_node("a")
    await node.run(main)
    await node.stop(timeout=5.0)
    names = [name for name, reason in story if reason is SHUTDOWN]
    assert sorted(names) == ["first", "machine", "second", "server", "suspended"]
    assert names.index("second") < names.index("first")


# What was sent


async def two_nodes(network: MemoryNetwork) -> tuple[Node, Node]:
    ports = {"a@127.0.0.1": 1, "b@127.0.0.1": 2}
    a, b = (
        Node(name, port=port, cookie="secret", peer_ports=ports, network=network, net_ticktime=3600)
        for name, port in ports.items()
    )
    for node in (a, b):
        await node.start()
    assert await a.run(connect_node, b.name)
    return a, b


def test_stop_waits_until_what_was_sent_is_written() -> None:
    async def scenario() -> None:
        network, took = MemoryNetwork(), list[Any]()
        a, b = await two_nodes(network)

        async def sink() -> None:
            while True:
                took.append(await receive())

        b.spawn(sink, name="sink")
        network.stall()
        for number in range(200):
            a.send(("sink", b.name), (number, b"x" * 10_000))
        stopping = asyncio.create_task(a.stop())
        await asyncio.sleep(1)
        assert (stopping.done(), took) == (False, [])
        network.go_on()
        await stopping
        await asyncio.sleep(0.1)
        assert [number for number, _ in took] == list(range(200))
        await b.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


def test_a_peer_that_takes_nothing_does_not_keep_stop_waiting() -> None:
    async def scenario() -> None:
        network = MemoryNetwork()
        a, b = await two_nodes(network)
        network.stall()
        a.send(("sink", b.name), "nobody takes this")
        began = asyncio.get_running_loop().time()
        await a.stop()
        assert asyncio.get_running_loop().time() - began == STALL
        await b.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())
