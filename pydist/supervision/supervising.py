"""What all supervisors share: they hear of the ends of children, decide by `core/restart.py`, and perform the plan.

A decision is a `Plan`, and `_perform` is the one place where plans are carried out. A restart that fails is tried again
by way of the supervisor's own mailbox, so that other requests are served in between, as in OTP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Any, ClassVar, NoReturn

import attrs

from pydist.aliases import alias
from pydist.core.restart import Plan, Restart, RestartPolicy, Shutdown, stopped_as_asked
from pydist.errors import EncodeError
from pydist.gen.calls import Caller, reply
from pydist.gen.lifecycle import NO_REPLY, Stop
from pydist.gen_server import GenServer
from pydist.message import Message, Request
from pydist.messaging import acting, current, send
from pydist.primitives import trap_exit
from pydist.reports import supervisor_report, unexpected_message
from pydist.runtime import Runtime
from pydist.supervision.children import (
    ChildInfo,
    ChildKey,
    ChildSpec,
    CountChildren,
    DeleteChild,
    Failed,
    GetChildspec,
    Kind,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from pydist.supervision.starting import never_again, start
from pydist.supervision.stopping import stop
from pydist.terms import SHUTDOWN, Atom, Exited, Pid, Reason, Ref


@attrs.define(eq=False)
class Child:
    """A child as its supervisor knows it."""

    spec: ChildSpec
    key: ChildKey
    """By which it is found in `children`."""
    pid: Pid | None = None
    restarting: bool = False
    """Its restart has failed so far, and is tried again."""

    @property
    def restart(self) -> Restart:
        """Its restart type."""
        return self.spec.restart

    @property
    def significant(self) -> bool:
        """Whether its leaving can end the supervisor."""
        return self.spec.significant

    @property
    def shutdown(self) -> Shutdown:
        """How it is stopped."""
        return self.spec.shutdown

    @property
    def running(self) -> bool:
        """It has a process, or is being restarted."""
        return self.pid is not None or self.restarting


class TryAgain(Message, tag="$try_again"):
    """To the supervisor itself: the restart of this child has failed. It comes by an alias: no bound drops it."""

    ref: Ref
    key: ChildKey


class Supervising(GenServer, ABC):
    """The base of all supervisors; see the head of this file. Subclasses say how children are known and kept."""

    behaviour: ClassVar[str] = "Supervisor"
    child_kind: ClassVar[Kind] = "supervisor"
    __remote_life__: ClassVar[None] = None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]  # how children start can't cross

    def _set_up(self, policy: RestartPolicy, first: tuple[Any, ...] = ()) -> None:
        """Begin without children.

        Args:
            policy: how it decides.
            first: arguments that every child is started with before its own.
        """
        trap_exit(True)
        self._policy = policy
        self._first = first
        self._children: dict[ChildKey, Child] = {}
        """In the order of their start."""

    @classmethod
    async def start_monitor(cls, *_args: Any, **_options: Any) -> NoReturn:
        """Not there: who watches a supervisor is the one above it."""
        raise TypeError("a supervisor is started by start_link or start; monitor(pid) it then")

    def format_status(self, state: Any, /) -> Any:  # noqa: ARG002  # its own words
        """How it decides, and how many children it has."""
        policy = self._policy
        return {
            "strategy": policy.strategy,
            "intensity": policy.budget.intensity,
            "period": policy.budget.period,
            "auto_shutdown": policy.auto_shutdown,
            "children": _count(self._children.values()),
        }

    # -- how a subclass knows and keeps its children

    @abstractmethod
    def _child_of(self, pid: Pid) -> Child | None:
        """The child whose process has ended."""

    @abstractmethod
    async def _start_child(self, spec: ChildSpec) -> Pid | Failed | None:
        """A new child."""

    @abstractmethod
    async def _restart_child(self, key: ChildKey) -> Pid | Failed | None:
        """Start one that does not run."""

    @abstractmethod
    def _delete_child(self, key: ChildKey) -> Failed | None:
        """Forget one that does not run."""

    @abstractmethod
    def _came_up(self, child: Child) -> None:
        """It has come up, or ignored its start."""

    # -- requests

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Manage children. An answer that can't cross to the caller's node harms nobody."""
        answer = await self._answer(request, caller)
        try:
            reply(caller, answer)
        except EncodeError:
            reply(caller, _crossing(answer))
        return NO_REPLY

    async def _answer(self, request: Request[Any], caller: Caller) -> object:
        match request:
            case StartChild(spec):
                return await self._start_child(spec)
            case TerminateChild(key):
                return await self._terminate_child(key)
            case RestartChild(key):
                return await self._restart_child(key)
            case DeleteChild(key):
                return self._delete_child(key)
            case GetChildspec(key):
                known = self._children.get(key)
                return known.spec if known is not None else Failed(key, "not_found")
            case WhichChildren():
                return list(self.child_infos())
            case CountChildren():
                return _count(self._children.values())
            case _:
                return await super().handle_call(request, caller)

    def child_infos(self) -> Iterator[ChildInfo]:
        """All children, in the order of their start. While it does not run yet, none."""
        children: dict[ChildKey, Child] = getattr(self, "_children", {})
        return map(_info, children.values())

    async def _terminate_child(self, key: ChildKey) -> Failed | None:
        known = self._children.get(key)
        if known is None:
            return Failed(key, "not_found")
        await self._bring_down(known)
        if self._policy.forgets(known):
            del self._children[known.key]
        return None

    # -- what happens to children

    async def handle_info(self, message: Any, /) -> None:
        """A child has ended, or is to be tried again; all else is logged and dropped."""
        match message:
            case Exited(pid, reason):
                ended = self._child_of(pid)
                if ended is not None:
                    await self._ended(ended, pid, reason)
            case TryAgain(_, key):
                again = self._children.get(key)
                if again is not None and again.restarting:
                    await self._perform(self._policy.again(again, self._children.values(), _now()), again)
            case _:
                unexpected_message(current(), message, level="error")

    async def _ended(self, child: Child, pid: Pid, reason: Reason) -> None:
        child.pid = None
        plan = self._policy.ended(child, reason, self._children.values(), _now())
        if plan.report:
            supervisor_report(current(), "child_terminated", reason, child.spec, pid)
        await self._perform(plan, child)

    async def _perform(self, plan: Plan[Child], cause: Child) -> None:
        for each in plan.stop:
            await self._bring_down(each)
        for each in plan.drop:
            del self._children[each.key]
        if plan.end == "intensity":
            supervisor_report(current(), "shutdown", Atom("reached_max_restart_intensity"), cause.spec, None)
        if plan.end is not None:
            raise Stop(SHUTDOWN)
        for each in plan.start:
            if not await self._start_again(each):
                return

    async def _start_again(self, child: Child) -> bool:
        failure = await self._bring_up(child)
        child.restarting = isinstance(failure, Failed)
        if isinstance(failure, Failed):
            supervisor_report(current(), "start_error", failure.reason, child.spec, None)
            address = alias(reply=True)
            send(address, TryAgain(address.ref, child.key))
        return not child.restarting

    # -- one child

    async def _bring_up(self, child: Child) -> Pid | Failed | None:
        """Start a child that has no process."""
        result = await start(child.spec, self._first)
        if not isinstance(result, Failed):
            child.pid = result
            self._came_up(child)
        return result

    async def _bring_down(self, child: Child) -> None:
        """Stop a child, if it runs, and try no restart of it."""
        child.restarting = False
        await stop(child, report_stop)
        child.pid = None


