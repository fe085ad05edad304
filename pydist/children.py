"""A supervisor's children as values: how each is described, and what can be asked of a supervisor about them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs

from pydist.addresses import Server
from pydist.calls import call
from pydist.core.restart import RESTARTS, Restart
from pydist.errors import ChildError, StartError
from pydist.gen_server import GenServer
from pydist.message import Message, Request
from pydist.primitives import spawn
from pydist.terms import Pid

T = TypeVar("T")

Kind: TypeAlias = Literal["worker", "supervisor"]


@runtime_checkable
class Startable(Protocol):
    """What can start itself as a linked process: every `GenServer` and `Supervisor` class."""

    async def start_link(self, *args: Any, **kwargs: Any) -> Pid:
        """Start, linked to the caller, and return when it is ready."""
        ...


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop one child. Made by `child`, which checks it."""

    id: str
    start: Callable[[], Coroutine[Any, Any, Pid | None]]
    restart: Restart
    shutdown: float | Literal["brutal_kill"] | None
    kind: Kind


def child(
    start: Startable | Callable[..., Coroutine[Any, Any, Any]],
    *args: Any,
    id: str | None = None,  # noqa: A002  # OTP's name
    name: str | None = None,
    restart: Restart = "permanent",
    shutdown: float | Literal["brutal_kill", "default"] | None = "default",
    **options: Any,
) -> ChildSpec:
    """Describe a child.

    Args:
        start: a `GenServer` or `Supervisor` class, or an async function that is the whole life of a plain process.
        *args: what it is started with, again at each restart.
        id: distinguishes it among its siblings; the name, or the name of the class or function, by default.
        name: registered on this node.
        restart: "permanent", "transient" or "temporary"; see the head of this file.
        shutdown: seconds it has to stop before it is killed; None for as long as it takes; "brutal_kill" for no time at
            all. 5 by default, and None for a supervisor.
        **options: what else it is started with: keyword arguments of `init`, or a supervisor's `strategy` and so on.

    Raises:
        TypeError, ValueError: the description makes no sense.
    """
    if restart not in RESTARTS:
        raise ValueError(f"restart is one of {', '.join(RESTARTS)}, not {restart!r}")
    kind: Kind = getattr(start, "child_kind", "worker")
    if shutdown == "default":
        shutdown = None if kind == "supervisor" else 5.0
    if not _is_shutdown(shutdown):
        raise ValueError(f"shutdown is a number of seconds from 0, None or 'brutal_kill', not {shutdown!r}")
    label = id or name or _function_name(start)
    return ChildSpec(label, _starter(start, args, options, name), restart, shutdown, kind)


def _is_shutdown(value: object) -> bool:
    return value is None or value == "brutal_kill" or (isinstance(value, int | float) and value >= 0)


def _function_name(start: Any) -> str:
    return getattr(start, "__name__", repr(start))


def _starter(
    start: Any, args: tuple[Any, ...], options: dict[str, Any], name: str | None
) -> Callable[[], Coroutine[Any, Any, Pid | None]]:
    if isinstance(start, GenServer):
        raise TypeError(f"a child is started by its class, {type(start).__qualname__}, not by an instance of it")
    if isinstance(start, Startable):
        named = options if name is None else {**options, "name": name}
        return lambda: start.start_link(*args, **named)
    if iscoroutinefunction(start) and not _is_method_that_starts(start):

        async def spawn_linked() -> Pid:
            return spawn(partial(start, *args, **options), link=True, name=name)

        return spawn_linked
    raise TypeError(f"a child is started by a class with start_link, or an async function, not by {start!r}")


def _is_method_that_starts(start: Any) -> bool:
    """`Counter.start_link` where `Counter` is meant: as a process of its own it would end as soon as it has started."""
    return isinstance(getattr(start, "__self__", None), Startable) and start.__name__ in {"start", "start_link"}


class ChildInfo(Message, tag="$child_info"):
    """One line of `which_children`."""

    id: str
    pid: Pid | None
    """None while it does not run, or is being restarted."""
    kind: Kind


class Failed(Message, tag="$child_failed"):
    """The answer to a request that the supervisor can't fulfil."""

    id: str
    reason: Any
    start: bool = False
    """The child did not start; `reason` is its exit reason."""


class StartChild(Request["Pid | None | Failed"], tag="$start_child"):
    spec: ChildSpec


class TerminateChild(Request["Failed | None"], tag="$terminate_child"):
    id: str


class RestartChild(Request["Pid | None | Failed"], tag="$restart_child"):
    id: str


class DeleteChild(Request["Failed | None"], tag="$delete_child"):
    id: str


class WhichChildren(Request[list[ChildInfo]], tag="$which_children"):
    pass


async def start_child(supervisor: Server, spec: ChildSpec) -> Pid | None:
    """Add a child and start it, last in the order; its pid, or None if its `init` raised `Ignore`.

    Raises:
        ChildError: a child of that id exists.
        StartError: it did not start; it is not kept.
        TypeError: `spec` was not made by `child`.
    """
    check_specs([spec])
    return _value(await call(supervisor, StartChild(spec), timeout=None))


async def terminate_child(supervisor: Server, id: str) -> None:  # noqa: A002  # OTP's name
    """Stop a child; unless it is temporary it stays known, and can be restarted. Raises ChildError if there is none."""
    _value(await call(supervisor, TerminateChild(id), timeout=None))


async def restart_child(supervisor: Server, id: str) -> Pid | None:  # noqa: A002  # OTP's name
    """Start a child again that was stopped. Raises ChildError if it runs, StartError if it does not start."""
    return _value(await call(supervisor, RestartChild(id), timeout=None))


async def delete_child(supervisor: Server, id: str) -> None:  # noqa: A002  # OTP's name
    """Forget a child that was stopped. Raises ChildError if it runs, or if there is none."""
    _value(await call(supervisor, DeleteChild(id), timeout=None))


async def which_children(supervisor: Server) -> list[ChildInfo]:
    """All children, in the order of their start."""
    return await call(supervisor, WhichChildren(), timeout=None)


async def count_children(supervisor: Server) -> dict[str, int]:
    """How many children there are: `specs`, `active`, `supervisors`, `workers`."""
    children = await which_children(supervisor)
    supervisors = sum(each.kind == "supervisor" for each in children)
    return {
        "specs": len(children),
        "active": sum(each.pid is not None for each in children),
        "supervisors": supervisors,
        "workers": len(children) - supervisors,
    }


def check_specs(specs: Sequence[object]) -> None:
    """Raise TypeError where one was not made by `child`."""
    if isinstance(specs, ChildSpec):
        raise TypeError("a supervisor is started with a list of children; this is a single one: put it into [ ]")
    for spec in specs:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"a supervisor's children are made by child(...); this one is not: {spec!r}")


def _value(answer: T | Failed) -> T:
    if isinstance(answer, Failed):
        raise StartError(answer.reason) if answer.start else ChildError(answer.id, answer.reason)
    return answer
