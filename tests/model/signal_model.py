"""Processes, links, monitors, exits and names, as the law has them: small, slow, and to be read beside it.

PROC: signals from one process to another never overtake each other; nothing is promised across pairs. So each pair has
a queue of what is `under_way`, and the only things that ever happen are three *moves*:

- `deliver`: the oldest signal of a pair is received, and acts.
- `step`: a process does the next action of its orders, or takes the next message out of its mailbox.
- `end`: a process that an exit signal has told to exit has cleaned up, and is gone.

Whatever order of moves is possible is allowed. A process that cleans up is still there: it keeps its name, and whoever
links with it or monitors it in that time learns its reason. `kill` leaves no time for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import attrs

from pydist.terms import KILL, KILLED, NOPROC, NORMAL, Reason
from tests.model.orders import MAIN, Action, Batch, Entry, Key

Signal: TypeAlias = tuple[Any, ...]
Move: TypeAlias = tuple[str, Key, Key]

ACTIVE: Final = 0
ENDS_WITH_MONITOR: Final = frozenset({"demonitor", "reply_demonitor"})
"""The aliases that are active no longer than their monitor."""
ALIVE, DYING, DEAD = "alive", "dying", "dead"


@attrs.define
class Modelled:
    """One process."""

    script: list[Action] = attrs.Factory(list[Action])
    """What it has yet to do of its orders."""
    farewell: tuple[Key, int] | None = None
    """To whom it says good-bye when it cleans up, and with which number."""
    state: str = ALIVE
    reason: Reason = None
    trapping: bool = False
    links: dict[Key, int] = attrs.Factory(dict[Key, int])
    """Partner -> ACTIVE, or the id of the UNLINK that is under way."""
    monitors: dict[int, Key] = attrs.Factory(dict[int, Key])
    watchers: dict[int, tuple[Key, Key | str]] = attrs.Factory(dict[int, "tuple[Key, Key | str]"])
    aliases: dict[int, str] = attrs.Factory(dict[int, str])
    """The active ones, and what ends each of them."""
    mailbox: list[Entry] = attrs.Factory(list[Entry])
    journal: list[Entry] = attrs.Factory(list[Entry])

    def copy(self) -> Modelled:
        """Another process in the same state."""
        changeable = {
            field: getattr(self, field).copy()
            for field in ("script", "links", "monitors", "watchers", "aliases", "mailbox", "journal")
        }
        return attrs.evolve(self, **changeable)

    def frozen(self) -> Any:
        """The same as a value that can be a key; the journal by its length."""
        return (
            *(self.state, self.reason, self.trapping, self.farewell, len(self.journal)),
            *(tuple(self.script), tuple(self.mailbox)),
            *(tuple(sorted(table.items())) for table in (self.links, self.monitors, self.aliases)),
            tuple(sorted(self.watchers)),
        )


class Signals:
    """See the head of this file."""

    def __init__(self) -> None:
        self.processes: dict[Key, Modelled] = {}
        self.names: dict[str, Key] = {}
        self.under_way: dict[tuple[Key, Key], list[Signal]] = {}
        self.busy: dict[Key, None] = {}
        """Who has something to do, or has just done it; the longest first. That they act in this order is nobody's
        right, but likely."""

    def begin(self, batch: Batch) -> None:
        """All is quiet, the new drivers are there, and the orders are under way."""
        self.busy.clear()
        for key in batch.newcomers:
            self._born(key)
        for order in batch.orders:
            self._send(MAIN, order.driver, ("message", ("order", order.actions)))

    def _born(self, key: Key, *first: Action) -> Modelled:
        self.processes[key] = process = Modelled([Action("start", key), *first])
        self.busy[key] = None
        return process

    # -- moves

    def moves(self) -> Iterator[Move]:
        """All that can happen next."""
        for source, target in self.under_way:
            yield "deliver", source, target
        waiting = [key for key in self.busy if self._has_work(key)]
        for key in sorted(waiting, key=self._lingers):
            yield "end" if self.processes[key].state == DYING else "step", key, key

    def is_quiet(self) -> bool:
        """Whether nothing is to happen any more."""
        return next(self.moves(), None) is None

    def _has_work(self, key: Key) -> bool:
        process = self.processes[key]
        return process.state == DYING or bool(process.script or process.mailbox)

    def _lingers(self, key: Key) -> bool:
        return self.processes[key].state == DYING and self.processes[key].farewell is not None

    def make(self, move: Move) -> None:
        """Let it happen."""
        kind, source, target = move
        if kind == "deliver":
            self._deliver(source, target)
        else:
            self.busy = {key: None for key in self.busy if key == target or self._has_work(key)}
            self._step(target) if kind == "step" else self._end(target)
        if self._has_work(target):
            self.busy.setdefault(target)

    def settle(self) -> None:
        """Make moves until all is quiet."""
        while move := next(self.moves(), None):
            self.make(move)

    def _step(self, me: Key) -> None:
        process = self.processes[me]
        if process.script:
            action = process.script.pop(0)
            if action.possible(self.processes):
                getattr(self, action.verb)(me, action)
            return
        entry = process.mailbox.pop(0)
        if entry[0] == "order":
            process.script = list(entry[1])
        else:
            process.journal.append(entry)

    def _end(self, me: Key) -> None:
        process = self.processes[me]
        if process.farewell is not None:
            target, number = process.farewell
            self._send(me, target, ("message", ("said", me, number)))
        self._die(me, process.reason)

    # -- signals

    def _send(self, source: Key, target: Key, signal: Signal) -> None:
        """What a process sends to itself it has received when the call returns."""
        if source == target:
            self._receive(source, target, signal)
        elif target in self.processes:
            self.under_way.setdefault((source, target), []).append(signal)

    def _deliver(self, source: Key, target: Key) -> None:
        queue = self.under_way[source, target]
        signal = queue.pop(0)
        if not queue:
            del self.under_way[source, target]
        if self.processes[target].state == DEAD:
            self._answer_for_the_dead(source, target, signal)
        else:
            self._receive(source, target, signal)

    def _answer_for_the_dead(self, source: Key, me: Key, signal: Signal) -> None:
        match signal:
            case ("link",):
                self._send(me, source, ("link_exit", NOPROC))
            case ("monitor", ref, address):
                self._send(me, source, ("down", ref, address, NOPROC))
            case ("unlink", unlink_id):
                self._send(me, source, ("unlink_ack", unlink_id))
            case _:
                pass

    def _receive(self, source: Key, me: Key, signal: Signal) -> None:
        kind, *content = signal
        getattr(self, f"_on_{kind}")(source, me, *content)

    def _on_message(self, _source: Key, me: Key, entry: Entry) -> None:
        self.processes[me].mailbox.append(entry)

    def _on_alias(self, _source: Key, me: Key, ref: int, entry: Entry) -> None:
        process = self.processes[me]
        until = process.aliases.get(ref)
        if until is None:
            return
        process.mailbox.append(entry)
        if until == "reply":
            del process.aliases[ref]
        elif until == "reply_demonitor":
            self._demonitor(me, ref)

    def _on_link(self, source: Key, me: Key) -> None:
        self.processes[me].links.setdefault(source, ACTIVE)

    def _on_unlink(self, source: Key, me: Key, unlink_id: int) -> None:
        links = self.processes[me].links
        if links.get(source) == ACTIVE:
            del links[source]
        self._send(me, source, ("unlink_ack", unlink_id))

    def _on_unlink_ack(self, source: Key, me: Key, unlink_id: int) -> None:
        links = self.processes[me].links
        if links.get(source) == unlink_id:
            del links[source]

    def _on_link_exit(self, source: Key, me: Key, reason: Reason) -> None:
        if self.processes[me].links.pop(source, None) == ACTIVE:
            self._exit_signal(source, me, reason)

    def _on_exit(self, source: Key, me: Key, reason: Reason) -> None:
        if reason is KILL:
            self._die(me, KILLED)
        else:
            self._exit_signal(source, me, reason)

    def _on_monitor(self, source: Key, me: Key, ref: int, address: Key | str) -> None:
        self.processes[me].watchers[ref] = source, address

    def _on_demonitor(self, _source: Key, me: Key, ref: int) -> None:
        self.processes[me].watchers.pop(ref, None)

    def _on_down(self, _source: Key, me: Key, ref: int, address: Key | str, reason: Reason) -> None:
        process = self.processes[me]
        if process.monitors.pop(ref, None) is not None:
            self._end_alias(me, ref)
            process.mailbox.append(("down", ref, address, reason))

    def _demonitor(self, me: Key, ref: int) -> bool:
        target = self.processes[me].monitors.pop(ref, None)
        self._end_alias(me, ref)
        if target is not None:
            self._send(me, target, ("demonitor", ref))
        return target is not None

    def _end_alias(self, me: Key, ref: int) -> None:
        if self.processes[me].aliases.get(ref) in ENDS_WITH_MONITOR:
            del self.processes[me].aliases[ref]

    def _exit_signal(self, source: Key, me: Key, reason: Reason) -> None:
        process = self.processes[me]
        if process.state == DYING:
            return
        if process.trapping:
            process.mailbox.append(("exited", source, reason))
        elif reason is not NORMAL or source == me:
            process.state, process.reason, process.script = DYING, reason, []

    def _die(self, me: Key, reason: Reason) -> None:
        was = self.processes[me]
        self.processes[me] = Modelled(state=DEAD, reason=reason, journal=was.journal)
        self.names = {name: key for name, key in self.names.items() if key != me}
        for partner, state in was.links.items():
            if state == ACTIVE:
                self._send(me, partner, ("link_exit", reason))
        for ref, (watcher, address) in was.watchers.items():
            self._send(me, watcher, ("down", ref, address, reason))
        for ref, target in was.monitors.items():
            self._send(me, target, ("demonitor", ref))