def _now() -> float:
    _, runtime = acting()
    return runtime.loop.time()


def report_stop(child: Child, reason: Reason) -> None:
    """A child has been stopped, and ended with `reason`."""
    if not stopped_as_asked(child.restart, child.shutdown, reason):
        supervisor_report(current(), "shutdown_error", reason, child.spec, child.pid)


def without_start(spec: ChildSpec) -> ChildSpec:
    """What is kept of a child that has been started: of a temporary one not what it was started with."""
    return attrs.evolve(spec, start=never_again) if spec.restart == "temporary" else spec


def _info(child: Child) -> ChildInfo:
    return ChildInfo(child.spec.id, child.pid, child.spec.kind, child.restarting)


def _count(children: Collection[Child]) -> dict[str, int]:
    _, runtime = acting()
    supervisors = sum(each.spec.kind == "supervisor" for each in children)
    return {
        "specs": len(children),
        "active": sum(each.pid is not None and _lives(runtime, each.pid) for each in children),
        "supervisors": supervisors,
        "workers": len(children) - supervisors,
    }


def _lives(runtime: Runtime, pid: Pid) -> bool:
    """A child of this node may have died unseen, if it has unlinked itself; one elsewhere is believed."""
    process = runtime.process(pid)
    return not process.dying if process is not None else not runtime.is_local(pid)


def _crossing(answer: object) -> Failed:
    """Stands for an answer that can't cross: how a child starts, or why it did not."""
    if isinstance(answer, Failed):
        return Failed(answer.id, repr(answer.reason), answer.start, answer.pid)
    return Failed(getattr(answer, "id", ""), "not_here")
