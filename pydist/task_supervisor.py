"""`TaskSupervisor`: supervises tasks, so that they are stopped in order and can be seen (Elixir's `Task.Supervisor`).

    await TaskSupervisor.start_link(name="fetches", max_children=100)
    task = await TaskSupervisor.async_nolink("fetches", fetch, url)
    match await task.yield_(5.0) or await task.shutdown():
        case Returned(page): ...
        case Died(reason): ...  # and the caller lives
        case None: ...  # it took too long

It is a `DynamicSupervisor`: what can be asked of one by `terminate_child`, `which_children` and `count_children` can be
asked of it too. It has to be on the caller's node, since a function does not cross the wire.

With `async_` the task is linked to the caller too, as `Task.async_` does; with `async_nolink` it is not, and its owner
survives its crash. Either way it ends when the supervisor does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from pydist.core.restart import Restart, Shutdown
from pydist.dynamic_supervisor import DynamicSupervisor
from pydist.gen.addresses import Name, Server
from pydist.primitives import link, self_pid
from pydist.supervision.child_management import start_child, which_children
from pydist.supervision.children import child
from pydist.task import Task
from pydist.task_process import check_function, give_order, label_of, obey
from pydist.task_stream import StreamOptions, TaskStream
from pydist.terms import Pid, Ref

A = TypeVar("A")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

SHUTDOWN_TIME: Final = 5.0
"""Seconds that a task has to stop with its supervisor (Elixir's default)."""


class TaskSupervisor(DynamicSupervisor):
    """See the head of this file."""

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # tasks have no extra arguments
        cls,
        *,
        intensity: int = 3,
        period: int = 5,
        max_children: int | None = None,
        name: Name | None = None,
    ) -> Pid:
        """Start a supervisor without tasks, linked to the caller.

        Args:
            intensity: restarts allowed within `period`, of children that are to be restarted.
            period: whole seconds.
            max_children: how many tasks it has at most; None for any number.
            name: what it is registered as.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            TypeError, ValueError: see `DynamicSupervisor.start_link`.
        """
        return await super().start_link(intensity=intensity, period=period, max_children=max_children, name=name)

    @classmethod
    async def start(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as start_link
        cls,
        *,
        intensity: int = 3,
        period: int = 5,
        max_children: int | None = None,
        name: Name | None = None,
    ) -> Pid:
        """As `start_link`, without a link: it outlives the caller. `stop(pid, SHUTDOWN)` ends it; an exit
        signal only if it is `KILL`."""
        return await super().start(intensity=intensity, period=period, max_children=max_children, name=name)

    @staticmethod
    async def async_(
        supervisor: Server,
        function: Callable[[*Ts], Coroutine[Any, Any, R]],
        *args: *Ts,
        shutdown: Shutdown = SHUTDOWN_TIME,
    ) -> Task[R]:
        """Start a task under the supervisor, linked to the caller, who owns it (Elixir's `Task.Supervisor.async/5`).

        Args:
            supervisor: where the supervisor is found, on this node.
            function: an async function.
            *args: its arguments.
            shutdown: how it is stopped with the supervisor: seconds it has before it is killed, None for as long as it
                takes, "brutal_kill" for no time at all.

        Raises:
            ChildError: "max_children", there are as many as may be.
            CallError: there is no such supervisor.
            EncodeError: it is on another node.
            TypeError, ValueError: no function, or no such shutdown.
        """
        return await _start(supervisor, function, args, shutdown, linked=True)

    @staticmethod
    async def async_nolink(
        supervisor: Server,
        function: Callable[[*Ts], Coroutine[Any, Any, R]],
        *args: *Ts,
        shutdown: Shutdown = SHUTDOWN_TIME,
    ) -> Task[R]:
        """As `async_`, without a link to the caller: a crash is an outcome, and the task survives its owner."""
        return await _start(supervisor, function, args, shutdown, linked=False)

    @staticmethod
    async def start_child(
        supervisor: Server,
        function: Callable[[*Ts], Coroutine[Any, Any, Any]],
        *args: *Ts,
        restart: Restart = "temporary",
        shutdown: Shutdown = SHUTDOWN_TIME,
    ) -> Pid:
        """Start a process under the supervisor of which no result is wanted (Elixir's `Task.Supervisor.start_child/5`).

        Args:
            supervisor: as for `async_`; raises the same.
            function: an async function.
            *args: its arguments.
            restart: "temporary", "transient" or "permanent", see `Supervisor`.
            shutdown: as for `async_`.
        """
        check_function(function)
        spec = child(Task, function, *args, id=label_of(function), restart=restart, shutdown=shutdown)
        pid = await start_child(supervisor, spec)
        assert pid is not None  # noqa: S101  # Task.start_link gives one
        return pid

    @staticmethod
    def async_stream(
        supervisor: Server,
        function: Callable[[A], Coroutine[Any, Any, R]],
        inputs: Iterable[A],
        *,
        shutdown: Shutdown = SHUTDOWN_TIME,
        **options: Unpack[StreamOptions],
    ) -> TaskStream[R]:
        """As `Task.async_stream`, with tasks that are under the supervisor and linked to the caller.

        To ask it may also raise what `async_` does.
        """
        return _stream(supervisor, function, inputs, shutdown, options, linked=True)

    @staticmethod
    def async_stream_nolink(
        supervisor: Server,
        function: Callable[[A], Coroutine[Any, Any, R]],
        inputs: Iterable[A],
        *,
        shutdown: Shutdown = SHUTDOWN_TIME,
        **options: Unpack[StreamOptions],
    ) -> TaskStream[R]:
        """As `async_stream`, without links to the caller: a crash is an outcome. The tasks end with the stream."""
        return _stream(supervisor, function, inputs, shutdown, options, linked=False)

    @staticmethod
    async def children(supervisor: Server) -> list[Pid]:
        """The tasks that run."""
        return [each.pid for each in await which_children(supervisor) if each.pid is not None and not each.restarting]


async def _start(
    supervisor: Server,
    function: Callable[..., Coroutine[Any, Any, R]],
    args: tuple[Any, ...],
    shutdown: Shutdown,
    *,
    linked: bool,
) -> Task[R]:
    check_function(function)
    spec = child(obey, self_pid(), id=label_of(function), restart="temporary", shutdown=shutdown)
    pid = await start_child(supervisor, spec)
    assert pid is not None  # noqa: S101  # a plain process can't ignore its start
    if linked:
        link(pid)
    return Task(pid, give_order(pid, function, args), function)


def _stream(
    supervisor: Server,
    function: Callable[[A], Coroutine[Any, Any, R]],
    inputs: Iterable[A],
    shutdown: Shutdown,
    options: StreamOptions,
    *,
    linked: bool,
) -> TaskStream[R]:
    check_function(function)

    async def start(each: A) -> tuple[Pid, Ref]:
        task = await _start(supervisor, function, (each,), shutdown, linked=linked)
        return task.pid, task.ref

    return TaskStream(start, inputs, **options)
