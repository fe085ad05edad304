"""Nodes for tests: in one event loop, over a network in memory, with a port mapper of their own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import structlog
import uvloop
from structlog.typing import EventDict

from pydist import Node, NodeUp, connect, monitor_nodes, receive
from pydist.epmd_server import Server
from pydist.epmd_sockets import listen
from pydist.transport.memory import MemoryNetwork

TWINS = (
    "tests/behaviours",
    "tests/conformance",
    "tests/model",
    "tests/test_asyncio_inside.py",
    "tests/test_bad_input.py",
    "tests/test_bounds.py",
    "tests/test_exit",
    "tests/test_gates",
    "tests/test_kill.py",
    "tests/test_mailbox.py",
    "tests/test_message.py",
    "tests/test_messaging.py",
    "tests/test_primitives.py",
    "tests/test_process",
    "tests/test_router",
    "tests/test_runtime",
    "tests/test_scheduler.py",
    "tests/test_spawn.py",
    "tests/test_stepped_task.py",
    "tests/test_terms.py",
    "tests/test_timers.py",
    "tests/core/test_frame_builder.py",
    "tests/core/test_outbox.py",
    "tests/wire/test_codec",
    "tests/wire/test_signal_arrays.py",
)
"""What is run on pure Python, too."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is run a second time without the twin in C."""
    for item in items:
        if item.path.relative_to(config.rootpath).as_posix().startswith(TWINS) and "real" not in item.keywords:
            item.add_marker("twin")


StartNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def port_mapper() -> AsyncIterator[int]:
    """The port of a port mapper in this event loop."""
    server = Server(listen([], 0))
    await server.start()
    yield server.port
    await server.stop()


@pytest.fixture
def network() -> MemoryNetwork:
    """What carries the bytes between the nodes of `start_node`."""
    return MemoryNetwork()


@pytest.fixture
async def start_node(port_mapper: int, network: MemoryNetwork) -> AsyncIterator[StartNode]:
    """Starts nodes, as `await start_node("a", net_ticktime=4.0)`; they stop at the end of the test."""
    started: list[Node] = []
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    async def start(short: str, **options: Any) -> Node:
        settings: dict[str, Any] = {"cookie": "secret", "epmd_port": port_mapper, "network": network}
        settings |= {"global_names": False, **options}  # most tests look at what two nodes have in common
        node = Node(f"{short}@127.0.0.1", **settings)
        await node.start()
        started.append(node)
        return node

    yield start
    network.go_on()
    for node in started:
        await node.stop(0.1)
    gc.collect()
    await asyncio.sleep(0)
    assert errors == [], "callbacks of the event loop have failed"


@pytest.fixture
async def pair(start_node: StartNode) -> tuple[Node, Node]:
    """The nodes a and b, connected."""
    a, b = await start_node("a"), await start_node("b")

    async def meet() -> None:
        monitor_nodes(True)
        connect(b.name)
        await receive(NodeUp, 5.0)

    await a.run(meet)
    return a, b


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    """What is logged during the test."""
    with structlog.testing.capture_logs() as captured:
        yield captured


Leftovers = Callable[..., list[Any]]


@pytest.fixture
def leftovers() -> Leftovers:
    """Finds the links and monitors that routers and processes of the given nodes know of."""

    def find(*nodes: Node) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            assert node._cluster is not None
            assert node._runtime is not None
            for peer in node._cluster.up.values():
                crossings = peer.crossings
                found += [*crossings.links, *crossings.monitors, *crossings.watchers]
                found += [*crossings.asking, *crossings.asked]
            for process in node._runtime.table.values():
                if process.relations is not None:
                    found += [*process.relations.links, *process.relations.monitors, *process.relations.watchers]
        return found

    return find


@pytest.fixture
def settled() -> Callable[[], Awaitable[None]]:
    """Lets everything that is under way between connected nodes arrive: memory needs a few turns of the loop for it."""

    async def turn() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    return turn


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Lets the loop turn until a condition holds."""

    async def turn(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # the loop itself is what is waited for
                await asyncio.sleep(0)

    return turn


Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run_on_each_loop(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs an async function as a process of a node without distribution; it may leave no task behind."""

    async def with_node(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        node = Node()
        await node.start()
        try:
            return await asyncio.wait_for(node.run(main), 20)
        finally:
            await node.stop()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda main: runner.run(with_node(main))
