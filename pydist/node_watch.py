"""The watchdogs of one node: who wants to hear of what, and who tells them. `monitoring.py` is their face."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from pydist.core.long_queues import LongQueues, Sweep
from pydist.env import real_env
from pydist.message import Message
from pydist.own_log import log
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.terms import Pid
from pydist.watchdog import LongStep, Watch, Watchdog

SWEEP: Final = 10_000
"""Mailboxes that are looked at in a second, besides those known to be long."""
TICK: Final = 0.25
"""Seconds between looks at mailboxes, at most."""


class LongSchedule(Message, tag="$long_schedule"):
    """A process has run for long without awaiting anything."""

    pid: Pid
    label: str
    """The function or the class it runs."""
    seconds: float
    stack: str
    """Where it was when it was found out, as in a traceback."""


class LongMessageQueue(Message, tag="$long_message_queue"):
    """A mailbox has become long, or no longer is."""

    pid: Pid
    label: str
    length: int
    """Messages in it."""
    long: bool


class BusyNode(Message, tag="$busy_node"):
    """A process has sent to a node for which much waits already, and is held at its next await."""

    pid: Pid
    node: str


class ExportRefused(Message, tag="$export_refused"):
    """A process of another node has asked for something that this node does not export to it."""

    pid: Pid
    """Who has asked, or says so."""
    export: str
    why: str
    """What the node that asks is not told: "unknown", or which list does not have it."""


class SchedulerLag(Message, tag="$scheduler_lag"):
    """Processes that were ready have waited for their turn."""

    seconds: float


class NodeWatch:
    """See the head of this file. Hangs on its node's runtime, which closes it."""

    def __init__(self, runtime: Runtime, clock: Callable[[], float]) -> None:
        self._runtime = runtime
        self._watchdog = Watchdog(runtime.scheduler, clock)
        self._steps: dict[Process, Watch] = {}
        self._queues: dict[Process, LongQueues] = {}
        self._lags: dict[Process, float] = {}
        self._busy: dict[Process, None] = {}
        self._refusals: dict[Process, None] = {}
        self._sweep = Sweep()
        self._ticker: Process | None = None

    def log_long_steps(self, limit: float) -> None:
        """Log a warning where a step takes longer than `limit` seconds: while it runs, and when it has ended."""
        self._watchdog.add(Watch(limit, _log_noticed, _log_ended))

    def subscribe(
        self,
        process: Process,
        step: float | None,
        queues: LongQueues | None,
        lag: float | None,
        *,
        letters: bool,
        busy: bool,
        refusals: bool,
    ) -> None:
        """Tell a process from now on of what it wants to hear of, and of nothing else; see `system_monitor`."""
        self._unsubscribe(process)
        process.remove_done_callback(self._unsubscribe)
        process.add_done_callback(self._unsubscribe)
        if step is not None:
            watch = self._steps[process] = Watch(step, None, partial(_tell_step, process))
            self._watchdog.add(watch)
        if queues is not None:
            self._queues[process] = queues
        if lag is not None:
            self._lags[process] = lag
        if busy:
            self._busy[process] = None
        if refusals:
            self._refusals[process] = None
        if letters:
            self._runtime.dead_letters.listeners[process] = process.inform
        if self._interval() is not None and (self._ticker is None or self._ticker.done()):
            self._ticker = self._runtime.spawn(self._tick, ())
            self._ticker.label = "system_monitor"

    def _unsubscribe(self, process: Process) -> None:
        watch = self._steps.pop(process, None)
        if watch is not None:
            self._watchdog.remove(watch)
        self._queues.pop(process, None)
        self._lags.pop(process, None)
        self._busy.pop(process, None)
        self._refusals.pop(process, None)
        self._runtime.dead_letters.listeners.pop(process, None)

    def busy_node(self, sender: Process, node: str) -> None:
        """A process is held, for too much waits for a node."""
        for process in list(self._busy):
            process.inform(BusyNode(sender.pid, node))

    def export_refused(self, pid: Pid, export: str, why: str) -> None:
        """A process of another node has asked for what is not there for it."""
        for process in list(self._refusals):
            process.inform(ExportRefused(pid, export, why))

    def close(self) -> None:
        """The node has stopped."""
        self._watchdog.close()

    # -- the ticker: a process, so that it needs a timer of the loop and a place in the run queue, as others do

    async def _tick(self) -> None:
        loop = self._runtime.loop
        while (interval := self._interval()) is not None:
            due = loop.time() + interval
            await asyncio.sleep(interval)
            self._tell_lag(loop.time() - due)
            self._look_at_mailboxes(interval)

    def _interval(self) -> float | None:
        """Seconds to the next tick; None where nobody wants one."""
        if self._lags:
            return min(*self._lags.values(), 2 * TICK) / 2
        return TICK if self._queues else None

    def _tell_lag(self, late: float) -> None:
        for process, limit in list(self._lags.items()):
            if late >= limit:
                process.inform(SchedulerLag(late))

    def _look_at_mailboxes(self, interval: float) -> None:
        if not self._queues:
            return
        find, least = self._runtime.table.get, min(queues.enable for queues in self._queues.values())
        for number in set[int]().union(*(queues.long for queues in self._queues.values())):
            self._look_at_mailbox(number, find(number))
        for number in self._sweep.take(max(1, round(SWEEP * interval)), lambda: list(self._runtime.table)):
            process = find(number)
            if process is not None and len(process.mailbox) >= least:
                self._look_at_mailbox(number, process)

    def _look_at_mailbox(self, number: int, process: Process | None) -> None:
        length = 0 if process is None else len(process.mailbox)
        for subscriber, queues in list(self._queues.items()):
            long = queues.look(number, length)
            if long is not None and process is not None:
                subscriber.inform(LongMessageQueue(process.pid, process.label, length, long))


def _tell_step(subscriber: Process, step: LongStep) -> None:
    runner: Process = step.runner
    subscriber.inform(LongSchedule(runner.pid, runner.label, step.seconds, step.stack))


def _log_noticed(step: LongStep) -> None:
    """In the watchdog's thread: it goes on whatever the log does."""
    log.warning("long_schedule", **_facts(step), stack=step.stack)


def _log_ended(step: LongStep) -> None:
    log.warning("long_schedule_ended", **_facts(step))


def _facts(step: LongStep) -> dict[str, Any]:
    runner: Process = step.runner
    return {
        "pid": runner.pid,
        "name": step.name,
        "label": runner.label,
        "seconds": round(step.seconds, 3),
    }


def node_watch_of(runtime: Runtime, clock: Callable[[], float] | None = None) -> NodeWatch:
    """The watchdogs of a node, made when they are first asked for."""
    if runtime.watch is None:
        runtime.watch = NodeWatch(runtime, real_env().clock if clock is None else clock)
    return cast("NodeWatch", runtime.watch)
