"""Processes that do what a test tells them, so that more than one can act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydist import Down, Pid, demonitor, monitor, receive, self_pid, send, spawn

T = TypeVar("T")


async def obey() -> None:
    """Call each function that is sent, and send back what it returns."""
    while True:
        function, sender, ref = await receive()
        send(sender, (ref, function()))


def obedient() -> Pid:
    """Spawn one."""
    return spawn(obey)


async def in_(pid: Pid, function: Callable[[], T]) -> T:
    """What the function returns in that process."""
    ref = monitor(pid)
    send(pid, (function, self_pid(), ref))
    answer: Any = await receive(ref)
    demonitor(ref, flush=True)
    assert not isinstance(answer, Down), f"it ended: {answer}"
    result: T = answer[1]
    return result
