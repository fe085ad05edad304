"""What another node can ask of a supervisor, and children that live there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NOCONNECTION,
    ChildError,
    ChildInfo,
    EncodeError,
    GenServer,
    Node,
    Pid,
    StartError,
    Stop,
    Supervisor,
    child,
    count_children,
    delete_child,
    get_childspec,
    is_pid,
    link,
    monitor,
    receive,
    restart_child,
    self_pid,
    send,
    start_child,
    terminate_child,
    trap_exit,
    which_children,
)
from pydist.transport.memory import MemoryNetwork
from tests.supervised import reported

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


# -- children on another node


class Elsewhere:
    """Starts nothing: takes what runs on b under the name "it" for the child."""

    async def start_link(self) -> Pid:
        ref = monitor(("it", "b@127.0.0.1"))
        send(("it", "b@127.0.0.1"), self_pid())
        pid = await receive(lambda message: isinstance(message, Pid) or getattr(message, "ref", None) == ref)
        if not is_pid(pid):
            raise StartError(pid.reason)
        link(pid)
        return pid


async def _tells_who_it_is(*, survives: bool = False) -> None:
    trap_exit(survives)
    while True:
        send(await receive(Pid), self_pid())


async def test_a_child_on_another_node_is_stopped_and_missed_as_those_here(pair: Pair) -> None:
    a, b = pair

    async def first() -> Any:
        supervisor = await Supervisor.start([child(Elsewhere(), id="it")], intensity=3, name="top")
        [info] = await which_children(supervisor)
        await terminate_child(supervisor, "it")
        return info.pid, await which_children(supervisor)

    async def then() -> Any:
        pid = await restart_child("top", "it")
        watched = monitor("top")
        [info] = await which_children("top")
        assert (info.pid, (await count_children("top"))["active"]) == (pid, 1)
        return watched

    one = b.spawn(_tells_who_it_is, name="it")
    assert await a.run(first) == (one, [ChildInfo("it", None, "worker")])
    b.spawn(_tells_who_it_is, name="it")
    await a.run(then)


async def test_a_child_whose_connection_is_lost_is_started_again_and_may_be_the_same(
    pair: Pair, network: MemoryNetwork, logs: list[EventDict]
) -> None:
    a, b = pair

    async def first() -> None:
        await Supervisor.start([child(Elsewhere(), id="it")], intensity=5, name="top")

    async def again() -> Any:
        while True:
            [info] = await which_children("top")
            if info.pid is not None and reported(logs, "child_terminated"):
                return info.pid
            await asyncio.sleep(0)

    one = b.spawn(partial(_tells_who_it_is, survives=True), name="it")
    await a.run(first)
    network.cut()
    assert await asyncio.wait_for(a.run(again), 10) == one
    assert reported(logs, "child_terminated") == [("it", NOCONNECTION)]
