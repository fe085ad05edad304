"""How a `DynamicSupervisor` starts, keeps and restarts children that come and go."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    AlreadyStarted,
    Atom,
    ChildError,
    ChildInfo,
    DynamicSupervisor,
    Exit,
    Exited,
    Ignore,
    Pid,
    Registry,
    Restart,
    StartError,
    Stop,
    Supervisor,
    child,
    count_children,
    delete_child,
    exit,  # noqa: A004  # OTP's name
    get_childspec,
    is_alive,
    receive,
    restart_child,
    self_pid,
    send,
    spawn,
    start_child,
    terminate_child,
    trap_exit,
    which_children,
)
from tests.helpers import ended, in_process, links_and_monitors, mailbox, passed, plain
from tests.supervised import Journal, failing, kill, pid_of, reported, stop_itself, ups, worker


async def _wait(*_args: Any) -> None:
    await receive("never".__eq__)


async def _add(supervisor: Pid | str, spec: Any) -> Pid:
    pid = await start_child(supervisor, spec)
    assert pid is not None
    return pid


async def _known(supervisor: Pid | str) -> list[tuple[str, Pid | None]]:
    return [(each.id, each.pid) for each in await which_children(supervisor)]


async def _active_of_known(supervisor: Pid | str) -> tuple[int, int]:
    counts = await count_children(supervisor)
    return counts["active"], counts["specs"]


# -- starting the supervisor


@in_process
async def test_it_starts_without_children_under_a_name_and_linked() -> None:
    trap_exit(True)
    supervisor = await DynamicSupervisor.start_link(name="dyn")
    assert (pid_of("dyn"), await which_children("dyn")) == (supervisor, [])
    assert await count_children("dyn") == {"specs": 0, "active": 0, "supervisors": 0, "workers": 0}
    exit(supervisor, KILL)
    assert await receive() == Exited(supervisor, KILLED)


@in_process
async def test_a_second_one_of_the_same_name_is_not_started() -> None:
    first = await DynamicSupervisor.start(name="dyn")
    with pytest.raises(AlreadyStarted) as caught:
        await DynamicSupervisor.start_link(name="dyn")
    assert caught.value.pid == first


@in_process
async def test_it_can_be_supervised_and_is_told_from_others_by_its_name() -> None:
    await Registry.start_link(keys="unique", name="registry")
    via = Registry("registry").via("far")
    children = [child(DynamicSupervisor, name="near"), child(DynamicSupervisor, name=via)]
    top = await Supervisor.start_link(children)
    await start_child(top, child(DynamicSupervisor))
    assert [await which_children(name) for name in ("near", via)] == [[], []]
    assert [(each.id, each.kind) for each in await which_children(top)] == [
        ("near", "supervisor"),
        ("far", "supervisor"),
        ("DynamicSupervisor", "supervisor"),
    ]
    with pytest.raises(ChildError, match="already_started"):
        await start_child(top, child(DynamicSupervisor))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"intensity": -1}, ValueError, "intensity is a whole number of restarts from 0, not -1"),
        ({"period": 0}, ValueError, "period is a whole number of seconds from 1, not 0"),
        ({"max_children": -1}, ValueError, "max_children is a whole number of children from 0, not -1"),
        ({"max_children": 1.5}, TypeError, "max_children is a whole number of children from 0, not 1.5"),
        ({"max_children": True}, TypeError, "max_children is a whole number of children from 0, not True"),
        ({"extra_arguments": -1}, TypeError, "extra_arguments is a list of what each child is started with, not -1"),
        (
            {"extra_arguments": "ab"},
            TypeError,
            "extra_arguments is a list of what each child is started with, not 'ab'",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, error: type[Exception], words: str) -> None:
    @in_process
    async def check() -> None:
        for start in (DynamicSupervisor.start_link, DynamicSupervisor.start):
            with pytest.raises(error) as caught:
                await start(**options)
            assert str(caught.value) == words

    check()


# -- adding children


@in_process
async def test_children_are_known_by_their_pids_and_may_share_an_id() -> None:
    supervisor = await DynamicSupervisor.start_link()
    pids = [await _add(supervisor, child(_wait)) for _ in range(3)]
    inner = await _add(supervisor, child(Supervisor))
    assert await which_children(supervisor) == [
        *(ChildInfo("_wait", pid, "worker") for pid in pids),
        ChildInfo("Supervisor", inner, "supervisor"),
    ]
    assert await count_children(supervisor) == {"specs": 4, "active": 4, "supervisors": 1, "workers": 3}


class _Raises:
    """A start that does not return."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def start_link(self) -> Pid:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Exit("oops"), "oops"),
        (RuntimeError("oops"), ("RuntimeError", "oops")),
        (StartError("oops"), "oops"),
        (Stop("oops"), ("pydist.gen.lifecycle.Stop", "oops")),
    ],
)
def test_whatever_a_start_raises_is_a_start_error_and_ends_nobody(error: BaseException, reason: Any) -> None:
    @in_process
    async def check() -> None:
        supervisor = await DynamicSupervisor.start_link()
        with pytest.raises(StartError) as caught:
            await start_child(supervisor, child(_Raises(error), id="a"))
        assert (plain(caught.value.reason), await _known(supervisor), is_alive(supervisor)) == (reason, [], True)

    check()


