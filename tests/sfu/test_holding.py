from __future__ import annotations

import asyncio

import pytest

from examples.sfu.holding import hold
from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    Exit,
    Node,
    exit,  # noqa: A004  # OTP's name
    receive,
    self_pid,
)


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, KILL, "a crash"])
async def test_what_is_held_is_closed_however_its_owner_ends(reason: object) -> None:
    node = Node()
    await node.start()
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def own() -> None:
        hold(lambda: closed.set_result(None))
        if reason is KILL:
            exit(self_pid(), KILL)
        raise Exit(reason)

    node.spawn(own)
    await asyncio.wait_for(closed, 2)
    await node.stop()


async def test_what_is_held_is_closed_when_the_node_stops() -> None:
    node = Node()
    await node.start()
    closed: list[str] = []
    holding: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def own() -> None:
        hold(lambda: closed.append("closed"))
        holding.set_result(None)
        await receive(Exit)

    node.spawn(own)
    await holding
    await node.stop()
    assert closed == ["closed"]
