"""Calls, casts and messages: what arrives, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NOPROC,
    SHUTDOWN,
    Atom,
    Caller,
    CallError,
    Crash,
    Down,
    GenServer,
    Pid,
    Request,
    call,
    cast,
    reply,
    self_pid,
    send,
    spawn,
)
from pydist.messaging import current
from tests.counter import Add, Counter, Heard, Later, Leave, Note, Total, Wait
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, passed


class Ask(Request[Any]):
    number: int


@in_process
async def test_a_call_brings_back_what_the_handler_returns() -> None:
    counter = await Counter.start_link(10)
    assert [await call(counter, Add(2)), await call(counter, Add(by=-4)), await call(counter, Total())] == [12, 8, 8]


@in_process
async def test_a_reply_can_be_none_or_an_exception_or_a_down() -> None:
    class Mirror(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            return values[request]

    error = ValueError("a value, not a failure")
    down = Down(current().home.new_ref(), self_pid(), NOPROC)  # type: ignore[attr-defined]  # the runtime's
    values: dict[Any, Any] = {Ask(0): None, Ask(1): error, Ask(2): down}
    mirror = await Mirror.start_link()
    assert [await call(mirror, key) for key in values] == [None, error, down]


@in_process
async def test_casts_messages_and_calls_are_handled_in_the_order_they_were_sent() -> None:
    counter = await Counter.start_link()
    cast(counter, Note("one"))
    send(counter, Note("two"))
    cast(counter, "three")
    send(counter, 4)
    assert await call(counter, Heard()) == [
        ("cast", Note("one")),
        ("info", Note("two")),
        ("cast", "three"),
        ("info", 4),
    ]


@in_process
async def test_a_server_is_reached_by_its_name_with_or_without_its_node() -> None:
    counter = await Counter.start_link(1, name="counter")
    cast("counter", "by name")
    cast(("counter", counter.node), "by both")
    heard = [("cast", "by name"), ("cast", "by both")]
    assert [await call("counter", Total()), await call(("counter", counter.node), Heard())] == [1, heard]


@in_process
async def test_a_call_that_succeeds_leaves_nothing_behind() -> None:
    counter = await Counter.start()
    await call(counter, Total())
    await call(counter, Total(), timeout=None)
    assert (links_and_monitors(), links_and_monitors(counter), mailbox()) == ((0, 0, 0, 0), (0, 0, 0, 0), [])


@in_process
async def test_a_reply_of_the_very_instant_of_the_timeout_counts() -> None:
    async def stand_in() -> None:
        waits.append(current())
        await asyncio.get_running_loop().create_future()

    waits: list[Any] = []
    server = spawn(stand_in)
    await passed(0)

    async def caller() -> None:
        answers.append(await call(server, Total(), timeout=2))

    answers: list[int] = []
    pid = spawn(caller)
    await passed(1)
    question = waits[0].mailbox.take_first()
    process: Any = current().home.process(pid)
    process.expire()
    reply(question.caller, 7)
    assert await ended(pid) == Atom("normal")
    assert answers == [7]


@in_process
async def test_a_call_without_a_timeout_waits_for_as_long_as_it_takes() -> None:
    counter = await Counter.start_link()
    assert await call(counter, Wait(1_000_000), timeout=None) == "awake"


@in_process
async def test_a_server_that_cannot_answer_now_answers_later_and_from_elsewhere() -> None:
    async def ask() -> None:
        answers.append(await call(counter, Later()))

    answers: list[str] = []
    counter = await Counter.start_link()
    spawn(ask)
    spawn(ask)
    await passed(1)
    assert (answers, await call(counter, Total())) == ([], 0)
    cast(counter, "answer")
    await passed(1)
    assert answers == ["from elsewhere"] * 2


@in_process
async def test_a_server_may_reply_and_stop() -> None:
    counter = await Counter.start()
    watch = spawn_watcher(counter)
    assert await call(counter, Leave("bye")) == "bye"
    await passed(1)
    assert watch == ["enough"]


def spawn_watcher(pid: Pid) -> list[Any]:
    """A list that gets the reason of the end of `pid`."""

    async def watch() -> None:
        reasons.append(await ended(pid))

    reasons: list[Any] = []
    spawn(watch)
    return reasons


@in_process
async def test_a_request_that_no_handler_knows_ends_the_server() -> None:
    server = await GenServer.start()
    with pytest.raises(CallError) as caught:
        await call(server, Add(1))
    crash: Crash = caught.value.reason
    assert crash.error == "TypeError"
    assert crash.message == f"GenServer has no handle_call for Add(by=1) of {self_pid()!r}"


@in_process
async def test_a_cast_that_no_handler_knows_ends_the_server() -> None:
    server = await GenServer.start()
    cast(server, Note("lost"))
    crash: Crash = await ended(server)
    assert (crash.error, crash.message) == ("TypeError", "GenServer has no handle_cast for Note(text='lost')")


def test_a_message_that_no_handler_knows_is_logged_and_dropped(logs: list[EventDict]) -> None:
    @in_process
    async def send_one() -> Any:
        server = await GenServer.start()
        send(server, Note("odd"))
        await passed(1)
        assert await end(server, SHUTDOWN) is SHUTDOWN
        pids.append(server)

    pids: list[Pid] = []
    send_one()
    unexpected = [line for line in logs if line["event"] == "unexpected_message"]
    assert unexpected == [
        {
            "event": "unexpected_message",
            "log_level": "warning",
            "pid": pids[0],
            "name": None,
            "label": "GenServer",
            "message": Note("odd"),
        }
    ]


@in_process
async def test_a_cast_to_nobody_is_silent() -> None:
    counter = await Counter.start(name="counter")
    await end(counter, SHUTDOWN)
    cast("counter", "hello")
    cast(counter, "hello")
    cast(("counter", "b@127.0.0.1"), "hello")
    assert mailbox() == []


@in_process
async def test_other_messages_wait_while_a_process_calls() -> None:
    counter = await Counter.start()
    send(self_pid(), "before")

    async def disturb() -> None:
        for number in range(3):
            send(parent, number)

    parent = self_pid()
    spawn(disturb)
    assert await call(counter, Wait(1)) == "awake"
    assert mailbox() == ["before", 0, 1, 2]


@in_process
async def test_a_call_does_not_look_at_the_messages_that_wait_already() -> None:
    class Watched:
        looks = 0

        @property
        def ref(self) -> None:
            Watched.looks += 1

    counter = await Counter.start()
    for _ in range(10):
        send(self_pid(), Watched())
    for _ in range(5):
        await call(counter, Add(1))
    assert (Watched.looks, len(mailbox())) == (0, 10)
