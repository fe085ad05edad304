"""The table of exit signals, row by row, between two nodes; tests/test_process.py has it on one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Exited,
    Node,
    Pid,
    link,
    receive,
    spawn,
    trap_exit,
)
from pydist.transport.memory import MemoryNetwork
from tests.exit_signals import Signal, by_exit, by_inactive_link, by_link

Pair = tuple[Node, Node]
Settled = Callable[[], Awaitable[None]]


async def watch_victim(told: list[Any], trapping: bool) -> None:
    async def victim() -> None:
        trap_exit(trapping)
        while True:
            message = await receive()
            told.append(("gets", message.reason) if isinstance(message, Exited) else message)

    _, ref = spawn(victim, monitor=True, name="victim")
    told.append(("dies", (await receive(ref)).reason))


async def signal_to(victim: Pid, signal: Signal) -> None:
    signal(victim)


async def victim_of(pair: Pair, told: list[Any], settled: Settled, *, trapping: bool) -> Pid:
    _, b = pair
    b.spawn(watch_victim, told, trapping)
    await settled()
    assert b._runtime is not None
    victim = b._runtime.names.holder("victim")
    assert victim is not None
    return victim.pid


PLAIN, TRAPPING = False, True
DROPPED = "dropped"


@pytest.mark.parametrize(
    ("signal", "trapping", "expected"),
    [
        # by a link that is not active: dropped
        (by_inactive_link("boom"), PLAIN, DROPPED),
        (by_inactive_link("boom"), TRAPPING, DROPPED),
        (by_inactive_link(KILL), PLAIN, DROPPED),
        (by_inactive_link(NORMAL), TRAPPING, DROPPED),
        # normal, from another: dropped, but sent
        (by_link(NORMAL), PLAIN, DROPPED),
        (by_exit(NORMAL), PLAIN, DROPPED),
        (by_link(NORMAL), TRAPPING, ("gets", NORMAL)),
        (by_exit(NORMAL), TRAPPING, ("gets", NORMAL)),
        # kill by exit/2: dies, even when trapping, with another reason
        (by_exit(KILL), PLAIN, ("dies", KILLED)),
        (by_exit(KILL), TRAPPING, ("dies", KILLED)),
        # kill by a link: a reason like others
        (by_link(KILL), PLAIN, ("dies", KILL)),
        (by_link(KILL), TRAPPING, ("gets", KILL)),
        # any other
        (by_link("boom"), PLAIN, ("dies", "boom")),
        (by_link("boom"), TRAPPING, ("gets", "boom")),
        (by_link(KILLED), PLAIN, ("dies", KILLED)),
        (by_link(NOPROC), TRAPPING, ("gets", NOPROC)),
        (by_exit("boom"), PLAIN, ("dies", "boom")),
        (by_exit("boom"), TRAPPING, ("gets", "boom")),
        # a text is no atom
        (by_exit("normal"), PLAIN, ("dies", "normal")),
        (by_exit("kill"), TRAPPING, ("gets", "kill")),
    ],
)
async def test_what_an_exit_signal_of_another_node_does(
    pair: Pair, settled: Settled, signal: Signal, trapping: bool, expected: object
) -> None:
    a, b = pair
    told: list[Any] = []
    victim = await victim_of(pair, told, settled, trapping=trapping)
    a.spawn(signal_to, victim, signal)
    await settled()
    b.send(victim, "dropped")
    await settled()
    assert told[0] == expected


@pytest.mark.parametrize(
    ("trapping", "expected"), [(PLAIN, ("dies", NOCONNECTION)), (TRAPPING, ("gets", NOCONNECTION))]
)
async def test_a_lost_connection_is_an_exit_signal_like_others_and_the_other_may_live(
    pair: Pair, network: MemoryNetwork, settled: Settled, trapping: bool, expected: object
) -> None:
    a, _ = pair
    told: list[Any] = []
    victim = await victim_of(pair, told, settled, trapping=trapping)

    async def partner() -> None:
        trap_exit(True)
        link(victim)
        lost = await receive()
        told.append(("the other", lost.reason))

    a.spawn(partner)
    await settled()
    network.cut()
    await settled()
    assert sorted(told, key=repr) == sorted([expected, ("the other", NOCONNECTION)], key=repr)
