"""What a process on a stage can be told to do, wherever it is: small functions that both sides know by name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Final

from pydist import (
    Alias,
    Exit,
    Message,
    Pid,
    PydistError,
    Ref,
    exit,  # noqa: A004  # OTP's name
    export,
    is_alive,
    link,
    monitor,
    receive,
    register,
    self_pid,
    send,
    spawn,
    spawn_on,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from pydist import alias as open_alias
from pydist import demonitor as remove_monitor
from pydist.primitives import MonitorAlias
from tests.conformance.server import ask, start_server
from tests.helpers import links_and_monitors

HOST: Final = "host"
"""Under this name each place has a process that starts others."""
PATIENCE: Final = 15.0
"""Seconds after which what does not come counts as a failure."""


class Order(Message, tag="conformance.order"):
    """Do this deed, and send what it returns."""

    deed: str
    args: list[Any]
    sender: Pid
    ref: Ref


class Refused(Message, tag="conformance.refused"):
    """The deed raised an error of pydist's."""

    error: str


async def host() -> None:
    """Start an obedient process for each who asks."""
    while True:
        asker, ref = await receive()
        send(asker, (ref, spawn(obey)))


async def obey() -> None:
    """Do what is ordered, one deed after the other; other messages stay in the mailbox until a deed takes them."""
    while True:
        order = await receive(Order)
        send(order.sender, (order.ref, await _perform(order)))


async def _perform(order: Order) -> Any:
    try:
        result = _DEEDS[order.deed](*order.args)
        return await result if inspect.isawaitable(result) else result
    except PydistError as error:
        return Refused(type(error).__name__)


def _is_no_order(message: object) -> bool:
    return type(message) is not Order


# Deeds beside pydist's own functions: those take an option, or look at what has come


def monitor_with_alias(target: Pid, end: MonitorAlias) -> Alias:
    return monitor(target, alias=end)[1]


def demonitor(ref: Ref, flush: bool = False) -> bool:
    return remove_monitor(ref, flush=flush)


def alias(reply: bool = False) -> Alias:
    return open_alias(reply=reply)


def urgent_alias() -> Alias:
    return open_alias(priority=True)


def send_urgently(target: Alias, message: Any) -> None:
    send(target, message, priority=True)


def link_urgently(pid: Pid) -> None:
    link(pid, priority=True)


def monitor_urgently(target: Pid) -> Ref:
    return monitor(target, priority=True)


async def take(message: Any) -> None:
    """Wait for this message, and leave all others where they are."""

    def is_it(other: object) -> bool:
        return _is_no_order(other) and other == message

    await receive(is_it, PATIENCE)


async def hear(number: int) -> list[Any]:
    """Wait for as many messages, from the head of the mailbox."""
    return [await receive(_is_no_order, PATIENCE) for _ in range(number)]


async def hear_all() -> list[Any]:
    """All messages that are there; waits for none."""
    heard: list[Any] = []
    try:
        while True:
            heard.append(await receive(_is_no_order, 0))
    except TimeoutError:
        return heard


async def first_of_kind(kind: str) -> Any:
    """Wait for the first pair that begins with `kind`, wherever it stands."""

    def is_one(message: object) -> bool:
        return isinstance(message, tuple) and message[:1] == (kind,)

    return await receive(is_one, PATIENCE)


def send_all(target: Pid, messages: list[Any]) -> None:
    for message in messages:
        send(target, message)


def ties() -> tuple[int, int, int, int]:
    """How many links, monitors, watchers and open aliases the process has, without the stage that watches it."""
    links, monitors, watchers, aliases = links_and_monitors()
    return links, monitors, watchers - 1, aliases


async def idle() -> None:
    """Await something else than a message, for ever."""
    await asyncio.get_running_loop().create_future()


# Ends


def leave(reason: Any) -> None:
    raise Exit(reason)


def fail(text: str) -> None:
    raise LookupError(text)


async def speak_and_leave(target: Pid, words: list[Any], reason: Any) -> None:
    send_all(target, words)
    raise Exit(reason)


def exit_by_link(target: Pid, reason: Any) -> None:
    link(target)
    raise Exit(reason)


def exit_by_inactive_link(target: Pid, reason: Any) -> None:
    link(target)
    unlink(target)
    raise Exit(reason)


def exit_oneself(reason: Any) -> None:
    exit(self_pid(), reason)


# Children


async def _child(reason: Any) -> None:
    raise Exit(reason)


def spawn_linked(reason: Any) -> Pid:
    return spawn(_child, reason, link=True)


def spawn_monitored(reason: Any) -> tuple[Pid, Ref]:
    return spawn(_child, reason, monitor=True)


@export(name="conformance.speaker")
async def _speaker(target: Pid, words: list[Any], reason: Any) -> None:
    await speak_and_leave(target, words, reason)


async def spawn_far(node: str, function: str, args: list[Any]) -> tuple[Pid, Ref]:
    return await spawn_on(node, function, *args, link=True, monitor=True, timeout=PATIENCE)


_DEEDS: Final[dict[str, Callable[..., Any]]] = {
    deed.__name__: deed
    for deed in (
        alias,
        ask,
        demonitor,
        exit,
        exit_by_inactive_link,
        exit_by_link,
        exit_oneself,
        fail,
        first_of_kind,
        hear,
        hear_all,
        idle,
        is_alive,
        leave,
        link,
        link_urgently,
        monitor,
        monitor_urgently,
        monitor_with_alias,
        register,
        self_pid,
        send,
        send_all,
        send_urgently,
        spawn_far,
        spawn_linked,
        spawn_monitored,
        speak_and_leave,
        start_server,
        take,
        ties,
        trap_exit,
        unalias,
        unlink,
        unregister,
        urgent_alias,
        whereis,
    )
}
