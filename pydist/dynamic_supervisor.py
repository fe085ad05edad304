"""`DynamicSupervisor`: supervises children that come and go, known by their pids (OTP's `simple_one_for_one`, Elixir's
`DynamicSupervisor`).

    await DynamicSupervisor.start_link(name="rooms", max_children=1000)
    pid = await start_child("rooms", child(Room, "lobby", restart="temporary"))
    await terminate_child("rooms", pid)

The contract, where it differs from `Supervisor`:

- It starts without children; `start_child` adds one. Ids need not differ: a child is known by its pid.
- No order among them: a child that crashes is restarted alone, and when the supervisor ends all children stop at the
  same time, each with its own `shutdown`.
- A child that is restarted has another pid. Until a restart succeeds that has failed, it is known by its old one.
- A child that has left for good, was stopped or ignored its start is forgotten: there is no `restart_child`.
- Each operation on a child costs the same, however many there are.

One that starts so many that it becomes a bottleneck can be partitioned: see `PartitionSupervisor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydist.core.restart import RestartBudget, RestartPolicy, check_whole
from pydist.gen.addresses import Name
from pydist.supervision.children import ChildKey, ChildSpec, Failed
from pydist.supervision.stopping import stop_all
from pydist.supervision.supervising import Child, Supervising, report_stop, without_start
from pydist.terms import Pid, Reason


class DynamicSupervisor(Supervising):
    """See the head of this file. Not subclassed: start it, and add children by `start_child`."""

    behaviour = "DynamicSupervisor"

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it has its own options
        cls,
        *,
        intensity: int = 3,
        period: int = 5,
        max_children: int | None = None,
        extra_arguments: Sequence[Any] = (),
        name: Name | None = None,
    ) -> Pid:
        """Start a supervisor without children, linked to the caller.

        Args:
            intensity: restarts allowed within `period`.
            period: whole seconds.
            max_children: how many children it has at most, those counted that are being restarted; None for any number.
            extra_arguments: what each child is started with, before its own arguments.
            name: what it is registered as.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            TypeError: a number that is no whole one; `extra_arguments` that are no list or tuple.
            ValueError: a period below 1, an intensity or `max_children` below 0.
        """
        return await super().start_link(*_checked(intensity, period, max_children, extra_arguments), name=name)

    @classmethod
    async def start(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as start_link
        cls,
        *,
        intensity: int = 3,
        period: int = 5,
        max_children: int | None = None,
        extra_arguments: Sequence[Any] = (),
        name: Name | None = None,
    ) -> Pid:
        """As `start_link`, without a link: it outlives the caller. `stop(pid, SHUTDOWN)` ends it; an exit
        signal only if it is `KILL`."""
        return await super().start(*_checked(intensity, period, max_children, extra_arguments), name=name)

    async def init(self, policy: RestartPolicy, max_children: int | None, first: tuple[Any, ...]) -> None:
        """Begin without children."""
        self._set_up(policy, first)
        self._max_children = max_children

    async def terminate(self, reason: Reason, /) -> None:  # noqa: ARG002  # the same for each
        """Stop all children, at the same time."""
        await stop_all(self._children.values(), report_stop)

    # -- children are known by their pids

    def _child_of(self, pid: Pid) -> Child | None:
        return self._children.get(pid)

    def _came_up(self, child: Child) -> None:
        self._children.pop(child.key, None)
        if child.pid is not None:
            child.key = child.pid
            self._children[child.pid] = child

    async def _start_child(self, spec: ChildSpec) -> Pid | Failed | None:
        if self._max_children is not None and len(self._children) >= self._max_children:
            return Failed(spec.id, "max_children")
        if spec.significant:
            return Failed(spec.id, "bad_combination")
        new = Child(spec, spec.id)  # until it has a pid
        result = await self._bring_up(new)
        new.spec = without_start(spec)
        return result

    async def _restart_child(self, key: ChildKey) -> Failed:
        return Failed(key, "simple_one_for_one")

    def _delete_child(self, key: ChildKey) -> Failed:
        return Failed(key, "simple_one_for_one")


def _checked(
    intensity: int, period: int, max_children: int | None, extra_arguments: object
) -> tuple[RestartPolicy, int | None, tuple[Any, ...]]:
    policy = RestartPolicy("one_for_one", RestartBudget(intensity, period), keep=False)
    if max_children is not None:
        check_whole("max_children", max_children, 0, "children")
    if not isinstance(extra_arguments, list | tuple):
        raise TypeError(f"extra_arguments is a list of what each child is started with, not {extra_arguments!r}")
    return policy, max_children, tuple(cast("Sequence[Any]", extra_arguments))
