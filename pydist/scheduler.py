"""The run queue of one node: steps ready processes in batches, between the turns of the event loop.

One `call_soon` runs up to `ROUNDS * STEPS` steps, and then lets the loop see to its sockets and timers; sooner, if
`SLICE` seconds are over at the end of a round. Long steps can make a round longer than that. While a task runs it is
asyncio's current task, and runs in its own context: that buys all of asyncio inside a process.

`running` finds the task that runs on this thread. `asyncio.current_task()` would too, but before Python 3.12 each call
of it asks the operating system for the process id.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pydist.errors import NotInProcess
from pydist.speedups import native
from pydist.stepped_task import SteppedTask

if sys.version_info < (3, 12):
    # Storing here is what _enter_task does, once it has looked whether another task runs.
    _current_tasks: Any = vars(asyncio.tasks)["_current_tasks"]
else:
    from asyncio.tasks import _swap_current_task

    class _CurrentTasks:
        """The current task of each loop, in the shape that 3.11 has it in."""

        def __setitem__(self, loop: asyncio.AbstractEventLoop, task: Any) -> None:
            _swap_current_task(loop, task)

        def pop(self, loop: asyncio.AbstractEventLoop, _default: None) -> None:
            with suppress(KeyError):  # of 3.12, where there is none to be taken away
                _swap_current_task(loop, None)

    _current_tasks: Any = _CurrentTasks()

ROUNDS: Final = 8
STEPS: Final = 32
SLICE: Final = 0.005
CLOSES: Final = 10
"""How often a killed coroutine that awaits in its clean-up is closed again."""

PARK: Final = object()
"""What a coroutine yields to wait until it is woken."""
NEXT: Final = object()
"""What a coroutine yields to let the others in the run queue go first."""


class RunnableTask(SteppedTask):
    """A task that is told how its coroutine came out."""

    __slots__ = ()

    def ended(self, result: Any, exception: BaseException | None) -> None:
        """The coroutine has returned `result`, or raised `exception`."""
        self.finish(result, exception)

    def park(self) -> None:
        """The coroutine waits to be woken although it is to be interrupted: step it again."""
        self.scheduler.enqueue(self)

    def close(self) -> None:
        """End the coroutine whatever it does: it was killed."""
        coroutine, self.coroutine = self.coroutine, None
        if coroutine is None:
            return
        for _ in range(CLOSES):
            # It is dead already: whatever its clean-up raises, even a refusal to be closed, interests nobody.
            with suppress(BaseException):
                self.context.run(coroutine.close)
                return


def not_in_process() -> NoReturn:
    """Raise what a function that needs a process raises elsewhere."""
    raise NotInProcess(
        "this works inside a pydist process only: start one with spawn(), pydist.run() or Node.run(). A task or a "
        "thread that a process has started (gather, create_task, to_thread, wait_for before Python 3.12) is not that "
        "process"
    )


class _Idle:
    """Stands in `running` for the scheduler while none runs."""

    @property
    def current(self) -> Any:
        not_in_process()


IDLE: Final = _Idle()

running: Final[Any] = threading.local()
"""`running.scheduler` is the scheduler that runs on this thread, or `IDLE`; not set on a thread that never had one.