@in_process
async def test_a_child_that_does_not_start_or_ignores_its_start_is_not_kept() -> None:
    journal = Journal()
    journal.failures = {"a": failing("no"), "b": [Ignore()]}
    supervisor = await DynamicSupervisor.start_link()
    with pytest.raises(StartError) as caught:
        await start_child(supervisor, worker(journal, "a"))
    assert caught.value.reason == "no"
    for restart in ("permanent", "temporary"):
        journal.failures["b"] = [Ignore()]
        assert await start_child(supervisor, worker(journal, "b", restart=restart)) is None
    assert await _active_of_known(supervisor) == (0, 0)


@in_process
async def test_a_child_whose_name_is_taken_does_not_start() -> None:
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link()
    first = await _add(supervisor, worker(journal, "a"))
    with pytest.raises(StartError) as caught:
        await start_child(supervisor, worker(journal, "a"))
    assert (caught.value.reason, await _known(supervisor)) == (("already_started", first), [("a", first)])


@in_process
async def test_extra_arguments_come_first_at_each_start() -> None:
    async def says(*words: str) -> None:
        send(parent, words)
        await _wait()

    class Says:
        async def start_link(self, *words: str, name: str) -> Pid:
            return spawn(partial(says, *words, name), link=True)

    parent = self_pid()
    supervisor = await DynamicSupervisor.start_link(extra_arguments=["a", "b"])
    plain_child = await _add(supervisor, child(says, "c"))
    await _add(supervisor, child(Says(), "d", id="says", name="e"))
    exit(plain_child, KILL)
    assert [await receive(tuple) for _ in range(3)] == [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "c")]


@in_process
async def test_what_is_no_description_of_a_child_is_refused_at_the_caller() -> None:
    wrong: Any = _wait
    with pytest.raises(TypeError, match=r"a supervisor's children are made by child\(\.\.\.\); this one is not: "):
        await start_child("not used", wrong)


@in_process
async def test_a_significant_child_is_refused_for_there_is_no_auto_shutdown() -> None:
    supervisor = await DynamicSupervisor.start_link()
    with pytest.raises(ChildError, match="bad_combination") as caught:
        await start_child(supervisor, child(_wait, restart="transient", significant=True))
    assert (caught.value.reason, await _known(supervisor)) == ("bad_combination", [])


# -- not more than so many


@in_process
async def test_there_are_not_more_children_than_max_children() -> None:
    supervisor = await DynamicSupervisor.start_link(max_children=2)
    first = await _add(supervisor, child(_wait))
    await _add(supervisor, child(_wait))
    with pytest.raises(ChildError, match="max_children"):
        await start_child(supervisor, child(_wait))
    await terminate_child(supervisor, first)
    await _add(supervisor, child(_wait))
    assert await _active_of_known(supervisor) == (2, 2)
    with pytest.raises(ChildError, match="max_children"):
        await start_child(await DynamicSupervisor.start_link(max_children=0), child(_wait))


@pytest.mark.parametrize("failures", [0, 1000])
def test_children_that_were_restarted_or_are_being_so_count(failures: int) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        supervisor = await DynamicSupervisor.start_link(max_children=1, intensity=100_000)
        await _add(supervisor, worker(journal, "a"))
        journal.failures["a"] = failing(*range(failures))
        await kill("a")
        assert await _active_of_known(supervisor) == (0 if failures else 1, 1)
        with pytest.raises(ChildError, match="max_children"):
            await start_child(supervisor, worker(journal, "b"))

    check()


