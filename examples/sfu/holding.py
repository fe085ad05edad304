"""Things of the operating system that must not outlive a process."""

from __future__ import annotations

from collections.abc import Callable

from pydist import Pid, monitor, receive, self_pid, spawn


def hold(close: Callable[[], None]) -> None:
    """Have `close` called when the calling process ends, however it ends: not even `KILL` gets around it.

    A killed process can't clean up after itself, so a second one watches it.
    """
    spawn(_hold, self_pid(), close)


async def _hold(owner: Pid, close: Callable[[], None]) -> None:
    try:
        await receive(monitor(owner))
    finally:
        close()
