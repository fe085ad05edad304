"""Applications for tests: they write into a journal what happens to them, and fail when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydist import (
    Application,
    GenServer,
    Pid,
    Stop,
    Supervisor,
    cast,
    child,
    get_application,
    get_env,
    trap_exit,
)


class Worker(GenServer):
    """Traps exits, and notes that it stops."""

    async def init(self, journal: list[str], name: str) -> None:
        trap_exit(True)
        self.journal = journal
        self.name = name

    async def handle_cast(self, message: Any, /) -> None:
        raise message

    async def terminate(self, reason: Any, /) -> None:
        self.journal.append(f"{self.name} works no more")


class Noting(Application):
    """Has one worker, under the name of the application, that may end as often as it likes."""

    journal: list[str]
    start_time = 0.0
    failure: BaseException | None = None

    async def start(self) -> Pid | None:
        self.journal.append(f"{self.name} starts")
        await asyncio.sleep(self.start_time)
        if self.failure is not None:
            raise self.failure
        top = await Supervisor.start_link([self.worker()], intensity=0, name=f"{self.name}_top")
        self.journal.append(f"{self.name} is up")
        return top

    def worker(self) -> Any:
        """The one child."""
        return child(Worker, self.journal, self.name, name=self.name)

    async def prep_stop(self) -> None:
        self.journal.append(f"{self.name} is to stop")

    async def stop(self) -> None:
        self.journal.append(f"{self.name} is down")


def noting(journal: list[str], name: str, needs: Sequence[str] = (), **attributes: Any) -> type[Application]:
    """An application of that name."""
    described = {"name": name, "applications": tuple(needs), "journal": journal, "__module__": __name__}
    made: type[Application] = type(name.title(), (Noting,), {**described, **attributes})
    return made


def ups(names: str) -> list[str]:
    """The journal of applications that start one after the other."""
    return [line for name in names for line in (f"{name} starts", f"{name} is up")]


def downs(names: str) -> list[str]:
    """The journal of applications that stop one after the other."""
    return [line for name in names for line in (f"{name} is to stop", f"{name} works no more", f"{name} is down")]


def leave(name: str, reason: Any) -> None:
    """Have the application's top supervisor give up, since its worker ends."""
    cast(name, Stop(reason))


class Belonging(GenServer):
    """Says to which application it belongs, and what that has in its env."""

    async def init(self) -> None:
        self.here = (get_application(), get_env("port", None))
