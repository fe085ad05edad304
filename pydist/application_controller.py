"""`ApplicationController`: starts and stops the applications of a node (OTP's `application_controller`).

It is a process of its node, found by the name "application_controller", and linked to the process that has started it.
It does nothing that takes time: starts and stops run in the masters of the applications, and many can be under way.
When it ends, for the end of an application or because it is told to, it stops all that run, in reverse, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import attrs

from pydist.application import CONTROLLER, Application, Env, Loaded
from pydist.application_master import Up, serve
from pydist.core.restart import Restart
from pydist.core.start_order import check_needs
from pydist.gen.calls import Caller, reply
from pydist.gen.lifecycle import NO_REPLY, Stop
from pydist.gen_server import GenServer
from pydist.message import Message, Request
from pydist.own_log import log
from pydist.primitives import (
    exit,  # noqa: A004  # OTP's name
    publish,
    self_pid,
    spawn,
    trap_exit,
)
from pydist.supervision.stopping import stop
from pydist.terms import NORMAL, SHUTDOWN, Exited, Pid, Reason, is_shutdown, is_silent


class ApplicationInfo(Message, tag="$application_info"):
    """One line of `which_applications`."""

    name: str
    description: str
    version: str
    restart: Restart
    top: Pid | None
    """The pid of its top supervisor, if it has one."""


class Refused(Message, tag="$application_refused"):
    """The answer to a request that can't be fulfilled."""

    application: str
    reason: Any
    start: bool = False
    """It did not start; `reason` is its exit reason."""


class StartApplication(Request["Refused | None"], tag="$start_application"):
    name: str
    restart: Restart


class StopApplication(Request["Refused | None"], tag="$stop_application"):
    name: str


class WhichApplications(Request[list[ApplicationInfo]], tag="$which_applications"):
    pass


@attrs.define(eq=False)
class _Started:
    """An application that starts, runs or stops."""

    application: type[Application]
    restart: Restart
    pid: Pid
    """Of its master."""
    shutdown: float | None
    state: Literal["starting", "running", "stopping"] = "starting"
    top: Pid | None = None
    waiting: list[Caller] = attrs.field(factory=list[Caller])
    """Who is to be told when it runs, or has stopped."""

    def tell(self, answer: Refused | None) -> None:
        """Answer those that wait."""
        waiting, self.waiting = self.waiting, []
        for caller in waiting:
            reply(caller, answer)


