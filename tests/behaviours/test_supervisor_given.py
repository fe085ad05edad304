"""Children given by a function, which is called at each start of their supervisor."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    SHUTDOWN,
    ChildSpec,
    Ignore,
    StartError,
    Stop,
    Supervisor,
    child,
    is_alive,
    self_pid,
    trap_exit,
    whereis,
)
from tests.helpers import in_process, mailbox, passed, plain
from tests.supervised import Journal, kill, listed, ups, worker, workers


@in_process
async def test_the_function_is_called_anew_at_each_start_of_the_supervisor() -> None:
    def children() -> list[ChildSpec]:
        return workers(journal, wanted)

    journal, wanted = Journal(), "ab"
    outer = await Supervisor.start_link([child(Supervisor, children, intensity=0, name="inner")])
    assert await listed("inner") == [("a", True), ("b", True)]
    wanted = "cd"
    await kill("a")
    await passed(5)
    assert (await listed("inner"), is_alive(outer)) == ([("c", True), ("d", True)], True)


@in_process
async def test_it_is_not_called_when_a_child_is_restarted() -> None:
    calls: list[str] = []

    def children() -> list[ChildSpec]:
        calls.append("called")
        return workers(journal, "a")

    journal = Journal()
    await Supervisor.start_link(children)
    await kill("a")
    await passed(1)
    assert (journal, calls) == (ups("aa"), ["called"])


@in_process
async def test_it_may_be_async_and_runs_in_the_supervisors_process() -> None:
    async def children() -> list[ChildSpec]:
        who.append(self_pid())
        await passed(3)
        return workers(journal, "a")

    journal, who = Journal(), list[Any]()
    supervisor = await Supervisor.start_link(children)
    assert (who, await listed(supervisor)) == ([supervisor], [("a", True)])


@in_process
async def test_a_supervisor_whose_function_ignores_the_start_is_none_and_its_name_free() -> None:
    def children() -> list[ChildSpec]:
        raise Ignore

    trap_exit(True)
    started: Any = await Supervisor.start_link(children, name="top")
    assert (started, whereis("top"), mailbox()) == (None, None, [])
    outer = await Supervisor.start_link([child(Supervisor, children, name="inner")])
    assert await listed(outer) == [("inner", False)]


def _given(value: Any) -> Any:
    def children() -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return children


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Stop("no"), "no"),
        (ValueError("bad"), ("ValueError", "bad")),
        (None, ("TypeError", "a supervisor is started with a list of children, not with None")),
        ([5], ("TypeError", "a supervisor's children are made by child(...); this one is not: 5")),
        (
            [worker(Journal(), "a"), worker(Journal(), "a")],
            ("ValueError", "two children have the id 'a': give one another with id="),
        ),
    ],
)
def test_a_supervisor_whose_function_fails_or_gives_no_children_does_not_start(value: Any, reason: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        with pytest.raises(StartError) as caught:
            await Supervisor.start_link(_given(value), name="top")
        assert (plain(caught.value.reason), whereis("top"), mailbox()) == (reason, None, [])

    check()


@in_process
async def test_a_child_that_does_not_start_is_the_reason_as_of_any_supervisor() -> None:
    trap_exit(True)
    journal = Journal()
    journal.failures["a"] = [Stop("no")]
    with pytest.raises(StartError) as caught:
        await Supervisor.start(lambda: workers(journal, "a"))
    assert caught.value.reason == (SHUTDOWN, ("failed_to_start_child", "a", "no"))


@in_process
async def test_a_sequence_of_any_kind_will_do() -> None:
    journal = Journal()
    assert await listed(await Supervisor.start_link(tuple(workers(journal, "a")))) == [("a", True)]
