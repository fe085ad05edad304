"""What a supervisor reports of the starts of its children, and of what is not its business."""

from __future__ import annotations

import pytest
from structlog.typing import EventDict

from pydist import Ignore, StartError, Supervisor, send, start_child, trap_exit
from tests.helpers import in_process, passed
from tests.supervised import Journal, failing, listed, reported, stop_itself, worker, workers


def test_each_child_that_has_come_up_is_reported_as_progress(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        journal.failures["b"] = [Ignore()]
        supervisor = await Supervisor.start_link(workers(journal, "ab"))
        await start_child(supervisor, worker(journal, "c"))
        await stop_itself("a", "crash")
        await passed(1)

    check()
    progress = [line["started"]["id"] for line in logs if line["event"] == "progress_report"]
    assert progress == ["a", "c", "a"]


def test_a_child_that_does_not_start_with_its_supervisor_is_reported_and_one_that_is_asked_for_is_not(
    logs: list[EventDict],
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        journal = Journal()
        journal.failures = {"a": failing("no"), "b": failing("no", "no")}
        with pytest.raises(StartError):
            await Supervisor.start_link(workers(journal, "a"))
        supervisor = await Supervisor.start_link()
        with pytest.raises(StartError):
            await start_child(supervisor, worker(journal, "b"))

    check()
    assert reported(logs, "start_error") == [("a", "no")]


def test_what_is_no_business_of_a_supervisor_is_logged(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link()
        send(supervisor, "hello")
        assert await listed(supervisor) == []

    check()
    assert [line["message"] for line in logs if line["event"] == "unexpected_message"] == ["hello"]
