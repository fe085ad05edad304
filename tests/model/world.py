"""What a process can do, in the words of `Action`: the verbs of the model. What comes of it: signal_model.py."""

from __future__ import annotations

from typing import Any

from pydist.terms import NOPROC
from tests.model.orders import NOBODY, Action, Key, Picture, Portrait
from tests.model.signal_model import ACTIVE, ALIVE, Modelled, Signals


class World(Signals):
    """A whole model."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[int, Key] = {}
        """Whose alias it is or was."""

    # -- verbs: what a process does, in the words of `Action`

    def start(self, me: Key, action: Action) -> None:
        """The first step: before it an exit signal finds nothing to clean up."""

    def spawn(self, me: Key, action: Action) -> None:
        process, child = self.processes[me], action.number
        if action.name in self.names:
            process.journal.append(("refused", "NameTaken"))
            return
        born = self._born(child, *action.first)
        if action.name is not None:
            self.names[action.name] = child
        if "link" in action.flags:
            process.links[child] = born.links[me] = ACTIVE
        if "monitor" in action.flags:
            process.monitors[child] = child
            born.watchers[child] = me, child

    def farewell(self, me: Key, action: Action) -> None:
        self.processes[me].farewell = action.target, action.number

    def send(self, me: Key, action: Action) -> None:
        self._send(me, action.target, ("message", ("said", me, action.number)))

    def send_name(self, me: Key, action: Action) -> None:
        holder = self.names.get(action.name or "")
        if holder is None:
            self.processes[me].journal.append(("refused", "UnknownName"))
        else:
            self._send(me, holder, ("message", ("said", me, action.number)))

    def link(self, me: Key, action: Action) -> None:
        links, partner = self.processes[me].links, action.target
        if partner != me and links.get(partner) != ACTIVE:
            links[partner] = ACTIVE
            self._send(me, partner, ("link",))

    def unlink(self, me: Key, action: Action) -> None:
        links, partner = self.processes[me].links, action.target
        if links.get(partner) == ACTIVE:
            links[partner] = action.number
            self._send(me, partner, ("unlink", action.number))

    def monitor(self, me: Key, action: Action) -> None:
        self.processes[me].monitors[action.number] = action.target
        for until in action.flags:
            self._open_alias(me, action.number, until)
        self._send(me, action.target, ("monitor", action.number, action.target))

    def monitor_name(self, me: Key, action: Action) -> None:
        holder = self.names.get(action.name or "")
        if holder is None:
            self.processes[me].monitors[action.number] = NOBODY
            self._send(NOBODY, me, ("down", action.number, action.name, NOPROC))
        else:
            self.processes[me].monitors[action.number] = holder
            self._send(me, holder, ("monitor", action.number, action.name))

    def demonitor(self, me: Key, action: Action) -> None:
        process, ref = self.processes[me], action.target
        if not self._demonitor(me, ref) and "flush" in action.flags:
            process.mailbox = [entry for entry in process.mailbox if entry[:2] != ("down", ref)]

    def alias(self, me: Key, action: Action) -> None:
        self._open_alias(me, action.number, "reply" if "reply" in action.flags else "explicit_unalias")

    def _open_alias(self, me: Key, ref: int, until: str) -> None:
        self.processes[me].aliases[ref] = until
        self.owners[ref] = me

    def unalias(self, me: Key, action: Action) -> None:
        if action.target in self.owners:
            was = self.processes[me].aliases.pop(action.target, None)
            self.processes[me].journal.append(("unalias", action.number, was is not None))

    def send_alias(self, me: Key, action: Action) -> None:
        if action.target in self.owners:
            said = ("said", me, action.number)
            self._send(me, self.owners[action.target], ("alias", action.target, said))

    def exit(self, me: Key, action: Action) -> None:
        self._send(me, action.target, ("exit", action.reason))

    def leave(self, me: Key, action: Action) -> None:
        self._die(me, action.reason)

    def trap(self, me: Key, action: Action) -> None:
        self.processes[me].trapping = "on" in action.flags

    def register(self, me: Key, action: Action) -> None:
        name, target = action.name or "", action.target
        if self.processes[target].state != ALIVE:
            self.processes[me].journal.append(("refused", "ValueError"))
        elif name in self.names or target in self.names.values():
            self.processes[me].journal.append(("refused", "NameTaken"))
        else:
            self.names[name] = target

    def unregister(self, me: Key, action: Action) -> None:
        if self.names.pop(action.name or "", None) is None:
            self.processes[me].journal.append(("refused", "UnknownName"))

    def whereis(self, me: Key, action: Action) -> None:
        self.processes[me].journal.append(("whereis", action.number, self.names.get(action.name or "")))

    def is_alive(self, me: Key, action: Action) -> None:
        """All that the caller has sent before is received first."""
        while (me, action.target) in self.under_way:
            self._deliver(me, action.target)
        if self._has_work(action.target):
            self.busy.setdefault(action.target)
        alive = self.processes[action.target].state == ALIVE
        self.processes[me].journal.append(("is_alive", action.number, alive))

    def copy(self) -> World:
        """Another world in the same state."""
        other = World()
        other.processes = {key: process.copy() for key, process in self.processes.items()}
        other.names = dict(self.names)
        other.owners = dict(self.owners)
        other.busy = dict(self.busy)
        other.under_way = {pair: list(queue) for pair, queue in self.under_way.items()}
        return other

    # -- looking at it

    def state(self) -> Any:
        """All that matters for what can happen next, as a value that can be a key."""
        return (
            tuple((key, process.frozen()) for key, process in sorted(self.processes.items())),
            tuple(sorted(self.names.items())),
            tuple(sorted((pair, tuple(queue)) for pair, queue in self.under_way.items())),
        )

    def picture(self) -> Picture:
        """What is to be seen when all is quiet."""
        return Picture(
            frozenset(key for key, process in self.processes.items() if process.state == ALIVE),
            {key: _portrait(process) for key, process in self.processes.items()},
            dict(self.names),
            {key: tuple(process.journal) for key, process in self.processes.items()},
        )


def _portrait(process: Modelled) -> Portrait:
    return Portrait(
        alive=process.state == ALIVE,
        reason=process.reason,
        trapping=process.trapping,
        unread=len(process.mailbox),
        aliases=frozenset(process.aliases),
        links=frozenset(process.links),
        monitors=process.monitors,
        watchers=process.watchers,
    )
