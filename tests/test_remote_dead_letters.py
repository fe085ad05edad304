"""A message that is lost between two nodes is a dead letter of the one where it is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    NO_REPLY,
    Alias,
    Caller,
    CallTimeout,
    DeadLetter,
    GenServer,
    Node,
    NodeUp,
    Pid,
    Ref,
    Request,
    call,
    cast,
    connect,
    monitor_nodes,
    receive,
    reply,
    send,
    system_monitor,
)

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]


class Letters:
    """What is lost on one node."""

    def __init__(self, node: Node) -> None:
        self.found: list[tuple[Any, Any, str]] = []
        self.node = node
        node.spawn(self._listen)

    async def _listen(self) -> None:
        system_monitor(dead_letters=True)
        while True:
            letter: DeadLetter = await receive(DeadLetter)
            self.found.append((letter.target, letter.message, letter.reason))

    @property
    def counts(self) -> dict[str, int]:
        assert self.node._runtime is not None
        return dict(self.node._runtime.dead_letters.counts)


async def _returns() -> None: ...


async def _sends(*targets: Any) -> None:
    for number, target in enumerate(targets):
        send(target, number)


async def _meets(node: str) -> None:
    monitor_nodes(True)
    connect(node)
    await receive(NodeUp, 5.0)


async def test_what_a_peer_sends_to_nobody_is_lost_there(pair: Pair, settled: Settled) -> None:
    a, b = pair
    at_a, at_b = Letters(a), Letters(b)
    dead = b.spawn(_returns)
    never = Pid(b.name, 4711, dead.creation)
    await settled()
    await a.run(_sends, dead, never, never, ("nobody", b.name))
    await settled()
    assert at_b.found == [
        (dead, 0, "noproc"),
        (never, 1, "noproc"),
        (never, 2, "noproc"),
        (("nobody", b.name), 3, "unknown_name"),
    ]
    assert (at_b.counts, at_a.counts) == ({"noproc": 3, "unknown_name": 1}, {})


class Late(GenServer):
    async def init(self) -> None:
        self.callers: list[Caller] = []

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        self.callers.append(caller)
        return NO_REPLY

    async def handle_cast(self, message: Any) -> None:
        for caller in self.callers:
            reply(caller, message)


class Ask(Request[str]):
    pass


async def test_a_reply_that_comes_too_late_is_lost_where_it_was_waited_for(pair: Pair, settled: Settled) -> None:
    a, b = pair
    at_a = Letters(a)
    server: Pid = await b.run(Late.start)

    async def asks() -> None:
        with pytest.raises(CallTimeout):
            await call(server, Ask(), timeout=0.01)
        cast(server, "late")
        await receive(lambda _: False, 0.05)

    with pytest.raises(TimeoutError):
        await a.run(asks)
    await settled()
    assert [(type(target), reason) for target, _, reason in at_a.found] == [(Alias, "inactive_alias")]
    assert at_a.counts == {"inactive_alias": 1}


async def test_what_waits_for_a_node_that_cannot_be_reached_is_lost_here_as_it_was_sent(
    start_node: StartNode, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    a = await start_node("a")
    letters = Letters(a)
    nowhere = "nowhere@127.0.0.1"
    pid, name = Pid(nowhere, 1, 1), ("name", nowhere)
    alias = Alias(pid, Ref(nowhere, 1, 1))
    await a.run(_sends, pid, name, alias)
    await until(lambda: len(letters.found) == 3)
    assert letters.found == [(pid, 0, "noconnection"), (name, 1, "noconnection"), (alias, 2, "noconnection")]


@pytest.mark.parametrize("connected", [True, False])
async def test_what_is_for_an_earlier_life_of_a_node_is_lost_here(
    start_node: StartNode, connected: bool, settled: Settled, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    a, b = await start_node("a"), await start_node("b")
    old = b.spawn(_returns)
    await b.stop()
    b = await start_node("b")
    letters = Letters(a)
    if connected:
        await a.run(_meets, b.name)
    await a.run(_sends, old)
    await until(lambda: letters.found)
    assert letters.found == [(old, 0, "incarnation")]
