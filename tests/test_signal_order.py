"""The order of signals of all kinds from one process to another, against a small model of it.

A sender does things to a receiver that traps exits, and then ends. What the sender does acts in this order; what the
receiver is told to do, it does when it comes to that message. Between nodes the model holds as well if the sender waits
after each of the latter, for there the receiver may come to it sooner or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import (
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Alias,
    Down,
    Exit,
    Exited,
    Node,
    Pid,
    Ref,
    alias,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    receive,
    register,
    self_pid,
    send,
    trap_exit,
    unalias,
    unlink,
)
from tests.virtual_time import VirtualLoop

Pause = Callable[[], Awaitable[None]]

DEEDS: Final = (
    "send",
    "send to name",
    "send to alias",
    "exit",
    "exit normally",
    "link",
    "unlink",
    "monitor",
    "demonitor",
)
ORDERS: Final = ("unalias", "link back", "unlink back", "stop watching")
"""What the receiver is told to do."""
OVER: Final = (SHUTDOWN, "over")


class Receiver:
    """The process that is sent to: what it has got, in the order of receiving."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.refs: list[Ref] = []
        self.all_refs: list[Ref] = []
        self.alias: Alias | None = None

    async def run(self, sender: Pid) -> None:
        trap_exit(True)
        register("receiver", self_pid())
        self.alias = alias()
        self.all_refs = [monitor(sender) for _ in range(3)]
        self.refs = list(self.all_refs)
        send(sender, (self_pid(), self.alias))
        while True:
            message = await receive()
            if message in ORDERS:
                self.obey(message, sender)
            else:
                self.got.append(message)

    def obey(self, order: str, sender: Pid) -> None:
        assert self.alias is not None
        if order == "unalias":
            unalias(self.alias)
        elif order == "link back":
            link(sender)
        elif order == "unlink back":
            unlink(sender)
        elif self.refs:
            demonitor(self.refs.pop(), flush=True)


class Sender:
    """The process that sends."""

    def __init__(self, history: list[str], pause: Pause) -> None:
        self.history = history
        self.pause = pause
        self.monitors: list[Ref] = []

    async def run(self) -> None:
        receiver, to_alias = await receive()
        for number, deed in enumerate(self.history):
            if deed == "pause":
                await self.pause()
            else:
                self.do(deed, number, receiver, to_alias)
        raise Exit(OVER)

    def do(self, deed: str, number: int, receiver: Pid, to_alias: Alias) -> None:
        match deed:
            case "send":
                send(receiver, number)
            case "send to name":
                send(("receiver", receiver.node), number)
            case "send to alias":
                send(to_alias, number)
            case "exit":
                exit(receiver, number)
            case "exit normally":
                exit(receiver, NORMAL)
            case "link":
                link(receiver)
            case "unlink":
                unlink(receiver)
            case "monitor":
                self.monitors.append(monitor(receiver))
            case "demonitor":
                demonitor(self.monitors.pop()) if self.monitors else None
            case _:
                send(receiver, deed)


class Model:
    """What must come of it."""

    def __init__(self, sender: Pid, refs: list[Ref]) -> None:
        self.sender = sender
        self.under_way: list[Any] = []
        """Arrived, and not yet received."""
        self.got: list[Any] = []
        self.linked, self.aliased, self.over = False, True, False
        self.refs = list(refs)

    def run(self, history: list[str]) -> list[Any]:
        for number, deed in enumerate(history):
            self.do(deed, number)
        self.over = True
        self.under_way += [Exited(self.sender, OVER)] if self.linked else []
        self.under_way += [Down(ref, self.sender, OVER) for ref in self.refs]
        self.catch_up()
        return self.got

    def do(self, deed: str, number: int) -> None:
        match deed:
            case "send" | "send to name":
                self.under_way.append(number)
            case "send to alias":
                self.under_way += [number] if self.aliased else []
            case "exit":
                self.under_way.append(Exited(self.sender, number))
            case "exit normally":
                self.under_way.append(Exited(self.sender, NORMAL))
            case "link" | "unlink":
                self.linked = deed == "link"
            case "pause":
                self.catch_up()
            case "monitor" | "demonitor":
                pass  # the receiver has nothing to see of it
            case _:
                self.under_way.append(deed)

    def catch_up(self) -> None:
        while self.under_way:
            message = self.under_way.pop(0)
            if message in ORDERS:
                self.obey(message)
            else:
                self.got.append(message)

    def obey(self, order: str) -> None:
        match order:
            case "unalias":
                self.aliased = False
            case "link back" if self.over:
                self.under_way.append(Exited(self.sender, NOPROC))
            case "link back" | "unlink back":
                self.linked = order == "link back"
            case _ if self.refs:
                ref = self.refs.pop()
                self.under_way = [m for m in self.under_way if not isinstance(m, Down) or m.ref != ref]
            case _:
                pass


async def compare(here: Node, there: Node, history: list[str], pause: Pause) -> None:
    """Let it happen, from one node to another or on one, and compare."""
    receiver = Receiver()
    sender = here.spawn(Sender(history, pause).run)
    pid = there.spawn(receiver.run, sender)
    assert here._runtime is not None
    while here._runtime.process(sender) is not None:
        await pause()
    await pause()
    assert receiver.got == Model(sender, receiver.all_refs).run(history)
    assert tables(there, pid) == (0, 0, 0)


def tables(node: Node, pid: Pid) -> tuple[int, int, int]:
    """How many links, monitors and watchers a process has."""
    assert node._runtime is not None
    process = node._runtime.process(pid)
    assert process is not None
    relations = process.related()
    return len(relations.links), len(relations.monitors), len(relations.watchers)


@given(st.lists(st.sampled_from([*DEEDS, *ORDERS, "pause"]), max_size=40))
def test_signals_of_all_kinds_from_one_process_to_another_act_in_the_order_of_sending(history: list[str]) -> None:
    async def main() -> None:
        node = Node()
        await node.start()
        await compare(node, node, history, lambda: asyncio.sleep(1))
        await node.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize("seed", range(10))
async def test_signals_of_all_kinds_act_in_the_order_of_sending_on_another_node(
    pair: tuple[Node, Node], settled: Pause, seed: int
) -> None:
    random = Random(seed)  # noqa: S311  # a history that can be repeated
    history: list[str] = []
    for deed in random.choices([*DEEDS, *ORDERS, "pause"], k=150):
        history += [deed, "pause"] if deed in ORDERS else [deed]
    await compare(*pair, history, settled)