class ApplicationController(GenServer):
    """See the head of this file."""

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it is started with applications
        cls,
        applications: Sequence[type[Application]],
        env: Mapping[str, Env] | None = None,
        *,
        shutdown: float | None = None,
    ) -> Pid:
        """Start it, linked to the caller. No application starts by that: see `ensure_all_started`.

        Args:
            applications: those that this node shall know.
            env: for the names of some of them, what is other than their own `env` says.
            shutdown: seconds that each application has to stop in the end, before it is killed; None for as long as it
                takes.

        Raises:
            AlreadyStarted: the node has one already.
            TypeError: what is no subclass of `Application`.
            ValueError: two have the same name, or one has none; one needs another that is not there, or itself by way
                of others; `env` has a name that no application has.
        """
        return await super().start_link(_load(applications, env or {}), shutdown, name=CONTROLLER)

    async def init(self, loaded: Mapping[str, Loaded], shutdown: float | None) -> None:
        """Begin with no application started."""
        trap_exit(True)
        publish(loaded)
        self._loaded = loaded
        self._shutdown = shutdown
        self._started: dict[str, _Started] = {}
        """In the order of their start."""

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Begin to start or stop one, or tell which run."""
        match request:
            case StartApplication(name, restart):
                return self._start(name, restart, caller)
            case StopApplication(name):
                return self._stop(name, caller)
            case WhichApplications():
                return [_info(each) for each in self._started.values() if each.state == "running"]
            case _:
                return await super().handle_call(request, caller)

    async def handle_info(self, message: Any, /) -> None:
        """An application has come up or ended; or the controller itself is told to stop."""
        match message:
            case Up(master, top):
                self._came_up(self._of(master), top)
            case Exited(master, reason):
                self._ended(self._of(master), reason)
            case _:
                await super().handle_info(message)

    async def terminate(self, reason: Reason, /) -> None:  # noqa: ARG002  # the same for each
        """Stop all that run, in reverse. One that still starts hears of it by its link, when its start has returned."""
        for each in reversed(list(self._started.values())):
            if each.state != "starting":
                await stop(each, _stopped)

    # -- starting and stopping

    def _start(self, name: str, restart: Restart, caller: Caller) -> object:
        known = self._loaded.get(name)
        if known is None:
            return Refused(name, "not_loaded")
        started = self._started.get(name)
        if started is None:
            missing = [other for other in known.application.applications if not self._runs(other)]
            if missing:
                return Refused(missing[0], "not_started")
            pid = spawn(serve, known.application, known.env, self_pid(), link=True)
            started = self._started[name] = _Started(known.application, restart, pid, self._shutdown)
        elif started.state != "starting":
            return Refused(name, "already_started" if started.state == "running" else "stopping")
        started.waiting.append(caller)
        return NO_REPLY

    def _runs(self, name: str) -> bool:
        started = self._started.get(name)
        return started is not None and started.state == "running"

    def _stop(self, name: str, caller: Caller) -> object:
        started = self._started.get(name)
        if started is None or started.state == "starting":
            return Refused(name, "not_started" if name in self._loaded else "not_loaded")
        if started.state == "running":
            started.state = "stopping"
            exit(started.pid, SHUTDOWN)
        started.waiting.append(caller)
        return NO_REPLY

    def _of(self, master: Pid) -> _Started | None:
        return next((each for each in self._started.values() if each.pid == master), None)

    def _came_up(self, started: _Started | None, top: Pid | None) -> None:
        if started is not None:
            started.state = "running"
            started.top = top
            log.info("application_started", application=started.application.name, restart=started.restart)
            started.tell(None)

    def _ended(self, started: _Started | None, reason: Reason) -> None:
        if started is None:
            if is_shutdown(reason):
                raise Stop(reason)  # whoever says so; OTP's controller ends only with its node
            return
        name = started.application.name
        del self._started[name]
        if started.state == "stopping":
            _stopped(started, reason)
            started.tell(None)
            return
        failed = started.state == "starting"
        ends_all = started.restart == "permanent" or (started.restart == "transient" and reason is not NORMAL)
        _report("application_exited", started, reason, bad=ends_all or not is_silent(reason))
        started.tell(Refused(name, reason, start=True) if failed else None)
        if ends_all:
            raise Stop((SHUTDOWN, ("application_start_failure" if failed else "application_terminated", name, reason)))


def _load(applications: Sequence[Any], env: Mapping[str, Env]) -> Mapping[str, Loaded]:
    if isinstance(applications, type):
        raise TypeError(f"applications are given as a list, and this is a single one: put {applications!r} into [ ]")
    known: dict[str, Loaded] = {}
    for each in applications:
        if not (isinstance(each, type) and issubclass(each, Application)):
            raise TypeError(f"an application is a subclass of Application, not {each!r}")
        if not each.name:
            raise ValueError(f"the application {each.__qualname__} has no name: write `name = ...` into its class")
        if each.name in known:
            raise ValueError(f"two applications have the name {each.name!r}")
        known[each.name] = Loaded(each, MappingProxyType({**each.env, **env.get(each.name, {})}))
    for name in env:
        if name not in known:
            raise ValueError(f"env is for {name!r}, which is no application among {', '.join(known)}")
    check_needs({name: each.application.applications for name, each in known.items()})
    return known


def _info(started: _Started) -> ApplicationInfo:
    application = started.application
    return ApplicationInfo(application.name, application.description, application.version, started.restart, started.top)


def _stopped(started: _Started, reason: Reason) -> None:
    _report("application_stopped", started, reason, bad=not is_silent(reason))


def _report(event: str, started: _Started, reason: Reason, *, bad: bool) -> None:
    write = log.error if bad else log.info
    write(event, application=started.application.name, restart=started.restart, reason=reason)
