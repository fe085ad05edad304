"""`Supervisor`: starts children in order, restarts them when they crash, stops them in reverse (OTP's `supervisor`).

    await Supervisor.start_link(
        [child(Database, url, name="database"), child(Cache, restart="transient")],
        strategy="rest_for_one", intensity=3, period=5,
    )

The contract:

- A child that ends is restarted as its `restart` says: permanent always; transient unless it ended with `NORMAL`,
  `SHUTDOWN` or `(SHUTDOWN, detail)`; temporary never.
- More than `intensity` restarts in `period` seconds, over all children: every child is stopped, and the supervisor ends
  with `SHUTDOWN`, for the one above it to decide.
- A restart that fails is tried again by way of the supervisor's own mailbox: each try costs one of the intensity, and
  other requests are served in between.
- A child is stopped by `SHUTDOWN`, and killed if it takes longer than its `shutdown`.
- A significant child that leaves by itself, for good, ends the supervisor as `auto_shutdown` says, with `SHUTDOWN`. One
  that the supervisor has stopped does not.
- Children may be given by a function. It is called in the supervisor's process at each of its starts, so that what they
  are may depend on how things stand then (OTP's and Elixir's `init` callback). It may raise `Ignore` or `Stop`.
- A child whose start never returns keeps its supervisor from everything else, as in OTP; the log says so from time to
  time. `starting.py` has more about it.

For children that come and go at run time there is `DynamicSupervisor`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias

from pydist.core.restart import AutoShutdown, RestartBudget, RestartPolicy, Strategy
from pydist.gen.addresses import Name
from pydist.gen.lifecycle import Stop
from pydist.messaging import current
from pydist.reports import progress_report, supervisor_report
from pydist.supervision.children import ChildKey, ChildSpec, Failed, check_specs
from pydist.supervision.supervising import Child, Supervising, without_start
from pydist.terms import SHUTDOWN, Pid, Reason

Children: TypeAlias = Sequence[ChildSpec] | Callable[[], Sequence[ChildSpec] | Awaitable[Sequence[ChildSpec]]]
"""What a supervisor is started with: children, or a function that says which."""


class Supervisor(Supervising):
    """See the head of this file. Not subclassed: start it with its children."""

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a supervisor is started with its children
        cls,
        children: Children = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: int = 5,
        auto_shutdown: AutoShutdown = "never",
        name: Name | None = None,
    ) -> Pid:
        """Start a supervisor linked to the caller; returns when all children have started.

        Args:
            children: made by `child`, in the order of their start; or a function, async or not, that returns such.
            strategy: what stops and starts with a child that is restarted: nothing else, all, or those after it.
            intensity: restarts allowed within `period`.
            period: whole seconds.
            auto_shutdown: whether the supervisor ends when any significant child, or the last one, has left for good.
            name: what it is registered as.

        Returns:
            Its pid; None if `children` is a function that raised `Ignore`.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            StartError: a child did not start, `(SHUTDOWN, ("failed_to_start_child", id, reason))`; those before it were
                stopped in reverse. Or `children` is a function that failed.
            TypeError: a child that was not made by `child`; a number that is no whole one.
            ValueError: an unknown strategy or auto_shutdown, two children of one id, a period below 1, an intensity
                below 0, a significant child without auto_shutdown.
        """
        policy = RestartPolicy(strategy, RestartBudget(intensity, period), auto_shutdown)
        return await super().start_link(_early(children, policy), policy, name=name)

    @classmethod
    async def start(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as start_link
        cls,
        children: Children = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: int = 5,
        auto_shutdown: AutoShutdown = "never",
        name: Name | None = None,
    ) -> Pid:
        """As `start_link`, without a link: it outlives the caller. `stop(pid, SHUTDOWN)` ends it; an exit
        signal only if it is `KILL`."""
        policy = RestartPolicy(strategy, RestartBudget(intensity, period), auto_shutdown)
        return await super().start(_early(children, policy), policy, name=name)

    async def init(self, children: Children, policy: RestartPolicy) -> None:
        """Start the children."""
        self._set_up(policy)
        self._by_pid: dict[Pid, Child] = {}
        for spec in await _evaluated(children, policy):
            failure = await self._start_new(spec)
            if isinstance(failure, Failed):
                supervisor_report(current(), "start_error", failure.reason, spec, None)
                await self._stop_all()
                raise Stop((SHUTDOWN, ("failed_to_start_child", spec.id, failure.reason)))

    async def terminate(self, reason: Reason, /) -> None:  # noqa: ARG002  # the same for each
        """Stop all children, in reverse order."""
        await self._stop_all()

    async def _stop_all(self) -> None:
        for each in reversed(self._children.values()):
            await self._bring_down(each)

    # -- children are known by their ids

    def _child_of(self, pid: Pid) -> Child | None:
        return self._by_pid.pop(pid, None)

    def _came_up(self, child: Child) -> None:
        if child.pid is not None:
            self._by_pid[child.pid] = child
            progress_report(current(), child.spec, child.pid)

    async def _bring_down(self, child: Child) -> None:
        pid = child.pid
        await super()._bring_down(child)
        if pid is not None:
            self._by_pid.pop(pid, None)

    async def _start_child(self, spec: ChildSpec) -> Pid | Failed | None:
        if spec.significant and self._policy.auto_shutdown == "never":
            return Failed(spec.id, "bad_combination")
        known = self._children.get(spec.id)
        if known is not None:
            return Failed(spec.id, "already_present" if known.pid is None else "already_started", pid=known.pid)
        return await self._start_new(spec)

    async def _start_new(self, spec: ChildSpec) -> Pid | Failed | None:
        new = Child(spec, spec.id)
        result = await self._bring_up(new)
        new.spec = without_start(spec)
        ignored = result is None
        if not isinstance(result, Failed) and not (ignored and self._policy.forgets(new)):
            self._children[new.key] = new
        return result

    async def _restart_child(self, key: ChildKey) -> Pid | Failed | None:
        known = self._not_running(key)
        return await self._bring_up(known) if isinstance(known, Child) else known

    def _delete_child(self, key: ChildKey) -> Failed | None:
        known = self._not_running(key)
        if isinstance(known, Failed):
            return known
        del self._children[key]
        return None

    def _not_running(self, key: ChildKey) -> Child | Failed:
        known = self._children.get(key)
        if known is None:
            return Failed(key, "not_found")
        if known.restarting:
            return Failed(key, "restarting")
        return known if known.pid is None else Failed(key, "running")


async def _evaluated(children: Children, policy: RestartPolicy) -> tuple[ChildSpec, ...]:
    """The children themselves. Those that a function gives are checked only now."""
    if not callable(children):
        return tuple(children)
    given: Any = children()
    return _checked(await given if isawaitable(given) else given, policy)


def _checked(children: Sequence[ChildSpec], policy: RestartPolicy) -> tuple[ChildSpec, ...]:
    specs = check_specs(children)
    for spec in specs:
        if spec.significant and policy.auto_shutdown == "never":
            raise ValueError(
                f"the child {spec.id!r} is significant: its supervisor needs auto_shutdown='any_significant' or "
                "'all_significant'"
            )
    return specs


def _early(children: Children, policy: RestartPolicy) -> Children:
    """Children that are given as they are, checked before anything is started."""
    if isinstance(children, type):
        name = children.__name__
        raise TypeError(f"a supervisor is started with a list of children, not with a class: write [child({name})]")
    return children if callable(children) else _checked(children, policy)
