"""One process: what signals do to it, and what its end does to others.

Rules (Erlang's reference manual, "Processes"):

- A signal acts when it is received, not when the receiver next looks into its mailbox. An exit signal that ends it
  throws `Exit` at its await; clean-up may await, but a receive only raises again.
- `kill` settles names, links and monitors at once, with the reason `killed`; the coroutine is closed at its next step.
- What a dying process holds is free before anybody hears of its death: its name and its aliases, then the signals.
- The first exit signal decides the reason, whatever the clean-up raises.

Known limit: a coroutine that never awaits can't be stopped, and children in a `TaskGroup` of a killed process go on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from traceback import StackSummary, format_exception
from types import TracebackType
from typing import Any, Final, Protocol, cast

from pydist import reports
from pydist.bounds import may_be_dropped
from pydist.core.relations import Relations, Target
from pydist.dead_letters import DeadReason
from pydist.errors import Exit, PydistError
from pydist.gates import Flow
from pydist.mailbox import MISSING
from pydist.message import Message
from pydist.reminder import Reminder
from pydist.scheduler import RunnableTask, Scheduler
from pydist.task_state import REDUCTIONS
from pydist.terms import (
    KILL,
    KILLED,
    MAILBOX_FULL,
    NORMAL,
    Alias,
    AliasEnd,
    Crash,
    Destination,
    Down,
    Exited,
    Pid,
    Reason,
    Ref,
    is_silent,
)
from pydist.timers import Entry, Timers

_FRAMES: Final = 10
"""How many frames are shown of one that exits and does not end."""


class Home(Protocol):
    """What a process needs of its node."""

    scheduler: Scheduler
    timers: Timers

    def process(self, pid: Pid, /) -> Process | None:
        """The living process of this node that `pid` names, or None."""
        ...

    def send(self, target: Destination, message: Any, /) -> None:
        """Send a message."""
        ...

    def dead_letter(self, target: object, message: Any, reason: DeadReason, /) -> None:
        """Nobody gets `message`."""
        ...

    def name_of(self, process: Process, /) -> str | None:
        """The name that `process` is registered by."""
        ...

    def forget(self, process: Process, /) -> None:
        """`process` is dead: free its place and its name."""
        ...

    def send_urgently(self, target: Alias, message: Any, /) -> None:
        """Send a message that asks for priority."""
        ...

    def send_exit(self, source: Pid, partner: Pid, reason: Reason, /) -> None:
        """The link from `source` to `partner` breaks."""
        ...

    def send_down(self, source: Target, watcher: Pid, ref: Ref, reason: Reason, /) -> None:
        """The monitor `ref` of `watcher` fires."""
        ...

    def send_demonitor(self, source: Pid, target: Target, ref: Ref, /) -> None:
        """The monitor `ref` of `source` is no longer wanted."""
        ...


class Process(RunnableTask):
    """A process of a node. Users see its `Pid`; this object is the runtime's, and asyncio's current task."""

    __slots__ = ("_reminder", "last_message")

    flow: Flow | None
    home: Home
    relations: Relations | None
    timer: Entry | None
    last_message: Any
    """Set by a behaviour that fails in a handler, for the crash report: the message it was at."""
    _reminder: Reminder
    """Set when it awaits something although it is to exit: it cleans up, or takes its exit for something else."""

    def __repr__(self) -> str:
        return f"<Process {self.label} {self.pid}>"

    def get_name(self) -> str:
        """The name of the function it runs."""
        return self.label

    def registered_name(self) -> str | None:
        """Its name on this node, if it has one."""
        return self.home.name_of(self)

    def find(self, pid: Pid) -> Process | None:
        """The living process of its node that `pid` names, or None."""
        return self.home.process(pid)

    def waits(self) -> bool:
        """Whether it waits, for a message or for a future; otherwise it runs, or is to run soon."""
        return self.parked or self._fut_waiter is not None or (self.flow is not None and self.flow.stopped)

    def work(self) -> int:
        """How much it has done so far: each step is one, and each message that it has taken."""
        return self.spent + (0 if self.dying else REDUCTIONS - self.reductions)

    def flows(self) -> Flow:
        """What holds it back when it sends, made on first use."""
        if self.flow is None:
            self.flow = Flow(self)
            self.holding = True
        return self.flow

    def blocks(self) -> bool:
        """Whether who sends to it now is held at its next await."""
        full = len(self.mailbox) >= self.mailbox.limit
        return full and self.bound.when_full == "block" and not self.dying

    def open_alias(self, ref: Ref, until: AliasEnd) -> None:
        """Let messages to the alias with this reference in, until what `until` says."""
        if self.aliases is None:
            self.aliases = {}
        self.aliases[ref.number] = until

    def hurry(self, key: Ref | Pid) -> None:
        """From now on, what comes by the monitor, the alias or the link that is `key` goes before ordinary messages."""
        if self.urgent is None:
            self.urgent = set()
        self.urgent.add(key)

    def calm(self, key: Ref | Pid) -> None:
        """Forget that what comes by `key` was to be urgent, unless more may come by it."""
        if self.urgent is None or (self.aliases is not None and key.number in self.aliases and type(key) is Ref):
            return
        self.urgent.discard(key)

    def close_alias(self, ref: Ref) -> bool:
        """Let no more messages to the alias in; False if it was not active."""
        closed = self.aliases is not None and self.aliases.pop(ref.number, None) is not None
        if self.relations is None or ref not in self.relations.monitors:
            self.calm(ref)
        return closed

    # -- signals that arrive

    def deliver_all(self, messages: list[Any]) -> None:
        """Messages in order."""
        mailbox = self.mailbox
        if len(mailbox) + len(messages) <= mailbox.limit:
            mailbox.extend(messages)
            self.waken()
        else:
            for message in messages:
                self.deliver(message)

    def late(self, ref: Ref, message: Any) -> None:
        """A message to an alias that is no longer active."""
        self.home.dead_letter(Alias(self.pid, ref), message, "inactive_alias")

    def receive_unlink(self, partner: Pid) -> None:
        """An UNLINK from `partner`; the caller acknowledges it."""
        self.related().unlink_received(partner)
        self.calm(partner)

    def receive_exit(self, source: Pid, reason: Reason) -> None:
        """An exit signal by a link; dropped if the link is not active."""
        if self.relations is not None and self.relations.link_broken(source):
            self._exit_signal(source, reason)
            self.calm(source)

    def receive_exit_to(self, source: Pid, reason: Reason) -> None:
        """An exit signal sent by `exit(pid, reason)`; `KILL` can't be trapped."""
        if reason is KILL:
            self.kill()
        else:
            self._exit_signal(source, reason)

    def overflow(self, message: Any) -> None:
        """A message for which the bounded mailbox has no room."""
        if self.bound.when_full == "block":
            self._keep_waiting(message)
            return
        dropped = message
        if self.bound.when_full == "drop_oldest":
            oldest = self.mailbox.flush(may_be_dropped)
            if oldest is not MISSING:
                self.admit(message)
                dropped = oldest
        elif self.bound.when_full == "exit":
            self.die(MAILBOX_FULL)
        self._drop(dropped)

    def inform(self, message: Any) -> None:
        """A message of the node itself: it holds nobody, whoever has brought it about."""
        if self.blocks():
            self.admit(message)
        else:
            self.deliver(message)

    def _drop(self, message: Any) -> None:
        """There is no room for a message: who waits for an answer to it hears so at once."""
        self.home.dead_letter(self.pid, message, "mailbox_full")
        asker: Alias | None = message.__asker__() if isinstance(message, Message) else None
        if asker is not None:
            with suppress(PydistError):  # of the way to the asker: the sender of this has nothing to do with it
                self.home.send(asker, Down(asker.ref, self.pid, MAILBOX_FULL))

    def _keep_waiting(self, message: Any) -> None:
        """Take the message, and have its sender wait at its next await until there is room."""
        self.admit(message)
        sender: Process | None = self.scheduler.current
        if sender is not None:
            self.flows().hold_at_door(sender.flows())

    def expire(self) -> None:
        """The timeout of a receive has passed."""
        self.deadline = inf
        self.timed_out = True
        self.waken()

    def _exit_signal(self, source: Pid, reason: Reason) -> None:
        if self.trapping and not self.dying:
            self.admit_by(source, Exited(source, reason))
        elif reason is not NORMAL or source == self.pid:
            self.die(reason)

    # -- the end

    def die(self, reason: Reason) -> None:
        """Begin to exit with `reason`: the coroutine gets an `Exit` at its await. The first reason stays."""
        if self.dying or self.over:
            return
        self.dying = True
        self.spent += REDUCTIONS - self.reductions
        self.reductions = 0  # so that the next receive looks up
        self.exit_reason = reason
        if self.flow is not None:
            self.flow.end()
        self._cancel_requests += 1  # never taken back, so that no timeout takes the signal for its own cancellation
        self.throw_soon(Exit(reason))

    def uncancel(self) -> int:
        """Take one cancellation back; how many are left, an exit signal among them."""
        left = super().uncancel()
        if self.dying and left == 1:
            self._must_cancel = False
        return left

    def kill(self) -> None:
        """End now, whatever the coroutine does."""
        if self.over:
            return
        suspended = self.waits()
        self.parked = False
        waited_for, self._fut_waiter = self._fut_waiter, None
        self._settle(KILLED, None, Exit(KILLED))
        if waited_for is not None:
            waited_for.cancel()
        if suspended:
            self.scheduler.enqueue(self)  # which closes it; where it stands in the queue or runs, that happens anyway

    def take_thrown(self) -> BaseException | None:
        """What the step that begins now must throw. A dying process stays unusual: see `park`; and so does one
        that is to be asked at its next await: see `gates.py`."""
        thrown = super().take_thrown()
        self.unusual = self.dying or (self.flow is not None and self.flow.attentive)
        return thrown

    def park(self) -> None:
        """The coroutine waits for a message although it is to be interrupted; a dying one is told again, and at last
        closed."""
        if not (self.dying or self._must_cancel or self.thrown):
            self.parked = True  # it is unusual in another way
            return
        if self.dying and self.thrown is None:
            self.thrown = Exit(self.exit_reason)
            self._patience -= 1
            if self._patience == 0:
                reports.resists_exit(self, self.exit_reason)
                self._settle(self.exit_reason, None, self.thrown)
        self.scheduler.enqueue(self)

    def await_future(self, future: asyncio.Future[Any]) -> None:
        """Wait for `future`. The log says who is told to exit and does so for long."""
        super().await_future(future)
        if self.dying and not hasattr(self, "_reminder"):
            self._reminder = Reminder(self.scheduler.loop, self._still_exits)

    def _still_exits(self, seconds: float) -> None:
        frames = [(frame, frame.f_lineno) for frame in self.get_stack(limit=_FRAMES)]
        reports.still_exits(self, self.exit_reason, seconds, "".join(StackSummary.extract(frames).format()))

    def ended(self, result: Any, exception: BaseException | None) -> None:
        """The coroutine has come to its end."""
        self.coroutine = None
        if self.over:
            return
        if exception is None:
            self._settle(self.exit_reason, result, None)
            return
        reason, reported = self._outcome(exception)
        report = reports.describe_crash(self, reason, _traceback_of(exception, reason)) if reported else None
        self._settle(reason, result, exception)
        if report is not None:  # last: nobody waits for the log to hear of the end
            reports.crash_report(report)

    def _outcome(self, exception: BaseException) -> tuple[Reason, bool]:
        """The exit reason, and whether a report is made of it: of an error that nobody has caught, or an exit."""
        if self.dying:
            return self.exit_reason, False
        left = _exit_in(exception)
        if left is None:
            return crash_of(exception), True
        return left.reason, not (left.silent or is_silent(left.reason))

    def _settle(self, reason: Reason, result: Any, exception: BaseException | None) -> None:
        if self.dying and hasattr(self, "_reminder"):
            self._reminder.cancel()
        self.exit_reason = reason
        self.finish(result, exception)
        self.aliases = None
        if self.flow is not None:
            self.flow.end()
        if self.timer is not None:
            self.home.timers.forget(self)
        self.home.forget(self)
        if self.relations is not None:
            relations, self.relations = self.relations, None
            self._tell(relations, reason)

    def _tell(self, relations: Relations, reason: Reason) -> None:
        home, pid = self.home, self.pid
        for partner in relations.active_links():
            home.send_exit(pid, partner, reason)
        for ref, (watcher, target) in relations.watchers.items():
            home.send_down(target, watcher, ref, reason)
        for ref, target in relations.monitors.items():
            home.send_demonitor(pid, target, ref)


