"""What those who are new to this see who get something wrong: each mistake of the chapter "Bad input" in
docs/semantics.md that has no test beside what it is about."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from pydist import (
    KILLED,
    SHUTDOWN,
    Atom,
    Caller,
    CallError,
    CallTimeout,
    GenServer,
    Request,
    StartError,
    Supervisor,
    call,
    child,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    stop,
    trap_exit,
    which_children,
)
from tests.helpers import in_process, now


class Ask(Request[str]):
    question: str


class Hanging(GenServer):
    async def init(self) -> None:
        await asyncio.sleep(1_000_000)


class Introverted(GenServer):
    """Asks itself, which a server would wait for for ever."""

    async def handle_call(self, request: Request[Any], _caller: Caller, /) -> object:
        return await call(self_pid(), request)


class Impatient(GenServer):
    """Asks its supervisor while that waits for it to start."""

    async def init(self, supervisor: str) -> None:
        await which_children(supervisor)


@in_process
async def test_a_class_in_place_of_a_list_of_children_is_refused_with_what_to_write() -> None:
    classes: Any = Hanging
    with pytest.raises(TypeError, match=r"a list of children, not with a class: write \[child\(Hanging\)\]$"):
        await Supervisor.start_link(classes)


@in_process
async def test_a_supervisor_whose_child_hangs_does_not_start_if_the_child_has_a_time_to_start() -> None:
    trap_exit(True)
    began = now()
    with capture_logs() as logs, pytest.raises(StartError, match="Supervisor did not start: ") as caught:
        await Supervisor.start_link([child(Hanging, start_timeout=3)])
    assert (caught.value.reason, now() - began) == (
        (SHUTDOWN, ("failed_to_start_child", "Hanging", Atom("timeout"))),
        3,
    )
    assert [(entry["event"], entry["context"], entry["reason"]) for entry in logs] == [
        ("supervisor_report", "start_error", Atom("timeout"))
    ]


@in_process
async def test_a_child_that_asks_its_supervisor_while_it_starts_is_named_in_the_log() -> None:
    trap_exit(True)
    with capture_logs() as logs, pytest.raises(StartError) as caught:
        await Supervisor.start_link([child(Impatient, "top", start_timeout=7)], name="top")
    assert caught.value.reason == (SHUTDOWN, ("failed_to_start_child", "Impatient", Atom("timeout")))
    assert [entry["event"] for entry in logs] == ["child_still_starting", "supervisor_report"]


@in_process
async def test_who_asks_a_server_that_asks_itself_is_told_so() -> None:
    server = await Introverted.start()
    with capture_logs(), pytest.raises(CallError) as caught:
        await call(server, Ask("why?"))
    assert str(caught.value) == (
        f"call to {server!r} failed: Crash(pydist.errors.CallingSelf: a process can't call itself, for it would wait "
        "for its own reply: Ask(question='why?') was not sent); the request was Ask(question='why?')"
    )


@in_process
async def test_who_asks_a_process_that_is_no_server_waits_in_vain_and_is_told_what_for() -> None:
    async def no_server() -> None:
        await asyncio.sleep(100)

    pid = spawn(no_server)
    with pytest.raises(CallTimeout) as caught:
        await call(pid, Ask("why?"))
    assert str(caught.value) == (
        f"no reply from {pid!r} within 5.0 s to Ask(question='why?'); it may still do the work"
    )


@in_process
async def test_what_could_not_cross_to_another_node_is_sent_on_this_one() -> None:
    message = [lambda: 1]
    send(self_pid(), message)
    assert await receive() is message


@in_process
async def test_a_child_that_takes_its_exit_for_a_cancellation_is_killed_by_its_supervisor() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                continue

    supervisor = await Supervisor.start([child(stubborn, id="stubborn", shutdown=7.0)])
    [info] = await which_children(supervisor)
    assert info.pid is not None
    ref, began = monitor(info.pid), now()
    with capture_logs() as logs:
        await stop(supervisor, SHUTDOWN)
    assert ((await receive(ref)).reason, now() - began) == (KILLED, 7)
    assert [entry["event"] for entry in logs] == ["process_still_exiting", "supervisor_report"]
