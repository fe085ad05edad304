"""Gates: where senders are held back, because a connection or a mailbox takes no more for now.

Rules (Erlang's reference manual, "Blocking Signaling Over Distribution", and further for mailboxes):

- `send` never waits. A process that has sent through a closed gate is held at it from its next await on, whatever that
  awaits: it is stepped again when no gate holds it any more.
- Large messages of others are in nobody's way, for he overtakes them: only what goes out before his own counts.
- What comes meanwhile is remembered: messages stand in its mailbox, a future that is done and a timeout that is over
  count when it goes on. So a timeout may come late, that of a call too.
- An exit signal and `kill` act at once: who is to exit is held no longer, and nowhere else.
- Who is held goes on in the order of arrival.
- Nobody is held by one who waits for him: where a circle of full mailboxes would close, the last one goes on.

A process needs to be told of its gates at its awaits only, for nobody else runs in between. It is marked as unusual for
as long as there is something to tell, so who has no gate pays nothing: see `Scheduler.yielded`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pydist.scheduler import NEXT, PARK, Scheduler
from pydist.terms import Pid


class Holdable(Protocol):
    """What a gate needs of a process."""

    scheduler: Scheduler
    pid: Pid
    mailbox: Any
    over: bool
    dying: bool
    unusual: bool


class Opens(Protocol):
    """What waits for room in a mailbox: a gate, or a node that is to be given credit."""

    def open(self) -> None:
        """There is room."""
        ...


class Gate:
    """Holds senders until it is opened. `keeper` is whose mailbox it stands before, if it stands before one."""

    __slots__ = ("held", "keeper")

    def __init__(self, keeper: Flow | None = None) -> None:
        self.held: dict[Flow, None] = {}
        """Who is held, oldest first."""
        self.keeper = keeper

    def hold(self, sender: Flow) -> bool:
        """Hold a process that has just sent something through; False if it is not held, or was already."""
        process = sender.process
        if sender in self.held or process.over or process.dying:
            return False
        if self.keeper is not None and self.keeper.waits_for(sender):
            return False
        self.held[sender] = None
        sender.gates[self] = None
        process.unusual = True
        return True

    def open(self) -> None:
        """Let go whom it holds."""
        held, self.held = self.held, {}
        for sender in held:
            sender.released(self)

    def let_go(self, may_go: Callable[[Pid], bool]) -> None:
        """Let go those whom it holds, and who may."""
        for sender in [sender for sender in self.held if may_go(sender.process.pid)]:
            del self.held[sender]
            sender.released(self)


class Flow:
    """What holds one process, and who waits for room in its mailbox. Made when the first of this comes to be."""

    __slots__ = ("async_dist", "door", "gates", "process", "stopped", "waiting")

    def __init__(self, process: Holdable) -> None:
        self.process = process
        self.gates: dict[Gate, None] = {}
        """Where it is held."""
        self.stopped = False
        """It is ready to go on behind its await, and held."""
        self.door = Gate(self)
        """That before its own mailbox, if the bound of that is to block."""
        self.waiting: dict[Opens, None] = {}
        """Who is to be told when there is room in the mailbox."""
        self.async_dist = False
        """No connection holds it: it has asked for that."""

    @property
    def attentive(self) -> bool:
        """Whether the scheduler is to ask it at its next await."""
        return bool(self.gates or self.waiting)

    def wait_for_room(self, opens: Opens) -> None:
        """Open this when there is room in the mailbox."""
        self.waiting[opens] = None
        self.process.unusual = True

    def hold_at_door(self, sender: Flow) -> None:
        """The mailbox is full, and `sender` has sent one more message."""
        if not self.process.dying and self.door.hold(sender):
            self.wait_for_room(self.door)

    def waits_for(self, other: Flow) -> bool:
        """Whether it is `other`, or held by one who is, or is held by one who is, and so on."""
        seen: set[Flow] = set()
        line = [self]
        while line:
            flow = line.pop()
            if flow is other:
                return True
            if flow not in seen:
                seen.add(flow)
                line += [gate.keeper for gate in flow.gates if gate.keeper is not None]
        return False

    def stops(self, what: Any) -> bool:
        """The process has come to an await: whether it is to wait there, ready as it is."""
        self.look_for_room()
        if not self.gates or not (what is PARK or what is NEXT or what is None):
            return False
        self.stopped = True
        return True

    def look_for_room(self) -> None:
        """Let those in who wait for room, if there is some."""
        if self.waiting and len(self.process.mailbox) < self.process.mailbox.limit:
            self.let_in()

    def let_in(self) -> None:
        """Let those in who wait for room, as if there were some."""
        waiting, self.waiting = self.waiting, {}
        for opens in waiting:
            opens.open()

    def released(self, gate: Gate) -> None:
        """A gate holds it no longer."""
        del self.gates[gate]
        if not self.gates:
            self._go_on()

    def end(self) -> None:
        """The process exits: nothing holds it, and it keeps nobody waiting."""
        gates, self.gates = self.gates, {}
        for gate in gates:
            del gate.held[self]
        self._go_on()
        self.let_in()

    def _go_on(self) -> None:
        stopped, self.stopped = self.stopped, False
        if stopped and not self.process.over:
            self.process.scheduler.enqueue(self.process)
