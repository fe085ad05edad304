"""Requests to other nodes that are awaited later, to several at once, and what a server sees of callers elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import pytest

from pydist import (
    NO_REPLY,
    Caller,
    CallingSelf,
    CallTimeout,
    GenServer,
    Message,
    Node,
    NodeDisconnected,
    NoProcess,
    Pid,
    Request,
    RequestIds,
    abcast,
    call,
    cast,
    multi_call,
    receive_response,
    register,
    self_pid,
    send_request,
    wait_response,
)
from pydist.transport.memory import MemoryNetwork

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]


class Where(Request[str]):
    pass


class Later(Request[str]):
    pass


class Heard(Request[list[Any]]):
    pass


class Pass(Message):
    """Tells a server to hand its last caller on."""

    to: Pid


class Server(GenServer):
    """Says where it lives, and keeps the callers it does not answer."""

    async def init(self, callers: list[Caller]) -> None:
        self.callers = callers
        self.heard: list[Any] = []

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        match request:
            case Where():
                return self_pid().node
            case Heard():
                return self.heard
            case _:
                self.callers.append(caller)
                return NO_REPLY

    async def handle_cast(self, message: Any) -> None:
        match message:
            case Pass(to):
                cast(to, self.callers[-1])
            case Caller():
                self.callers.append(message)
            case _:
                self.heard.append(message)


@pytest.fixture
def callers() -> list[Caller]:
    """What the server on b keeps."""
    return []


@pytest.fixture
async def server(pair: Pair, callers: list[Caller]) -> Pid:
    """A server on b."""
    return await pair[1].run(start_server, callers)


async def start_server(callers: list[Caller]) -> Pid:
    return await Server.start(callers, name="server")


async def state_of(caller: Caller) -> tuple[bool, float]:
    return caller.waiting(), caller.remaining()


async def test_a_request_to_another_node_is_awaited_later(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    async def ask() -> list[Any]:
        requests = [send_request(server, Where()), send_request(("server", pair[1].name), Where())]
        return [await receive_response(each) for each in requests]

    assert await pair[0].run(ask) == [pair[1].name] * 2
    await settled()
    assert leftovers(*pair) == []


async def test_requests_to_nobody_and_to_nowhere_are_answered_by_a_failure(pair: Pair, server: Pid) -> None:
    async def ask() -> list[Any]:
        requests: RequestIds[str] = RequestIds()
        for target in (("nobody", pair[1].name), ("server", "nowhere@127.0.0.1")):
            requests.add(send_request(target, Where()), label=target[1])
        answers = [await requests.receive() for _ in range(len(requests))]
        return sorted((answer.label, type(answer.error())) for answer in answers)

    assert await pair[0].run(ask) == sorted([(pair[1].name, NoProcess), ("nowhere@127.0.0.1", NodeDisconnected)])


async def test_a_lost_connection_fails_the_request(
    pair: Pair, server: Pid, network: MemoryNetwork, settled: Settled
) -> None:
    async def ask() -> None:
        request = send_request(server, Later())
        with pytest.raises(CallTimeout):
            await wait_response(request, 0.01)
        network.cut()
        with pytest.raises(NodeDisconnected):
            await receive_response(request)

    await pair[0].run(ask)


# -- callers elsewhere


async def test_a_server_sees_whether_a_caller_on_another_node_still_waits(
    pair: Pair, server: Pid, callers: list[Caller], settled: Settled
) -> None:
    a, b = pair
    waiting = asyncio.ensure_future(a.run(call, server, Later(), 1000))
    await settled()
    assert await b.run(state_of, callers[0]) == (True, 1000)
    waits, remaining = await a.run(state_of, callers[0])  # where the caller itself lives, it is known how long it waits
    assert (waits, 0 < remaining <= 1000) == (True, True)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settled()
    assert [await each.run(state_of, callers[0]) for each in pair] == [(False, 0)] * 2


async def test_a_call_that_has_timed_out_is_seen_on_the_other_node(
    pair: Pair, server: Pid, callers: list[Caller], settled: Settled
) -> None:
    async def ask() -> None:
        with pytest.raises(CallTimeout):
            await call(server, Later(), 0.01)

    await pair[0].run(ask)
    await settled()
    assert (callers[0].timeout, await pair[1].run(state_of, callers[0])) == (0.01, (False, 0))


async def test_a_caller_that_is_lost_with_its_connection_waits_no_longer(
    pair: Pair, server: Pid, callers: list[Caller], network: MemoryNetwork, settled: Settled
) -> None:
    waiting = asyncio.ensure_future(pair[0].run(call, server, Later(), None))
    await settled()
    assert await pair[1].run(state_of, callers[0]) == (True, inf)
    network.cut()
    with pytest.raises(NodeDisconnected):
        await waiting
    await settled()
    assert await pair[1].run(state_of, callers[0]) == (False, 0)


async def test_a_third_node_that_can_not_know_takes_a_caller_for_waiting(
    start_node: StartNode, settled: Settled
) -> None:
    a, b, c = [await start_node(name) for name in "abc"]
    on_b: list[Caller] = []
    on_c: list[Caller] = []
    server = await b.run(start_server, on_b)
    other = await c.run(start_server, on_c)
    waiting = asyncio.ensure_future(a.run(call, server, Later(), None))
    await settled()
    await b.run(pass_on, server, other)
    await settled()
    assert await c.run(state_of, on_c[0]) == (True, inf)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def pass_on(server: Pid, other: Pid) -> None:
    cast(server, Pass(other))


# -- several nodes


async def test_the_servers_of_one_name_on_all_nodes_are_asked_at_once(start_node: StartNode) -> None:
    a, b, c = [await start_node(name) for name in "abc"]
    for node in (a, b):
        await node.run(start_server, list[Caller]())

    async def ask() -> Any:
        await call(("server", b.name), Where())  # it connects
        connected = await multi_call("server", Where())
        named = await multi_call("server", Where(), [c.name, b.name, "nowhere@127.0.0.1"])
        return connected, named

    assert await a.run(ask) == (
        ({a.name: a.name, b.name: b.name}, []),
        ({b.name: b.name}, [c.name, "nowhere@127.0.0.1"]),
    )


async def test_who_does_not_reply_in_time_is_named(pair: Pair, server: Pid, leftovers: Leftovers) -> None:
    async def ask() -> Any:
        return await multi_call("server", Later(), [pair[1].name], timeout=0.01)

    assert await pair[0].run(ask) == ({}, [pair[1].name])
    assert leftovers(pair[0]) == []


async def test_a_server_can_not_ask_itself_among_others(pair: Pair) -> None:
    async def ask() -> None:
        register("server", self_pid())
        with pytest.raises(CallingSelf):
            await multi_call("server", Where())

    await pair[0].run(ask)


async def test_a_message_is_cast_to_the_servers_of_one_name(pair: Pair, server: Pid) -> None:
    async def tell() -> Any:
        abcast("server", "to all")
        abcast("server", "to some", [pair[1].name, pair[0].name])
        return await call(server, Heard())

    assert await pair[0].run(tell) == ["to all", "to some"]
