"""Applications: how they start and stop, and what their end means. README.md has OTP's list of cases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Application,
    ApplicationController,
    ApplicationError,
    ApplicationInfo,
    Down,
    Exit,
    Exited,
    NoProcess,
    Pid,
    StartError,
    Supervisor,
    Task,
    child,
    ensure_all_started,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    receive,
    self_pid,
    spawn,
    start_application,
    stop_application,
    trap_exit,
    unlink,
    whereis,
    which_applications,
)
from pydist.messaging import current
from tests.apps import downs, leave, noting, ups
from tests.helpers import end, in_process, links_and_monitors, mailbox, now, passed, plain

CLEAN = (0, 0, 0, 0)


async def names() -> list[str]:
    return [each.name for each in await which_applications()]


async def stop_controller(controller: Pid) -> None:
    trap_exit(True)
    exit(controller, SHUTDOWN)
    await receive(Exited)


async def sleeper() -> None:
    await receive(lambda _: False)


# -- order


@in_process
async def test_applications_start_after_those_they_need_and_stop_in_reverse() -> None:
    journal: list[str] = []
    apps = [noting(journal, "c", "ab"), noting(journal, "b", "a"), noting(journal, "a"), noting(journal, "d")]
    controller = await ApplicationController.start_link(apps)
    assert (journal, await which_applications()) == ([], [])

    assert await ensure_all_started("c") == ["a", "b", "c"]
    assert (journal, await names()) == (ups("abc"), ["a", "b", "c"])
    journal.clear()
    await stop_controller(controller)

    assert (journal, mailbox(), links_and_monitors()) == (downs("cba"), [], CLEAN)


@in_process
async def test_what_runs_already_is_not_started_again() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a"), noting(journal, "b", "a"), noting(journal, "c", "a")])

    assert await ensure_all_started("a") == ["a"]
    assert await ensure_all_started("b", "c") == ["b", "c"]
    assert await ensure_all_started("c", "a", "b") == []


@in_process
async def test_one_by_one_what_it_needs_has_to_run_before() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a"), noting(journal, "b", "a")])

    with pytest.raises(ApplicationError, match="application 'a': not_started"):
        await start_application("b")
    await start_application("a")
    await start_application("b")

    assert await names() == ["a", "b"]


@in_process
async def test_what_can_be_done_with_an_application_depends_on_its_state() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a"), noting(journal, "slow", start_time=2.0)])
    await start_application("a")
    spawn(start_application, "slow")
    await passed(1)

    tries: list[tuple[Callable[[str], Awaitable[Any]], str, str]] = [
        (start_application, "x", "not_loaded"),
        (stop_application, "x", "not_loaded"),
        (ensure_all_started, "x", "not_loaded"),
        (start_application, "a", "already_started"),
        (stop_application, "slow", "not_started"),
    ]
    for ask, name, reason in tries:
        with pytest.raises(ApplicationError, match=f"application '{name}': {reason} ") as caught:
            await ask(name)
        assert (caught.value.application, caught.value.reason) == (name, reason)
    await stop_application("a")
    with pytest.raises(ApplicationError, match="not_started"):
        await stop_application("a")


@in_process
async def test_two_that_start_the_same_one_wait_for_the_same_start() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a", start_time=3.0)])
    began = now()
    async with asyncio.timeout(4):
        pids = [spawn(start_application, "a"), spawn(start_application, "a")]
        for ref in [monitor(pid) for pid in pids]:
            down: Down = await receive(ref)
            assert down.reason is NORMAL

    assert (now() - began, journal) == (3, ups("a"))


@in_process
async def test_two_that_start_one_that_fails_both_hear_of_it() -> None:
    await ApplicationController.start_link([noting([], "a", start_time=3.0, failure=LookupError("oh"))])

    async def start() -> str:
        with pytest.raises(StartError) as caught:
            await start_application("a")
        return str(caught.value)

    first, second = await Task.await_many([Task.async_(start), Task.async_(start)])
    assert first == second == "the application 'a' did not start: Crash(LookupError: oh)"


@in_process
async def test_while_one_starts_and_another_stops_the_controller_answers() -> None:
    class Slow(noting([], "stops")):  # type: ignore[misc]  # a class that is made is a class
        async def stop(self) -> None:
            await asyncio.sleep(100)

    await ApplicationController.start_link([noting([], "a"), noting([], "starts", start_time=100.0), Slow])
    await start_application("stops")
    spawn(start_application, "starts")
    spawn(stop_application, "stops")
    await passed(1)

    began = now()
    await start_application("a")
    assert (await names(), now() - began) == (["a"], 0)
    with pytest.raises(ApplicationError, match="application 'stops': stopping"):
        await start_application("stops")


@in_process
async def test_what_needs_one_that_has_crashed_does_not_start() -> None:
    await ApplicationController.start_link([noting([], "a"), noting([], "b", "a")])
    await start_application("a")
    leave("a", "oops")
    await passed(1)

    with pytest.raises(ApplicationError, match="application 'a': not_started"):
        await start_application("b")


@in_process
async def test_an_application_that_stops_can_be_started_again() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a")])

    for _ in range(2):
        await start_application("a")
        await stop_application("a")

    assert journal == (ups("a") + downs("a")) * 2


@in_process
async def test_those_that_need_one_that_is_stopped_go_on() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a"), noting(journal, "b", "a")])
    await ensure_all_started("b", restart="permanent")

    await stop_application("a")

    assert await names() == ["b"]


# -- what is in the list


@in_process
async def test_the_list_says_what_runs_and_how() -> None:
    apps = [noting([], "a", description="the first", version="1.2"), noting([], "b", "a")]
    await ApplicationController.start_link(apps)
    await ensure_all_started("a")
    await ensure_all_started("b", restart="transient")

    assert await which_applications() == [
        ApplicationInfo("a", "the first", "1.2", "temporary", whereis("a_top")),
        ApplicationInfo("b", "", "", "transient", whereis("b_top")),
    ]


class Library(Application):
    name = "library"


@in_process
async def test_an_application_may_have_no_processes() -> None:
    controller = await ApplicationController.start_link([Library])
    await start_application("library", "permanent")
    assert [each.top for each in await which_applications()] == [None]
    await stop_application("library")
    assert (await which_applications(), is_alive(controller)) == ([], True)


# -- starts that fail


class Fails(Application):
    name = "fails"

    async def start(self) -> Pid:
        raise LookupError("no disk")


class NoPid(Application):
    name = "no_pid"

    async def start(self) -> Any:
        return "started"


@in_process
async def test_a_start_that_fails_is_an_error_with_the_reason() -> None:
    await ApplicationController.start_link([Fails, NoPid])

    with pytest.raises(StartError, match="the application 'fails' did not start: Crash\\(LookupError: no disk"):
        await start_application("fails")
    with pytest.raises(StartError, match=r"NoPid.start returns the pid of the top supervisor, not 'started'"):
        await start_application("no_pid")
    assert (await which_applications(), mailbox(), links_and_monitors()) == ([], [], (1, 0, 0, 0))


@in_process
async def test_the_reason_of_a_supervisor_that_does_not_start_is_that_of_the_application() -> None:
    class Bad(Application):
        name = "bad"

        async def start(self) -> Pid:
            return await Supervisor.start_link([child(Supervisor, [child(Supervisor, 5)])])

    await ApplicationController.start_link([Bad])
    with pytest.raises(StartError) as caught:
        await start_application("bad")
    first, (second, child_id, _) = caught.value.reason
    assert (first, second, child_id) == (SHUTDOWN, "failed_to_start_child", "Supervisor")


@in_process
async def test_those_that_were_started_for_one_that_fails_are_stopped_in_reverse() -> None:
    journal: list[str] = []
    failing = noting(journal, "c", "ab", failure=LookupError("oh"))
    apps = [noting(journal, "x"), noting(journal, "a", "x"), noting(journal, "b"), failing]
    await ApplicationController.start_link(apps)
    await start_application("x")
    journal.clear()

    with pytest.raises(StartError):
        await ensure_all_started("c")

    assert sorted(journal[:4]) == sorted(ups("ab"))
    assert journal[4] == "c starts"
    first, second = [line[0] for line in journal[:4] if line.endswith("starts")]
    assert journal[5:] == downs(second + first)
    assert await names() == ["x"]


@pytest.mark.parametrize(("restart", "ends"), [("permanent", True), ("transient", True), ("temporary", False)])
def test_a_start_that_fails_ends_the_node_unless_it_is_temporary(restart: Any, ends: bool) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)
        journal: list[str] = []
        controller = await ApplicationController.start_link([noting(journal, "a"), Fails])
        await start_application("a")

        with pytest.raises(StartError):
            await start_application("fails", restart)
        await passed(1)

        assert is_alive(controller) is not ends
        if ends:
            [exited] = mailbox()
            first, (what, name, reason) = exited.reason
            assert (first, what, name) == (SHUTDOWN, "application_start_failure", "fails")
            assert plain(reason) == ("LookupError", "no disk")
            assert journal == ups("a") + downs("a")

    test()


@in_process
async def test_a_transient_application_that_leaves_its_start_normally_ends_nothing_else() -> None:
    controller = await ApplicationController.start_link([noting([], "a", failure=Exit(NORMAL))])

    with pytest.raises(StartError, match=r"the application 'a' did not start: Atom\('normal'\)"):
        await start_application("a", "transient")
    assert is_alive(controller)


@in_process
async def test_an_interrupted_start_of_all_stops_those_that_were_started() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a"), noting(journal, "b", "a", start_time=100.0)])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await ensure_all_started("b")

    assert journal == [*ups("a"), "b starts", *downs("a")]


# -- ends


@pytest.mark.parametrize(
    ("restart", "reason", "ends"),
    [
        ("permanent", NORMAL, True),
        ("permanent", SHUTDOWN, True),
        ("permanent", "oops", True),
        ("transient", NORMAL, False),
        ("transient", SHUTDOWN, True),
        ("transient", "oops", True),
        ("temporary", NORMAL, False),
        ("temporary", SHUTDOWN, False),
        ("temporary", "oops", False),
    ],
)
def test_what_the_end_of_an_application_means_for_all_others(restart: Any, reason: Any, ends: bool) -> None:
    class Ends(Application):
        name = "ends"

        async def start(self) -> Pid:
            return spawn(ends_with, reason)

    @in_process
    async def test() -> None:
        trap_exit(True)
        journal: list[str] = []
        controller = await ApplicationController.start_link([noting(journal, "a"), Ends, noting(journal, "b")])
        await ensure_all_started("a", "b")
        await start_application("ends", restart)
        await passed(2)

        if ends:
            assert mailbox() == [Exited(controller, (SHUTDOWN, ("application_terminated", "ends", reason)))]
            assert journal == ups("ab") + downs("ba")
        else:
            assert (mailbox(), await names()) == ([], ["a", "b"])

    test()


async def ends_with(reason: Any) -> None:
    await passed(1)
    raise Exit(reason)


@in_process
async def test_an_application_that_ends_by_itself_cleans_up_and_can_be_started_again() -> None:
    journal: list[str] = []
    await ApplicationController.start_link([noting(journal, "a")])
    await start_application("a")
    journal.clear()

    leave("a", "oops")
    await passed(1)

    assert (journal, await names()) == (["a works no more", "a is to stop", "a is down"], [])
    await start_application("a")
    assert await names() == ["a"]


def test_an_end_is_reported(logs: list[EventDict]) -> None:
    @in_process
    async def test() -> None:
        await ApplicationController.start_link([noting([], "a")])
        await start_application("a")
        await stop_application("a")
        await start_application("a")
        leave("a", "oops")
        await passed(1)
        trap_exit(True)
        await start_application("a", "permanent")
        leave("a", "oops")
        await passed(1)

    test()
    mine = [each for each in logs if each["event"].startswith("application")]
    assert [(each["event"], each["log_level"]) for each in mine] == [
        ("application_started", "info"),
        ("application_stopped", "info"),
        ("application_started", "info"),
        ("application_exited", "info"),
        ("application_started", "info"),
        ("application_exited", "error"),
    ]
    assert (mine[-1]["application"], mine[-1]["restart"], mine[-1]["reason"]) == ("a", "permanent", SHUTDOWN)


# -- stops


@in_process
async def test_an_error_in_a_clean_up_keeps_nothing_from_its_end() -> None:
    journal: list[str] = []

    class Clumsy(noting(journal, "a")):  # type: ignore[misc]  # a class that is made is a class
        async def prep_stop(self) -> None:
            raise LookupError("prep")

        async def stop(self) -> None:
            raise Exit("stop")

    await ApplicationController.start_link([Clumsy])
    await start_application("a")
    await stop_application("a")

    assert (journal, await names(), whereis("a")) == ([*ups("a"), "a works no more"], [], None)


@in_process
async def test_processes_that_no_supervisor_knows_of_are_killed_with_their_application() -> None:
    strays: list[Pid] = []

    class Messy(Application):
        name = "messy"

        async def start(self) -> Pid:
            strays.append(spawn(spawns))
            return await Supervisor.start_link([])

    async def spawns() -> None:
        strays.append(spawn(sleeper))
        await sleeper()

    other = spawn(sleeper)
    await ApplicationController.start_link([Messy])
    await start_application("messy")
    await passed(1)
    assert [is_alive(pid) for pid in strays] == [True, True]

    await stop_application("messy")

    assert [is_alive(pid) for pid in [*strays, other]] == [False, False, True]


@in_process
async def test_a_top_supervisor_that_is_not_linked_or_unlinks_itself_is_stopped_and_waited_for() -> None:
    class Loose(Application):
        name = "loose"

        async def start(self) -> Pid:
            return spawn(loose, self_pid())

    async def loose(master: Pid) -> None:
        trap_exit(True)
        await passed(1)
        unlink(master)
        await receive(Exited)
        await asyncio.sleep(5)

    await ApplicationController.start_link([Loose])
    await start_application("loose")
    await passed(2)
    began = now()
    await stop_application("loose")
    assert now() - began == 5


@in_process
async def test_in_the_end_each_application_has_its_time_to_stop() -> None:
    class Stubborn(Application):
        name = "stubborn"

        async def start(self) -> Pid:
            return spawn(stubborn)

    async def stubborn() -> None:
        trap_exit(True)
        while True:
            await receive()

    journal: list[str] = []
    controller = await ApplicationController.start_link([noting(journal, "a"), Stubborn], shutdown=3)
    await ensure_all_started("a", "stubborn")
    began = now()

    await stop_controller(controller)

    assert (now() - began, journal) == (3, ups("a") + downs("a"))


@in_process
async def test_one_that_still_starts_when_all_are_stopped_stops_when_its_start_is_over() -> None:
    journal: list[str] = []
    slow = noting(journal, "b", start_time=10.0)
    controller = await ApplicationController.start_link([noting(journal, "a"), slow])
    await start_application("a")
    trap_exit(True)
    spawn(start_application, "b")
    await passed(1)
    journal.clear()

    await stop_controller(controller)
    assert journal == downs("a")
    await passed(20)
    assert [line for line in journal if line.startswith("b")] == ["b is up", *downs("b")]


@in_process
async def test_when_the_controller_is_killed_its_applications_stop() -> None:
    trap_exit(True)
    journal: list[str] = []
    controller = await ApplicationController.start_link([noting(journal, "a")])
    await start_application("a")
    journal.clear()

    assert await end(controller, KILL) is KILLED
    await passed(1)

    assert (journal, whereis("a")) == (downs("a"), None)


@in_process
async def test_when_the_master_is_killed_its_processes_end_and_that_counts_as_an_end() -> None:
    trap_exit(True)
    journal: list[str] = []
    controller = await ApplicationController.start_link([noting(journal, "a")])
    await start_application("a", "permanent")
    top = whereis("a_top")
    assert top is not None
    process: Any = current()

    await end(process.home.process(top).parent, KILL)
    await passed(1)

    assert mailbox() == [Exited(controller, (SHUTDOWN, ("application_terminated", "a", KILLED)))]
    assert whereis("a") is None


# -- what makes no sense


@pytest.mark.parametrize(
    ("apps", "env", "error"),
    [
        ([noting([], "a", "x")], {}, "the application 'a' needs 'x', which is not among a"),
        ([noting([], "a", "b"), noting([], "b", "a")], {}, "in a ring: a needs b needs a"),
        ([noting([], "a"), noting([], "a")], {}, "two applications have the name 'a'"),
        ([Application], {}, r"the application Application has no name: write `name = \.\.\.` into its class"),
        ([Library], {"libary": {}}, "env is for 'libary', which is no application among library"),
    ],
)
def test_applications_that_can_not_run_are_an_error_at_once(apps: Any, env: Any, error: str) -> None:
    @in_process
    async def test() -> None:
        with pytest.raises(ValueError, match=error):
            await ApplicationController.start_link(apps, env)

    test()


@in_process
async def test_what_is_no_application_is_an_error_at_once() -> None:
    wrong: Any = [Library()]
    with pytest.raises(TypeError, match="an application is a subclass of Application, not <"):
        await ApplicationController.start_link(wrong)
    single: Any = Library
    with pytest.raises(
        TypeError, match=r"given as a list, and this is a single one: put <class .*Library'> into \[ \]"
    ):
        await ApplicationController.start_link(single)
    with pytest.raises(TypeError, match=r"Sync.start is no async function: write `async def start`"):
        type("Sync", (Application,), {"start": print})
    with pytest.raises(TypeError, match=r"One.applications is a list of names: write \['database'\]"):
        type("One", (Application,), {"applications": "database"})


@pytest.mark.parametrize("ask", [start_application, stop_application, ensure_all_started])
def test_an_application_is_asked_for_by_its_name(ask: Callable[[Any], Awaitable[Any]]) -> None:
    @in_process
    async def main() -> None:
        await ApplicationController.start_link([Library])
        with pytest.raises(TypeError, match=r"an application is asked for by its name, not by <class .*Library'>"):
            await ask(Library)

    main()


@in_process
async def test_a_restart_type_that_does_not_exist_is_an_error() -> None:
    await ApplicationController.start_link([Library])
    wrong: Any = "always"
    with pytest.raises(ValueError, match="restart is one of permanent, transient, temporary, not 'always'"):
        await start_application("library", wrong)


@in_process
async def test_without_a_controller_there_are_no_applications() -> None:
    with pytest.raises(NoProcess):
        await start_application("a")
    with pytest.raises(NoProcess):
        await which_applications()
    with pytest.raises(ApplicationError, match="application 'a': not_loaded"):
        await ensure_all_started("a")
