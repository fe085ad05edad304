"""What another node can ask of a supervisor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    ChildError,
    ChildInfo,
    EncodeError,
    GenServer,
    Node,
    StartError,
    Stop,
    Supervisor,
    child,
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)

Pair = tuple[Node, Node]
TOP = ("top", "b@127.0.0.1")


class Worker(GenServer):
    """Fails to start when it has started before, with a reason that can't cross."""

    starts = 0

    async def init(self) -> None:
        type(self).starts += 1
        if self.starts > 1:
            raise Stop(object())


async def _on_b(pair: Pair, ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a process of a gets to hear from a supervisor of b with the worker "it"."""
    a, b = pair

    async def starts() -> None:
        await Supervisor.start([child(type("Fresh", (Worker,), {}), id="it")], name="top")

    async def asks() -> Any:
        return await ask()

    await b.run(starts)
    return await a.run(asks)


async def test_children_are_listed_counted_stopped_and_deleted_from_another_node(pair: Pair) -> None:
    async def ask() -> Any:
        [before] = await which_children(TOP)
        assert before.pid is not None
        await terminate_child(TOP, "it")
        [after] = await which_children(TOP)
        await delete_child(TOP, "it")
        return before.pid.node, after, await count_children(TOP)

    counts = {"specs": 0, "active": 0, "supervisors": 0, "workers": 0}
    assert await _on_b(pair, ask) == ("b@127.0.0.1", ChildInfo("it", None, "worker"), counts)


async def test_a_child_can_not_be_added_from_another_node_for_a_start_is_a_function(pair: Pair) -> None:
    async def ask() -> Any:
        with pytest.raises(EncodeError, match="ChildSpec"):
            await start_child(TOP, child(Worker))
        return await which_children(TOP)

    assert len(await _on_b(pair, ask)) == 1


async def test_a_description_can_not_be_had_from_another_node_and_to_ask_harms_nobody(pair: Pair) -> None:
    async def ask() -> Any:
        with pytest.raises(ChildError, match="child 'it': not_here") as caught:
            await get_childspec(TOP, "it")
        return caught.value.reason, len(await which_children(TOP))

    assert await _on_b(pair, ask) == ("not_here", 1)


async def test_a_reason_that_can_not_cross_comes_in_words_and_harms_nobody(pair: Pair) -> None:
    async def ask() -> Any:
        await terminate_child(TOP, "it")
        with pytest.raises(StartError) as caught:
            await restart_child(TOP, "it")
        return caught.value.reason[:16], await which_children(TOP)

    assert await _on_b(pair, ask) == ("<object object a", [ChildInfo("it", None, "worker")])
