"""One name for one process in the whole cluster: what the name server of each node decides (OTP's `global`).

1. A name belongs to the node of its process (core/name_table.py). That node alone adds it, and takes it back when the
   process ends. Every other node that is connected with it has a copy, which is right from the first `Names` on: what
   follows comes in order.
2. Names are registered in a turn: the node asks all that are connected, and itself, for it: first the least of them,
   which queues those that ask, then all others. They refuse where another has the turn; all is given back then, and
   tried again after a while. When all have granted it and none knows of the name, it is added and told, and only
   when all have answered that they know, the caller is answered. What is asked for meanwhile shares the next turn.
3. When two nodes meet that both have a name, the one with the lesser name of node settles it, in a turn: its resolver
   says who keeps the name. As all clashes of a cluster are settled in turns, those of several parts that meet at once
   are settled one by one, and one process keeps the name, if the resolvers want it.
4. A node that is lost is out of everything: its names, its turn, and what was expected of it.

OTP exchanges all names of two partitions; here each pair of nodes exchanges its own. So nodes need not be connected
all with each other: a name is known where the node of its process is connected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Any, Literal, TypeAlias

import attrs

from pydist.core.global_protocol import (
    NAMES_LIMIT,
    Ask,
    Changed,
    Granted,
    Greet,
    Names,
    Refused,
    Release,
    Released,
    is_sound,
)
from pydist.core.name_table import NameTable
from pydist.core.turns import Asker, Turns
from pydist.message import Message
from pydist.terms import Pid

# Orders: what the process of the server has to do, in this order.


@attrs.frozen
class Send:
    """To the server of another node."""

    to: Pid
    message: Message


@attrs.frozen
class SayHello:
    """Send a `Greet` to whoever is the server of this node."""

    node: str


@attrs.frozen
class Watch:
    """Tell by `down` when this process ends."""

    pid: Pid


@attrs.frozen
class Unwatch:
    """No longer."""

    pid: Pid


@attrs.frozen
class Answer:
    """To who has asked."""

    request: Any
    value: Any


@attrs.frozen
class Resolve:
    """Call the resolver, and give what it returns to `resolved`."""

    turn: int
    name: Any
    here: Pid
    there: Pid
    resolver: Any


@attrs.frozen
class Pause:
    """Call `go_on` after a while."""

    turn: int
    attempt: int


Order: TypeAlias = Send | SayHello | Watch | Unwatch | Answer | Resolve | Pause


@attrs.frozen
class Registration:
    """A process of this node is to get a name."""

    request: Any
    name: Any
    pid: Pid
    resolver: Any
    force: bool
    """Whoever has it."""


@attrs.frozen
class Removal:
    """A process of this node is to lose its name."""

    request: Any
    name: Any
    pid: Pid


Job: TypeAlias = Registration | Removal


@attrs.define
class _Turn:
    number: int
    jobs: list[Job]
    settles: list[str]
    attempt: int = 0
    phase: Literal["asking", "pausing", "resolving", "ending"] = "asking"
    asked: dict[str, None] = attrs.field(factory=dict[str, None])
    granted: dict[str, None] = attrs.field(factory=dict[str, None])
    taken: set[Any] = attrs.field(factory=set[Any])
    resolving: dict[Any, tuple[Pid, Pid]] = attrs.field(factory=dict[Any, tuple[Pid, Pid]])
    answers: list[Answer] = attrs.field(factory=list[Answer])


class GlobalNames:
    """The server of one node. Each method returns what is to be done."""

    def __init__(self, me: Pid) -> None:
        self.table = NameTable(me.node)
        self._me = me
        self._orders: list[Order] = []
        self._own: deque[Message] = deque()
        """What this node says to itself: it is a member like the others."""
        self._connected: set[str] = set()
        self._absent: set[str] = set()
        """Connected, and without a server."""
        self._peers: dict[str, Pid] = {}
        """The servers of other nodes, that tell their names or will, and are told."""
        self._informed: set[str] = set()
        """Of whose names we know."""
        self._resolvers: dict[Any, Any] = {}
        self._turns = Turns()
        self._asks: dict[Asker, Ask] = {}
        """What those ask for who have the turn here, or wait for it."""
        self._numbers = count(1)
        self._turn: _Turn | None = None
        self._jobs: list[Job] = []
        self._unsettled: dict[str, None] = {}
        self._syncing: list[Any] = []

    # -- what happens

    def node_up(self, node: str, *, greet: bool | None = None) -> list[Order]:
        """A node is connected. Of the two, the lesser begins, unless `greet` says who does."""
        self._connected.add(node)
        self._absent.discard(node)
        if self._me.node < node if greet is None else greet:
            self._orders.append(SayHello(node))
        return self._done()

    def node_down(self, node: str) -> list[Order]:
        """It is no longer."""
        self._connected.discard(node)
        self._absent.discard(node)
        return self._done()

    def absent(self, node: str) -> list[Order]:
        """There was nobody to greet."""
        if node not in self._peers:
            self._absent.add(node)
        return self._done()

    def down(self, pid: Pid) -> list[Order]:
        """A process that was watched is dead, or its node is gone."""
        if self._peers.get(pid.node) == pid:
            self._lose(pid.node)
        elif (name := self.table.name_of(pid)) is not None:
            self._drop(name, pid, watched=False)
        return self._done()

    def submit(self, job: Job) -> list[Order]:
        """Somebody wants to register or unregister a process of this node."""
        self._jobs.append(job)
        return self._done()

    def sync(self, request: Any) -> list[Order]:
        """Answer when the names of all connected nodes are known, and no clash with them is left."""
        self._syncing.append(request)
        return self._done()

    def go_on(self, turn: int) -> list[Order]:
        """The pause is over."""
        if self._turn is not None and self._turn.number == turn and self._turn.phase == "pausing":
            self._ask_first(self._turn)
        return self._done()

    def resolved(self, turn: int, name: Any, winner: Pid | None) -> list[Order]:
        """Who is to keep a name; None for neither."""
        current = self._turn
        if current is not None and current.number == turn and name in current.resolving:
            for pid in current.resolving.pop(name):
                if pid != winner:
                    self._take_away(name, pid)
            if not current.resolving:
                self._end(current)
        return self._done()

    def receive(self, message: Any, node: str) -> list[Order]:
        """What the server of another node says. Nothing is believed of whom we don't know, or who speaks for others."""
        if is_sound(message, node):
            self._take(message)
        return self._done()

    # -- meeting

    def _take(self, message: Message) -> None:
        match message:
            case Greet(sender):
                if sender.node in self._connected:
                    self._meet(sender)
                    self._tell_names(sender, asks=True)
            case Names(sender, names, asks):
                self._take_names(sender, names, asks)
            case Changed(sender, changes) if self._knows(sender):
                self._change(sender, changes)
            case Ask(sender) if self._knows(sender):
                self._asked(message)
            case Granted(sender, turn, taken) if self._knows(sender):
                self._granted(sender.node, turn, taken)
            case Refused(sender, turn) if self._knows(sender):
                self._refused(sender.node, turn)
            case Release(sender, turn, answer) if self._knows(sender):
                self._release(sender, turn, answer)
            case Released(sender, turn) if self._knows(sender):
                self._released(sender.node, turn)
            case _:
                pass

    def _knows(self, sender: Pid) -> bool:
        return sender == self._me or self._peers.get(sender.node) == sender

    def _meet(self, sender: Pid) -> bool:
        """Whether it is new."""
        known = self._peers.get(sender.node)
        if known == sender:
            return False
        if known is not None:
            self._lose(sender.node)
            self._orders.append(Unwatch(known))
        self._absent.discard(sender.node)
        self._peers[sender.node] = sender
        self._orders.append(Watch(sender))
        return True

    def _tell_names(self, peer: Pid, *, asks: bool) -> None:
        self._say(peer, Names(self._me, self.table.of(self._me.node), asks))

    def _take_names(self, sender: Pid, names: Iterable[tuple[Any, Pid]], asks: bool) -> None:
        if sender.node not in self._connected:
            return
        if self._meet(sender) or asks:
            self._tell_names(sender, asks=False)
        self._informed.add(sender.node)
        self.table.replace(sender.node, names)
        self._look_for_clashes(sender.node)

    def _lose(self, node: str) -> None:
        del self._peers[node]
        self._informed.discard(node)
        self._unsettled.pop(node, None)
        self.table.forget(node)
        self._asks = {asker: ask for asker, ask in self._asks.items() if asker[0] != node}
        self._grant(self._turns.left(node))
        turn = self._turn
        if turn is None:
            return
        turn.asked.pop(node, None)
        turn.granted.pop(node, None)
        if turn.phase == "asking":
            self._ask_others(turn) if turn.asked else self._ask_first(turn)
        elif turn.phase == "ending":
            self._finish(turn)

    # -- names

    def _change(self, sender: Pid, changes: Iterable[tuple[Any, Pid, bool]]) -> None:
        for name, pid, present in changes:
            if not present:
                self._take_away(name, pid, told=True)
            elif pid.node == sender.node != self._me.node and self.table.size_of(pid.node) < NAMES_LIMIT:
                self.table.add(name, pid)
        self._look_for_clashes(sender.node)

    def _look_for_clashes(self, node: str) -> None:
        if self._me.node < node and self.table.clashes(node):
            self._unsettled[node] = None

    def _take_away(self, name: Any, pid: Pid, *, told: bool = False) -> None:
        """A process loses its name, wherever it is."""
        if pid.node == self._me.node:
            if self.table.name_of(pid) == name:
                self._drop(name, pid)
        elif self.table.remove(name, pid) and not told:
            self._tell((name, pid, False))

    def _drop(self, name: Any, pid: Pid, *, watched: bool = True) -> None:
        self.table.remove(name, pid)
        self._resolvers.pop(name, None)
        if watched:
            self._orders.append(Unwatch(pid))
        self._tell((name, pid, False))

    def _tell(self, change: tuple[Any, Pid, bool]) -> None:
        for peer in self._peers.values():
            self._say(peer, Changed(self._me, [change]))

    def _say(self, peer: Pid, message: Message) -> None:
        if peer == self._me:
            self._own.append(message)
        else:
            self._orders.append(Send(peer, message))

    # -- the turn, as it is given here

    def _asked(self, ask: Ask) -> None:
        asker = (ask.sender.node, ask.turn)
        if any(node == ask.sender.node for node, _ in self._asks):
            return  # who asks again has given back what was asked for before
        answer = self._turns.ask(asker, waits=ask.waits)
        if answer is False:
            self._say(ask.sender, Refused(self._me, ask.turn))
            return
        self._asks[asker] = ask
        if answer:
            self._grant(asker)

    def _grant(self, asker: Asker | None) -> None:
        if asker is not None:
            ask = self._asks[asker]
            taken = [name for name in ask.names if self.table.find(name) is not None]
            self._say(ask.sender, Granted(self._me, ask.turn, taken))

    def _release(self, sender: Pid, turn: int, answer: bool) -> None:
        asker = (sender.node, turn)
        self._asks.pop(asker, None)
        self._grant(self._turns.release(asker))
        if answer:
            self._say(sender, Released(self._me, turn))

    # -- the turn, as this node wants it

    def _everyone(self) -> dict[str, Pid]:
        return {**self._peers, self._me.node: self._me}

    def _begin(self) -> None:
        if self._turn is None and (self._jobs or self._unsettled):
            self._turn = _Turn(0, self._jobs, list(self._unsettled))
            self._jobs, self._unsettled = [], {}
            self._ask_first(self._turn)

    def _ask_first(self, turn: _Turn) -> None:
        turn.phase = "asking"
        turn.number = next(self._numbers)
        turn.taken = set()
        self._ask(turn, [min(self._everyone())], waits=True)

    def _ask_others(self, turn: _Turn) -> None:
        """All whom we know by now; when they have granted it, it is our turn."""
        if turn.asked != turn.granted:
            return
        others = [node for node in self._everyone() if node not in turn.asked]
        if others:
            self._ask(turn, others, waits=False)
        else:
            self._perform(turn)

    def _ask(self, turn: _Turn, nodes: list[str], *, waits: bool) -> None:
        names = [job.name for job in turn.jobs if isinstance(job, Registration)]
        everyone = self._everyone()
        for node in nodes:
            turn.asked[node] = None
            self._say(everyone[node], Ask(self._me, turn.number, names, waits))

    def _granted(self, node: str, number: int, taken: Iterable[Any]) -> None:
        turn = self._turn
        if (
            turn is not None
            and turn.number == number
            and turn.phase == "asking"
            and node in turn.asked.keys() - turn.granted
        ):
            turn.granted[node] = None
            turn.taken.update(taken)
            self._ask_others(turn)

    def _refused(self, node: str, number: int) -> None:
        turn = self._turn
        if turn is None or turn.number != number or turn.phase != "asking":
            return
        turn.asked.pop(node, None)
        everyone = self._everyone()
        for each in turn.asked:
            self._say(everyone[each], Release(self._me, number, answer=False))
        turn.asked, turn.granted = {}, {}
        turn.phase = "pausing"
        turn.attempt += 1
        self._orders.append(Pause(number, turn.attempt))

    def _perform(self, turn: _Turn) -> None:
        turn.phase = "resolving"
        for job in turn.jobs:
            turn.answers.append(Answer(job.request, self._do(job, turn.taken)))
        for node in turn.settles:
            for name, here, there in self.table.clashes(node):
                if name not in turn.resolving:
                    turn.resolving[name] = here, there
                    self._orders.append(Resolve(turn.number, name, here, there, self._resolvers.get(name)))
                else:
                    self._unsettled[node] = None
        if not turn.resolving:
            self._end(turn)

    def _do(self, job: Job, taken: set[Any]) -> bool:
        if isinstance(job, Removal):
            self._take_away(job.name, job.pid)
            return True
        if job.force:
            return self._force(job)
        if job.name in taken or self.table.find(job.name) is not None or self.table.name_of(job.pid) is not None:
            return False
        self._add(job)
        return True

    def _force(self, job: Registration) -> bool:
        if self.table.name_of(job.pid) not in (None, job.name):
            return False
        for pid in self.table.holders(job.name):
            self._take_away(job.name, pid)
        self._add(job)
        return True

    def _add(self, job: Registration) -> None:
        self.table.add(job.name, job.pid)
        self._resolvers[job.name] = job.resolver
        self._orders.append(Watch(job.pid))
        self._tell((job.name, job.pid, True))

    def _end(self, turn: _Turn) -> None:
        turn.phase = "ending"
        everyone = self._everyone()
        for node in turn.granted:
            self._say(everyone[node], Release(self._me, turn.number, answer=True))

    def _released(self, node: str, number: int) -> None:
        turn = self._turn
        if turn is not None and turn.number == number and turn.phase == "ending":
            turn.granted.pop(node, None)
            self._finish(turn)

    def _finish(self, turn: _Turn) -> None:
        if not turn.granted:
            self._orders += turn.answers
            self._turn = None

    # -- the end of each method

    def _done(self) -> list[Order]:
        self._begin()
        while self._own:
            self._take(self._own.popleft())
            self._begin()
        if self._syncing and all(map(self._is_settled, self._connected)):
            self._orders += [Answer(request, None) for request in self._syncing]
            self._syncing = []
        orders, self._orders = self._orders, []
        return orders

    def _is_settled(self, node: str) -> bool:
        return node in self._absent or (node in self._informed and not self.table.clashes(node))
