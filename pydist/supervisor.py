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
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import attrs
import structlog

from pydist.calls import Caller
from pydist.children import (
    ChildInfo,
    ChildSpec,
    DeleteChild,
    Failed,
    Kind,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
    check_specs,
)
from pydist.core.restart import STRATEGIES, RestartBudget, Strategy, affected, must_restart
from pydist.errors import StartError
from pydist.gen import Stop
from pydist.gen_server import GenServer
from pydist.mailbox import MISSING
from pydist.message import Message, Request
from pydist.primitives import (
    acting,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    self_pid,
    send,
    trap_exit,
    unlink,
)
from pydist.process import crash_of
from pydist.terms import KILL, KILLED, NORMAL, SHUTDOWN, Down, Exited, Pid, Reason, Ref, is_shutdown

log = structlog.get_logger("pydist")


@attrs.define(eq=False)
class _Child:
    spec: ChildSpec
    pid: Pid | None = None
    restarting: bool = False


class _TryAgain(Message, tag="$try_again"):
    """To the supervisor itself: the restart of this child has failed."""

    id: str


def _check(children: Sequence[ChildSpec], strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}")
    check_specs(children)
    ids = [spec.id for spec in children]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise ValueError(f"two children have the id {twice[0]!r}: give one another with id=")


