"""`Task`: one piece of work in a process of its own, and its result (Elixir's `Task`).

    task = Task.async_(fetch, url)
    ...
    page = await task.await_()

The contract:

- A task is linked to the process that starts it, its owner: if one crashes, so does the other. What shall survive the
  crash of its tasks starts them by `TaskSupervisor.async_nolink`.
- Only the owner may ask for the result, and take it once.
- However that ends, by a result, a crash or a timeout, nothing is left in the mailbox; a late result is dropped.
- A task that is not waited for long enough goes on: `shutdown` stops it. So does the end of its owner, unless that ends
  with `NORMAL`.

A `GenServer` that can't wait takes what comes to `handle_info`, which is exactly one of `TaskReply(ref, value)` and
`Down(ref, ...)`, with the `ref` of the task.

When to use which: asyncio's `TaskGroup` is for a few awaits at once within one process, when all of them have to end
before the block does, and the first error cancels the rest. Its tasks are no processes: they can't `receive` or `call`,
and nobody else can link to one, monitor it or stop it. A `Task` is a process: it may do all that, its owner is free to
do other things until it wants the result, it can be given up alone, and it can have a supervisor. It runs on the same
thread, too: CPU work belongs into `asyncio.to_thread` or on a node of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from math import inf
from typing import Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, TypeVarTuple, Unpack, final, get_args

from pydist.core.restart import Restart, Shutdown
from pydist.core.shown import shown
from pydist.errors import TaskError, TaskMisused, TaskTimeout
from pydist.gen.calls import DEFAULT_TIMEOUT
from pydist.mailbox import MISSING
from pydist.messaging import current, receive
from pydist.primitives import (
    exit,  # noqa: A004  # OTP's name
    monitor,
    self_pid,
    spawn,
    unlink,
)
from pydist.supervision.stopping import shut_down
from pydist.task_process import (
    ANSWERS,
    TIMEOUT,
    Answer,
    Outcome,
    Returned,
    check_function,
    disown,
    flush_exit,
    give_order,
    label_of,
    obey,
    outcome_of,
)
from pydist.task_stream import StreamOptions, TaskStream
from pydist.terms import KILL, KILLED, SHUTDOWN, Down, Pid, Ref

A = TypeVar("A")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")

OnTimeout: TypeAlias = Literal["nothing", "ignore", "kill_task"]


@final
class Task(Generic[R_co]):
    """See the head of this file. Made by `async_`."""

    __slots__ = ("_taken", "function", "owner", "pid", "ref")

    child_restart: ClassVar[Restart] = "temporary"
    """What `child(Task, function, ...)` makes of it, unless told otherwise."""

    def __init__(self, pid: Pid, ref: Ref, function: object) -> None:
        self.pid: Final = pid
        self.ref: Final = ref
        """By which it answers; a `TaskReply` or a `Down` carries it."""
        self.owner: Final = self_pid()
        self.function: Final = label_of(function)
        self._taken = False
        """Its outcome was taken, or given up."""

    def __repr__(self) -> str:
        return f"<Task {self.function} {self.pid}>"

    # -- starting

    @staticmethod
    def async_(function: Callable[[*Ts], Coroutine[Any, Any, R]], *args: *Ts) -> Task[R]:
        """Start a task that runs `function(*args)`, linked to the caller, who owns it (Elixir's `Task.async/3`).

        Args:
            function: an async function.
            *args: its arguments.

        Raises:
            TypeError: no function. Arguments that it does not take are a crash of the task.
        """
        check_function(function)
        pid = spawn(obey, self_pid(), link=True)
        return Task(pid, give_order(pid, function, args), function)

    @staticmethod
    async def start_link(function: Callable[[*Ts], Coroutine[Any, Any, Any]], *args: *Ts) -> Pid:
        """Start a process that runs `function(*args)`, linked to the caller, of which no result is wanted.

        So `child(Task, function, *args)` describes a child, a temporary one unless told otherwise.
        """
        return spawn(function, *args, link=True)

    @staticmethod
    async def start(function: Callable[[*Ts], Coroutine[Any, Any, Any]], *args: *Ts) -> Pid:
        """As `start_link`, without a link. What is to be stopped in order, `TaskSupervisor.start_child` starts."""
        return spawn(function, *args)

    @staticmethod
    def async_stream(
        function: Callable[[A], Coroutine[Any, Any, R]], inputs: Iterable[A], **options: Unpack[StreamOptions]
    ) -> TaskStream[R]:
        """Run a function over many inputs, some at a time (Elixir's `Task.async_stream/3`).

        Args:
            function: an async function that takes one input.
            inputs: what it is run with; taken as there is room.
            **options: see `StreamOptions`.

        Returns:
            An async iterator over the outcomes. To ask it may raise `TaskTimeout`, what `inputs` raise, and
            `TaskMisused` in another process than the one that was the first to ask. After an error there are no more
            outcomes. The crash of a task ends an owner that does not trap exits, by the link.

        Raises:
            TypeError, ValueError: no function, nothing to iterate over, or an option that makes no sense.
        """
        check_function(function)

        async def start(each: A) -> tuple[Pid, Ref]:
            task = Task.async_(function, each)
            return task.pid, task.ref

        return TaskStream(start, inputs, **options)

    # -- asking one

    async def await_(self, timeout: float | None = DEFAULT_TIMEOUT) -> R_co:
        """Wait for the result (Elixir's `Task.await/2`).

        Args:
            timeout: seconds to wait, None for ever. A task that takes longer goes on, still linked.

        Raises:
            TaskTimeout: no result in time.
            TaskError: the task ended without one, with `reason`. An owner that is linked to it, and does not trap
                exits, gets the exit signal instead, unless the reason is `NORMAL`.
            TaskMisused: the caller is not the owner, or has taken the outcome already.
        """
        self._take()
        try:
            answer = await receive(self.ref, timeout)
        except TimeoutError:
            disown(current(), self.ref)
            raise _too_late((self,), timeout) from None
        except BaseException:
            disown(current(), self.ref)  # nobody waits for it any more
            raise
        return self._result(answer)

    async def yield_(self, timeout: float | None = DEFAULT_TIMEOUT) -> Outcome[R_co] | None:
        """Wait for the outcome for a while (Elixir's `Task.yield/2`).

        Args:
            timeout: seconds to wait, None for ever.

        Returns:
            `Returned(value)` or `Died(reason)`; None if the task is still at work, and can be asked again.

        Raises:
            TaskMisused: the caller is not the owner, or has taken the outcome already.
        """
        self._check()
        try:
            answer = await receive(self.ref, timeout)
        except TimeoutError:
            return None
        return self._outcome(answer)

    async def shutdown(self, timeout: Shutdown = DEFAULT_TIMEOUT) -> Outcome[R_co] | None:
        """Unlink the task and stop it (Elixir's `Task.shutdown/2`). A caller that is interrupted meanwhile kills it.

        Args:
            timeout: seconds it has to clean up before it is killed; None for as long as it takes; "brutal_kill" for no
                time at all.

        Returns:
            None if it was stopped; its outcome if that came first. `Died(KILLED)` also if it took too long to stop, and
            `Died(NOPROC)` if it had ended, and its outcome was taken before.

        Raises:
            TaskMisused: the caller is not the owner.
            ValueError: no such timeout.
        """
        self._check_owner()
        if isinstance(timeout, str) and timeout != "brutal_kill":
            raise ValueError(f"timeout is a number of seconds, None or 'brutal_kill', not {timeout!r}")
        ref = monitor(self.pid) if self._taken else self.ref
        self._taken = True
        unlink(self.pid)
        flush_exit(current(), self.pid)
        try:
            answer: Answer = await shut_down(self.pid, ref, timeout)
        except BaseException:
            exit(self.pid, KILL)
            disown(current(), ref)
            raise
        stopped = KILLED if timeout == "brutal_kill" else SHUTDOWN
        return None if type(answer) is Down and answer.reason is stopped else self._outcome(answer)

    def ignore(self) -> Outcome[R_co] | None:
        """Let the task go on, unlinked, and drop what comes of it (Elixir's `Task.ignore/1`).

        Returns:
            The outcome, if it has come already.

        Raises:
            TaskMisused: the caller is not the owner, or has taken the outcome already.
        """
        self._take()
        unlink(self.pid)
        answer = disown(current(), self.ref)
        return None if answer is MISSING else self._outcome(answer)

    # -- asking many

    @staticmethod
    async def await_many(tasks: Sequence[Task[R]], timeout: float | None = DEFAULT_TIMEOUT) -> list[R]:
        """Wait for the results of all, and give them in the order of `tasks` (Elixir's `Task.await_many/2`).

        When one has ended without a result, none is waited for any more. Those still at work go on, still linked.

        Args:
            tasks: tasks of the caller.
            timeout: seconds to wait for all together, None for ever.

        Raises:
            TaskTimeout: not all results came in time.
            TaskError: a task ended without one; see `await_`.
            TaskMisused: the caller is not the owner of one, or has taken its outcome already.
        """
        pending = _by_ref(tasks)
        for task in pending.values():
            task._taken = True
        results: dict[Ref, R] = {}
        deadline = _deadline(timeout)
        try:
            while pending:
                answer = await _next(pending, deadline)
                results[answer.ref] = pending.pop(answer.ref)._result(answer)
        except TimeoutError:
            raise _too_late(tuple(pending.values()), timeout) from None
        finally:
            for ref in pending:
                disown(current(), ref)
        return [results[task.ref] for task in tasks]

    @staticmethod
    async def yield_many(
        tasks: Sequence[Task[R]],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        limit: int | None = None,
        on_timeout: OnTimeout = "nothing",
    ) -> list[Outcome[R] | None]:
        """Wait for the outcomes of many for a while (Elixir's `Task.yield_many/2`).

        Args:
            tasks: tasks of the caller.
            timeout: seconds to wait for all together, None for ever.
            limit: return when this many outcomes have come.
            on_timeout: what becomes of those still at work when the time is over: nothing, so that they can be asked
                again; or as by `ignore`, or by `shutdown("brutal_kill")`.

        Returns:
            In the order of `tasks`: `Returned(value)`, `Died(reason)`, or None for those without an outcome so far.

        Raises:
            TaskMisused: the caller is not the owner of one, or has taken its outcome already.
            ValueError: a limit below 1, or no such `on_timeout`.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit is at least 1, or None, not {limit}")
        if on_timeout not in get_args(OnTimeout):
            raise ValueError(f"on_timeout is one of {', '.join(get_args(OnTimeout))}, not {on_timeout!r}")
        pending = _by_ref(tasks)
        answers, late = await _collect(pending, timeout, len(pending) if limit is None else limit)
        outcomes: dict[Ref, Outcome[R] | None] = {}
        for answer in answers:
            outcomes[answer.ref] = pending.pop(answer.ref)._outcome(answer)
        if late and on_timeout != "nothing":
            for task in pending.values():
                outcomes[task.ref] = task.ignore() if on_timeout == "ignore" else await task.shutdown("brutal_kill")
        return [outcomes.get(task.ref) for task in tasks]

    # -- what all of these need

    def _check_owner(self) -> None:
        if self.owner != self_pid():
            raise TaskMisused(f"{self} belongs to {self.owner}, which has started it; {self_pid()} has asked for it")

    def _check(self) -> None:
        self._check_owner()
        if self._taken:
            raise TaskMisused(f"the outcome of {self} was taken, or given up, before: it can be asked for once")

    def _take(self) -> None:
        self._check()
        self._taken = True

    def _outcome(self, answer: Answer) -> Outcome[R_co]:
        self._taken = True
        return outcome_of(current(), self.pid, answer)

    def _result(self, answer: Answer) -> R_co:
        outcome = self._outcome(answer)
        if isinstance(outcome, Returned):
            return outcome.value
        raise TaskError(outcome.reason, self, f"{self} ended without a result: {shown(outcome.reason)}")


def _by_ref(tasks: Sequence[Task[R]]) -> dict[Ref, Task[R]]:
    for task in tasks:
        _check_task(task)
        task._check()
    return {task.ref: task for task in tasks}


def _check_task(task: object) -> None:
    if not isinstance(task, Task):
        raise TypeError(f"a task is what async_ or async_nolink has returned, not {task!r}")


async def _collect(tasks: Collection[Ref], timeout: float | None, limit: int) -> tuple[list[Answer], bool]:
    """The answers that come in time, and whether the time has passed."""
    waiting = set(tasks)
    answers: list[Answer] = []
    deadline = _deadline(timeout)
    try:
        while waiting and len(answers) < limit:
            answers.append(await _next(waiting, deadline))
            waiting.remove(answers[-1].ref)
    except TimeoutError:
        return answers, True
    except BaseException:
        for answer in answers:
            current().admit(answer)  # so that it can be asked for again
        raise
    return answers, False


async def _next(waiting: Collection[Ref], deadline: float) -> Answer:
    left = None if deadline == inf else max(deadline - current().get_loop().time(), 0)
    answer: Answer = await receive(lambda message: type(message) in ANSWERS and message.ref in waiting, left)
    return answer


def _deadline(timeout: float | None) -> float:
    return inf if timeout is None else current().get_loop().time() + timeout


def _too_late(tasks: tuple[Task[Any], ...], timeout: float | None) -> TaskTimeout:
    names = ", ".join(map(repr, tasks))
    return TaskTimeout(TIMEOUT, tasks[0], f"no result of {names} within {timeout} s; shutdown() stops what goes on")
