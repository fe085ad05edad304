"""GenServer calls from one node to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NO_REPLY,
    Caller,
    CallError,
    CallTimeout,
    GenServer,
    Node,
    NodeDisconnected,
    NoProcess,
    Pid,
    Request,
    Stop,
    call,
    cast,
    receive,
    reply,
    self_pid,
    send,
)
from pydist.errors import Unreachable
from pydist.transport.memory import MemoryNetwork

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]

NOWHERE = "nowhere@127.0.0.1"


class Double(Request[int]):
    number: int


class Leave(Request[None]):
    reason: Any


class Wait(Request[str]):
    """Answered when the server gets a cast."""


class Bad(Request[Any]):
    """Answered with what can't cross."""


class Server(GenServer):
    async def init(self) -> None:
        self.waiting: list[Caller] = []
        self.done: list[Any] = []

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        self.done.append(request)
        match request:
            case Double(number):
                return 2 * number
            case Leave(reason):
                raise Stop(reason)
            case Bad():
                return object()
            case _:
                self.waiting.append(caller)
                return NO_REPLY

    async def handle_cast(self, message: Any) -> None:
        for caller in self.waiting:
            reply(caller, message)

    async def handle_info(self, message: Any) -> None:
        send(message, self.done)


@pytest.fixture
async def server(pair: Pair) -> Pid:
    """A server on b."""
    return await pair[1].run(_start)


async def _start() -> Pid:
    return await Server.start(name="server")


async def test_a_call_by_pid_and_by_name_is_answered(pair: Pair, server: Pid) -> None:
    a, b = pair
    assert await a.run(call, server, Double(4)) == 8
    assert await a.run(call, ("server", b.name), Double(5)) == 10


async def test_the_first_call_connects(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")
    await b.run(_start)
    assert await a.run(call, ("server", b.name), Double(5)) == 10


async def test_calls_leave_nothing_behind(pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair

    async def call_often() -> None:
        for number in range(100):
            assert await call(server, Double(number)) == 2 * number

    await a.run(call_often)
    await settled()
    assert leftovers(a, b) == []


async def test_a_missing_server_is_no_process(pair: Pair, server: Pid) -> None:
    a, b = pair
    for target in (("nobody", b.name), Pid(b.name, 999, server.creation)):
        with pytest.raises(NoProcess) as failure:
            await a.run(call, target, Double(1))
        assert (failure.value.destination, failure.value.request) == (target, Double(1))


async def test_a_server_that_ends_instead_of_answering_fails_the_call_with_its_reason(pair: Pair, server: Pid) -> None:
    with pytest.raises(CallError) as failure:
        await pair[0].run(call, server, Leave(("tired", [1])))
    assert (type(failure.value), failure.value.reason) == (CallError, ("tired", [1]))


async def test_an_answer_that_cannot_cross_ends_the_server_and_fails_the_call(pair: Pair, server: Pid) -> None:
    with pytest.raises(CallError) as failure:
        await pair[0].run(call, server, Bad())
    assert failure.value.reason.error == "pydist.errors.EncodeError"


async def test_a_node_that_cannot_be_reached_fails_the_call(start_node: StartNode) -> None:
    a = await start_node("a")
    with pytest.raises(NodeDisconnected) as failure:
        await a.run(call, ("server", NOWHERE), Double(1))
    assert failure.value.reason == ("nodedown", NOWHERE)


class Unplugged(MemoryNetwork):
    """Reaches nobody, and counts how often it was asked to."""

    dialled = 0

    async def dial(self, *args: Any, **kwargs: Any) -> Any:
        self.dialled += 1
        raise Unreachable("the cable is out")


async def test_a_call_to_a_node_that_cannot_be_reached_tries_to_connect_once(start_node: StartNode) -> None:
    unplugged = Unplugged()
    a, b = await start_node("a", network=unplugged), await start_node("b")
    with pytest.raises(NodeDisconnected, match="the cable is out"):
        await a.run(call, ("server", b.name), Double(1))
    assert unplugged.dialled == 1


async def test_a_lost_connection_fails_the_call_that_waits(
    pair: Pair, server: Pid, network: MemoryNetwork, settled: Settled
) -> None:
    a, b = pair
    waiting = asyncio.ensure_future(a.run(call, server, Wait()))
    await settled()
    network.cut()
    with pytest.raises(NodeDisconnected) as failure:
        await waiting
    assert failure.value.reason == ("nodedown", b.name)
    assert await a.run(call, server, Double(2)) == 4  # it is found again


async def test_a_late_reply_is_dropped_and_the_request_was_done_all_the_same(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair

    async def give_up() -> Any:
        with pytest.raises(CallTimeout):
            await call(server, Wait(), timeout=0.01)
        cast(server, "the late reply")
        send(server, self_pid())
        return [await receive(timeout=5), await call(server, Double(3))]

    assert await a.run(give_up) == [[Wait()], 6]
    await settled()
    assert leftovers(a, b) == []


async def test_a_reply_to_a_caller_that_has_died_or_lost_its_connection_is_silent(
    pair: Pair, server: Pid, network: MemoryNetwork, settled: Settled
) -> None:
    a, _ = pair
    waiting = asyncio.ensure_future(a.run(call, server, Wait()))
    await settled()
    network.cut()
    with pytest.raises(NodeDisconnected):
        await waiting

    async def go_on() -> int:
        cast(server, "to nobody")
        return await call(server, Double(1))

    assert await a.run(go_on) == 2


async def test_another_process_on_the_caller_s_node_can_answer(pair: Pair, server: Pid, settled: Settled) -> None:
    a, b = pair
    passed: list[Caller] = []

    class Front(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller) -> object:
            passed.append(caller)
            return NO_REPLY

    async def front() -> Pid:
        return await Front.start()

    async def answer(caller: Caller) -> None:
        reply(caller, "from the caller's own node")

    waiting = asyncio.ensure_future(a.run(call, await b.run(front), Wait()))
    await settled()
    await a.run(answer, passed[0])
    assert await waiting == "from the caller's own node"
