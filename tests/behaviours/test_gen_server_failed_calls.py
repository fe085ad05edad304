"""Calls that fail: how, and what they leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NO_REPLY,
    NOPROC,
    SHUTDOWN,
    Atom,
    Caller,
    CallError,
    CallingSelf,
    CallTimeout,
    Crash,
    GenServer,
    NodeDisconnected,
    NoProcess,
    Request,
    Stop,
    call,
    cast,
    exit,  # noqa: A004  # OTP's name
    register,
    reply,
    self_pid,
    spawn,
)
from pydist.messaging import current
from tests.counter import Add, Counter, Die, Later, Total, Wait
from tests.helpers import end, in_process, links_and_monitors, mailbox, now, passed


@in_process
async def test_a_call_waits_five_seconds_unless_told_otherwise() -> None:
    counter = await Counter.start_link()
    began = now()
    with pytest.raises(CallTimeout) as caught:
        await call(counter, Wait(60))
    assert now() - began == 5.0
    assert (caught.value.reason, caught.value.destination, caught.value.request) == (
        Atom("timeout"),
        counter,
        Wait(60),
    )
    assert str(caught.value) == f"no reply from {counter!r} within 5.0 s to Wait(seconds=60); it may still do the work"


@in_process
async def test_the_work_of_a_call_that_timed_out_is_done_and_its_reply_is_never_seen() -> None:
    counter = await Counter.start_link(5)
    with pytest.raises(CallTimeout):
        await call(counter, Wait(3), timeout=1)
    assert links_and_monitors() == (1, 0, 0, 0)
    assert await call(counter, Total()) == 6
    await passed(10)
    assert mailbox() == []


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_call_with_no_time_fails_at_once_but_is_made(timeout: float) -> None:
    @in_process
    async def check() -> None:
        counter = await Counter.start_link()
        began = now()
        with pytest.raises(CallTimeout):
            await call(counter, Add(1), timeout=timeout)
        assert now() == began
        assert await call(counter, Total()) == 1
        assert mailbox() == []

    check()


@in_process
async def test_a_process_cannot_call_itself_by_pid_or_by_any_of_its_names() -> None:
    me = self_pid()
    register("me", me)
    for address in (me, "me", ("me", me.node)):
        with pytest.raises(CallingSelf, match=r"a process can't call itself, .*: Add\(by=1\) was not sent") as caught:
            await call(address, Add(1))
        assert (caught.value.reason, caught.value.destination) == (Atom("calling_self"), address)
    assert (mailbox(), links_and_monitors()) == ([], (0, 0, 0, 0))


@in_process
async def test_to_call_a_name_that_nobody_has_fails_at_once() -> None:
    began = now()
    for address in ("nobody", ("nobody", self_pid().node)):
        with pytest.raises(NoProcess) as caught:
            await call(address, Total())
        assert (caught.value.reason, caught.value.destination) == (NOPROC, address)
    assert str(caught.value) == f"there is no process {address!r} to take Total()"
    assert (now(), mailbox()) == (began, [])


@in_process
async def test_to_call_a_dead_server_fails_at_once_by_pid_and_by_name() -> None:
    counter = await Counter.start(name="counter")
    await end(counter, SHUTDOWN)
    for address in (counter, "counter"):
        with pytest.raises(NoProcess):
            await call(address, Total())
    assert mailbox() == []


@in_process
async def test_a_call_that_found_nobody_leaves_nothing_behind() -> None:
    with pytest.raises(NoProcess):
        await call("nobody", Total())
    assert links_and_monitors() == (0, 0, 0, 0)


@in_process
async def test_who_has_the_callers_name_on_another_node_is_somebody_else() -> None:
    register("me", self_pid())
    with pytest.raises(NodeDisconnected):
        await call(("me", "b@127.0.0.1"), Total())


@in_process
async def test_another_node_cannot_be_called_where_there_is_no_distribution() -> None:
    with pytest.raises(NodeDisconnected) as caught:
        await call(("counter", "b@127.0.0.1"), Total())
    assert caught.value.reason == ("nodedown", "b@127.0.0.1")
    assert links_and_monitors() == (0, 0, 0, 0)


@in_process
async def test_to_call_what_is_no_address_is_the_callers_error() -> None:
    with pytest.raises(TypeError, match="a destination is a Pid, an Alias, a name or a pair"):
        await call(5, Total())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point of the test
    with pytest.raises(TypeError, match="a destination is a Pid, an Alias, a name or a pair"):
        cast(None, Total())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point of the test


@pytest.mark.parametrize(
    ("signal", "reason"),
    [(KILL, KILLED), ("enough", "enough"), ((SHUTDOWN, "enough"), (SHUTDOWN, "enough"))],
)
def test_a_call_fails_with_the_reason_of_a_server_that_ends_meanwhile(signal: Any, reason: Any) -> None:
    @in_process
    async def check() -> None:
        async def end_it_later() -> None:
            await asyncio.sleep(2)
            exit(counter, signal)

        counter = await Counter.start(name="counter")
        spawn(end_it_later)
        began = now()
        with pytest.raises(CallError) as caught:
            await call("counter", Later())
        assert (type(caught.value), caught.value.reason, caught.value.destination) == (CallError, reason, "counter")
        assert (now() - began, mailbox(), links_and_monitors()) == (2, [], (0, 0, 0, 0))

    check()


@in_process
async def test_a_call_whose_handler_raises_fails_with_the_crash() -> None:
    counter = await Counter.start()
    with pytest.raises(CallError) as caught:
        await call(counter, Die(ValueError("bad luck")))
    crash: Crash = caught.value.reason
    assert (crash.error, crash.message) == ("ValueError", "bad luck")
    assert "in handle_call" in crash.traceback


@in_process
async def test_a_server_may_stop_without_a_reply() -> None:
    counter = await Counter.start()
    with pytest.raises(CallError) as caught:
        await call(counter, Die(Stop("enough")))
    assert caught.value.reason == "enough"


@in_process
async def test_a_call_that_is_cancelled_leaves_nothing_behind() -> None:
    counter = await Counter.start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await call(counter, Wait(3))
    assert links_and_monitors() == (0, 0, 0, 0)
    assert (await call(counter, Total()), links_and_monitors(counter)) == (1, (0, 0, 0, 0))
    await passed(10)
    assert mailbox() == []


@in_process
async def test_the_reply_to_a_call_that_is_cancelled_at_that_moment_is_never_seen() -> None:
    class CancelsItsCaller(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            reply(caller, 1)
            calling.cancel()
            return NO_REPLY

    calling = current()
    server = await CancelsItsCaller.start()
    with pytest.raises(asyncio.CancelledError):
        await call(server, Total())
    calling.uncancel()
    await passed(1)
    assert (mailbox(), links_and_monitors()) == ([], (0, 0, 0, 0))
