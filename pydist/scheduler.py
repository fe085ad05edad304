"""The run queue of one node: steps ready processes in batches, between the turns of the event loop.

One `call_soon` runs up to `ROUNDS * STEPS` steps, and then lets the loop see to its sockets and timers; sooner, if
`SLICE` seconds are over at the end of a round. Long steps can make a round longer than that. While a task runs it is
asyncio's current task, and runs in its own context: a twentieth of the instructions of a local round trip, and it buys
all of asyncio inside a process.

`running` finds the task that runs on this thread. `asyncio.current_task()` would too, but before Python 3.12 each call
of it asks the operating system for the process id; a thread-local costs a fifth of that, and is asked twice a message.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio.tasks import _leave_task
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context
from itertools import repeat, starmap
from typing import Any, Final

from pydist.errors import NotInProcess
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
        # So that it goes with this step. A coroutine that catches everything gets a last GeneratorExit from the garbage
        # collector; if that came outside a process, a receive would raise for ever what a loop around it swallows.
        del self.send
        for _ in range(CLOSES):
            # It is dead already: whatever its clean-up raises, even a refusal to be closed, interests nobody.
            with suppress(BaseException):
                self.context.run(coroutine.close)
                return


class Scheduler:
    """The run queue; one for each node."""

    __slots__ = ("_scheduled", "after_batch", "current", "loop", "outside", "queue", "table")

    def __init__(self, loop: asyncio.AbstractEventLoop, table: dict[int, Any]) -> None:
        self.loop = loop
        self.table = table
        """The processes of the node, by number."""
        self.outside = Context()
        self.queue: deque[Any] = deque()
        self.current: Any = None
        """The task that runs."""
        self.after_batch: Callable[[], None] | None = None
        """Called behind each batch: what the tasks have sent to other nodes can go out together."""
        self._scheduled = False

    def enqueue(self, task: RunnableTask) -> None:
        """Step `task` soon; it must not stand in the queue already."""
        self.queue.append(task)
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self.run_batch, context=self.outside)

    def run_batch(self) -> None:
        """Step what is ready, within the budget of one turn of the loop.

        Whoever has just woken tasks in a callback of the loop may call this at its end, and save them a turn.
        """
        loop, queue = self.loop, self.queue
        if not queue:
            return
        self._scheduled = True
        running.scheduler = self
        deadline = loop.time() + SLICE
        try:
            for _ in range(ROUNDS):
                self._run(loop, starmap(queue.popleft, repeat((), STEPS)))
                if loop.time() > deadline:
                    break
        except (
            IndexError
        ):  # the queue is empty; nothing else here raises it, since what a task raises ends with the task
            pass
        finally:
            running.scheduler = IDLE
            _leave_task(loop, self.current)
            self.current = None
            self._scheduled = bool(queue)
            if queue:
                loop.call_soon(self.run_batch, context=self.outside)
            if self.after_batch is not None:
                self.after_batch()

    def _run(self, loop: asyncio.AbstractEventLoop, ready: Iterator[Any]) -> None:
        park, current = PARK, _current_tasks
        for task in ready:
            self.current = current[loop] = task
            try:
                yielded = _step_unusual(task) if task.unusual else task.context.run(task.send, None)
            except StopIteration as stop:
                task.ended(stop.value, None)
            except (KeyboardInterrupt, SystemExit) as error:
                task.ended(None, error)
                loop.call_soon(_raise, error)  # from the loop itself, whichever callback this batch runs in
            except BaseException as error:  # noqa: BLE001  # this is where every process's error ends
                task.ended(None, error)
            else:
                if yielded is park and not task.unusual:
                    task.parked = True
                else:
                    self._yielded(task, yielded)

    def _yielded(self, task: RunnableTask, yielded: Any) -> None:
        """The rarer things a coroutine can yield."""
        if task.over:
            task.close()
        elif yielded is PARK:
            task.park()
        elif yielded is NEXT:
            self.queue.append(task)
        elif yielded is None:  # asyncio.sleep(0): the event loop's own tasks are to have a turn as well
            self.loop.call_soon(self.enqueue, task, context=self.outside)
        elif getattr(yielded, "_asyncio_future_blocking", None):
            task.await_future(yielded)
        else:
            foreign = RuntimeError(f"a process can't await what yields {yielded!r}; is it of another async library?")
            task.throw_soon(foreign)
            self.queue.append(task)


class _Idle:
    """Stands in `running` for the scheduler while none runs."""

    table: Final[dict[int, Any]] = {}

    @property
    def current(self) -> Any:
        raise NotInProcess(
            "this works inside a pydist process only: start one with spawn(), pydist.run() or Node.run(). "
            "A task that a process has started (gather, create_task, wait_for before Python 3.12) is not that process"
        )


IDLE: Final = _Idle()

running: Final[Any] = threading.local()
"""`running.scheduler` is the scheduler that runs on this thread, or `IDLE`; not set on a thread that never had one.

An instance of `threading.local` itself: of a subclass with a default, each look would cost half as much again.
"""


def _raise(error: BaseException) -> None:
    raise error


def _step_unusual(task: RunnableTask) -> Any:
    coroutine = task.coroutine
    if task.over or coroutine is None:
        task.close()
        return None
    thrown = task.take_thrown()
    return task.context.run(task.send, None) if thrown is None else task.context.run(coroutine.throw, thrown)
