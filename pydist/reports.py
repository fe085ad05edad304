"""Reports in OTP's shapes: who has crashed, what a supervisor met, what has started.

| event | level | OTP's | says |
|---|---|---|---|
| `crash_report` | error | `proc_lib` | a process has ended by an error, or by its own exit |
| `terminate_report` | error | `gen_server`, `gen_statem` | what a server was at when it ended |
| `supervisor_report` | error | `supervisor` | a child that ended, that did not start, or not stop as told; giving up |
| `progress_report` | debug | `supervisor` | a child has started |
| `process_still_exiting` | warning | - | a process that was told to exit awaits something, for so many seconds now |
| `process_resists_exit` | warning | - | a process that was told to exit goes on as if it had not been |
| `unexpected_message` | warning | `gen_server` | a message that a server has no use for |

`NORMAL`, `SHUTDOWN` and `(SHUTDOWN, detail)` are ends as they should be: they give neither of the first two.

Nothing here raises, whatever the log does: no report may keep anybody from hearing of a death, or end who makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, Protocol, TypeAlias

from pydist.core.relations import Relations
from pydist.mailbox import MISSING, Mailbox
from pydist.own_log import log
from pydist.terms import Crash, Pid, Reason, is_silent

MESSAGES_SHOWN: Final = 10
"""How many of the messages that a crashed process has left unread stand in its report."""
ANCESTORS_SHOWN: Final = 20

Context: TypeAlias = Literal["child_terminated", "start_error", "shutdown_error", "shutdown"]
"""What a supervisor has met: a child that ended by itself, that did not start, that did not stop as it was told to, or
whose restart is one too many."""


class Reporter(Protocol):
    """Whom a report is about: a process."""

    @property
    def pid(self) -> Pid:
        """Its pid."""
        ...

    label: str
    """The function or the class it runs."""

    def registered_name(self) -> str | None:
        """Its name on this node."""
        ...


class Kin(Reporter, Protocol):
    """A process as its crash report knows it."""

    parent: Pid | None
    mailbox: Mailbox
    relations: Relations | None
    trapping: bool

    def find(self, pid: Pid, /) -> Kin | None:
        """The living process of its node that has this pid."""
        ...


class Described(Protocol):
    """What a report says of a child: how it was described to its supervisor."""

    @property
    def id(self) -> Any:
        """Distinguishes it among its siblings."""
        ...

    @property
    def restart(self) -> str:
        """Its restart type."""
        ...

    @property
    def shutdown(self) -> Any:
        """Seconds to stop, None for as long as it takes, or "brutal_kill"."""
        ...

    @property
    def kind(self) -> str:
        """Worker or supervisor."""
        ...


# -- crash reports of proc_lib


def describe_crash(process: Kin, reason: Reason, traceback: str) -> dict[str, Any]:
    """What the crash report of `process` will say; to be asked while it still has its name and its links."""
    facts: dict[str, Any] = {"pid": process.pid, "name": None, "label": process.label, "reason": reason}
    with suppress(Exception):
        facts |= _situation(process)
    if isinstance(reason, Crash):
        facts["error"] = reason.error
    if traceback:
        facts["exception"] = traceback
    return facts


def crash_report(facts: dict[str, Any]) -> None:
    """Report what `describe_crash` found."""
    log.error("crash_report", **facts)


def still_exits(process: Reporter, reason: Reason, seconds: float, stack: str) -> None:
    """Report that a process was told to exit long ago, and awaits something; `stack` says where."""
    log.warning("process_still_exiting", **_who(process), reason=reason, seconds=seconds, stack=stack)


def resists_exit(process: Reporter, reason: Reason) -> None:
    """Report that a process was told to exit, has caught that again and again, and is closed."""
    log.warning("process_resists_exit", **_who(process), reason=reason)


def _who(process: Reporter) -> dict[str, Any]:
    return {"pid": process.pid, "name": process.registered_name(), "label": process.label}


def _situation(process: Kin) -> dict[str, Any]:
    relations = process.relations
    facts: dict[str, Any] = {
        "name": process.registered_name(),
        "ancestors": _ancestors(process),
        "links": [] if relations is None else relations.active_links(),
        "monitors": [] if relations is None else list(relations.monitors.values()),
        "trap_exit": process.trapping,
        "message_queue_len": len(process.mailbox),
        "messages": _unread(process.mailbox),
    }
    last = getattr(process, "last_message", MISSING)
    return facts if last is MISSING else {**facts, "last_message": last}


def _ancestors(process: Kin) -> list[str | Pid]:
    """Parent, grandparent and so on, by name where they have one; it ends with the first that lives no longer."""
    found: list[str | Pid] = []
    pid = process.parent
    while pid is not None and len(found) < ANCESTORS_SHOWN:
        ancestor = process.find(pid)
        name = None if ancestor is None else ancestor.registered_name()
        found.append(name or pid)
        pid = None if ancestor is None else ancestor.parent
    return found


def _unread(mailbox: Mailbox) -> list[Any]:
    """The first messages that nobody has read; they leave the mailbox, which is of no more use."""
    taken = [mailbox.flush(lambda _: True) for _ in range(min(MESSAGES_SHOWN, len(mailbox)))]
    return [message for message in taken if message is not MISSING]


# -- terminate reports of gen_server and gen_statem


def terminate_report(
    server: Reporter,
    reason: Reason,
    *,
    behaviour: str,
    state: Callable[[], Any],
    last_message: Any = MISSING,
    client: Pid | None = None,
) -> None:
    """Report that a server ends; not if `reason` is silent (`gen_server:error_info/8`).

    Args:
        server: its process.
        reason: why; a `Crash` shows its traceback.
        behaviour: "GenServer", "GenStatem".
        state: gives it as `format_status` does; not called if nothing is reported.
        last_message: the one it was at; none for `MISSING`.
        client: who waits for the answer to that message.
    """
    if is_silent(reason):
        return
    facts: dict[str, Any] = {
        "behaviour": behaviour,
        **_who(server),
        "reason": reason,
        "state": state(),
        "client": client,
    }
    if last_message is not MISSING:
        facts["last_message"] = last_message
    if isinstance(reason, Crash):
        facts |= {"error": reason.error, "exception": reason.traceback}
    log.error("terminate_report", **facts)


def unexpected_message(server: Reporter, message: Any, *, level: Literal["warning", "error"] = "warning") -> None:
    """Report that a server got a message that it has no use for (`gen_server`: `no_handle_info`).

    Args:
        server: its process.
        message: what it got.
        level: in OTP a supervisor takes it for an error, other servers warn.
    """
    getattr(log, level)("unexpected_message", **_who(server), message=message)


# -- supervisor and progress reports


def supervisor_report(
    supervisor: Reporter, context: Context, reason: Reason, child: Described, pid: Pid | None = None
) -> None:
    """Report what a supervisor has met (`supervisor:report_error`).

    Args:
        supervisor: its process.
        context: what has happened; see `Context`.
        reason: the child's exit reason; `Atom("reached_max_restart_intensity")` with "shutdown".
        child: the description of the child that it happened to.
        pid: of that child; None if it did not come to life.
    """
    log.error(
        "supervisor_report",
        supervisor=supervisor.pid,
        name=supervisor.registered_name(),
        context=context,
        reason=reason,
        offender=_described(child, pid),
    )


def progress_report(supervisor: Reporter, child: Described, pid: Pid | None) -> None:
    """Report that a child has started (`supervisor:report_progress`)."""
    log.debug(
        "progress_report",
        supervisor=supervisor.pid,
        name=supervisor.registered_name(),
        started=_described(child, pid),
    )


def _described(child: Described, pid: Pid | None) -> dict[str, Any]:
    return {
        "id": child.id,
        "pid": pid,
        "restart": child.restart,
        "significant": getattr(child, "significant", False),
        "shutdown": "infinity" if child.shutdown is None else child.shutdown,
        "kind": child.kind,
    }
