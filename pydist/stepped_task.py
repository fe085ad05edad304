"""A third-party asyncio task: a coroutine that somebody else than the event loop steps.

asyncio documents under "Extending" what such a task must do to be one: be entered as the current task while it runs,
and offer the methods of `asyncio.Task`. In return `asyncio.timeout`, `TaskGroup`, `to_thread`, aiohttp and anyio work
inside it. Three things are less obvious:

- When the coroutine yields a future, the wake-up callback is registered with an empty context: the task enters its own
  context itself when it is stepped, and a context can't be entered twice.
- anyio reads the attributes `_must_cancel` and `_fut_waiter`, so they bear asyncio's names.
- It does not register itself with `asyncio.all_tasks()`: that costs a weak reference and a set entry for each of
  perhaps a million processes, and its reader, `asyncio.run` at its end, would cancel what the node stops in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, TextIO

from pydist.task_state import TaskState

if TYPE_CHECKING:
    from types import FrameType


class SteppedTask(TaskState):
    """The face of `asyncio.Task`."""

    __slots__ = ("__weakref__",)

    # -- what the scheduler and the process use

    def await_future(self, future: asyncio.Future[Any]) -> None:
        """Wait for `future`, which the coroutine has yielded."""
        future._asyncio_future_blocking = False
        self._fut_waiter = future
        future.add_done_callback(self._future_done, context=self.scheduler.outside)
        if self._must_cancel and future.cancel(msg=self._cancel_message):
            self._must_cancel = False
        elif self.thrown is not None:
            future.cancel()

    def _future_done(self, _future: object) -> None:
        self._fut_waiter = None
        if self.flow is not None and self.flow.gates:
            self.flow.stopped = True
        elif not self.over:
            self.scheduler.enqueue(self)

    def throw_soon(self, exception: BaseException) -> None:
        """Have the coroutine leave whatever it awaits with `exception`."""
        self.thrown = exception
        self.unusual = True
        if self._fut_waiter is not None:
            self._fut_waiter.cancel()
        else:
            self.waken()

    def take_thrown(self) -> BaseException | None:
        """What the step that begins now must throw."""
        self.unusual = False
        if self.thrown is not None:
            thrown, self.thrown = self.thrown, None
            return thrown
        if self._must_cancel:
            self._must_cancel = False
            return asyncio.CancelledError(*([] if self._cancel_message is None else [self._cancel_message]))
        return None

    def finish(self, result: Any, exception: BaseException | None) -> None:
        """The coroutine has ended: keep its outcome, and tell those who asked."""
        self.over = self.unusual = True
        self._result = result
        self._exception = exception
        callbacks, self._callbacks = self._callbacks, None
        for callback, context in callbacks or ():
            self.get_loop().call_soon(callback, self, context=context)

    # -- the face of asyncio.Task

    def cancel(self, msg: Any = None) -> bool:
        """Ask for a `CancelledError` at the next await; False if the task has ended."""
        if self.over:
            return False
        self._cancel_requests += 1
        self._cancel_message = msg
        if self._fut_waiter is None or not self._fut_waiter.cancel(msg=msg):
            self._must_cancel = self.unusual = True
            self.waken()
        return True

    def cancelling(self) -> int:
        """How many cancellations are pending."""
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take one cancellation back; how many are left."""
        if self._cancel_requests > 0:
            self._cancel_requests -= 1
            if self._cancel_requests == 0:
                self._must_cancel = False
        return self._cancel_requests

    def done(self) -> bool:
        """True once the coroutine has ended."""
        return self.over

    def cancelled(self) -> bool:
        """True if it ended by a cancellation or an exit signal."""
        return isinstance(self._exception, asyncio.CancelledError)

    def result(self) -> Any:
        """What the coroutine returned, or the exception that ended it, raised."""
        exception = self.exception()
        if exception is not None:
            raise exception
        return self._result

    def exception(self) -> BaseException | None:
        """The exception that ended the coroutine, or None."""
        if not self.over:
            raise asyncio.InvalidStateError("the process is still running")
        return self._exception

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Have `callback(task)` called soon after the end; at once (in the next turn) if it is over."""
        entry = (callback, self.scheduler.outside if context is None else context)
        if self.over:
            self.get_loop().call_soon(callback, self, context=entry[1])
        elif self._callbacks is None:
            self._callbacks = [entry]
        else:
            self._callbacks.append(entry)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget a callback; how many times it was there."""
        before = self._callbacks or []
        self._callbacks = [entry for entry in before if entry[0] != callback]
        return len(before) - len(self._callbacks)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        loop: asyncio.AbstractEventLoop = self.scheduler.loop
        return loop

    def get_coro(self) -> Coroutine[Any, Any, Any] | None:
        """The coroutine; None once it has ended."""
        return self.coroutine

    def get_context(self) -> Context:
        """The context the coroutine runs in."""
        return self.context

    def get_name(self) -> str:
        """The name of the coroutine function."""
        return getattr(self.coroutine, "__qualname__", repr(self.coroutine))

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """The frames the coroutine is suspended in, outermost first."""
        frames: list[FrameType] = []
        awaited: Any = self.coroutine
        while awaited is not None and (limit is None or len(frames) < limit):
            frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
            if frame is None:
                break
            frames.append(frame)
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        return frames

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print the frames the coroutine is suspended in."""
        for frame in self.get_stack(limit=limit):
            print(f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}", file=file)  # asked for
