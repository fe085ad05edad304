"""The fields of a process that stepping, sending and receiving touch, in one record, so that a C twin can hold them.

The methods that give them a meaning are those of `SteppedTask` (asyncio's side) and `Process` (OTP's side).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pydist.core.relations import Relations, Target
from pydist.errors import Exit
from pydist.mailbox import Mailbox
from pydist.speedups import native
from pydist.terms import NORMAL, AliasEnd, Down, Pid, Reason, Ref

REDUCTIONS: Final = 1000
"""How many messages a process may take before others get their turn."""
PATIENCE: Final = 3
"""How often a dying process may go on as if nothing had happened before it is closed."""
_WITH_MONITOR: Final = frozenset({"demonitor", "reply_demonitor"})
"""The aliases that end with their monitor."""


class TaskState:
    """See the head of this file."""

    __slots__ = (
        "_callbacks",
        "_cancel_message",
        "_cancel_requests",
        "_exception",
        "_fut_waiter",
        "_must_cancel",
        "_patience",
        "_result",
        "aliases",
        "bound",
        "context",
        "coroutine",
        "deadline",
        "dying",
        "exit_reason",
        "flow",
        "holding",
        "home",
        "label",
        "mailbox",
        "over",
        "parent",
        "parked",
        "pid",
        "reductions",
        "relations",
        "scheduler",
        "spent",
        "thrown",
        "timed_out",
        "timer",
        "trapping",
        "unusual",
        "urgent",
    )

    def __init__(
        self, pid: Pid, coroutine: Coroutine[Any, Any, Any], home: Any, context: Context, parent: Pid | None
    ) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self.scheduler = home.scheduler
        """Whose run queue it stands in."""
        self.context = context
        self.parked = True
        """Waits until somebody wakens it; otherwise it stands in the run queue, runs, or awaits a future."""
        self.over = False
        """Has ended."""
        self.unusual = False
        """The next step is no plain one: something is to be thrown, or the task has ended."""
        self.thrown: BaseException | None = None
        """What the next step throws into the coroutine."""
        self._fut_waiter: asyncio.Future[Any] | None = None
        self._must_cancel = False
        self._cancel_requests: int = 0
        self._cancel_message: Any = None
        self._callbacks: list[tuple[Callable[[Any], object], Context]] | None = None
        self._result: Any = None
        self._exception: BaseException | None = None

        self.pid = pid
        self.home = home
        self.parent = parent
        """Who has spawned it; None for one that was started from outside."""
        self.label: str = getattr(coroutine, "__qualname__", repr(coroutine))
        """The function it runs, for people."""
        self.mailbox = Mailbox()
        self.relations: Relations | None = None
        """Its links and monitors; None while it has none."""
        self.aliases: dict[int, AliasEnd] | None = None
        """Numbers of the references at which it can be reached by an `Alias`, and what ends each of these."""
        self.trapping = self.timed_out = False
        self.dying = False
        """It has been told to exit, and cleans up."""
        self.exit_reason: Reason = NORMAL
        self.reductions: int = REDUCTIONS
        """How many more messages it may take before others get their turn."""
        self.spent: int = 0
        """Its work so far, in steps and messages, but for what is missing from `reductions`."""
        self.deadline = inf
        """When a receive that waits is to be woken, in the loop's time."""
        self.timer: Any = None
        self.urgent: set[Ref | Pid] | None = None
        """By which monitors, aliases and links messages may come before all ordinary ones."""
        self.bound: Any = None
        """What becomes of messages for which there is no room, a `Bound`; None while there is always room."""
        self.flow: Any = None
        """What holds it back when it sends, and whom it keeps waiting, a `Flow`; None while there is neither."""
        self.holding = False
        """It has a name, a flow, something published, or timers end with it: its end must free more than its place."""
        self._patience = PATIENCE

    def waken(self) -> None:
        """Step the coroutine soon, if it is parked."""
        if self.parked:
            self.parked = False
            self.scheduler.enqueue(self)

    def admit(self, message: Any) -> None:
        """A message that the mailbox takes however full it is: one that the process has asked for."""
        self.mailbox.append(message)
        self.waken()

    def admit_by(self, key: Ref | Pid, message: Any) -> None:
        """A message that came by the monitor, the alias or the link that is `key`: urgent if that was asked for."""
        if self.urgent is None or key not in self.urgent:
            self.admit(message)
        else:
            self.mailbox.append_urgent(message)
            self.waken()

    def deliver(self, message: Any) -> None:
        """A message that anybody may send."""
        if len(self.mailbox) >= self.mailbox.limit:
            self.overflow(message)
        else:
            self.admit(message)

    def deliver_alias(self, ref: Ref, message: Any, urgent: bool = False) -> None:
        """A message to an alias; dropped if it is no longer active. `urgent`: the sender asks for priority."""
        aliases = self.aliases
        until = None if aliases is None else aliases.get(ref.number)
        if aliases is None or until is None:
            self.late(ref, message)
            return
        if urgent:
            self.admit_by(ref, message)
        else:
            self.admit(message)
        if until == "reply":
            del aliases[ref.number]
            self.calm(ref)
        elif until == "reply_demonitor":
            self.remove_monitor(ref)

    def overflow(self, message: Any) -> None:
        """A message for which the mailbox has no room."""
        raise NotImplementedError

    def late(self, ref: Ref, message: Any) -> None:
        """A message to an alias that is no longer active."""
        raise NotImplementedError

    def calm(self, key: Ref | Pid) -> None:
        """Forget that what comes by `key` was to be urgent, unless more may come by it."""
        raise NotImplementedError

    # -- monitors

    def related(self) -> Relations:
        """The tables of links and monitors, made on first use."""
        if self.relations is None:
            if self.over:
                raise_exit(self.exit_reason)  # it was killed, and its code has not come to its next await
            self.relations = Relations()
        return self.relations

    def ask(self, target: Target) -> Ref | None:
        """Monitor a process of this node by a fresh reference that lets one reply in; None if `target` is no pid of a
        living one."""
        asked = self.home.process(target) if isinstance(target, Pid) else None
        if asked is None:
            return None
        ref: Ref = self.home.new_ref()
        self.mailbox.mark(ref)
        if self.aliases is None:
            self.aliases = {}
        self.aliases[ref.number] = "reply_demonitor"
        self.watch(asked, target, ref)
        return ref

    def watch(self, watched: TaskState, address: Target, ref: Ref) -> None:
        """Monitor a process of the same node; `address` is what its `Down` is to name it by."""
        self.related().monitors[ref] = watched.pid
        watched.related().watchers[ref] = (self.pid, address)

    def remove_monitor(self, ref: Ref) -> bool:
        """Let no `Down` in by this monitor any more; False if there is none: its `Down` may be here already."""
        target = self.relations.monitors.pop(ref, None) if self.relations is not None else None
        self._monitor_gone(ref)
        if target is None:
            return False
        self.home.send_demonitor(self.pid, target, ref)
        self.calm(ref)
        return True

    def receive_down(self, ref: Ref, target: Target, reason: Reason) -> None:
        """A monitored process is gone; dropped if the monitor was removed meanwhile."""
        if self.relations is None or self.relations.monitors.pop(ref, None) is None:
            return
        self._monitor_gone(ref)
        self.admit_by(ref, Down(ref, target, reason))
        self.calm(ref)

    def _monitor_gone(self, ref: Ref) -> None:
        """Close the alias that was to last as long as the monitor."""
        if self.aliases is not None and self.aliases.get(ref.number) in _WITH_MONITOR:
            del self.aliases[ref.number]


def raise_exit(reason: Reason) -> NoReturn:
    """End the code of a process that is dead already."""
    raise Exit(reason)


if not TYPE_CHECKING and native is not None:
    TaskState = native.TaskState
    native.connect(relations_class=Relations, down_class=Down, raise_exit=raise_exit)
