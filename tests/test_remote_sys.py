"""System messages between nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pydist import (
    SHUTDOWN,
    CallError,
    EncodeError,
    GenServer,
    Node,
    NodeDisconnected,
    NoProcess,
    Pid,
    call,
    cast,
    sys_messages,
)
from tests.counter import Counter, Total

Pair = tuple[Node, Node]
Leftovers = Callable[..., list[Any]]


class Holds(GenServer):
    """Has a state that can't cross."""

    async def init(self) -> None:
        self.held = object()


@pytest.fixture
async def server(pair: Pair) -> Pid:
    """A server on b."""

    async def start() -> Pid:
        return await Counter.start(3, name="counter")

    return await pair[1].run(start)


async def test_a_server_on_another_node_is_looked_into_held_and_stopped(
    pair: Pair, server: Pid, leftovers: Leftovers
) -> None:
    async def look() -> None:
        state: dict[str, Any] = {"value": 3, "heard": [], "waiting": []}
        assert await sys_messages.get_state(server) == state
        assert (await sys_messages.get_status(("counter", pair[1].name))).state == state
        await sys_messages.suspend(server)
        cast(server, "waits")
        assert (await sys_messages.get_status(server)).suspended
        await sys_messages.log(server, True)
        await sys_messages.resume(server)
        assert await call(server, Total()) == 3
        kinds = [each.kind for each in await sys_messages.log(server, "get")]
        assert kinds == ["in", "in", "out"]
        await sys_messages.stop(server, SHUTDOWN)
        with pytest.raises(NoProcess):
            await sys_messages.stop(server)

    await pair[0].run(look)
    assert leftovers(*pair) == []


async def test_a_function_does_not_cross(pair: Pair, server: Pid) -> None:
    async def replace() -> None:
        with pytest.raises(EncodeError, match="replace_state works within a node only"):
            await sys_messages.replace_state(server, lambda state: state)
        with pytest.raises(EncodeError, match="install works within a node only"):
            await sys_messages.install(server, lambda state, event, label: None, 1)

    await pair[0].run(replace)


async def test_a_state_that_can_not_cross_is_an_error_at_who_asks(pair: Pair) -> None:
    async def start() -> Pid:
        return await Holds.start()

    holds = await pair[1].run(start)

    async def look() -> None:
        for ask in (sys_messages.get_state, sys_messages.get_status):
            with pytest.raises(CallError) as caught:
                await ask(holds)
            tag, text = caught.value.reason
            assert (tag, "object, which can't be sent" in text) == ("unsendable", True)
        await sys_messages.stop(holds)

    await pair[0].run(look)


async def test_a_node_that_can_not_be_reached_has_nobody_to_look_into(pair: Pair) -> None:
    async def look() -> None:
        for ask in (sys_messages.get_state, sys_messages.stop):
            with pytest.raises(NodeDisconnected):
                await ask(("counter", "nowhere@127.0.0.1"))

    await pair[0].run(look)
