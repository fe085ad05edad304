"""`TaskStream`: a function over many inputs, some at a time, each in a task of its own (Elixir's `Task.async_stream`).

    async for outcome in Task.async_stream(fetch, urls, max_concurrency=20, on_timeout="kill_task"):
        match outcome:
            case Returned(page): ...
            case Died(reason): ...

It is an async iterator of its own kind and no async generator, for the sake of how that ends. A generator that is left
early is closed by the event loop, some turns later and outside the process; until then its consumer would meet messages
of the tasks. Here the `break`, `return` or error that leaves the loop drops the last reference, and that kills the
tasks at once, and takes what they have sent out of the mailbox.
"""

from __future__ import annotations

from asyncio import CancelledError, TimerHandle
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from math import inf
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypedDict, TypeVar, get_args

import attrs

from pydist.core.restart import check_whole
from pydist.core.shown import shown
from pydist.errors import NotInProcess, TaskMisused, TaskTimeout
from pydist.gen.calls import DEFAULT_TIMEOUT
from pydist.messaging import acting, check_timeout, current, receive
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.task_process import ANSWERS, TIMEOUT, Answer, Died, Outcome, disown, flush_exit, outcome_of
from pydist.terms import KILL, Pid, Ref

R_co = TypeVar("R_co", covariant=True)

Start: TypeAlias = Callable[[Any], Awaitable[tuple[Pid, Ref]]]
"""Starts the task for one input; the calling process becomes its owner."""
OnLate: TypeAlias = Literal["exit", "kill_task"]

CONCURRENCY: Final = 8
"""How many tasks of a stream run at the same time, unless it is told otherwise."""
_END: Final = object()


class StreamOptions(TypedDict, total=False):
    """How a stream is to work. The defaults are Elixir's, but for the first: tasks share one thread, so the number of
    processors says nothing about how many of them can wait at the same time."""

    max_concurrency: int
    """How many tasks run at the same time, at most; 8."""
    ordered: bool
    """Whether the outcomes come in the order of the inputs, or as the tasks end; True. A slow task then holds up the
    outcomes of those behind it, which are kept meanwhile."""
    timeout: float | None
    """Seconds that each task may work, 5; None for as long as it takes. Then it is killed."""
    on_timeout: OnLate
    """What a task that took too long is for the consumer. "exit" ends the stream with `TaskTimeout`; it is the default.
    "kill_task" gives an outcome, `Died(Atom("timeout"))`."""
    zip_input_on_exit: bool
    """Give `Died((input, reason))` instead of `Died(reason)`; False."""


@attrs.define(eq=False)
class _Running:
    """A task that is at work."""

    owner: Process
    runtime: Runtime
    pid: Pid
    ref: Ref
    position: int
    input: Any
    timer: TimerHandle | None = None
    late: bool = False

    def begin(self, timeout: float | None) -> None:
        """Its time begins. The stream is not told when that is over, so that the timer does not keep it alive."""
        if timeout is not None and timeout < inf:
            self.timer = self.runtime.loop.call_later(timeout, self._time_is_over)

    def end(self) -> None:
        """It has answered."""
        if self.timer is not None:
            self.timer.cancel()

    def drop(self) -> None:
        """Kill it, and leave nothing of it in its owner."""
        self.end()
        self._kill()
        disown(self.owner, self.ref)
        flush_exit(self.owner, self.pid)

    def _time_is_over(self) -> None:
        self.late = True
        self._kill()

    def _kill(self) -> None:
        self.runtime.unlink(self.owner, self.pid)
        self.runtime.exit(self.owner.pid, self.pid, KILL)


