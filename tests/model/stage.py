"""The other side of the comparison: drivers that do on a runtime of pydist what they are told, and write it down.

What is sent by a driver is sent by that process itself, and acts in the order of its actions. Nothing here knows what
ought to happen.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from pydist import (
    KILL,
    NORMAL,
    Alias,
    Crash,
    Down,
    Exit,
    Exited,
    Pid,
    Ref,
    UnknownName,
    alias,
    demonitor,
    is_alive,
    link,
    monitor,
    receive,
    register,
    self_pid,
    send,
    spawn,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from pydist import exit as send_exit
from pydist.core.relations import Relations, Target
from pydist.messaging import acting, current
from pydist.primitives import MonitorAlias
from pydist.process import Process
from tests.model.orders import MAIN, NAMES, NOBODY, Action, Batch, Entry, Key, Order, Picture, Portrait


class FaultyError(Exception):
    """What a driver raises that is told to crash."""


class ReturnedError(Exception):
    """What a driver that is told to return raises within itself."""


BOOM = "boom"
"""An exit reason as any other."""
CRASH = ("crash", FaultyError.__qualname__)
"""The exit reason of a driver that has crashed, as it is written down."""
LINGERING: Final = 3
"""For how many turns of the loop a driver cleans up."""


class Stage:
    """The drivers of one run. Made in the process that gives the orders."""

    def __init__(self) -> None:
        self.processes: dict[Key, Process] = {}
        self.keys: dict[Pid, Key] = {self_pid(): MAIN}
        self.refs: dict[int, Ref] = {}
        self.aliases: dict[int, Alias] = {}
        self.numbers: dict[int, int] = {}
        """Of pydist's references -> of the actions that made them."""
        self.journals: dict[Key, list[Entry]] = {}
        self.farewells: dict[Key, Action] = {}

    def begin(self, batch: Batch) -> None:
        """Start the new drivers, and give the orders."""
        for key in batch.newcomers:
            self._born(key, spawn(driver, self, key, ()))
        for order in batch.orders:
            process = self.processes.get(order.driver)
            if process is not None:
                send(process.pid, order)

    def _born(self, key: Key, pid: Pid) -> None:
        _, runtime = acting()
        process = runtime.process(pid)
        assert process is not None
        self.processes[key] = process
        self.keys[pid] = key
        self.journals[key] = []

    def _aliased(self, number: int, alias: Alias) -> None:
        self.aliases[number] = alias
        self.numbers[alias.ref.number] = number

    def _monitored(self, number: int, ref: Ref) -> None:
        self.refs[number] = ref
        self.numbers[ref.number] = number

    def write_down(self, me: Key, message: Any) -> None:
        """A driver has got a message."""
        journal = self.journals[me]
        match message:
            case Exited(pid, reason):
                journal.append(("exited", self.keys[pid], _plain(reason)))
                self._expect_no_name(journal, pid)
            case Down(ref, Pid() as pid, reason):
                journal.append(("down", self.numbers[ref.number], self.keys[pid], _plain(reason)))
                self._expect_no_name(journal, pid)
            case Down(ref, (name, _), reason):
                journal.append(("down", self.numbers[ref.number], name, _plain(reason)))
            case _:
                journal.append(message)

    def _expect_no_name(self, journal: list[Entry], dead: Pid) -> None:
        _, runtime = acting()
        if runtime.process(dead) is not None:  # an `Exited` that somebody alive has sent
            return
        journal.extend(("still has the name", name) for name in NAMES if whereis(name) == dead)

    # -- verbs: the same as those of `World`

    def perform(self, me: Key, action: Action) -> None:
        """Have the calling process do it."""
        if not action.possible(self.processes):
            return
        try:
            getattr(self, action.verb)(me, action)
        except (UnknownName, ValueError) as refusal:
            self.journals[me].append(("refused", type(refusal).__name__))

    def spawn(self, me: Key, action: Action) -> None:
        child, name, linked = action.number, action.name, "link" in action.flags
        if "monitor" in action.flags:
            pid, ref = spawn(driver, self, child, action.first, link=linked, monitor=True, name=name)
            self._monitored(child, ref)
        else:
            pid = spawn(driver, self, child, action.first, link=linked, name=name)
        self._born(child, pid)

    def farewell(self, me: Key, action: Action) -> None:
        self.farewells[me] = action

    def send(self, me: Key, action: Action) -> None:
        send(self.processes[action.target].pid, ("said", me, action.number))

    def send_name(self, me: Key, action: Action) -> None:
        assert action.name
        send(action.name, ("said", me, action.number))

    def link(self, me: Key, action: Action) -> None:
        link(self.processes[action.target].pid)

    def unlink(self, me: Key, action: Action) -> None:
        unlink(self.processes[action.target].pid)

    def monitor(self, me: Key, action: Action) -> None:
        target = self.processes[action.target].pid
        if not action.flags:
            self._monitored(action.number, monitor(target))
            return
        (until,) = action.flags
        ref, address = monitor(target, alias=cast("MonitorAlias", until))
        self._monitored(action.number, ref)
        self._aliased(action.number, address)

    def monitor_name(self, me: Key, action: Action) -> None:
        assert action.name
        self._monitored(action.number, monitor(action.name))

    def demonitor(self, me: Key, action: Action) -> None:
        ref = self.refs.get(action.target)
        if ref is not None:
            demonitor(ref, flush="flush" in action.flags)

    def alias(self, me: Key, action: Action) -> None:
        self._aliased(action.number, alias(reply="reply" in action.flags))

    def unalias(self, me: Key, action: Action) -> None:
        if action.target in self.aliases:
            self.journals[me].append(("unalias", action.number, unalias(self.aliases[action.target])))

    def send_alias(self, me: Key, action: Action) -> None:
        if action.target in self.aliases:
            send(self.aliases[action.target], ("said", me, action.number))

    def exit(self, me: Key, action: Action) -> None:
        send_exit(self.processes[action.target].pid, action.reason)

    def leave(self, me: Key, action: Action) -> None:
        if action.reason == CRASH:
            raise FaultyError
        if action.reason is NORMAL and "return" in action.flags:
            raise ReturnedError
        raise Exit(action.reason)

    def trap(self, me: Key, action: Action) -> None:
        trap_exit("on" in action.flags)

    def register(self, me: Key, action: Action) -> None:
        assert action.name
        register(action.name, self.processes[action.target].pid)

    def unregister(self, me: Key, action: Action) -> None:
        assert action.name
        unregister(action.name)

    def whereis(self, me: Key, action: Action) -> None:
        assert action.name
        pid = whereis(action.name)
        self.journals[me].append(("whereis", action.number, None if pid is None else self.keys[pid]))

    def is_alive(self, me: Key, action: Action) -> None:
        alive = is_alive(self.processes[action.target].pid)
        self.journals[me].append(("is_alive", action.number, alive))

    def clear(self) -> None:
        """Kill all drivers: nothing of them is left then."""
        me, runtime = acting()
        for process in self.processes.values():
            send_exit(process.pid, KILL)
        assert (list(runtime.table.values()), runtime.names.all(), me.relations) == ([me], [], None)

    # -- looking at it

    def picture(self) -> Picture:
        """What is to be seen when all is quiet."""
        _, runtime = acting()
        return Picture(
            frozenset(self.keys[process.pid] for process in runtime.table.values()) - {MAIN},
            {key: self._portrait(process) for key, process in self.processes.items()},
            {name: self.keys[pid] for name in NAMES if (pid := whereis(name)) is not None},
            {key: tuple(journal) for key, journal in self.journals.items()},
        )

    def _portrait(self, process: Process) -> Portrait:
        alive = is_alive(process.pid)
        tables = process.relations or Relations()
        return Portrait(
            alive=alive,
            reason=None if alive else _plain(process.exit_reason),
            trapping=process.trapping and alive,
            unread=len(process.mailbox) if alive else 0,
            aliases=frozenset(self.numbers[number] for number in process.aliases or ()),
            links=frozenset(self.keys[pid] for pid in tables.links),
            monitors={self.numbers[ref.number]: self._key(target) for ref, target in tables.monitors.items()},
            watchers={
                self.numbers[ref.number]: (self.keys[pid], self._address(target))
                for ref, (pid, target) in tables.watchers.items()
            },
        )

    def _key(self, target: Target) -> Key:
        return self.keys[target] if isinstance(target, Pid) else NOBODY

    def _address(self, target: Target) -> Key | str:
        return self.keys[target] if isinstance(target, Pid) else target[0]


def _plain(reason: Any) -> Any:
    return CRASH if isinstance(reason, Crash) and reason.error.endswith(FaultyError.__qualname__) else reason


# -- a driver


async def driver(stage: Stage, me: Key, first: tuple[Action, ...]) -> None:
    """Do what orders say, and write down everything else."""
    try:
        await _obey(stage, me, first)
    except ReturnedError:
        return
    except Exit:
        farewell = stage.farewells.get(me)
        if farewell is not None and current().dying:
            for _ in range(LINGERING):
                await asyncio.sleep(0)
            stage.send(me, farewell)
        raise


async def _obey(stage: Stage, me: Key, first: tuple[Action, ...]) -> None:
    for action in first:
        stage.perform(me, action)
    while True:
        message = await receive()
        if isinstance(message, Order):
            for action in message.actions:
                stage.perform(me, action)
        else:
            stage.write_down(me, message)


async def quiet() -> None:
    """Wait until nobody has anything to do: time passes in an event loop of virtual time only then."""
    await asyncio.sleep(1)
