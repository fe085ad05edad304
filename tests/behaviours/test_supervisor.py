"""How a supervisor starts its children, and how it ends itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    AlreadyStarted,
    Crash,
    DynamicSupervisor,
    Exit,
    Exited,
    GenServer,
    Ignore,
    Pid,
    Registry,
    StartError,
    Supervisor,
    Via,
    child,
    exit,  # noqa: A004  # OTP's name
    get_status,
    link,
    receive,
    register,
    restart_child,
    self_pid,
    send,
    spawn,
    start_child,
    stop,
    terminate_child,
    trap_exit,
    whereis,
)
from tests.helpers import ended, in_process, mailbox, now, passed, plain
from tests.supervised import (
    Journal,
    Worker,
    downs,
    failing,
    listed,
    pid_of,
    ups,
    worker,
    workers,
)

# -- starting


@in_process
async def test_start_link_returns_when_all_children_have_started_one_after_the_other() -> None:
    journal = Journal()
    journal.start_time = 1.0
    began = now()
    supervisor = await Supervisor.start_link(workers(journal, "abc"), name="top")
    assert (journal, now() - began) == (ups("abc"), 3)
    assert (whereis("top"), await listed("top")) == (supervisor, [("a", True), ("b", True), ("c", True)])


@in_process
async def test_a_supervisor_may_have_no_children() -> None:
    assert await listed(await Supervisor.start_link()) == []


@pytest.mark.parametrize("trapping", [True, False])
def test_a_second_supervisor_of_one_name_is_not_started(trapping: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(trapping)
        journal = Journal()
        first = await Supervisor.start_link(name="top")
        with pytest.raises(AlreadyStarted) as caught:
            await Supervisor.start_link(workers(journal, "a"), name="top")
        assert (caught.value.pid, journal, mailbox()) == (first, [], [])

    check()


@in_process
async def test_when_a_child_does_not_start_those_before_it_are_stopped_in_reverse() -> None:
    trap_exit(True)
    journal = Journal()
    journal.failures["c"] = failing("no")
    with pytest.raises(StartError) as caught:
        await Supervisor.start_link(workers(journal, "abcd"), name="top")
    assert caught.value.reason == (SHUTDOWN, ("failed_to_start_child", "c", "no"))
    assert journal == [*ups("ab"), "c starts", *downs("ba")]
    assert (mailbox(), [whereis(name) for name in ("top", "a", "b", "c")]) == ([], [None] * 4)


@in_process
async def test_a_caller_that_does_not_trap_exits_ends_with_a_supervisor_that_does_not_start() -> None:
    async def caller() -> None:
        journal = Journal()
        journal.failures["a"] = failing("no")
        await Supervisor.start_link(workers(journal, "a"))

    assert await ended(spawn(caller)) == (SHUTDOWN, ("failed_to_start_child", "a", "no"))


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError("no")])
def test_the_reason_names_the_child_whose_init_raised_and_its_crash(error: BaseException) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        journal = Journal()
        journal.failures["a"] = [error]
        with pytest.raises(StartError) as caught:
            await Supervisor.start_link(workers(journal, "a"))
        (why, (what, name, crash)) = caught.value.reason
        assert (why, what, name, type(crash), crash.message) == (SHUTDOWN, "failed_to_start_child", "a", Crash, "no")

    check()


@in_process
async def test_a_child_whose_name_is_taken_does_not_start() -> None:
    trap_exit(True)
    register("a", self_pid())
    for spec in (worker(Journal(), "a"), child(_wait, name="a")):
        with pytest.raises(StartError) as caught:
            await Supervisor.start_link([spec])
        (_, (_, name, reason)) = caught.value.reason
        assert name == "a"
        assert reason == ("already_started", self_pid()) or reason.error == "pydist.errors.NameTaken"


@in_process
async def test_a_child_whose_arguments_do_not_fit_does_not_start() -> None:
    trap_exit(True)
    for spec in (child(Worker, 1, 2, 3, 4, 5, id="a"), child(_wait, 1, id="a")):
        with pytest.raises(StartError) as caught:
            await Supervisor.start_link([spec])
        (_, (_, name, crash)) = caught.value.reason
        assert (name, crash.error) == ("a", "TypeError")
        assert "positional argument" in crash.message


@in_process
async def test_a_child_that_ignores_its_start_is_known_unless_it_is_temporary() -> None:
    journal = Journal()
    journal.failures = {"a": [Ignore()], "b": [Ignore()]}
    specs = [worker(journal, "a"), worker(journal, "b", restart="temporary"), worker(journal, "c")]
    supervisor = await Supervisor.start_link(specs)
    assert await listed(supervisor) == [("a", False), ("c", True)]


# -- ending


async def _parent(tell: Pid, specs: list[Any], options: dict[str, Any]) -> None:
    send(tell, await Supervisor.start_link(specs, **options))
    await receive("the end".__eq__)


async def _supervisor_of_another(specs: list[Any], **options: Any) -> tuple[Pid, Pid]:
    parent = spawn(_parent, self_pid(), specs, options)
    return parent, await receive(Pid)


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
@pytest.mark.parametrize("reason", [SHUTDOWN, "enough", KILLED])
def test_a_supervisor_ends_with_its_parent_and_stops_its_children_in_reverse(strategy: str, reason: Any) -> None:
    @in_process
    async def check() -> None:
        journal = Journal()
        parent, supervisor = await _supervisor_of_another(workers(journal, "abc"), strategy=strategy)
        mark, began = len(journal), now()
        exit(parent, KILL if reason is KILLED else reason)
        assert await ended(supervisor) == reason
        assert (journal.since(mark), now() - began) == (downs("cba"), 3)

    check()


@in_process
async def test_a_supervisor_ends_even_when_its_parent_ends_normally() -> None:
    journal = Journal()
    parent, supervisor = await _supervisor_of_another(workers(journal, "a"))
    send(parent, "the end")
    assert (await ended(supervisor), journal) == (NORMAL, ups("a") + downs("a"))


@in_process
async def test_a_supervisor_whose_parent_ends_while_a_child_starts_stops_what_is_up() -> None:
    async def parent() -> None:
        await Supervisor.start_link(workers(journal, "abc"), name="top")

    journal = Journal()
    journal.start_time = 1.0
    pid = spawn(parent)
    await passed(1.5)
    top = pid_of("top")
    exit(pid, "enough")
    assert await ended(top) == "enough"
    assert [whereis(name) for name in "abc"] == [None] * 3


@in_process
async def test_children_are_told_to_shut_down() -> None:
    class Asks(GenServer):
        async def init(self) -> None:
            trap_exit(True)

        async def terminate(self, reason: Any, /) -> None:
            reasons.append(reason)

    reasons: list[Any] = []
    parent, supervisor = await _supervisor_of_another([child(Asks)])
    exit(parent, "enough")
    await ended(supervisor)
    assert reasons == [SHUTDOWN]


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_a_supervisor_is_stopped_by_hand_as_any_server(kind: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        journal = Journal()
        supervisor = await kind.start_link()
        await start_child(supervisor, worker(journal, "a"))
        await stop(supervisor, SHUTDOWN)
        assert (journal, mailbox()) == (ups("a") + downs("a"), [Exited(supervisor, SHUTDOWN)])

    check()


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_a_supervisor_is_not_started_with_a_monitor(kind: Any) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(TypeError, match="a supervisor is started by start_link or start"):
            await kind.start_monitor()

    check()


@in_process
async def test_the_status_of_a_supervisor_says_how_it_decides_and_how_many_children_it_has() -> None:
    supervisor = await Supervisor.start_link(workers(Journal(), "ab"), strategy="rest_for_one", intensity=7)
    status = await get_status(supervisor)
    assert status.state == {
        "strategy": "rest_for_one",
        "intensity": 7,
        "period": 5,
        "auto_shutdown": "never",
        "children": {"specs": 2, "active": 2, "supervisors": 0, "workers": 2},
    }


# -- plain functions as children


async def _wait() -> None:
    await receive("never".__eq__)


@in_process
async def test_an_async_function_is_a_child_too() -> None:
    async def live(word: str) -> None:
        journal.append(f"{word} on {whereis('plain') == self_pid()}")
        try:
            assert await receive() == "end"
        finally:
            await asyncio.sleep(1)
            journal.append("clean")

    journal: list[str] = []
    parent, supervisor = await _supervisor_of_another([child(live, "up", name="plain")])
    send("plain", "end")
    await passed(2)
    assert (journal, await listed(supervisor)) == (["up on True", "clean", "up on True"], [("plain", True)])
    exit(parent, SHUTDOWN)
    await ended(supervisor)
    assert journal[3:] == ["clean"]


@in_process
async def test_a_plain_child_is_linked_from_its_first_step() -> None:
    async def dies_at_once() -> None:
        starts.append(now())
        raise ValueError("at once")

    starts: list[float] = []
    trap_exit(True)
    supervisor = await Supervisor.start_link([child(dies_at_once)], intensity=3)
    assert await receive() == Exited(supervisor, SHUTDOWN)
    assert len(starts) == 4


@in_process
async def test_any_object_with_a_start_link_is_a_child_too() -> None:
    class Starter:
        async def start_link(self, *args: Any, name: str | None = None) -> Pid:
            assert name is None
            return spawn(_wait, link=True, name=args[0])

    supervisor = await Supervisor.start_link([child(Starter(), "a", id="it")])
    link(pid_of("a"))
    assert await listed(supervisor) == [("it", True)]


@in_process
async def test_a_start_link_that_returns_no_pid_has_failed() -> None:
    class Starter:
        async def start_link(self) -> Any:
            return 5

    supervisor = await Supervisor.start_link()
    with pytest.raises(StartError) as caught:
        await start_child(supervisor, child(Starter(), id="it"))
    words = "start_link returns the pid of the child, or None if there is none; this one returned 5"
    assert (plain(caught.value.reason), await listed(supervisor)) == (("TypeError", words), [])


@pytest.mark.parametrize("error", [Exit("oops"), asyncio.CancelledError("oops"), StopAsyncIteration("oops")])
def test_whatever_a_start_link_raises_the_child_has_not_started_and_that_is_all(error: BaseException) -> None:
    class Starter:
        async def start_link(self) -> Any:
            raise error

    @in_process
    async def check() -> None:
        supervisor = await Supervisor.start_link(workers(Journal(), "a"))
        with pytest.raises(StartError) as caught:
            await start_child(supervisor, child(Starter(), id="it"))
        reason = "oops" if isinstance(error, Exit) else (plain(caught.value.reason)[0], "oops")
        assert plain(caught.value.reason) == reason
        assert await listed(supervisor) == [("a", True)]

    check()


# -- names


@in_process
async def test_a_supervisor_may_have_a_via_name() -> None:
    await Registry.start_link(keys="unique", name="registry")
    via = Registry("registry").via("top")
    supervisor = await Supervisor.start_link(workers(Journal(), "a"), name=via)
    assert (Registry("registry").whereis_name("top"), await listed(via)) == (supervisor, [("a", True)])
    with pytest.raises(AlreadyStarted) as caught:
        await Supervisor.start_link(name=via)
    assert caught.value.pid == supervisor


@in_process
async def test_children_with_via_names_are_found_by_them_when_they_were_restarted() -> None:
    def at(key: str) -> Via:
        return Registry("registry").via(key)

    await Registry.start_link(keys="unique", name="registry")
    inner = child(Supervisor, [child(GenServer, name=at("w"))], name=at("inner"))
    top = await Supervisor.start_link([inner], strategy="one_for_all", intensity=3)
    for victim in ("w", "inner"):
        before = [Registry("registry").whereis_name(key) for key in ("inner", "w")]
        pid = before[victim == "w"]
        assert pid is not None
        exit(pid, KILL)
        await passed(5)
        after = [Registry("registry").whereis_name(key) for key in ("inner", "w")]
        assert (None in after, after[1] != before[1], after[0] != before[0]) == (False, True, victim == "inner")
    await terminate_child(at("inner"), "w")
    assert await restart_child(at("inner"), "w") == Registry("registry").whereis_name("w")
    assert await listed(top) == [("inner", True)]