def _exit_in(exception: BaseException) -> Exit | None:
    """The `Exit` that was raised. Before Python 3.12 a `TaskGroup` puts one that leaves its body into a group."""
    if isinstance(exception, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exception)
        _, errors = group.split(Exit)
        return None if errors is not None else _exit_in(group.exceptions[0])
    return exception if isinstance(exception, Exit) else None


def _traceback_of(exception: BaseException, reason: Reason) -> str:
    return reason.traceback if isinstance(reason, Crash) else _traceback(exception)


def crash_of(exception: BaseException) -> Crash:
    """The exit reason that stands for an uncaught exception."""
    kind = type(exception)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return Crash(name, _text(exception), _traceback(exception))


# Both run the user's code, and the process has to end whatever that does.


def _text(exception: BaseException) -> str:
    try:
        return str(exception)
    except BaseException:  # noqa: BLE001  # see above
        return f"<{type(exception).__qualname__} has no text>"


def _from_its_own_code(frames: TracebackType | None) -> TracebackType | None:
    """Without the scheduler's frames, of which the C twin has none."""
    while frames is not None and frames.tb_frame.f_globals.get("__name__") == Scheduler.__module__:
        frames = frames.tb_next
    return frames


def _traceback(exception: BaseException) -> str:
    try:
        return "".join(format_exception(type(exception), exception, _from_its_own_code(exception.__traceback__)))
    except BaseException:  # noqa: BLE001  # see above
        return f"<{type(exception).__qualname__} has no traceback>"