class TaskStream(Generic[R_co]):
    """The outcomes, once. Made by `Task.async_stream`, which says what it raises.

    The process that asks first is the owner of the tasks, and nobody else may ask after that. Inputs are taken, and
    tasks are started, only when it asks.
    """

    def __init__(
        self,
        start: Start,
        inputs: Iterable[Any],
        *,
        max_concurrency: int = CONCURRENCY,
        ordered: bool = True,
        timeout: float | None = DEFAULT_TIMEOUT,
        on_timeout: OnLate = "exit",
        zip_input_on_exit: bool = False,
    ) -> None:
        self._running: dict[Ref, _Running] = {}
        check_whole("max_concurrency", max_concurrency, 1, "tasks")
        check_timeout(timeout)
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout is a number of seconds from 0, or None, not {timeout!r}")
        if on_timeout not in get_args(OnLate):
            raise ValueError(f"on_timeout is one of {', '.join(get_args(OnLate))}, not {on_timeout!r}")
        self._start = start
        self._inputs: Iterator[Any] | None = iter(inputs)
        self._limit = max_concurrency
        self._ordered = ordered
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._zip_input = zip_input_on_exit
        self._owner: Process | None = None
        self._started = 0
        self._ended = 0
        self._given = 0
        self._outcomes: dict[int, Outcome[R_co]] = {}
        """Those that are not given yet, by their place in the order."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[R_co]:
        owner = current()
        if self._owner is None:
            self._owner = owner
        elif owner is not self._owner:
            raise TaskMisused(
                f"the stream belongs to {self._owner.pid}, which asked first; {owner.pid} has asked for it"
            )
        try:
            return await self._next()
        except CancelledError:
            if owner.dying:
                self._close()  # otherwise the consumer was interrupted, and may ask again
            raise
        except BaseException:
            self._close()
            raise

    async def aclose(self) -> None:
        """Kill the tasks that run, now; for `contextlib.aclosing`. Dropping the stream does the same."""
        self._close()

    def __del__(self) -> None:
        if self._running:
            _drop_anywhere(list(self._running.values()))

    async def _next(self) -> Outcome[R_co]:
        await self._start_more()
        while self._given not in self._outcomes:
            if not self._running:
                raise StopAsyncIteration
            self._take(await receive(self._is_answer))
            if self._given not in self._outcomes:
                await self._start_more()
        self._given += 1
        return self._outcomes.pop(self._given - 1)

    async def _start_more(self) -> None:
        while self._inputs is not None and len(self._running) < self._limit:
            each = next(self._inputs, _END)
            if each is _END:
                self._inputs = None
                return
            try:
                pid, ref = await self._start(each)
            except BaseException:
                self._inputs = chain([each], self._inputs)  # for a consumer that was interrupted and asks again
                raise
            owner, runtime = acting()
            running = self._running[ref] = _Running(owner, runtime, pid, ref, self._started, each)
            running.begin(self._timeout)
            self._started += 1

    def _is_answer(self, message: Any) -> bool:
        return type(message) in ANSWERS and message.ref in self._running

    def _take(self, answer: Answer) -> None:
        running = self._running.pop(answer.ref)
        running.end()
        outcome: Outcome[Any] = outcome_of(running.owner, running.pid, answer)
        if isinstance(outcome, Died):
            outcome = self._died(running, outcome)
        self._outcomes[running.position if self._ordered else self._ended] = outcome
        self._ended += 1

    def _died(self, running: _Running, outcome: Died) -> Died:
        if running.late and self._on_timeout == "exit":
            text = f"{running.pid} was killed, since it took longer than {self._timeout} s for {shown(running.input)}"
            raise TaskTimeout(TIMEOUT, running.pid, text)
        reason = TIMEOUT if running.late else outcome.reason
        return Died((running.input, reason) if self._zip_input else reason)

    def _close(self) -> None:
        self._inputs = None
        self._outcomes.clear()
        running, self._running = self._running, {}
        for each in running.values():
            each.drop()


def _drop_anywhere(running: list[_Running]) -> None:
    """Drop the tasks of a stream that is gone: at once in its owner, where it is left; later if it is collected."""
    runtime = running[0].runtime
    try:
        at_once = current() is running[0].owner
    except NotInProcess:
        at_once = False
    if at_once:
        _drop_all(running)
    else:
        with suppress(RuntimeError):  # the loop is closed, and so there are no processes
            runtime.loop.call_soon_threadsafe(_drop_all, running)


def _drop_all(running: Iterable[_Running]) -> None:
    for each in running:
        each.drop()
