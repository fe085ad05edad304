"""A child that takes long to start, or never does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    Atom,
    DynamicSupervisor,
    GenServer,
    Pid,
    StartError,
    Supervisor,
    child,
    exit,  # noqa: A004  # OTP's name
    spawn,
    start_child,
    which_children,
)
from tests.helpers import ended, in_process, now, passed
from tests.supervised import Journal, kill, pid_of, ups, worker


class Slow(GenServer):
    async def init(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _hints(logs: list[EventDict]) -> list[tuple[str, str, float]]:
    return [
        (line["log_level"], line["child"], line["seconds"]) for line in logs if line["event"] == "child_still_starting"
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(4.9, []), (5.1, [5]), (9.9, [5]), (10.1, [5, 10]), (100, [5, 10, 20, 40, 80])],
)
@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_the_log_says_who_is_still_starting_after_five_seconds_and_each_time_that_has_doubled(
    kind: Any, seconds: float, said: list[float], logs: list[EventDict]
) -> None:
    @in_process
    async def check() -> None:
        supervisor = await kind.start_link()
        await start_child(supervisor, child(Slow, seconds, id="slow"))
        await passed(1000)
        pids.append(supervisor)

    pids: list[Pid] = []
    check()
    assert _hints(logs) == [("warning", "slow", each) for each in said]
    assert {line["supervisor"] for line in logs if line["event"] == "child_still_starting"} <= set(pids)


def test_a_start_that_fails_late_is_not_spoken_of_any_more(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        journal.start_time = 7.0
        journal.failures["a"] = [ValueError("no")]
        supervisor = await Supervisor.start_link()
        with pytest.raises(StartError):
            await start_child(supervisor, worker(journal, "a"))
        await passed(100)

    check()
    assert _hints(logs) == [("warning", "a", 5)]


def test_a_restart_that_takes_long_is_told_too(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        await Supervisor.start_link([worker(journal, "a")])
        journal.start_time = 7.0
        await kill("a")
        await passed(100)
        assert journal == ups("aa")

    check()
    assert _hints(logs) == [("warning", "a", 5)]


def test_a_server_may_be_given_a_time_to_start(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link()
        with pytest.raises(StartError) as caught:
            await start_child(supervisor, child(Slow, 1000, start_timeout=7.0))
        assert (caught.value.reason, await which_children(supervisor)) == (Atom("timeout"), [])

    check()
    assert _hints(logs) == [("warning", "Slow", 5)]


@in_process
async def test_requests_wait_until_the_child_has_started() -> None:
    supervisor = await Supervisor.start_link()
    spawn(start_child, supervisor, child(Slow, 60, id="slow"))
    await passed(1)
    began = now()
    assert [each.id for each in await which_children(supervisor)] == ["slow"]
    assert now() - began == 59


@in_process
async def test_a_supervisor_that_waits_for_a_child_for_ever_can_be_killed_and_takes_its_children_along() -> None:
    async def parent() -> None:
        await Supervisor.start_link([worker(Journal(), "a"), child(_Never())], name="top")

    spawn(parent)
    await passed(1000)
    a, top = pid_of("a"), pid_of("top")
    exit(top, KILL)
    assert await ended(a) is KILLED


class _Never:
    __name__ = "never"

    async def start_link(self) -> Pid:
        never: Pid = await asyncio.get_running_loop().create_future()
        return never
