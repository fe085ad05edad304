"""One task: started, and asked for its result. What Elixir's task_test.exs asks; README.md has the list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Atom,
    Died,
    Down,
    Exit,
    GenServer,
    Pid,
    Ref,
    Returned,
    Supervisor,
    Task,
    TaskError,
    TaskMisused,
    TaskReply,
    TaskTimeout,
    child,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    which_children,
)
from pydist.messaging import current
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, passed, plain
from tests.tasks import double, when_told

CLEAN = (0, 0, 0, 0)


async def after(seconds: float, value: Any = "late") -> Any:
    await asyncio.sleep(seconds)
    return value


async def fail(error: BaseException) -> None:
    raise error


async def for_ever() -> None:
    await receive(lambda _: False)


async def stubborn() -> None:
    trap_exit(True)
    while True:
        await receive()


def quiet() -> bool:
    """Nothing is left of any task in the calling process."""
    return mailbox() == [] and links_and_monitors() == CLEAN


@in_process
async def test_a_task_is_a_process_that_is_linked_and_monitored_and_answers_once() -> None:
    task = Task.async_(when_told)

    assert (type(task.pid), type(task.ref), task.owner, repr(task)) == (
        Pid,
        Ref,
        self_pid(),
        f"<Task when_told {task.pid}>",
    )
    assert links_and_monitors() == (1, 1, 0, 1)
    send(task.pid, "done")
    await passed(1)

    assert mailbox() == [TaskReply(task.ref, "done")]
    assert links_and_monitors() == CLEAN


@in_process
async def test_its_result_is_awaited_and_nothing_is_left() -> None:
    task = Task.async_(double, 21)

    assert await task.await_() == 42
    assert quiet()
    assert not is_alive(task.pid)


@in_process
async def test_a_task_that_has_ended_before_it_is_asked_for_gives_its_result_too() -> None:
    task = Task.async_(double, 4)
    await passed(3600)

    assert (await task.await_(0), quiet()) == (8, True)


@in_process
async def test_a_result_can_be_any_value() -> None:
    values: list[Any] = [None, (1, 2), [], Down(Task.async_(for_ever).ref, self_pid(), NORMAL), TaskReply]
    assert [await Task.async_(after, 1, value).await_() for value in values] == values


@in_process
async def test_it_bears_the_name_of_its_function_in_logs() -> None:
    async def label() -> str:
        return current().label

    assert await Task.async_(label).await_() == label.__qualname__


@in_process
async def test_only_a_function_can_be_started() -> None:
    wrong: Any = double(1)
    with pytest.raises(TypeError, match=r"the function and its arguments: double, \.\.\. and not double"):
        Task.async_(wrong)
    with pytest.raises(TypeError, match=r"a task runs an async function, not 3"):
        Task.async_(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # what is tested
    assert quiet()


@in_process
async def test_only_tasks_can_be_awaited() -> None:
    wrong: Any = [double(1)]
    for ask in (Task.await_many, Task.yield_many):
        with pytest.raises(TypeError, match="a task is what async_ or async_nolink has returned, not <coroutine"):
            await ask(wrong)
    wrong[0].close()


@in_process
async def test_the_wrong_arguments_or_no_async_function_are_a_crash_of_the_task() -> None:
    trap_exit(True)
    for wrong, message in [(double, "missing 1 required positional argument"), (print, "a process runs an async")]:
        function: Any = wrong
        with pytest.raises(TaskError, match=message):
            await Task.async_(function).await_()
    assert quiet()


# -- how it ends


@in_process
async def test_a_crash_of_the_task_reaches_the_owner_by_the_link() -> None:
    async def owner() -> None:
        task = Task.async_(fail, ValueError("oh"))
        await task.await_()

    assert plain(await ended(spawn(owner))) == ("ValueError", "oh")


@in_process
async def test_the_end_of_the_owner_ends_its_task() -> None:
    async def owner(told: Pid) -> None:
        send(told, Task.async_(for_ever).pid)
        await receive()

    pid = spawn(owner, self_pid())
    task = monitor(await receive(Pid))
    exit(pid, "enough")

    assert (await receive(task)).reason == "enough"


@in_process
async def test_a_task_goes_on_when_its_owner_ends_normally() -> None:
    async def owner(told: Pid) -> None:
        send(told, Task.async_(after, 5).pid)

    spawn(owner, self_pid())
    pid = await receive(Pid)
    await passed(1)

    assert is_alive(pid)
    assert await ended(pid) is NORMAL


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Exit(NORMAL), NORMAL),
        (Exit("unknown"), "unknown"),
        (Exit(SHUTDOWN), SHUTDOWN),
        (RuntimeError("oops"), ("RuntimeError", "oops")),
        (asyncio.CancelledError(), ("asyncio.exceptions.CancelledError", "")),
    ],
)
def test_an_owner_that_traps_exits_gets_an_error_with_the_reason_and_nothing_else(
    error: BaseException, reason: Any
) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)
        task = Task.async_(fail, error)

        with pytest.raises(TaskError) as caught:
            await task.await_()

        assert (plain(caught.value.reason), caught.value.task, quiet()) == (reason, task, True)

    test()


@in_process
async def test_an_exit_with_normal_is_an_error_for_the_owner_and_no_crash() -> None:
    task = Task.async_(fail, Exit(NORMAL))

    with pytest.raises(TaskError, match=rf"{task!r} ended without a result: Atom\('normal'\)"):
        await task.await_()
    assert quiet()


@in_process
async def test_a_task_that_is_killed_is_an_error_with_killed() -> None:
    trap_exit(True)
    task = Task.async_(for_ever)
    exit(task.pid, KILL)

    with pytest.raises(TaskError) as caught:
        await task.await_()
    assert (caught.value.reason, quiet()) == (KILLED, True)


# -- timeouts


@in_process
async def test_a_timeout_is_an_error_of_the_owner_and_the_task_goes_on_linked() -> None:
    task = Task.async_(when_told)

    with pytest.raises(TaskTimeout, match=r"no result of <Task when_told .*> within 5.0 s; shutdown\(\) stops") as late:
        await task.await_()

    assert (late.value.reason, late.value.task, isinstance(late.value, TimeoutError)) == (Atom("timeout"), task, True)
    assert (mailbox(), links_and_monitors(), is_alive(task.pid)) == ([], (1, 0, 0, 0), True)


@in_process
async def test_a_late_result_is_dropped() -> None:
    task = Task.async_(when_told)
    with pytest.raises(TaskTimeout):
        await task.await_(0)

    send(task.pid, "done")

    assert await ended(task.pid) is NORMAL
    assert quiet()


@in_process
async def test_an_owner_that_does_not_catch_the_timeout_ends_and_so_does_its_task() -> None:
    async def owner(told: Pid) -> None:
        task = Task.async_(for_ever)
        send(told, task.pid)
        await task.await_(1)

    _, ref = spawn(owner, self_pid(), monitor=True)
    task = monitor(await receive(Pid))

    reason = (await receive(ref)).reason
    assert (reason.error, (await receive(task)).reason) == ("pydist.errors.TaskTimeout", reason)


@in_process
async def test_a_result_of_the_very_instant_of_the_timeout_counts() -> None:
    async def just() -> str:
        await passed(5)
        return "just"

    task = Task.async_(just)
    await asyncio.sleep(0)  # so that its time begins first

    assert await task.await_(5) == "just"


@in_process
async def test_an_await_that_is_cancelled_leaves_nothing_in_the_mailbox() -> None:
    task = Task.async_(after, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await task.await_()

    await passed(5)
    assert quiet()


# -- who may ask, and how often


@in_process
async def test_only_the_owner_may_ask() -> None:
    async def stranger(task: Task[Any]) -> list[str]:
        refused: list[str] = []
        for asks in (task.await_, task.yield_, task.shutdown, lambda: Task.await_many([task]), nothing_of(task)):
            with pytest.raises(TaskMisused, match=rf"belongs to {task.owner}, .*; {self_pid()} has asked") as caught:
                await asks()
            refused.append(str(caught.value))
        return refused

    task = Task.async_(when_told)
    assert len(await Task.async_(stranger, task).await_()) == 5
    send(task.pid, "done")
    assert await task.await_() == "done"


def nothing_of(task: Task[Any]) -> Any:
    async def ignore() -> None:
        task.ignore()

    return ignore


@in_process
async def test_the_outcome_is_taken_once() -> None:
    task = Task.async_(double, 1)
    await task.await_()

    for asks in (task.await_, task.yield_, nothing_of(task), lambda: Task.yield_many([task])):
        with pytest.raises(TaskMisused, match="was taken, or given up, before"):
            await asks()


# -- yield_


@in_process
async def test_yield_gives_the_outcome_or_none_and_can_be_asked_again() -> None:
    task = Task.async_(after, 3, "here")

    assert await task.yield_(1) is None
    assert await task.yield_(0) is None
    assert await task.yield_(3) == Returned("here")
    assert quiet()


@in_process
async def test_yield_gives_the_reason_of_a_task_that_died() -> None:
    trap_exit(True)

    assert await Task.async_(fail, Exit(NORMAL)).yield_() == Died(NORMAL)
    assert await Task.async_(fail, Exit("oops")).yield_() == Died("oops")
    assert quiet()


@in_process
async def test_a_yield_that_is_cancelled_can_be_repeated() -> None:
    task = Task.async_(after, 3, "here")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await task.yield_()

    assert await task.yield_() == Returned("here")


# -- shutdown and ignore


@in_process
async def test_shutdown_stops_a_task_and_gives_none() -> None:
    task = Task.async_(for_ever)

    assert await task.shutdown() is None
    assert (is_alive(task.pid), quiet()) == (False, True)


@in_process
async def test_shutdown_gives_the_outcome_that_came_first() -> None:
    trap_exit(True)
    done, dead = Task.async_(double, 1), Task.async_(fail, Exit("oops"))
    await passed(1)

    assert (await done.shutdown(), await dead.shutdown()) == (Returned(2), Died("oops"))
    assert quiet()


@in_process
async def test_shutdown_of_a_task_that_has_shut_down_itself_is_one_too_and_leaves_nothing() -> None:
    trap_exit(True)
    task = Task.async_(fail, Exit(SHUTDOWN))
    await passed(1)

    assert (await task.shutdown(), quiet()) == (None, True)


@in_process
async def test_shutdown_gives_a_task_time_to_clean_up_and_then_kills_it() -> None:
    async def cleans(seconds: float) -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(seconds)

    quick, slow = Task.async_(cleans, 1), Task.async_(cleans, 10)
    await passed(1)

    assert (await quick.shutdown(2), await slow.shutdown(2)) == (None, Died(KILLED))
    assert quiet()


@in_process
async def test_brutal_kill_takes_no_time() -> None:
    task = Task.async_(stubborn)
    await passed(1)

    assert await task.shutdown("brutal_kill") is None
    assert quiet()


@in_process
async def test_a_task_that_answers_a_shutdown_with_its_result_is_heard() -> None:
    async def last_words() -> str:
        trap_exit(True)
        await receive()
        return "good bye"

    task = Task.async_(last_words)
    await passed(1)

    assert await task.shutdown() == Returned("good bye")


@in_process
async def test_a_task_that_was_not_waited_for_can_still_be_shut_down() -> None:
    task = Task.async_(for_ever)
    with pytest.raises(TaskTimeout):
        await task.await_(1)

    assert await task.shutdown() is None
    assert await task.shutdown() == Died(NOPROC)
    assert quiet()


@in_process
async def test_who_is_interrupted_while_it_shuts_a_task_down_kills_it() -> None:
    task = Task.async_(stubborn)
    await passed(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await task.shutdown(None)

    assert (is_alive(task.pid), quiet()) == (False, True)


@in_process
async def test_an_owner_that_is_killed_while_it_shuts_a_task_down_takes_it_along() -> None:
    async def owner(told: Pid) -> None:
        task = Task.async_(stubborn)
        await passed(1)
        send(told, task.pid)
        await task.shutdown(None)

    pid = spawn(owner, self_pid())
    task = monitor(await receive(Pid))
    await end(pid, KILL)

    assert (await receive(task, 1)).reason is KILLED


@in_process
async def test_a_shutdown_of_no_known_kind_is_an_error() -> None:
    task = Task.async_(for_ever)
    wrong: Any = "kill"
    with pytest.raises(ValueError, match="number of seconds, None or 'brutal_kill', not 'kill'"):
        await task.shutdown(wrong)
    assert is_alive(task.pid)


@in_process
async def test_a_task_that_is_ignored_goes_on_unlinked_and_unheard() -> None:
    done, fails = Task.async_(when_told), Task.async_(when_told)
    assert (done.ignore(), fails.ignore()) == (None, None)

    for task, told in ((done, "go"), (fails, Exit("oops"))):
        send(task.pid, told)
        await ended(task.pid)

    assert quiet()


@in_process
async def test_ignoring_gives_an_outcome_that_has_come_already() -> None:
    trap_exit(True)
    done, dead = Task.async_(double, 1), Task.async_(fail, Exit("oops"))
    await passed(1)

    assert (done.ignore(), dead.ignore()) == (Returned(2), Died("oops"))
    assert quiet()


# -- with other behaviours


class Works(GenServer):
    """Starts tasks, and does not wait for them."""

    async def init(self, told: Pid) -> None:
        trap_exit(True)
        self.told = told

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case ("start", function, *args):
                Task.async_(function, *args)
            case _:
                send(self.told, message)


@in_process
async def test_a_server_gets_the_outcome_of_a_task_in_handle_info() -> None:
    server = await Works.start_link(self_pid())
    send(server, ("start", double, 3))
    send(server, ("start", fail, Exit("oops")))
    await passed(1)

    reply, exited, down = mailbox()
    assert (type(reply), reply.value, exited.reason, type(down), down.reason) == (TaskReply, 6, "oops", Down, "oops")


@in_process
async def test_start_and_start_link_run_a_function_for_its_effects() -> None:
    alone = await Task.start(when_told)
    assert links_and_monitors() == CLEAN
    linked = await Task.start_link(when_told)
    assert links_and_monitors() == (1, 0, 0, 0)

    assert await end(alone, "enough") == "enough"
    send(linked, "done")
    assert (await ended(linked), quiet()) == (NORMAL, True)


@in_process
async def test_a_task_is_a_temporary_child_of_a_supervisor() -> None:
    runs: list[str] = []

    async def note(what: str) -> None:
        runs.append(what)
        raise Exit("oops")

    supervisor = await Supervisor.start_link([child(Task, note, "hello"), child(Task, for_ever, id="other")])
    await passed(1)

    assert (runs, [info.id for info in await which_children(supervisor)]) == (["hello"], ["other"])


def test_a_crash_is_reported_once_under_the_name_of_the_function(logs: list[EventDict]) -> None:
    @in_process
    async def test() -> None:
        trap_exit(True)
        await Task.async_(fail, ValueError("oh")).yield_()

    test()
    assert [(entry["event"], entry["label"]) for entry in logs if entry["log_level"] == "error"] == [
        ("crash_report", "fail")
    ]