# -- restarting


@pytest.mark.parametrize(
    ("restart", "reason", "kept"),
    [
        ("permanent", NORMAL, True),
        ("permanent", SHUTDOWN, True),
        ("permanent", (SHUTDOWN, "signal"), True),
        ("permanent", "whatever", True),
        ("transient", NORMAL, False),
        ("transient", SHUTDOWN, False),
        ("transient", (SHUTDOWN, "signal"), False),
        ("transient", "whatever", True),
        ("temporary", NORMAL, False),
        ("temporary", SHUTDOWN, False),
        ("temporary", "whatever", False),
    ],
)
def test_who_is_restarted_depends_on_the_restart_type_and_all_others_are_forgotten(
    restart: Restart, reason: Any, kept: bool
) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        supervisor = await DynamicSupervisor.start_link()
        first = await _add(supervisor, worker(journal, "a", restart=restart))
        await stop_itself("a", reason)
        await passed(1)
        known = await _known(supervisor)
        assert known == ([("a", pid_of("a"))] if kept else [])
        assert ("a", first) not in known

    check()


@in_process
async def test_a_child_is_restarted_alone() -> None:
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link()
    for name in "abc":
        await _add(supervisor, worker(journal, name))
    mark, others = len(journal), [pid_of("b"), pid_of("c")]
    await kill("a")
    await passed(1)
    assert (journal.since(mark), others) == (ups("a"), [pid_of("b"), pid_of("c")])
    assert await _active_of_known(supervisor) == (3, 3)


@in_process
async def test_a_restart_that_is_ignored_forgets_the_child() -> None:
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link()
    await _add(supervisor, worker(journal, "a"))
    journal.failures["a"] = [Ignore()]
    await kill("a")
    await passed(1)
    assert await _known(supervisor) == []


@in_process
async def test_a_restart_that_fails_is_tried_again_and_the_child_known_by_its_old_pid() -> None:
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link(intensity=100)
    old = await _add(supervisor, worker(journal, "a"))
    journal.start_time = 1.0
    journal.failures["a"] = failing(*range(5))
    await kill("a")
    await passed(2.5)
    assert await which_children(supervisor) == [ChildInfo("a", None, "worker", restarting=True)]
    assert (await get_childspec(supervisor, old)).id == "a"
    assert await count_children(supervisor) == {"specs": 1, "active": 0, "supervisors": 0, "workers": 1}
    assert await _add(supervisor, worker(journal, "b")) == pid_of("b")
    await passed(60)
    assert sorted(await _known(supervisor), key=str) == [("a", pid_of("a")), ("b", pid_of("b"))]
    assert is_alive(pid_of("a"))


@in_process
async def test_each_try_costs_budget_and_one_too_many_ends_the_supervisor() -> None:
    trap_exit(True)
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link(intensity=3)
    await _add(supervisor, worker(journal, "a"))
    await _add(supervisor, worker(journal, "b", stop_time=0))
    journal.failures["a"] = failing(*range(9))
    mark = len(journal)
    await kill("a")
    assert await receive() == Exited(supervisor, SHUTDOWN)
    assert journal.since(mark) == ["a starts"] * 3 + ["b stops", "b is down"]