class Supervisor(GenServer):
    """See the head of this file. Usually not subclassed: start it with its children."""

    child_kind: ClassVar[Kind] = "supervisor"

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a supervisor is started with its children
        cls,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: int = 5,
        name: str | None = None,
    ) -> Pid:
        """Start a supervisor linked to the caller; returns when all children have started.

        Args:
            children: made by `child`, in the order of their start.
            strategy: what stops and starts with a child that is restarted: nothing else, all, or those after it.
            intensity: restarts allowed within `period`.
            period: whole seconds.
            name: registered on this node.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            StartError: a child did not start, `(SHUTDOWN, ("failed_to_start_child", id, reason))`; those before it were
                stopped in reverse.
            TypeError: a child that was not made by `child`.
            ValueError: an unknown strategy, two children of one id, a period below 1 or an intensity below 0.
        """
        _check(children, strategy)
        return await super().start_link(tuple(children), strategy, RestartBudget(intensity, period), name=name)

    @classmethod
    async def start(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as start_link
        cls,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: int = 5,
        name: str | None = None,
    ) -> Pid:
        """As `start_link`, without a link: it outlives the caller, and stops by an exit signal only."""
        _check(children, strategy)
        return await super().start(tuple(children), strategy, RestartBudget(intensity, period), name=name)

    async def init(
        self, specs: Sequence[ChildSpec] = (), strategy: Strategy = "one_for_one", budget: Any = None
    ) -> None:
        """Start the children."""
        trap_exit(True)
        self._strategy: Strategy = strategy
        self._budget: RestartBudget = budget
        self._children: list[_Child] = []
        for spec in specs:
            failure = await self._start_new(spec)
            if isinstance(failure, Failed):
                await self._stop_all()
                raise Stop((SHUTDOWN, ("failed_to_start_child", spec.id, failure.reason)))

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Manage children."""
        match request:
            case StartChild(spec):
                return await self._start_child(spec)
            case TerminateChild(id_):
                return await self._terminate_child(id_)
            case RestartChild(id_):
                return await self._restart_child(id_)
            case DeleteChild(id_):
                return self._delete_child(id_)
            case WhichChildren():
                return [ChildInfo(each.spec.id, each.pid, each.spec.kind) for each in self._children]
            case _:
                return await super().handle_call(request, caller)

    async def handle_info(self, message: Any, /) -> None:
        """A child has ended, or is to be tried again; all else is logged and dropped."""
        match message:
            case Exited(pid, reason):
                ended = next((each for each in self._children if each.pid == pid), None)
                if ended is not None:
                    await self._child_ended(ended, reason)
            case _TryAgain(id_):
                again = self._find(id_)
                if again is not None and again.restarting:
                    await self._restart(again)
            case _:
                await super().handle_info(message)

    async def terminate(self, reason: Reason, /) -> None:  # noqa: ARG002  # the same for each
        """Stop all children, in reverse order."""
        await self._stop_all()

    # -- restarting

    async def _child_ended(self, ended: _Child, reason: Reason) -> None:
        ended.pid = None
        restart = ended.spec.restart
        if restart == "permanent" or not (reason is NORMAL or is_shutdown(reason)):
            log.error("child_terminated", supervisor=self_pid(), child=ended.spec.id, reason=reason, restart=restart)
        if must_restart(restart, reason):
            await self._restart(ended)
        elif restart == "temporary":
            self._children.remove(ended)

    async def _restart(self, failed: _Child) -> None:
        _, runtime = acting()
        if not self._budget.spend(runtime.loop.time()):
            log.error(
                "supervisor_gives_up", supervisor=self_pid(), child=failed.spec.id, intensity=self._budget.intensity
            )
            raise Stop(SHUTDOWN)
        concerned = affected(self._strategy, self._children, self._children.index(failed))
        for each in reversed(concerned):
            await self._stop(each)
        for each in concerned:
            if each is not failed and each.spec.restart == "temporary":
                self._children.remove(each)
            elif not await self._start_again(each):
                return

    async def _start_again(self, each: _Child) -> bool:
        result = await self._start(each)
        each.restarting = isinstance(result, Failed)
        if isinstance(result, Failed):
            log.error("child_start_failed", supervisor=self_pid(), child=each.spec.id, reason=result.reason)
            send(self_pid(), _TryAgain(each.spec.id))
        return not each.restarting

    # -- managing

    async def _start_child(self, spec: ChildSpec) -> Pid | Failed | None:
        known = self._find(spec.id)
        if known is None:
            return await self._start_new(spec)
        return Failed(spec.id, "already_present" if known.pid is None else "already_started")

    async def _terminate_child(self, id_: str) -> Failed | None:
        known = self._find(id_)
        if known is None:
            return Failed(id_, "not_found")
        await self._stop(known)
        if known.spec.restart == "temporary":
            self._children.remove(known)
        return None

    async def _restart_child(self, id_: str) -> Pid | Failed | None:
        known = self._find(id_)
        problem = _not_stopped(known)
        if known is None or problem is not None:
            return Failed(id_, problem)
        return await self._start(known)

    def _delete_child(self, id_: str) -> Failed | None:
        known = self._find(id_)
        problem = _not_stopped(known)
        if known is None or problem is not None:
            return Failed(id_, problem)
        self._children.remove(known)
        return None

    def _find(self, id_: str) -> _Child | None:
        return next((each for each in self._children if each.spec.id == id_), None)

    # -- starting and stopping one

    async def _start_new(self, spec: ChildSpec) -> Pid | Failed | None:
        new = _Child(spec)
        result = await self._start(new)
        if spec.restart == "temporary":
            new.spec = attrs.evolve(spec, start=_never_again)
        if not isinstance(result, Failed) and (result is not None or spec.restart != "temporary"):
            self._children.append(new)
        return result

    async def _start(self, each: _Child) -> Pid | Failed | None:
        try:
            each.pid = _started(await each.spec.start())
        except StartError as error:
            return Failed(each.spec.id, error.reason, start=True)
        except Exception as error:  # noqa: BLE001  # whatever the start raises, the child did not start
            return Failed(each.spec.id, crash_of(error), start=True)
        return each.pid

    async def _stop_all(self) -> None:
        for each in reversed(self._children):
            await self._stop(each)

    async def _stop(self, each: _Child) -> None:
        """Stop a child; a child that has unlinked itself can't hang this, nor one whose exit signal came first."""
        pid, each.pid = each.pid, None
        each.restarting = False
        if pid is None:
            return
        ref = monitor(pid)
        unlink(pid)
        process, _ = acting()
        exited = process.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
        reason = await _shut_down(pid, ref, each.spec.shutdown)
        reason = exited.reason if exited is not MISSING else reason
        expected = KILLED if each.spec.shutdown == "brutal_kill" else SHUTDOWN
        if reason is not expected and not (reason is NORMAL and each.spec.restart != "permanent"):
            log.error("child_shutdown_error", supervisor=self_pid(), child=each.spec.id, reason=reason)


def _started(result: object) -> Pid | None:
    if result is None or isinstance(result, Pid):
        return result
    raise TypeError(f"start_link returns the pid of the child, or None if there is none; this one returned {result!r}")


async def _never_again() -> None:
    """Stands for the start of a temporary child that has been started: what it was started with is not kept."""


async def _shut_down(pid: Pid, ref: Ref, shutdown: float | str | None) -> Reason:
    if shutdown == "brutal_kill":
        exit(pid, KILL)
        return (await receive(ref)).reason
    exit(pid, SHUTDOWN)
    try:
        down: Down = await receive(ref, cast("float | None", shutdown))
    except TimeoutError:
        exit(pid, KILL)
        down = await receive(ref)
    return down.reason


def _not_stopped(known: _Child | None) -> str | None:
    """Why a child can't be restarted or deleted now; None if it can."""
    if known is None:
        return "not_found"
    if known.restarting:
        return "restarting"
    return None if known.pid is None else "running"
