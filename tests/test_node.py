"""What keeps a node from starting, and what it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    SHUTDOWN,
    BadNodeName,
    Crash,
    Exit,
    Node,
    NodeNameTaken,
    NodeStartError,
    Pid,
    PortInUse,
    PortMapperError,
    exit,  # noqa: A004  # OTP's name
    link,
    node_name,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    whereis,
)
from pydist.epmd_client import names, register
from pydist.epmd_server import Server
from pydist.epmd_sockets import listen
from pydist.node_ports import MappedPorts
from pydist.transport.memory import MemoryNetwork
from pydist.transport.tcp import TcpNetwork

Until = Callable[[Callable[[], object]], Awaitable[None]]
StartNode = Callable[..., Awaitable[Node]]


async def wait() -> None:
    await receive()


# Starting


@pytest.mark.parametrize("name", ["a", "", "a@", "@h", "a@b@c", "a b@h", "a\n@h", "a" * 300 + "@h"])
def test_a_name_that_is_not_name_at_host_is_refused_at_once(name: str) -> None:
    with pytest.raises(BadNodeName):
        Node(name, cookie="secret")


def test_a_cookie_that_is_empty_is_refused_at_once() -> None:
    with pytest.raises(NodeStartError, match="the cookie is empty: anybody could connect"):
        Node("a@h", cookie="")


@pytest.mark.parametrize("cookie", [b"secret", 5])
def test_a_cookie_that_is_no_str_is_refused_by_name(cookie: Any) -> None:
    with pytest.raises(NodeStartError, match=r"a cookie is a str, this is of the type (bytes|int)"):
        Node("a@127.0.0.1", cookie=cookie)


@pytest.mark.parametrize("net_ticktime", [0, -1.0, float("nan")])
def test_a_tick_time_that_is_no_time_is_refused_at_once(net_ticktime: float) -> None:
    with pytest.raises(NodeStartError, match="net_ticktime is a number of seconds, at least 0"):
        Node("a@h", cookie="secret", net_ticktime=net_ticktime)


async def test_a_name_that_a_living_node_has_is_taken(start_node: StartNode, network: MemoryNetwork) -> None:
    await start_node("a")
    with pytest.raises(NodeNameTaken, match="refuses the name 'a': a living node has it"):
        await start_node("a")
    assert len(network.listeners) == 1


async def test_a_port_that_another_program_has_is_in_use(start_node: StartNode, port_mapper: int) -> None:
    with pytest.raises(PortInUse, match=rf"another program listens at 127\.0\.0\.1:{port_mapper}"):
        await start_node("a", network=TcpNetwork(), port=port_mapper)
    assert await names(epmd_port=port_mapper) == []


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ("192.0.2.1", "this machine does not have that address"),
        ("0.0.0.0", "every address of this machine, and pydist does not encrypt"),  # noqa: S104  # it is refused
        ("two..dots", "can't listen at two..dots:0"),
    ],
)
async def test_an_address_that_cannot_be_listened_at_says_why(port_mapper: int, host: str, complaint: str) -> None:
    node = Node(f"a@{host}", cookie="secret", epmd_port=port_mapper)
    with pytest.raises(NodeStartError, match=complaint):
        await node.start()


async def test_what_is_no_port_mapper_is_not_taken_for_one(network: MemoryNetwork) -> None:
    def chatter(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(chatter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        node = Node("a@127.0.0.1", cookie="secret", epmd_port=port, network=network)
        with pytest.raises(PortMapperError, match=rf"what listens at 127\.0\.0\.1:{port} is no port mapper"):
            await node.start()
    assert network.listeners == {}


async def test_a_node_starts_once(start_node: StartNode) -> None:
    a = await start_node("a")
    with pytest.raises(NodeStartError, match=r"the node a@127\.0\.0\.1 has been started already"):
        await a.start()


async def test_a_node_that_could_not_start_can_be_started_later(start_node: StartNode, port_mapper: int) -> None:
    first = await start_node("a")
    second = Node("a@127.0.0.1", cookie="secret", epmd_port=port_mapper, network=MemoryNetwork())
    with pytest.raises(NodeNameTaken):
        await second.start()
    await first.stop()
    async with asyncio.timeout(5):
        while await names(epmd_port=port_mapper):
            pass
    await second.start()
    await second.stop()


@pytest.mark.parametrize("when", ["before start", "after stop"])
async def test_a_node_that_is_not_running_runs_nothing(start_node: StartNode, port_mapper: int, when: str) -> None:
    if when == "after stop":
        node = await start_node("a")
        await node.stop()
    else:
        node = Node("a@127.0.0.1", cookie="secret", epmd_port=port_mapper)
    not_running = pytest.raises(NodeStartError, match=r"the node a@127\.0\.0\.1 is not running")
    with not_running:
        await node.run(wait)
    with not_running:
        node.spawn(wait)
    with not_running:
        node.send("name", "message")


async def test_a_node_without_a_name_needs_nothing() -> None:
    async def where() -> str:
        return node_name()

    node = Node()
    await node.start()
    assert (node.name, await node.run(where)) == ("nonode@nohost", "nonode@nohost")
    await node.stop()


# The port mapper restarts


async def test_a_node_is_found_again_after_the_port_mapper_restarts(
    network: MemoryNetwork, logs: list[EventDict], until: Until
) -> None:
    mapper = await _mapper(0)
    node = await _lasting("a", mapper.port, network)
    creation = await node.run(_creation)
    for _ in range(2):
        await mapper.stop()
        await until(lambda: logs[-1]["event"] == "registration_lost")
        mapper = await _mapper(mapper.port)
        await until(lambda: logs[-1]["event"] == "node_registered_again")
        assert [name for name, _ in await names(epmd_port=mapper.port)] == ["a"]
    assert [line["log_level"] for line in logs if line["event"] == "registration_lost"] == ["warning"] * 2
    assert await node.run(_creation) == creation
    await node.stop()
    await until(lambda: len(mapper.portmap.nodes) == 0)
    await mapper.stop()


async def test_a_name_that_another_node_took_meanwhile_is_had_when_that_one_stops(
    network: MemoryNetwork, logs: list[EventDict], until: Until
) -> None:
    mapper = await _mapper(0)
    node = await _lasting("a", mapper.port, network)
    await mapper.stop()
    await until(lambda: logs[-1]["event"] == "registration_lost")
    mapper = await _mapper(mapper.port)
    _retry_soon(node)
    usurper = await register("a", 1, epmd_port=mapper.port)
    await until(lambda: any(line["event"] == "node_refused" for line in logs))
    usurper.close()
    await until(lambda: any(line["event"] == "node_registered_again" for line in logs))
    await node.stop()
    await mapper.stop()


@pytest.mark.parametrize("turns", range(12))
async def test_a_node_that_stops_while_it_registers_again_leaves_no_task(
    network: MemoryNetwork, logs: list[EventDict], until: Until, turns: int
) -> None:
    mapper = await _mapper(0)
    node = await _lasting("a", mapper.port, network)
    await mapper.stop()
    await until(lambda: logs[-1]["event"] == "registration_lost")
    mapper = await _mapper(mapper.port)
    for _ in range(turns):
        await asyncio.sleep(0)
    await node.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await until(lambda: len(mapper.portmap.nodes) == 0)
    await mapper.stop()


async def test_stopping_is_no_lost_registration(start_node: StartNode, logs: list[EventDict]) -> None:
    await (await start_node("a")).stop()
    assert [line for line in logs if line["event"] == "registration_lost"] == []


async def _mapper(port: int) -> Server:
    server = Server(listen([], port))
    await server.start()
    return server


async def _lasting(short: str, epmd_port: int, network: MemoryNetwork) -> Node:
    """A node that tries again soon."""
    node = Node(f"{short}@127.0.0.1", cookie="secret", epmd_port=epmd_port, network=network)
    _retry_soon(node)
    await node.start()
    return node


def _retry_soon(node: Node) -> None:
    assert isinstance(node._ports, MappedPorts)
    node._ports.retry_delay = 0.001


async def _creation() -> int:
    return self_pid().creation


# Running


async def test_run_gives_what_the_function_returns_even_an_exception() -> None:
    async def give(value: Any) -> Any:
        return value

    async with _alone() as node:
        error = ValueError("a value like any other")
        assert [await node.run(give, 5), await node.run(give, None), await node.run(give, error)] == [5, None, error]


async def test_run_raises_what_the_function_raises_and_links_get_a_crash() -> None:
    told: list[Any] = []

    async def listen(pid: Pid) -> None:
        trap_exit(True)
        link(pid)
        send(pid, "linked")
        told.append(await receive())

    async def fail() -> None:
        spawn(listen, self_pid())
        await receive()
        raise LookupError("not here")

    async with _alone() as node:
        with pytest.raises(LookupError, match="not here"):
            await node.run(fail)
        await asyncio.sleep(0)
        [exited] = told
        assert isinstance(exited.reason, Crash)
        assert (exited.reason.error, exited.reason.message) == ("LookupError", "not here")


async def test_run_raises_exit_when_a_signal_or_the_function_itself_ends_the_process() -> None:
    async def leave() -> None:
        raise Exit("of its own")

    async def killer() -> None:
        exit(self_pid(), KILL)

    async with _alone() as node:
        for function, reason in ((leave, "of its own"), (killer, "killed")):
            with pytest.raises(Exit) as ended:
                await node.run(function)
            assert getattr(ended.value.reason, "name", ended.value.reason) == reason


async def test_cancelling_run_ends_the_process_and_lets_it_clean_up(until: Until) -> None:
    story: list[Any] = []

    async def main() -> None:
        try:
            await receive()
        except Exit as signal:
            await asyncio.sleep(0)
            story.append(signal.reason)
            raise

    async with _alone() as node:
        running = asyncio.ensure_future(node.run(main))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: story)
        assert story == [SHUTDOWN]


async def test_a_name_given_to_spawn_is_registered() -> None:
    async def find() -> Pid | None:
        return whereis("waiter")

    async with _alone() as node:
        pid = node.spawn(wait, name="waiter")
        assert await node.run(find) == pid


@asynccontextmanager
async def _alone() -> AsyncGenerator[Node]:
    node = Node()
    await node.start()
    yield node
    await node.stop(0.1)
