"""Children that are described, added, stopped, restarted and deleted by hand."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    CallError,
    ChildError,
    ChildInfo,
    ChildSpec,
    Ignore,
    NoProcess,
    Pid,
    Request,
    StartError,
    Supervisor,
    call,
    child,
    count_children,
    delete_child,
    exit,  # noqa: A004  # OTP's name
    get_childspec,
    is_alive,
    monitor,
    receive,
    restart_child,
    spawn,
    start_child,
    terminate_child,
    whereis,
    which_children,
)
from tests.helpers import in_process, passed
from tests.supervised import Journal, Worker, downs, failing, listed, pid_of, stop_itself, ups, worker, workers

# -- describing


async def _plain(*args: Any) -> None:
    await receive("never".__eq__)


def _described(spec: ChildSpec) -> tuple[Any, ...]:
    return spec.id, spec.restart, spec.shutdown, spec.kind


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (child(Worker), ("Worker", "permanent", 5.0, "worker")),
        (child(Worker, name="w"), ("w", "permanent", 5.0, "worker")),
        (child(Worker, name="w", id="i"), ("i", "permanent", 5.0, "worker")),
        (child(_plain), ("_plain", "permanent", 5.0, "worker")),
        (child(_plain, restart="temporary", shutdown=0), ("_plain", "temporary", 0, "worker")),
        (child(_plain, shutdown=None), ("_plain", "permanent", None, "worker")),
        (child(_plain, shutdown="brutal_kill"), ("_plain", "permanent", "brutal_kill", "worker")),
        (child(Supervisor), ("Supervisor", "permanent", None, "supervisor")),
        (child(Supervisor, shutdown=9, restart="transient"), ("Supervisor", "transient", 9, "supervisor")),
    ],
)
def test_a_child_has_the_description_it_is_given_or_otps(spec: ChildSpec, expected: tuple[Any, ...]) -> None:
    assert _described(spec) == expected


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"restart": "prmanent"}, ValueError, "restart is one of permanent, transient, temporary, not 'prmanent'"),
        ({"restart": None}, ValueError, "restart is one of .*, not None"),
        ({"shutdown": -1}, ValueError, "shutdown is a number of seconds from 0, None or 'brutal_kill', not -1"),
        ({"shutdown": -0.1}, ValueError, "shutdown is .*, not -0.1"),
        ({"shutdown": float("nan")}, ValueError, "shutdown is .*, not nan"),
        ({"shutdown": "brutal"}, ValueError, "shutdown is .*, not 'brutal'"),
        ({"shutdown": [5]}, ValueError, r"shutdown is .*, not \[5\]"),
        ({"shutdown": True}, ValueError, "shutdown is .*, not True"),
        ({"significant": 1}, TypeError, "significant is True or False, not 1"),
        ({"significant": True}, ValueError, "a significant child may leave for good, and a permanent one never does"),
        ({"id": ""}, TypeError, "the id of a child is a string, and not empty; this one is ''"),
        ({"id": 5}, TypeError, "the id of a child is a string, and not empty; this one is 5"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        child(_plain, **options)


@pytest.mark.parametrize("start", [5, None, "Worker", len, lambda: 5, object(), Worker.start_link, Worker.start])
def test_what_can_not_be_started_is_refused(start: Any) -> None:
    with pytest.raises(
        TypeError, match=r"a child is started by a class with start_link, or an async function, not by "
    ):
        child(start)


# -- a supervisor's arguments


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"strategy": "none_for_one"}, ValueError, "strategy is one of one_for_one, one_for_all, rest_for_one, not 'n"),
        ({"strategy": None}, ValueError, "strategy is one of .*, not None"),
        ({"strategy": "simple_one_for_one"}, ValueError, "in pydist that is a DynamicSupervisor"),
        ({"intensity": -1}, ValueError, "intensity is a whole number of restarts from 0, not -1"),
        ({"intensity": True}, TypeError, "intensity is a whole number of restarts from 0, not True"),
        ({"intensity": float("nan")}, TypeError, "intensity is a whole number of restarts from 0, not nan"),
        ({"period": 0}, ValueError, "period is a whole number of seconds from 1, not 0"),
        ({"period": 2.5}, TypeError, "period is a whole number of seconds from 1, not 2.5"),
        ({"auto_shutdown": "any"}, ValueError, "auto_shutdown is one of never, any_significant, all_significant, not "),
        ({"children": "abc"}, TypeError, "a supervisor is started with a list of children, not with 'abc'"),
        ({"children": {child(_plain)}}, TypeError, "a supervisor is started with a list of children, not with {"),
        (
            {"children": [child(_plain, restart="transient", significant=True)]},
            ValueError,
            "the child '_plain' is significant: its supervisor needs auto_shutdown='any_significant' or 'all_signific",
        ),
        ({"children": [child(_plain), child(_plain)]}, ValueError, "two children have the id '_plain': give one ano"),
        (
            {"children": [Worker]},
            TypeError,
            r"a supervisor's children are made by child\(\.\.\.\); this one is not: <c",
        ),
        ({"children": [child(_plain), "b"]}, TypeError, "this one is not: 'b'"),
    ],
)
def test_a_supervisor_with_arguments_that_make_no_sense_is_not_started(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(error, match=words):
            await Supervisor.start_link(**arguments)

    check()


# -- looking


@in_process
async def test_children_are_listed_in_the_order_of_their_start() -> None:
    journal = Journal()
    inner = child(Supervisor, workers(journal, "xy"), name="inner")
    top = await Supervisor.start_link([*workers(journal, "ba"), inner])
    c = await start_child(top, worker(journal, "c"))
    await terminate_child(top, "a")
    assert await which_children(top) == [
        ChildInfo("b", pid_of("b"), "worker"),
        ChildInfo("a", None, "worker"),
        ChildInfo("inner", pid_of("inner"), "supervisor"),
        ChildInfo("c", c, "worker"),
    ]
    assert await count_children(top) == {"specs": 4, "active": 3, "supervisors": 1, "workers": 3}
    assert await count_children("inner") == {"specs": 2, "active": 2, "supervisors": 0, "workers": 2}


@in_process
async def test_the_description_of_a_child_can_be_had_again() -> None:
    spec = worker(Journal(), "a", restart="transient", significant=True)
    top = await Supervisor.start_link([spec, worker(Journal(), "b")], auto_shutdown="all_significant")
    assert await get_childspec(top, "a") is spec
    await terminate_child(top, "a")
    assert await get_childspec(top, "a") is spec
    with pytest.raises(ChildError, match="child 'c': not_found"):
        await get_childspec(top, "c")


@in_process
async def test_the_description_of_a_temporary_child_starts_nothing_any_more() -> None:
    journal = Journal()
    top = await Supervisor.start_link()
    await start_child(top, worker(journal, "t", restart="temporary"))
    kept = await get_childspec(top, "t")
    assert (_described(kept), await kept.start(), journal) == (("t", "temporary", 5.0, "worker"), None, ups("t"))


# -- adding


@in_process
async def test_a_child_that_is_added_is_supervised_as_the_others_and_last_in_order() -> None:
    journal = Journal()
    top = await Supervisor.start_link(workers(journal, "a"), strategy="rest_for_one")
    assert await start_child(top, worker(journal, "b")) == pid_of("b")
    await stop_itself("a", "crash")
    await passed(10)
    assert journal == ups("ab") + downs("a") + downs("b") + ups("ab")


@in_process
async def test_an_id_is_given_once_whether_its_child_runs_or_not() -> None:
    journal = Journal()
    top = await Supervisor.start_link(workers(journal, "a"))
    for reason in ("already_started", "already_present"):
        running = whereis("a")
        with pytest.raises(ChildError, match=f"child 'a': {reason}") as caught:
            await start_child(top, worker(journal, "a"))
        assert (caught.value.id, caught.value.reason, caught.value.pid) == ("a", reason, running)
        await terminate_child(top, "a")
    assert (await listed(top), journal) == ([("a", False)], ups("a") + downs("a"))


@in_process
async def test_a_child_that_does_not_start_is_not_kept() -> None:
    journal = Journal()
    journal.failures["a"] = failing("no")
    top = await Supervisor.start_link()
    with pytest.raises(StartError) as caught:
        await start_child(top, worker(journal, "a"))
    assert (caught.value.reason, await listed(top)) == ("no", [])
    assert await start_child(top, worker(journal, "a")) == pid_of("a")


@in_process
async def test_a_child_that_ignores_its_start_is_kept_unless_it_is_temporary() -> None:
    journal = Journal()
    journal.failures = {"a": [Ignore()], "t": [Ignore()]}
    top = await Supervisor.start_link()
    assert await start_child(top, worker(journal, "a")) is None
    assert await start_child(top, worker(journal, "t", restart="temporary")) is None
    assert await listed(top) == [("a", False)]
    assert await restart_child(top, "a") == pid_of("a")


@in_process
async def test_what_is_no_description_of_a_child_is_refused_and_harms_nobody() -> None:
    top = await Supervisor.start_link()
    wrong: Any
    for wrong in (Worker, "a", None):
        with pytest.raises(TypeError, match=r"a supervisor's children are made by child\(\.\.\.\); this one is not: "):
            await start_child(top, wrong)
    assert is_alive(top)


# -- stopping, restarting, deleting

RUNNING, STOPPED, IGNORED, UNKNOWN = "running", "stopped", "ignored", "unknown"


@pytest.mark.parametrize(
    ("act", "state", "outcome"),
    [
        (terminate_child, RUNNING, "stopped"),
        (terminate_child, STOPPED, "stopped"),
        (terminate_child, IGNORED, "stopped"),
        (terminate_child, UNKNOWN, ("not_found", "gone")),
        (restart_child, RUNNING, ("running", "running")),
        (restart_child, STOPPED, "running"),
        (restart_child, IGNORED, "running"),
        (restart_child, UNKNOWN, ("not_found", "gone")),
        (delete_child, RUNNING, ("running", "running")),
        (delete_child, STOPPED, "gone"),
        (delete_child, IGNORED, "gone"),
        (delete_child, UNKNOWN, ("not_found", "gone")),
    ],
)
def test_what_can_be_done_with_a_child_depends_on_its_state(
    act: Callable[[Pid, str], Awaitable[Any]], state: str, outcome: str | tuple[str, str]
) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        journal.failures["a"] = [Ignore()] if state == IGNORED else []
        top = await Supervisor.start_link([] if state == UNKNOWN else workers(journal, "a"))
        if state == STOPPED:
            await terminate_child(top, "a")
        if isinstance(outcome, tuple):
            with pytest.raises(ChildError) as caught:
                await act(top, "a")
            assert (caught.value.id, caught.value.reason) == ("a", outcome[0])
            after = outcome[1]
        else:
            assert await act(top, "a") == (pid_of("a") if act is restart_child else None)
            after = outcome
        expected = {"running": [("a", True)], "stopped": [("a", False)], "gone": []}
        assert await listed(top) == expected[after]

    check()


@in_process
async def test_a_child_that_was_stopped_is_not_restarted_by_the_supervisor() -> None:
    journal = Journal()
    top = await Supervisor.start_link(workers(journal, "ab"), intensity=0)
    await terminate_child(top, "a")
    await passed(60)
    assert (await listed(top), journal) == ([("a", False), ("b", True)], ups("ab") + downs("a"))


@in_process
async def test_a_temporary_child_that_is_stopped_is_forgotten() -> None:
    top = await Supervisor.start_link([worker(Journal(), "t", restart="temporary")])
    await terminate_child(top, "t")
    assert await listed(top) == []
    for act in (terminate_child, restart_child, delete_child):
        with pytest.raises(ChildError, match="not_found"):
            await act(top, "t")


@in_process
async def test_a_transient_child_that_ended_can_be_restarted_or_deleted() -> None:
    journal = Journal()
    top = await Supervisor.start_link([worker(journal, "q", restart="transient")])
    await stop_itself("q", NORMAL)
    assert await restart_child(top, "q") == pid_of("q")
    await stop_itself("q", (SHUTDOWN, "info"))
    await delete_child(top, "q")
    assert await listed(top) == []


@in_process
async def test_a_restart_by_hand_that_fails_is_a_start_error_and_the_child_stays() -> None:
    journal = Journal()
    top = await Supervisor.start_link(workers(journal, "a"), intensity=0)
    await terminate_child(top, "a")
    journal.failures["a"] = failing("no")
    with pytest.raises(StartError) as caught:
        await restart_child(top, "a")
    assert (caught.value.reason, await listed(top)) == ("no", [("a", False)])
    assert await restart_child(top, "a") == pid_of("a")


@in_process
async def test_what_a_temporary_child_was_started_with_is_not_kept() -> None:
    class Large:
        pass

    kept: dict[str, Callable[[], Any]] = {}
    top = await Supervisor.start_link()
    for restart in ("temporary", "transient"):
        large = Large()
        kept[restart] = weakref.ref(large)
        await start_child(top, child(_forgets, [large], id=restart, restart=restart))
        del large
    await passed(1)
    await listed(top)
    gc.collect()
    assert (kept["temporary"](), type(kept["transient"]())) == (None, Large)


async def _forgets(things: list[Any]) -> None:
    del things
    await _plain()


@pytest.mark.parametrize(
    "ask",
    [
        which_children,
        count_children,
        partial(start_child, spec=child(_plain)),
        partial(terminate_child, id="a"),
        partial(restart_child, id="a"),
        partial(delete_child, id="a"),
        partial(get_childspec, id="a"),
    ],
)
def test_a_supervisor_that_does_not_exist_is_no_process(ask: Callable[[str], Awaitable[Any]]) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(NoProcess):
            await ask("nobody")

    check()


@in_process
async def test_requests_wait_for_as_long_as_the_supervisor_needs() -> None:
    top = await Supervisor.start_link([worker(Journal(), "a", stop_time=1000, shutdown=None)])
    ref = monitor(spawn(terminate_child, top, "a"))
    await passed(1)
    assert await listed(top) == [("a", False)]
    assert (await receive(ref)).reason is NORMAL


@in_process
async def test_ten_thousand_children_come_and_go_and_one_costs_as_much_as_the_next() -> None:
    """Where each operation looked at all children, this would take minutes."""
    top = await Supervisor.start_link([child(_plain, id=str(number)) for number in range(10_000)], intensity=10_000)
    for each in (await which_children(top))[:3000]:
        assert each.pid is not None
        exit(each.pid, KILL)
    await passed(1)
    for number in range(3000, 6000):
        await terminate_child(top, str(number))
    for number in range(3000, 4000):
        await delete_child(top, str(number))
    assert await count_children(top) == {"specs": 9000, "active": 7000, "supervisors": 0, "workers": 9000}


class Unknown(Request[None]):
    pass


@in_process
async def test_a_request_that_is_not_for_a_supervisor_ends_it_as_any_server() -> None:
    journal = Journal()

    async def parent() -> None:
        await Supervisor.start_link(workers(journal, "a"), name="top")
        await _plain()

    spawn(parent)
    await passed(1)
    with pytest.raises(CallError) as caught:
        await call("top", Unknown())
    assert caught.value.reason.error == "TypeError"
    assert journal == ups("a") + downs("a")


# -- started with options


@in_process
async def test_a_nested_supervisor_gets_its_strategy_from_its_description() -> None:
    journal = Journal()
    inner = child(Supervisor, workers(journal, "ab"), strategy="one_for_all", intensity=5, name="inner")
    await Supervisor.start_link([inner], name="outer")
    before = len(journal)

    ended = monitor("b")
    exit(pid_of("b"), KILL)
    await receive(ended)
    await passed(5.0)

    assert journal.since(before) == ["a stops", "a is down", *ups("ab")]


@in_process
async def test_a_server_gets_keyword_arguments_of_its_init() -> None:
    journal = Journal()
    await Supervisor.start_link([child(Worker, journal, "w", stop_time=7.0)])

    assert journal == ups("w")


@in_process
async def test_a_plain_process_gets_keyword_arguments() -> None:
    got: list[Any] = []

    async def keep(first: int, *, second: int) -> None:
        got.append((first, second))
        await receive("never".__eq__)

    await Supervisor.start_link([child(keep, 1, second=2)])
    await passed(0.0)

    assert got == [(1, 2)]


@in_process
async def test_a_supervisor_without_a_link_is_checked_and_works_as_others() -> None:
    journal = Journal()
    with pytest.raises(ValueError, match="strategy is one of"):
        await Supervisor.start(workers(journal, "a"), strategy="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose

    supervisor = await Supervisor.start(workers(journal, "a"))

    assert await count_children(supervisor) == {"specs": 1, "active": 1, "supervisors": 0, "workers": 1}


@in_process
async def test_a_single_child_in_place_of_a_list_and_an_instance_in_place_of_a_class_are_refused() -> None:
    with pytest.raises(TypeError, match="a list of children; this is a single one"):
        await Supervisor.start_link(child(_plain))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose
    with pytest.raises(TypeError, match="by its class, Worker, not by an instance"):
        child(Worker())
