"""The process that stands over one application: starts it, waits, stops it (OTP's `application_master`).

It traps exits. Its controller stops it by an exit signal, and it ends as its top supervisor has, so that the controller
hears how. While `start` runs it hears of nothing: a start that never returns can only be killed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from pydist.application import Application, Env, current_application
from pydist.errors import Exit, StartError
from pydist.message import Message
from pydist.messaging import acting, current, receive, send
from pydist.own_log import log
from pydist.primitives import (
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    self_pid,
    trap_exit,
)
from pydist.terms import KILL, SHUTDOWN, Exited, Pid, Reason, is_pid


class Up(Message, tag="$application_up"):
    """To the controller: the application has started."""

    master: Pid
    top: Pid | None


async def serve(cls: type[Application], env: Env, controller: Pid) -> NoReturn:
    """The whole life of the process."""
    current().label = f"application {cls.name}"
    current_application.set(cls.name)
    trap_exit(True)
    application = cls()
    application.env = env
    top = await _start(application)
    send(controller, Up(self_pid(), top))
    reason = await _ended(top, controller)
    await _safely(application.prep_stop)
    await _stop_top(top)
    await _safely(application.stop)
    _kill_rest(cls.name)
    raise Exit(reason)


async def _start(application: Application) -> Pid | None:
    try:
        top: Any = await application.start()
    except StartError as error:
        raise Exit(error.reason) from error
    if top is None:
        return None
    if not is_pid(top):
        raise TypeError(f"{type(application).__qualname__}.start returns the pid of the top supervisor, not {top!r}")
    link(top)
    return top


async def _ended(top: Pid | None, controller: Pid) -> Reason:
    """Wait for the end of the top supervisor, or the order to stop."""
    while True:
        message: object = await receive()
        if isinstance(message, Exited) and message.pid in {top, controller}:
            return message.reason


async def _stop_top(top: Pid | None) -> None:
    """If it runs. It is monitored, so that one that has unlinked itself is waited for all the same."""
    if top is not None:
        ref = monitor(top)
        exit(top, SHUTDOWN)
        await receive(ref)


async def _safely(callback: Callable[[], Awaitable[Any]]) -> None:
    """An error in a clean-up is reported, and keeps nothing from its end."""
    try:
        await callback()
    except (Exit, Exception):  # noqa: BLE001  # the user's code
        log.error("application_clean_up_failed", application=current_application.get(), exc_info=True)


def _kill_rest(name: str) -> None:
    """Kill the processes of the application that its supervisors did not know of."""
    me, runtime = acting()
    for process in list(runtime.table.values()):
        if process is not me and process.context.get(current_application) == name:
            exit(process.pid, KILL)
