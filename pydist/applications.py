"""What can be asked of the applications of a node, and the main function of a service (OTP's `application`).

    run(serve_applications, [Database, Shop], {"shop": {"port": 9090}}, name="shop@127.0.0.1", cookie="...")

`serve_applications` is what `run` is given. The rest is for those who build their own, and for tests: they start an
`ApplicationController`, and then what they need by `ensure_all_started`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydist.application import CONTROLLER, Application, Env, loaded
from pydist.application_controller import (
    ApplicationController,
    ApplicationInfo,
    Refused,
    StartApplication,
    StopApplication,
    WhichApplications,
)
from pydist.core.restart import RESTARTS, Restart
from pydist.core.shown import shown
from pydist.core.start_order import start_order
from pydist.errors import ApplicationError, ApplicationTerminated, CallError, Exit, StartError
from pydist.gen.calls import call
from pydist.messaging import receive
from pydist.primitives import (
    exit,  # noqa: A004  # OTP's name
    trap_exit,
)
from pydist.terms import NORMAL, SHUTDOWN, Exited, Pid, Reason, is_silent


async def start_application(name: str, restart: Restart = "temporary") -> None:
    """Start an application of this node; returns when its `start` has (OTP's `application:start/2`).

    Args:
        name: one of those the controller was started with.
        restart: "permanent", "transient" or "temporary"; see `Application`.

    Raises:
        ApplicationError: "not_loaded"; "already_started"; "stopping"; "not_started", one that it needs does not run.
        StartError: its `start` failed. If it is not temporary, that ends the controller and all other applications.
        CallError: the node has no controller, or no longer.
        TypeError, ValueError: no name, or no such restart type.
    """
    _check_name(name)
    if restart not in RESTARTS:
        raise ValueError(f"restart is one of {', '.join(RESTARTS)}, not {restart!r}")
    _check(await call(CONTROLLER, StartApplication(name, restart), timeout=None))


async def stop_application(name: str) -> None:
    """Stop an application of this node; returns when it has stopped (OTP's `application:stop/1`).

    Those that need it go on, and so does the node, even if it is permanent.

    Raises:
        ApplicationError: "not_loaded" or "not_started".
        CallError: the node has no controller, or no longer.
        TypeError: no name.
    """
    _check_name(name)
    _check(await call(CONTROLLER, StopApplication(name), timeout=None))


async def ensure_all_started(*names: str, restart: Restart = "temporary") -> list[str]:
    """Start applications, and before each all it needs (OTP's `application:ensure_all_started/2`).

    Args:
        *names: those that are wanted. Whatever runs already is left as it is.
        restart: for all that are started.

    Returns:
        The names of those that were started, in the order of their start.

    Raises:
        ApplicationError, StartError, CallError, TypeError, ValueError: as `start_application`. Those that were started
            before are stopped again, in reverse.
    """
    started: list[str] = []
    try:
        for name in _order(names):
            if await _is_new(name, restart):
                started.append(name)  # noqa: PERF401  # when one fails, those before it are to be known
    except BaseException:
        for name in reversed(started):
            with suppress(ApplicationError, CallError):  # they may have gone with the controller
                await stop_application(name)
        raise
    return started


async def which_applications() -> list[ApplicationInfo]:
    """The applications of this node that run, in the order of their start (OTP's `application:which_applications/0`).

    Raises:
        CallError: the node has no controller.
    """
    return await call(CONTROLLER, WhichApplications())


async def serve_applications(
    applications: Sequence[type[Application]],
    env: Mapping[str, Env] | None = None,
    restart: Restart = "permanent",
) -> None:
    """The main function of a service: start all applications, and go on until one ends that the node needs.

    Told to stop, as `run` does on SIGTERM, it stops them in reverse. It does that and returns when the process with the
    name "application_controller" is told to stop: so a service ends itself. Exits are trapped until then.

    Args:
        applications: in any order.
        env: for the names of some of them, what is other than their own `env` says.
        restart: what the end of one of them means; see `Application`.

    Raises:
        ApplicationTerminated: the node is not to go on without an application that has ended. All others have stopped.
        StartError: one did not start.
        Exit: the process was told to stop.
        TypeError, ValueError: see `ApplicationController.start_link`.
    """
    before = trap_exit(True)
    try:
        controller = await ApplicationController.start_link(applications, env)
        await ensure_all_started(*(each.name for each in applications), restart=restart)
        exited: Exited = await receive(lambda message: _ends_all(message, controller))
        if exited.pid == controller:
            _how_it_ended(exited.reason)
            return
        exit(controller, SHUTDOWN)
        await receive(lambda message: type(message) is Exited and message.pid == controller)
        raise Exit(exited.reason)
    finally:
        trap_exit(before)


def _ends_all(message: Any, controller: Pid) -> bool:
    """Whether it is the end of the controller, or an exit signal that would end a process that does not trap exits."""
    return type(message) is Exited and (message.pid == controller or message.reason is not NORMAL)


def _how_it_ended(reason: Reason) -> None:
    match reason:
        case (_, ("application_terminated", str() as name, why)):
            raise ApplicationTerminated(name, why)
        case _ if is_silent(reason):
            return
        case _:
            raise Exit(reason)


def _order(names: Sequence[str]) -> list[str]:
    known = loaded()
    for name in names:
        _check_name(name)
        if name not in known:
            raise ApplicationError(name, "not_loaded")
    return start_order({name: each.application.applications for name, each in known.items()}, names)


async def _is_new(name: str, restart: Restart) -> bool:
    """Start one; False if it runs already."""
    try:
        await start_application(name, restart)
    except ApplicationError as error:
        if error.reason == "already_started":
            return False
        raise
    return True


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"an application is asked for by its name, not by {name!r}")


def _check(answer: Refused | None) -> None:
    if answer is None:
        return
    if answer.start:
        raise StartError(answer.reason, f"the application {answer.application!r} did not start: {shown(answer.reason)}")
    raise ApplicationError(answer.application, answer.reason)
