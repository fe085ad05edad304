"""Children for the tests of supervisors: they write into a journal what happens to them, and fail when told to."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.typing import EventDict

from pydist import (
    KILL,
    ChildInfo,
    ChildSpec,
    GenServer,
    Pid,
    Restart,
    Stop,
    Via,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    trap_exit,
    whereis,
    which_children,
)


class Journal(list[str]):
    """What has happened, in order, and what is to happen."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, list[BaseException]] = {}
        """What the next starts of a worker raise, first one first."""
        self.start_time = 0.0
        """Seconds that each start takes."""

    def since(self, position: int) -> list[str]:
        """What has happened since the journal had this length."""
        return list(self[position:])


class Worker(GenServer):
    """Traps exits, and takes its time to stop."""

    async def init(self, journal: Journal, name: str, stop_time: float = 1.0) -> None:
        self.journal = journal
        self.name = name
        self.stop_time = stop_time
        trap_exit(True)
        journal.append(f"{name} starts")
        await asyncio.sleep(journal.start_time)
        failures = journal.failures.get(name)
        if failures:
            raise failures.pop(0)
        journal.append(f"{name} is up")

    async def handle_cast(self, message: Any, /) -> None:
        raise message

    async def terminate(self, reason: Any, /) -> None:
        self.journal.append(f"{self.name} stops")
        await asyncio.sleep(self.stop_time)
        self.journal.append(f"{self.name} is down")


def worker(
    journal: Journal,
    name: str,
    *,
    stop_time: float = 1.0,
    restart: Restart = "permanent",
    shutdown: Any = 5.0,
    significant: bool = False,
) -> ChildSpec:
    """A worker that is registered by its name."""
    options: dict[str, Any] = {"restart": restart, "shutdown": shutdown, "significant": significant}
    return child(Worker, journal, name, stop_time, name=name, **options)


def workers(journal: Journal, names: str) -> list[ChildSpec]:
    """One for each letter."""
    return [worker(journal, name) for name in names]


def ups(names: str) -> list[str]:
    """The journal of workers that start one after the other."""
    return [line for name in names for line in (f"{name} starts", f"{name} is up")]


def downs(names: str) -> list[str]:
    """The journal of workers that stop one after the other."""
    return [line for name in names for line in (f"{name} stops", f"{name} is down")]


def pid_of(name: str) -> Pid:
    """Who has the name now."""
    pid = whereis(name)
    assert pid is not None, f"nobody is {name}"
    return pid


async def kill(*names: str) -> None:
    """Kill these workers in the same moment, and see them dead."""
    pids = [pid_of(name) for name in names]
    refs = [monitor(pid) for pid in pids]
    for pid in pids:
        exit(pid, KILL)
    for ref in refs:
        await receive(ref)


async def stop_itself(name: str, reason: Any) -> None:
    """Have a worker end by itself."""
    ref = monitor(pid_of(name))
    cast(name, Stop(reason))
    await receive(ref)


async def listed(supervisor: Pid | str | Via) -> list[tuple[str, bool]]:
    """The children of a supervisor, and whether they run."""
    children: list[ChildInfo] = await which_children(supervisor)
    return [(each.id, each.pid is not None) for each in children]


def failing(*reasons: Any) -> list[BaseException]:
    """Failures of starts, for `Journal.failures`."""
    return [Stop(reason) for reason in reasons]


def reported(logs: list[EventDict], context: str) -> list[tuple[str, Any]]:
    """The children of which supervisors have reported this, and the reasons."""
    reports = [line for line in logs if line["event"] == "supervisor_report" and line["context"] == context]
    assert all(line["log_level"] == "error" for line in reports)
    return [(line["offender"]["id"], line["reason"]) for line in reports]
