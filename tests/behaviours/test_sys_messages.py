"""Looking into a running behaviour, holding it, and stopping it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Atom,
    Caller,
    CallError,
    CallingSelf,
    CallTimeout,
    Exit,
    Exited,
    GenServer,
    NoProcess,
    Pid,
    Request,
    Stop,
    Supervisor,
    call,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    receive,
    receive_response,
    self_pid,
    send,
    send_request,
    spawn,
    trap_exit,
    whereis,
)
from pydist.gen.request_ids import begin_request
from pydist.gen.sys_requests import Failed, Status, System
from pydist.sys_messages import get_state, get_status, replace_state, resume, stop, suspend
from tests.counter import Add, Counter, Heard, Total
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, now, passed, plain

NOTHING = (0, 0, 0, 0)


@in_process
async def test_the_state_of_a_server_is_its_attributes() -> None:
    counter = await Counter.start(3, name="counter")
    cast(counter, "hello")
    expected = {"value": 3, "heard": [("cast", "hello")], "waiting": []}
    assert [await get_state(counter), await get_state("counter")] == [expected, expected]
    assert (mailbox(), links_and_monitors()) == ([], NOTHING)


@in_process
async def test_the_attributes_of_a_server_can_not_be_changed_through_its_state() -> None:
    counter = await Counter.start(3)
    (await get_state(counter))["value"] = 100
    assert await call(counter, Total()) == 3


@in_process
async def test_a_state_is_replaced_by_what_a_function_makes_of_it() -> None:
    counter = await Counter.start(3)

    def double(state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "value": 2 * state["value"]}

    assert (await replace_state(counter, double))["value"] == 6
    assert await call(counter, Add(1)) == 7


@in_process
async def test_a_function_that_fails_leaves_the_state_as_it_was() -> None:
    def fails(state: Any) -> Any:
        raise ValueError("no")

    def exits(state: Any) -> Any:
        raise Exit("no")

    counter = await Counter.start(3)
    for function, error in ((fails, ("ValueError", "no")), (exits, ("pydist.errors.Exit", "no")), (len, None)):
        with pytest.raises(CallError) as caught:
            await replace_state(counter, function)
        tag, crash = caught.value.reason
        assert tag == "callback_failed"
        if error is not None:
            assert plain(crash) == error
        else:
            assert crash.message == "the state of Counter is a dict of its attributes, not 3"
    assert await call(counter, Total()) == 3


@in_process
async def test_a_server_may_keep_its_state_elsewhere() -> None:
    class Elsewhere(GenServer):
        async def init(self) -> None:
            self.store = [1, 2]

        def system_get_state(self) -> Any:
            return list(self.store)

        def system_replace_state(self, function: Any, /) -> Any:
            self.store = function(self.store)
            return self.store

    server = await Elsewhere.start()
    assert [await get_state(server), await replace_state(server, sorted), await get_state(server)] == [[1, 2]] * 3


# -- status


@in_process
async def test_the_status_of_a_server_says_what_it_is_and_how() -> None:
    counter = await Counter.start_link(3, name="counter")
    status = await get_status(counter)
    state: dict[str, Any] = {"value": 3, "heard": [], "waiting": []}
    expected = Status(counter, "GenServer", "Counter", "counter", self_pid(), False, 0, state)
    assert status == expected
    await suspend(counter)
    cast(counter, "one")
    cast(counter, "two")
    held = await get_status(counter)
    assert (held.suspended, held.message_queue_len) == (True, 2)


@in_process
async def test_a_server_shows_what_it_wants_of_its_state() -> None:
    class Secretive(Counter):
        def format_status(self, state: Any, /) -> Any:
            return {**state, "value": "hidden"}

    class Broken(Counter):
        def format_status(self, state: Any, /) -> Any:
            raise ValueError(state)

    shown = [(await get_status(await each.start(3))).state for each in (Secretive, Broken)]
    assert shown == [
        {"value": "hidden", "heard": [], "waiting": []},
        "<format_status of test_a_server_shows_what_it_wants_of_its_state.<locals>.Broken has raised ValueError>",
    ]


# -- holding


@in_process
async def test_a_server_that_is_suspended_takes_no_message_until_it_is_resumed() -> None:
    counter = await Counter.start()
    await suspend(counter)
    cast(counter, "first")
    send(counter, "second")
    request = send_request(counter, Heard())
    await passed(10)
    assert (await get_state(counter))["heard"] == []
    await resume(counter)
    assert await receive_response(request) == [("cast", "first"), ("info", "second")]


@in_process
async def test_a_call_to_a_server_that_is_suspended_times_out() -> None:
    counter = await Counter.start()
    await suspend(counter)
    with pytest.raises(CallTimeout):
        await call(counter, Total(), 1)
    await resume(counter)
    assert await call(counter, Total()) == 0


@in_process
async def test_to_suspend_or_resume_twice_is_as_once() -> None:
    counter = await Counter.start()
    for do in (resume, suspend, suspend, resume, resume):
        await do(counter)
    assert await call(counter, Total()) == 0


@pytest.mark.parametrize("trap", [True, False])
def test_a_server_that_is_suspended_ends_with_its_parent(trap: bool) -> None:
    @in_process
    async def check() -> None:
        class Traps(GenServer):
            async def init(self) -> None:
                trap_exit(trap)

            async def terminate(self, reason: Any, /) -> None:
                told.append(reason)

        async def parent() -> None:
            servers.append(await Traps.start_link())
            await receive()

        told: list[Any] = []
        servers: list[Pid] = []
        pid = spawn(parent)
        await passed(1)
        await suspend(servers[0])
        exit(pid, "enough")
        assert (await ended(servers[0]), told) == ("enough", ["enough"] if trap else [])

    check()


@in_process
async def test_the_exit_signal_of_another_waits_while_a_server_is_suspended() -> None:
    class Traps(Counter):
        async def init(self, value: int = 0) -> None:
            await super().init(value)
            trap_exit(True)

    server = await Traps.start()
    await suspend(server)
    exit(server, "a word")
    await passed(1)
    assert (await get_state(server))["heard"] == []
    await resume(server)
    assert await call(server, Heard()) == [("info", Exited(self_pid(), "a word"))]


@in_process
async def test_a_supervisor_can_be_looked_into_and_held() -> None:
    supervisor = await Supervisor.start_link([child(Counter, name="counter")])
    await suspend(supervisor)
    killed = whereis("counter")
    assert killed is not None
    await end(killed, KILLED)
    await passed(1)
    assert (whereis("counter"), (await get_status(supervisor)).message_queue_len) == (None, 1)
    await resume(supervisor)
    await passed(1)
    assert (whereis("counter") is not None, (await get_status(supervisor)).behaviour) == (True, "Supervisor")


# -- what goes wrong


@in_process
async def test_there_has_to_be_somebody_to_look_into() -> None:
    for ask in (get_state, get_status, suspend, resume, stop):
        with pytest.raises(NoProcess) as caught:
            await ask("nobody")
        assert (caught.value.reason, caught.value.destination) == (NOPROC, "nobody")


@in_process
async def test_a_behaviour_can_not_look_into_itself() -> None:
    for ask in (get_state, get_status, suspend, resume, stop):
        with pytest.raises(CallingSelf):
            await ask(self_pid())
    assert (mailbox(), links_and_monitors()) == ([], NOTHING)


@in_process
async def test_a_server_that_is_busy_does_not_answer_in_time() -> None:
    class Sleeps(GenServer):
        async def handle_cast(self, message: Any, /) -> None:
            await asyncio.sleep(message)

    server = await Sleeps.start()
    cast(server, 10)
    began = now()
    with pytest.raises(CallTimeout):
        await get_state(server, 2)
    assert (now() - began, links_and_monitors()) == (2, NOTHING)


@in_process
async def test_a_system_message_that_nobody_knows_is_answered() -> None:
    counter = await Counter.start()
    answer: Any = await receive_response(
        begin_request(lambda caller, asked: System(caller, asked, True), counter, Add(1), None)
    )
    assert (answer, is_alive(counter)) == (Failed(("unknown_system_msg", Add(1))), True)


# -- stopping


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, "enough"])
@pytest.mark.parametrize("held", [True, False])
def test_a_server_that_is_stopped_cleans_up_and_is_waited_for(reason: Any, held: bool) -> None:
    @in_process
    async def check() -> None:
        class Cleans(Counter):
            async def terminate(self, reason: Any, /) -> None:
                await asyncio.sleep(3)
                told.append((reason, list(self.heard)))

        told: list[Any] = []
        server = await Cleans.start(name="server")
        cast(server, "before")
        if held:
            await passed(1)
            await suspend(server)
        began = now()
        await stop("server", reason)
        assert (told, now() - began) == ([(reason, [("cast", "before")])], 3)
        assert (whereis("server"), mailbox(), links_and_monitors()) == (None, [], NOTHING)

    check()


@in_process
async def test_to_stop_takes_the_reason_normal_and_as_long_as_it_takes() -> None:
    server = await Counter.start_link()
    await stop(server)
    assert not is_alive(server)


@in_process
async def test_a_time_that_is_none_stops_nobody() -> None:
    server = await Counter.start()
    for timeout in ("5", float("nan")):
        with pytest.raises((TypeError, ValueError), match=r"a timeout is a number of seconds or None, not"):
            await stop(server, timeout=timeout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point of the test
    assert is_alive(server)


@in_process
async def test_a_server_that_does_not_end_in_time_ends_all_the_same() -> None:
    class Slow(GenServer):
        async def handle_cast(self, message: Any, /) -> None:
            await asyncio.sleep(10)

        async def terminate(self, reason: Any, /) -> None:
            await asyncio.sleep(10)

    busy, slow = await Slow.start(), await Slow.start()
    cast(busy, "work")
    for server in (busy, slow):
        began = now()
        with pytest.raises(CallTimeout, match=r"has not ended within 2 s; it will when it comes to it") as caught:
            await stop(server, timeout=2)
        assert (now() - began, caught.value.reason, links_and_monitors()) == (2, Atom("timeout"), NOTHING)
        assert await ended(server) is NORMAL


@in_process
async def test_a_server_that_ends_otherwise_is_told_of() -> None:
    class Fails(GenServer):
        async def terminate(self, reason: Any, /) -> None:
            raise ValueError("stuck")

    class Dies(GenServer):
        async def handle_cast(self, message: Any, /) -> None:
            raise Stop("by itself")

    fails, dies = await Fails.start(), await Dies.start()
    cast(dies, "now")
    reasons: list[Any] = []
    for server in (dies, fails):
        with pytest.raises(CallError) as caught:
            await stop(server)
        reasons.append(plain(caught.value.reason))
    assert (reasons, links_and_monitors()) == (["by itself", ("ValueError", "stuck")], NOTHING)


# -- reports


class Fails(GenServer):
    """Does what a request says, and keeps a secret."""

    async def init(self) -> None:
        self.secret = "1234"

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        raise request.how  # type: ignore[attr-defined]

    async def handle_info(self, message: Any, /) -> None:
        raise message

    def format_status(self, state: Any, /) -> Any:
        return sorted(state)


class How(Request[Any]):
    how: Any


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, (SHUTDOWN, "detail")])
@pytest.mark.parametrize("kind", [Stop, Exit])
def test_an_end_as_it_should_be_is_not_reported(reason: Any, kind: type[BaseException], logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        server = await Fails.start()
        send(server, kind(reason))
        assert await ended(server) == reason

    check()
    assert [line["event"] for line in logs] == ["node_stopped"]


def test_any_other_end_is_reported_with_the_last_message_and_the_state(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        server = await Fails.start(name="fails")
        pids.extend((server, self_pid()))
        with pytest.raises(CallError):
            await call(server, How(Stop("enough")))
        other = await Fails.start()
        send(other, error)
        await ended(other)

    pids: list[Pid] = []
    error = ValueError("bad")
    check()
    called, told = [line for line in logs if line["event"] == "terminate_report"]
    shown = {key: called[key] for key in ("behaviour", "pid", "name", "label", "reason", "state", "client")}
    assert shown == {
        "behaviour": "GenServer",
        "pid": pids[0],
        "name": "fails",
        "label": "Fails",
        "reason": "enough",
        "state": ["secret"],
        "client": pids[1],
    }
    assert called["last_message"] == How(called["last_message"].how)
    assert (plain(told["reason"]), told["last_message"], told["client"]) == (("ValueError", "bad"), error, None)
    crashes = [line for line in logs if line["event"] == "crash_report"]
    assert [plain(line["reason"]) for line in crashes] == ["enough", ("ValueError", "bad")]