def test_a_supervisor_that_gives_up_says_so(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        supervisor = await DynamicSupervisor.start_link(intensity=0)
        await _add(supervisor, worker(Journal(), "a"))
        await kill("a")
        assert await receive() == Exited(supervisor, SHUTDOWN)

    check()
    assert reported(logs, "child_terminated") == [("a", KILLED)]
    assert reported(logs, "shutdown") == [("a", Atom("reached_max_restart_intensity"))]


@in_process
async def test_it_allows_three_restarts_in_five_seconds_unless_told_otherwise() -> None:
    trap_exit(True)
    supervisor = await DynamicSupervisor.start_link()
    await _add(supervisor, worker(Journal(), "a"))
    for _ in range(3):
        await kill("a")
        await passed(1)
    assert is_alive(supervisor)
    await kill("a")
    assert await receive() == Exited(supervisor, SHUTDOWN)


# -- stopping a child


@pytest.mark.parametrize(
    ("shutdown", "reason"), [("brutal_kill", KILLED), (5.0, SHUTDOWN), (None, SHUTDOWN), (0, KILLED)]
)
def test_a_child_is_stopped_by_its_pid_and_forgotten(shutdown: Any, reason: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        supervisor = await DynamicSupervisor.start_link()
        pid = await _add(supervisor, worker(Journal(), "a", shutdown=shutdown))
        end = spawn(_reason_of, pid, self_pid())
        await passed(0)
        await terminate_child(supervisor, pid)
        assert (await receive(tuple), await _known(supervisor), is_alive(end)) == ((pid, reason), [], False)
        with pytest.raises(ChildError, match="not_found"):
            await terminate_child(supervisor, pid)

    check()


async def _reason_of(pid: Pid, tell: Pid) -> None:
    send(tell, (pid, await ended(pid)))


@in_process
async def test_a_child_whose_restart_is_being_tried_is_stopped_by_its_old_pid() -> None:
    journal = Journal()
    supervisor = await DynamicSupervisor.start_link(intensity=100_000)
    old = await _add(supervisor, worker(journal, "a"))
    journal.failures["a"] = failing(*range(1000))
    await kill("a")
    await terminate_child(supervisor, old)
    mark = len(journal)
    await passed(60)
    assert (await _known(supervisor), journal.since(mark)) == ([], [])
    with pytest.raises(ChildError, match="not_found"):
        await terminate_child(supervisor, old)


@in_process
async def test_who_is_no_child_is_not_stopped() -> None:
    supervisor = await DynamicSupervisor.start_link()
    stranger = spawn(_wait)
    for wrong in (stranger, "a"):
        with pytest.raises(ChildError, match="not_found"):
            await terminate_child(supervisor, wrong)
    assert is_alive(stranger)


@pytest.mark.parametrize("act", [restart_child, delete_child])
def test_a_child_is_neither_restarted_nor_deleted_by_hand(act: Callable[..., Any]) -> None:
    @in_process
    async def check() -> None:
        supervisor = await DynamicSupervisor.start_link()
        pid = await _add(supervisor, child(_wait))
        words = "under a DynamicSupervisor a child can be started and stopped, and nothing else"
        with pytest.raises(ChildError, match=words) as caught:
            await act(supervisor, pid)
        assert (caught.value.id, caught.value.reason) == (pid, "simple_one_for_one")

    check()


# -- what is left behind


@in_process
async def test_what_a_temporary_child_was_started_with_is_not_kept() -> None:
    class Large:
        pass

    kept: dict[str, Callable[[], Any]] = {}
    supervisor = await DynamicSupervisor.start_link()
    for restart in ("temporary", "transient"):
        large = Large()
        kept[restart] = weakref.ref(large)
        await _add(supervisor, child(_forgets, [large], restart=restart))
        del large
    await passed(1)
    await which_children(supervisor)
    gc.collect()
    assert (kept["temporary"](), type(kept["transient"]())) == (None, Large)


async def _forgets(things: list[Any]) -> None:
    del things
    await _wait()


@in_process
async def test_children_that_come_and_go_leave_nothing_behind() -> None:
    supervisor = await DynamicSupervisor.start_link()
    before = links_and_monitors(supervisor)
    for _ in range(20):
        pid = await _add(supervisor, child(_wait, restart="temporary"))
        other = await _add(supervisor, child(_wait, restart="temporary"))
        await terminate_child(supervisor, pid)
        exit(other, KILL)
        await passed(0)
    assert (links_and_monitors(supervisor), await _known(supervisor), mailbox()) == (before, [], [])


@in_process
async def test_ten_thousand_children_come_and_go_and_one_costs_as_much_as_the_next() -> None:
    """Where each operation looked at all children, this would take minutes."""
    supervisor = await DynamicSupervisor.start_link(intensity=100_000)
    pids = [await _add(supervisor, child(_wait)) for _ in range(10_000)]
    assert await _active_of_known(supervisor) == (10_000, 10_000)
    for pid in pids[:5000]:
        exit(pid, KILL)
    await passed(1)
    assert await _active_of_known(supervisor) == (10_000, 10_000)
    for pid in pids[5000:]:
        await terminate_child(supervisor, pid)
    assert await _active_of_known(supervisor) == (5000, 5000)
