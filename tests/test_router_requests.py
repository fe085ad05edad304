"""A request to another node is one signal, and its reply another; each end knows from the reply that it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from pydist import (
    NO_REPLY,
    Caller,
    CallTimeout,
    EncodeError,
    GenServer,
    Node,
    NodeDisconnected,
    NoProcess,
    Pid,
    Request,
    call,
    cast,
    receive,
    reply,
    send,
    spawn,
)
from pydist.peer import Peer
from pydist.transport.memory import MemoryNetwork
from pydist.wire.control import Ask, Demonitor, Incoming, Messages, Monitor, MonitorExit, SendAlias
from pydist.wire.handshake import Flag

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]


class Echo(Request[object]):
    value: object


class Delegate(Request[object]):
    """To be answered by another process."""

    to: Pid


class Keep(Request[object]):
    """Not to be answered."""


class Server(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        match request:
            case Echo(value):
                return value
            case Delegate(to):
                send(to, caller)
            case _:
                pass
        return NO_REPLY


async def start_server() -> Pid:
    return await Server.start(name="server")


async def answer_one(value: object) -> None:
    reply(await receive(Caller), value)


async def end_at_once() -> None: ...


async def answer_when_told(value: object) -> None:
    caller = await receive(Caller)
    await receive("now".__eq__)
    reply(caller, value)


def signals_to(node: Node) -> list[type[Incoming]]:
    """The kinds of signals that reach a node from now on."""
    assert node._cluster is not None
    kinds: list[type[Incoming]] = []

    def noted(kind: type[Incoming], handler: Callable[[Peer, Any], None]) -> Callable[[Peer, Any], None]:
        def note(peer: Peer, signal: Any) -> None:
            kinds.append(kind)
            handler(peer, signal)

        return note

    handlers = node._cluster.router.handlers
    handlers.update({kind: noted(kind, handler) for kind, handler in handlers.items()})
    return kinds


@pytest.fixture
async def server(pair: Pair) -> Pid:
    """A server on b."""
    return await pair[1].run(start_server)


@pytest.mark.parametrize("by_name", [False, True], ids=["by pid", "by name"])
async def test_a_call_is_one_signal_there_and_one_back(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled, by_name: bool
) -> None:
    there, back = signals_to(pair[1]), signals_to(pair[0])
    assert await pair[0].run(call, ("server", pair[1].name) if by_name else server, Echo(5)) == 5
    await settled()
    assert (there, back, leftovers(*pair)) == ([Ask], [SendAlias], [])


async def test_a_node_of_version_1_gets_a_monitor_and_a_message(
    start_node: StartNode, leftovers: Leftovers, settled: Settled
) -> None:
    a, old = await start_node("a"), await start_node("old")
    assert old._cluster is not None
    door = old._cluster.door
    door.settings = attrs.evolve(door.settings, local=attrs.evolve(door.settings.local, version=1, flags=Flag.SIGNALS))
    server = await old.run(start_server)
    assert await a.run(call, server, Echo(4)) == 4
    there, back = signals_to(old), signals_to(a)
    assert await a.run(call, server, Echo(5)) == 5
    await settled()
    assert (there, back, leftovers(a, old)) == ([Monitor, Messages, Demonitor], [SendAlias], [])


async def test_who_asks_nobody_is_told_and_the_request_is_a_dead_letter(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair
    assert b._runtime is not None
    dead = b.spawn(end_at_once)
    await settled()
    back = signals_to(a)
    for target in (dead, ("nobody", b.name)):
        with pytest.raises(NoProcess):
            await a.run(call, target, Echo(5))
    await settled()
    assert (back, leftovers(a, b)) == ([MonitorExit] * 2, [])
    assert dict(b._runtime.dead_letters.counts) == {"noproc": 1, "unknown_name": 1}


async def test_the_reply_of_another_process_of_that_node_ends_it_too(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    there = signals_to(pair[1])
    other = pair[1].spawn(answer_one, "from another")
    assert await pair[0].run(call, server, Delegate(other)) == "from another"
    await settled()
    assert (there, leftovers(*pair)) == ([Ask], [])


async def test_a_reply_from_a_third_node_takes_the_monitor_back(
    start_node: StartNode, leftovers: Leftovers, settled: Settled
) -> None:
    a, b, c = [await start_node(name) for name in "abc"]
    server = await b.run(start_server)
    other = c.spawn(answer_one, "from c")
    assert await a.run(call, server, Echo(5)) == 5
    there = signals_to(b)
    assert await a.run(call, server, Delegate(other)) == "from c"
    await settled()
    assert (there, leftovers(a, b, c)) == ([Ask, Demonitor], [])


async def test_who_waits_no_longer_takes_the_monitor_back_and_a_late_reply_is_dropped(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    there, back = signals_to(pair[1]), signals_to(pair[0])
    late = pair[1].spawn(answer_when_told, "late")

    async def give_up() -> None:
        with pytest.raises(CallTimeout):
            await call(server, Delegate(late), 0.01)

    await pair[0].run(give_up)
    await settled()
    pair[1].send(late, "now")
    await settled()
    assert (there, back, leftovers(*pair)) == ([Ask, Demonitor], [SendAlias], [])


async def test_a_lost_connection_ends_requests_at_both_ends(
    pair: Pair, server: Pid, network: MemoryNetwork, leftovers: Leftovers, settled: Settled
) -> None:
    async def ask_and_lose() -> None:
        spawn(cut_later)
        with pytest.raises(NodeDisconnected):
            await call(server, Keep())

    async def cut_later() -> None:
        await settled()
        network.cut()

    await pair[0].run(ask_and_lose)
    await settled()
    assert leftovers(*pair) == []


async def test_a_request_that_can_not_cross_leaves_nothing_behind(
    pair: Pair, server: Pid, leftovers: Leftovers, settled: Settled
) -> None:
    there = signals_to(pair[1])

    async def ask() -> None:
        with pytest.raises(EncodeError):
            await call(server, Echo(object()))

    await pair[0].run(ask)
    await settled()
    assert (there, leftovers(*pair)) == ([], [])


async def test_the_end_of_a_server_that_has_replied_is_told_to_nobody(
    pair: Pair, server: Pid, settled: Settled
) -> None:
    assert await pair[0].run(call, server, Echo(5)) == 5
    back = signals_to(pair[0])
    await pair[1].run(end, server)
    await settled()
    assert back == []


async def end(server: Pid) -> None:
    cast(server, "which it has no handler for")
