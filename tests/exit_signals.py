"""The table of exit signals (PROC, "Receiving Exit Signals"), and what comes of each on one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from pydist import (
    KILL,
    KILLED,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Down,
    Exit,
    Exited,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    unlink,
)
from tests.virtual_time import run_process

DROPPED: Final = "dropped"
PLAIN, TRAPPING = False, True
NOBODY: Final = 4711
"""The number of no process."""


@attrs.frozen
class Row:
    """How a signal is sent, with which reason, and what becomes of a victim that traps exits, or does not."""

    how: str
    """ "link": a partner that is linked dies. "inactive link": one that was. "exit": it calls `exit`. "itself": the
    victim does. "link to nobody", "link to nowhere": the victim links to no process, or to one of no node."""
    reason: Any
    trapping: bool
    expected: Any
    """("dies", reason), ("gets", reason) by an `Exited`, or "dropped"."""

    def __str__(self) -> str:
        reason = getattr(self.reason, "name", repr(self.reason))
        return f"{self.how}, {reason}, {'trapping' if self.trapping else 'plain'}"


ROWS: Final = [
    # by a link that is not active: dropped
    *(Row("inactive link", r, t, DROPPED) for r in ("boom", KILL, NORMAL) for t in (PLAIN, TRAPPING)),
    # normal, from another: dropped, but sent
    *(Row(how, NORMAL, PLAIN, DROPPED) for how in ("link", "exit")),
    *(Row(how, NORMAL, TRAPPING, ("gets", NORMAL)) for how in ("link", "exit")),
    # normal, from itself
    Row("itself", NORMAL, PLAIN, ("dies", NORMAL)),
    Row("itself", NORMAL, TRAPPING, ("gets", NORMAL)),
    # kill by exit/2: dies, even when trapping, with another reason
    *(Row(how, KILL, t, ("dies", KILLED)) for how in ("exit", "itself") for t in (PLAIN, TRAPPING)),
    # kill by a link: a reason like others
    Row("link", KILL, PLAIN, ("dies", KILL)),
    Row("link", KILL, TRAPPING, ("gets", KILL)),
    # any other; and a text is no atom
    *(
        Row(how, reason, trapping, ("gets" if trapping else "dies", reason))
        for how in ("link", "exit", "itself")
        for reason in ("boom", KILLED, SHUTDOWN, (SHUTDOWN, 1), NOPROC, NOCONNECTION, "normal", "kill")
        for trapping in (PLAIN, TRAPPING)
    ),
    # a link to nobody
    Row("link to nobody", NOPROC, PLAIN, ("dies", NOPROC)),
    Row("link to nobody", NOPROC, TRAPPING, ("gets", NOPROC)),
    Row("link to nowhere", NOCONNECTION, PLAIN, ("dies", NOCONNECTION)),
    Row("link to nowhere", NOCONNECTION, TRAPPING, ("gets", NOCONNECTION)),
]


def outcome(how: str, reason: Any, *, trapping: bool) -> Any:
    """What becomes of a victim on one node, as in a row."""

    async def victim(report_to: Pid) -> None:
        trap_exit(trapping)
        send(report_to, "ready")
        while callable(message := await receive()):
            message()
        send(report_to, ("gets", message.reason) if isinstance(message, Exited) else message)
        await receive()

    async def partner(victim: Pid) -> None:
        _SIGNALS[how](victim, reason)

    async def main() -> object:
        pid, ref = spawn(victim, self_pid(), monitor=True)
        await receive("ready".__eq__)
        _, partners_end = spawn(partner, pid, monitor=True)
        await receive(partners_end)
        send(pid, DROPPED)
        answer = await receive()
        return ("dies", answer.reason) if answer == Down(ref, pid, getattr(answer, "reason", None)) else answer

    return run_process(main)


def _by_link(victim: Pid, reason: Any) -> None:
    link(victim)
    raise Exit(reason)


def _by_inactive_link(victim: Pid, reason: Any) -> None:
    link(victim)
    unlink(victim)
    raise Exit(reason)


_SIGNALS: Final[dict[str, Callable[[Pid, Any], None]]] = {
    "link": _by_link,
    "inactive link": _by_inactive_link,
    "exit": exit,
    "itself": lambda victim, reason: send(victim, lambda: exit(self_pid(), reason)),
    "link to nobody": lambda victim, _: send(victim, lambda: link(Pid("nonode@nohost", NOBODY, 1))),
    "link to nowhere": lambda victim, _: send(victim, lambda: link(Pid("other@host", 1, 1))),
}