An instance of `threading.local` itself: of a subclass with a default, each look would cost half as much again.
"""


class RunQueue:
    """The tasks that are ready, and the loop that steps them. `Scheduler` says what to do with all that is rare."""

    __slots__ = ("_queue", "current", "loop", "steps")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.current: Any = None
        """The task that runs, or None."""
        self.steps = 0
        """How many steps have begun."""
        self._queue: deque[Any] = deque()

    @property
    def ready(self) -> int:
        """How many tasks are to be stepped."""
        return len(self._queue)

    def push(self, task: Any) -> None:
        """Put `task` behind the others; whoever does so outside a step uses `enqueue`."""
        self._queue.append(task)

    def run(self, steps: int) -> None:
        """Step the first `steps` tasks, or as many as there are."""
        outer, interrupted = getattr(running, "scheduler", IDLE), self.current
        of_asyncio = asyncio.current_task(self.loop)
        running.scheduler = self
        try:
            for _ in range(steps):
                if not self._queue:
                    break
                self.steps += 1
                self.current = _current_tasks[self.loop] = task = self._queue.popleft()
                self._step(task)
        finally:
            running.scheduler = outer
            self.current = interrupted  # whose step may have called this
            if of_asyncio is None:
                _current_tasks.pop(self.loop, None)
            else:
                _current_tasks[self.loop] = of_asyncio

    def _step(self, task: Any) -> None:
        if task.over or task.coroutine is None:
            task.close()
            return
        task.spent += 1
        try:
            yielded = _step_unusual(task) if task.unusual else task.context.run(task.coroutine.send, None)
        except StopIteration as stop:
            task.ended(stop.value, None)
        except BaseException as error:  # noqa: BLE001  # this is where every process's error ends
            self.raised(task, error)
        else:
            if yielded is PARK and not task.unusual:
                task.parked = True
            else:
                self.yielded(task, yielded)

    def yielded(self, task: Any, what: Any) -> None:
        """A coroutine has yielded something rarer than PARK."""
        raise NotImplementedError

    def raised(self, task: Any, error: BaseException) -> None:
        """A coroutine has raised `error`."""
        raise NotImplementedError


def _step_unusual(task: RunnableTask) -> Any:
    coroutine: Any = task.coroutine
    thrown = task.take_thrown()
    return task.context.run(coroutine.send, None) if thrown is None else task.context.run(coroutine.throw, thrown)


if not TYPE_CHECKING and native is not None:
    RunQueue = native.RunQueue


class Scheduler(RunQueue):
    """The run queue of one node, between the turns of its event loop."""

    __slots__ = ("_scheduled", "after_batch", "outside")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.outside = Context()
        """A context that no task runs in; for callbacks of the event loop."""
        self.after_batch: Callable[[], None] | None = None
        """Called behind each batch: what the tasks have sent to other nodes can go out together."""
        self._scheduled = False

    def enqueue(self, task: Any) -> None:
        """Step `task` soon; it must not stand in the queue already."""
        self.push(task)
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self.run_batch, context=self.outside)

    def run_batch(self) -> None:
        """Step what is ready, within the budget of one turn of the loop.

        Whoever has just woken tasks in a callback of the loop may call this at its end, and save them a turn.
        """
        if not self.ready:
            return
        self._scheduled = True
        deadline = self.loop.time() + SLICE
        try:
            for _ in range(ROUNDS):
                self.run(STEPS)
                if not self.ready or self.loop.time() > deadline:
                    break
        finally:
            self._scheduled = self.ready > 0
            if self._scheduled:
                self.loop.call_soon(self.run_batch, context=self.outside)
            if self.after_batch is not None:
                self.after_batch()

    def raised(self, task: Any, error: BaseException) -> None:
        """A coroutine has raised `error`: that is its end."""
        task.ended(None, error)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self.loop.call_soon(_raise, error)  # from the loop itself, whichever callback this batch runs in

    def yielded(self, task: Any, what: Any) -> None:
        """A coroutine has yielded something rarer than PARK."""
        if task.over:
            task.close()
        elif task.flow is not None and task.flow.stops(what):
            pass  # it has sent where there is no room: see gates.py
        elif what is PARK:
            task.park()
        elif what is NEXT:
            self.push(task)
        elif what is None:  # asyncio.sleep(0): the event loop's own tasks are to have a turn as well
            self.loop.call_soon(self.enqueue, task, context=self.outside)
        elif getattr(what, "_asyncio_future_blocking", None):
            task.await_future(what)
        else:
            foreign = RuntimeError(f"a process can't await what yields {what!r}; is it of another async library?")
            task.throw_soon(foreign)
            self.push(task)


def _raise(error: BaseException) -> None:
    raise error


if native is not None:
    native.connect(park=PARK, next_turn=NEXT, not_in_process=not_in_process)
    if sys.version_info < (3, 12):
        native.connect(current_tasks=_current_tasks)
    else:
        native.connect(swap_current_task=_swap_current_task, current_task=asyncio.current_task)
