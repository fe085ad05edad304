"""Messages that are to be sent later, on the heap that `timers.py` keeps for the whole node.

Rules (`erlang:send_after/3`, and `timer:send_interval/3` of timer.erl):

- A timer to a pid ends with that process. One to a name looks for the name when it fires; nobody has it: the message is
  a dead letter.
- An interval ends with its receiver: with the process that had the name when it was started, if it was started by name.
- No timer ends with the process that has started it.
- The times of an interval are counted from its start: a late one makes those after it no later.
- One of an interval that finds a bounded mailbox full is left out, and is a dead letter: for the bound does not count
  what timers send, and an interval sends for ever.
- Those of the same time fire in the order in which they were set.

A timer is one object and one entry of the heap, each operation O(log n); those that are cancelled leave the heap in
bulk, so that it stays in proportion to the timers that run.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

import attrs

from pydist.terms import Pid, Ref, RegisteredName
from pydist.timers import Entry, Timers

Receiver: TypeAlias = Pid | RegisteredName


@attrs.define(eq=False)
class MessageTimer:
    """One message that waits for its time; shows itself to `Timers` as one who waits."""

    ref: Ref
    target: Receiver
    message: Any
    ends_with: int | None
    """The number of the process that it ends with, if it ends with one."""
    period: float | None
    """Seconds between two messages, of an interval."""
    fire: Callable[[MessageTimer], None]
    deadline: float = inf
    timer: Entry | None = None

    def expire(self) -> None:
        """Its time has come."""
        self.fire(self)


class MessageTimers:
    """Those of one node."""

    __slots__ = ("_of_process", "_running", "_send", "_timers")

    def __init__(self, timers: Timers, send: Callable[[Receiver, Any, bool], None]) -> None:
        self._timers = timers
        self._send = send
        self._running: dict[Ref, MessageTimer] = {}
        self._of_process: dict[int, dict[Ref, MessageTimer]] = {}
        """Which timers end with a process, by its number."""

    def start(
        self, ref: Ref, delay: float, target: Receiver, message: Any, *, ends_with: int | None, period: float | None
    ) -> None:
        """Send `message` in `delay` seconds, and then every `period` seconds if that is given.

        Args:
            ref: a new reference, by which the timer is known.
            delay: seconds.
            target: a pid of this node, or a name of it.
            message: what to send.
            ends_with: the number of the process with which the timer ends.
            period: seconds.
        """
        timer = self._running[ref] = MessageTimer(ref, target, message, ends_with, period, self._fire)
        if ends_with is not None:
            self._of_process.setdefault(ends_with, {})[ref] = timer
        self._timers.arm(timer, delay)

    def cancel(self, ref: Ref) -> float | None:
        """Stop a timer: the seconds that were left, or None if there is no such timer."""
        timer = self._running.get(ref)
        if timer is None:
            return None
        left = self._timers.left(timer)
        self._timers.forget(timer)
        self._strike_out(timer)
        return left

    def left(self, ref: Ref) -> float | None:
        """The seconds until a timer fires next, or None if there is no such timer."""
        timer = self._running.get(ref)
        return None if timer is None else self._timers.left(timer)

    def process_ended(self, number: int) -> None:
        """A process is dead: stop the timers that end with it."""
        of_process = self._of_process.pop(number, None) if self._of_process else None
        for ref, timer in (of_process or {}).items():
            del self._running[ref]
            self._timers.forget(timer)

    def close(self) -> None:
        """Forget all timers; whoever stops `Timers` calls it too."""
        self._running.clear()
        self._of_process.clear()

    def _fire(self, timer: MessageTimer) -> None:
        if timer.period is None:
            self._strike_out(timer)
        else:
            self._timers.arm_at(timer, timer.deadline + timer.period)
        self._send(timer.target, timer.message, timer.period is not None)

    def _strike_out(self, timer: MessageTimer) -> None:
        del self._running[timer.ref]
        if timer.ends_with is None:
            return
        of_process = self._of_process[timer.ends_with]
        del of_process[timer.ref]
        if not of_process:
            del self._of_process[timer.ends_with]
