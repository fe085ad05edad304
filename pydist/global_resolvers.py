"""Who keeps a name that two processes in the cluster have, when their nodes meet (OTP's `global`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from pydist.message import Message
from pydist.messaging import send as send_to
from pydist.own_log import log
from pydist.primitives import exit  # noqa: A004  # OTP's name
from pydist.terms import KILL, Pid

Resolver: TypeAlias = Callable[[Any, Pid, Pid], "Pid | Awaitable[Pid | None] | None"]
"""Given a name and the two processes that have it, the one that keeps it; None for neither."""


class NameConflict(Message, tag="$global_name_conflict"):
    """From a resolver: two processes had the name, and the receiver has it no longer (`global_name_conflict`)."""

    name: Any
    other: Pid | None = None
    """The other one, where neither keeps it."""


def random_exit_name(name: Any, pid: Pid, other: Pid) -> Pid:
    """The process on the lesser node keeps the name, and the other is killed. The default; the name is OTP's."""
    keeps, loses = _in_order(pid, other)
    log.info("global_name_conflict", name=name, keeps=keeps, terminated=loses)
    exit(loses, KILL)
    return keeps


def random_notify_name(name: Any, pid: Pid, other: Pid) -> Pid:
    """The process on the lesser node keeps the name, and the other gets a `NameConflict`."""
    keeps, loses = _in_order(pid, other)
    send_to(loses, NameConflict(name))
    return keeps


def notify_all_name(name: Any, pid: Pid, other: Pid) -> None:
    """Neither keeps the name, and both get a `NameConflict`."""
    send_to(pid, NameConflict(name, other))
    send_to(other, NameConflict(name, pid))


def none(name: Any, pid: Pid, other: Pid) -> None:
    """Neither keeps the name, and nobody is told."""


def _in_order(pid: Pid, other: Pid) -> tuple[Pid, Pid]:
    return (pid, other) if pid.node < other.node else (other, pid)


RESOLVERS: Final[dict[str, Resolver]] = {
    each.__name__: each for each in (random_exit_name, random_notify_name, notify_all_name, none)
}
"""By name, as they are told to other nodes."""
