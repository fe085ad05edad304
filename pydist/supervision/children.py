"""A supervisor's children as values: how each is described, and the requests about them.

A `ChildSpec` holds what a supervisor needs: how to start the child, again and again, and how to stop it. It is made by
`child`, which checks it. It stays on its node: a start is a function, and functions don't cross the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

import attrs

from pydist.core.restart import RESTARTS, Restart, Shutdown
from pydist.gen.addresses import Name, Via
from pydist.gen_server import GenServer
from pydist.message import Message, Request
from pydist.primitives import spawn
from pydist.terms import Pid

Kind: TypeAlias = Literal["worker", "supervisor"]
ChildKey: TypeAlias = str | Pid
"""What a child is known by: its id; under a `DynamicSupervisor` its pid."""


@runtime_checkable
class Startable(Protocol):
    """What can start itself as a linked process: every `GenServer` and `Supervisor` class.

    A class may say what its children are unless `child` is told otherwise: `child_restart`, a restart type, and
    `child_kind`, "worker" or "supervisor".
    """

    async def start_link(self, *args: Any, **kwargs: Any) -> Pid:
        """Start, linked to the caller, and return when it is ready."""
        ...


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop one child. Made by `child`, which checks it."""

    id: str
    start: Callable[..., Coroutine[Any, Any, Pid | None]]
    """Starts the child; what it is called with comes before the arguments that `child` was given."""
    restart: Restart
    shutdown: Shutdown
    kind: Kind
    significant: bool = False


def child(
    start: Startable | Callable[..., Coroutine[Any, Any, Any]],
    *args: Any,
    id: str | None = None,  # noqa: A002  # OTP's name
    name: Name | None = None,
    restart: Restart | Literal["default"] = "default",
    shutdown: Shutdown | Literal["default"] = "default",
    significant: bool = False,
    **options: Any,
) -> ChildSpec:
    """Describe a child (OTP's `child_spec()`).

    Args:
        start: a `GenServer` or `Supervisor` class, or an async function that is the whole life of a plain process.
        *args: what it is started with, again at each restart.
        id: distinguishes it among its siblings; the name, or the name of the class or function, by default.
        name: what it is registered as.
        restart: "permanent", "transient" or "temporary", see `Supervisor`; "permanent" unless the class says otherwise.
        shutdown: seconds it has to stop before it is killed; None for as long as it takes; "brutal_kill" for no time at
            all. 5 by default, and None for a supervisor.
        significant: its leaving may end its supervisor, as that one's `auto_shutdown` says.
        **options: what else it is started with: keyword arguments of `init`, or a supervisor's `strategy` and so on.

    Raises:
        TypeError, ValueError: the description makes no sense.
    """
    default: Restart = getattr(start, "child_restart", "permanent")
    kind: Kind = getattr(start, "child_kind", "worker")
    restart = default if restart == "default" else restart
    if shutdown == "default":
        shutdown = None if kind == "supervisor" else 5.0
    _check(id, restart, shutdown, significant)
    starts = _starter(start, args, options, name)
    return ChildSpec(id or _label(start, name), starts, restart, shutdown, kind, significant)


def _check(id_: object, restart: object, shutdown: object, significant: object) -> None:
    if id_ is not None and (not isinstance(id_, str) or not id_):
        raise TypeError(f"the id of a child is a string, and not empty; this one is {id_!r}")
    if restart not in RESTARTS:
        raise ValueError(f"restart is one of {', '.join(RESTARTS)}, not {restart!r}")
    if not _is_shutdown(shutdown):
        raise ValueError(f"shutdown is a number of seconds from 0, None or 'brutal_kill', not {shutdown!r}")
    if not isinstance(significant, bool):
        raise TypeError(f"significant is True or False, not {significant!r}")
    if significant and restart == "permanent":
        raise ValueError("a significant child may leave for good, and a permanent one never does: make it transient")


def _is_shutdown(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return value is None or value == "brutal_kill" or (isinstance(value, int | float) and value >= 0)


def _label(start: Any, name: Name | None) -> str:
    if name is not None:
        return str(name.key) if isinstance(name, Via) else name
    return getattr(start, "__name__", repr(start))


def _starter(
    start: Any, args: tuple[Any, ...], options: dict[str, Any], name: Name | None
) -> Callable[..., Coroutine[Any, Any, Pid | None]]:
    if isinstance(start, GenServer):
        raise TypeError(f"a child is started by its class, {type(start).__qualname__}, not by an instance of it")
    if isinstance(start, Startable):
        named = options if name is None else {**options, "name": name}
        return lambda *first: start.start_link(*first, *args, **named)
    if iscoroutinefunction(start) and not _is_method_that_starts(start):
        if isinstance(name, Via):
            raise TypeError(f"a plain process has a name of its node, not {name!r}: let it register itself")

        async def spawn_linked(*first: Any) -> Pid:
            return spawn(partial(start, *first, *args, **options), link=True, name=name)

        return spawn_linked
    raise TypeError(f"a child is started by a class with start_link, or an async function, not by {start!r}")


def _is_method_that_starts(start: Any) -> bool:
    """`Counter.start_link` where `Counter` is meant: as a process of its own it would end as soon as it has started."""
    return isinstance(getattr(start, "__self__", None), Startable) and start.__name__ in {"start", "start_link"}


def check_specs(specs: object) -> tuple[ChildSpec, ...]:
    """The children a supervisor is started with.

    Raises:
        TypeError: not a sequence of what `child` makes.
        ValueError: two of them have the same id.
    """
    if isinstance(specs, ChildSpec):
        raise TypeError("a supervisor is started with a list of children; this is a single one: put it into [ ]")
    if not isinstance(specs, Sequence) or isinstance(specs, str | bytes):
        raise TypeError(f"a supervisor is started with a list of children, not with {specs!r}")
    checked = tuple(check_spec(spec) for spec in cast("Sequence[object]", specs))
    seen: set[str] = set()
    for spec in checked:
        if spec.id in seen:
            raise ValueError(f"two children have the id {spec.id!r}: give one another with id=")
        seen.add(spec.id)
    return checked


def check_spec(spec: object) -> ChildSpec:
    """`spec`; TypeError if it was not made by `child`."""
    if not isinstance(spec, ChildSpec):
        raise TypeError(f"a supervisor's children are made by child(...); this one is not: {spec!r}")
    return spec


# -- what is asked of a supervisor


class ChildInfo(Message, tag="$child_info"):
    """One line of `which_children`."""

    id: str
    pid: Pid | None
    """None while it does not run."""
    kind: Kind
    restarting: bool = False
    """It has ended, and its restart has failed so far: it is being tried again."""


class Failed(Message, tag="$child_failed"):
    """The answer to a request that the supervisor can't fulfil."""

    id: ChildKey
    reason: Any
    start: bool = False
    """The child did not start; `reason` is its exit reason."""
    pid: Pid | None = None
    """Of the child that is there already."""


class StartChild(Request["Pid | None | Failed"], tag="$start_child"):
    spec: ChildSpec


class TerminateChild(Request["Failed | None"], tag="$terminate_child"):
    id: ChildKey


class RestartChild(Request["Pid | None | Failed"], tag="$restart_child"):
    id: ChildKey


class DeleteChild(Request["Failed | None"], tag="$delete_child"):
    id: ChildKey


class GetChildspec(Request["ChildSpec | Failed"], tag="$get_childspec"):
    id: ChildKey


class WhichChildren(Request[list[ChildInfo]], tag="$which_children"):
    pass


class CountChildren(Request[dict[str, int]], tag="$count_children"):
    pass
