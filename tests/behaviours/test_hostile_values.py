"""Values whose own code raises, or is without end, hurt nobody but who looks into them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    Call,
    CallError,
    CallTimeout,
    Crash,
    Exit,
    GenServer,
    GenStatem,
    NoProcess,
    Request,
    StartError,
    Stop,
    Task,
    TaskError,
    bound_mailbox,
    call,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    keep_state,
    next_state,
    self_pid,
    send,
    send_after,
    spawn,
    start_child,
    stop,
    trap_exit,
)
from pydist.dynamic_supervisor import DynamicSupervisor
from tests.helpers import in_process, mailbox, passed


class Hostile:
    """It can be neither compared nor shown."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("not to be compared")

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


class Bearer:
    """Carries a hostile value where others carry a reference."""

    def __init__(self) -> None:
        self.ref = Hostile()


class Lazy:
    """Has to look its `ref` up, and can't."""

    @property
    def ref(self) -> object:
        raise LookupError("no connection to the database")


class Ask(Request[int], tag="test_hostile_values.Ask"):
    value: Any


class Slow(GenServer):
    async def handle_call(self, request: Any, caller: Any, /) -> int:
        await asyncio.sleep(1)
        return 7


@pytest.mark.parametrize("make", [Bearer, Lazy, lambda: (Hostile(), 1)], ids=["attribute", "property", "tuple"])
@in_process
async def test_a_call_is_not_hurt_by_a_message_that_comes_meanwhile(make: Callable[[], Any]) -> None:
    slow = await Slow.start_link()
    message = make()
    send_after(0.5, self_pid(), message)
    assert await call(slow, Ask(1)) == 7
    assert mailbox()[0] is message


@in_process
async def test_the_sender_to_a_full_mailbox_is_not_hurt_by_what_waits_there() -> None:
    async def full() -> None:
        bound_mailbox(1, "drop_oldest")
        await asyncio.sleep(1000)

    pid = spawn(full)
    await asyncio.sleep(0)
    send(pid, Lazy())
    send(pid, "another")
    assert mailbox(pid) == ["another"]


@in_process
async def test_a_request_that_cannot_be_shown_fails_as_any_other() -> None:
    slow = await Slow.start()
    with pytest.raises(CallTimeout, match=r"no reply from .* to <Ask that can't be shown>"):
        await call(slow, Ask(Hostile()), 0.5)
    with pytest.raises(NoProcess, match="to take <Ask that can't be shown>"):
        await call("nobody", Ask(Hostile()))
    send_after(0.5, self_pid(), "now")
    spawn(_kill_later, slow)
    with pytest.raises(CallError, match="the request was <Ask that can't be shown>"):
        await call(slow, Ask(Hostile()))


async def _kill_later(pid: Any) -> None:
    await asyncio.sleep(0.5)
    exit(pid, KILL)


@in_process
async def test_the_error_of_a_call_shows_no_more_of_a_request_than_one_can_read() -> None:
    slow = await Slow.start_link()
    with pytest.raises(CallTimeout) as caught:
        await call(slow, Ask("x" * 1_000_000), 0.5)
    assert len(str(caught.value)) < 1000


class Unstarted(GenServer):
    async def init(self) -> None:
        raise Stop(Hostile())


@in_process
async def test_a_start_that_fails_with_a_reason_that_cannot_be_shown_is_a_start_error() -> None:
    trap_exit(True)
    with pytest.raises(StartError, match="Unstarted did not start: <Hostile that can't be shown>"):
        await Unstarted.start()
    supervisor = await DynamicSupervisor.start_link()
    with pytest.raises(StartError, match="<Hostile that can't be shown>"):
        await start_child(supervisor, child(Unstarted))


async def exits_hostile() -> None:
    raise Exit(Hostile())


@in_process
async def test_a_task_that_ends_with_a_reason_that_cannot_be_shown_is_a_task_error() -> None:
    trap_exit(True)
    with pytest.raises(TaskError, match="<Hostile that can't be shown>"):
        await Task.async_(exits_hostile).await_()


class Unprepared(GenServer):
    """Has no handlers."""


@in_process
async def test_a_server_without_a_handler_says_so_whatever_it_was_asked() -> None:
    server = await Unprepared.start()
    with pytest.raises(CallError) as caught:
        await call(server, Ask(Hostile()))
    assert isinstance(caught.value.reason, Crash)
    assert caught.value.reason.error == "TypeError"
    await passed(0)


class Still(GenStatem[Any, Any]):
    """Its state and its data can't be compared."""

    async def init(self) -> Any:
        return next_state(Hostile(), Hostile(), state_timeout=1.0)

    async def handle_event(self, event: Any, state: Any, data: Any, /) -> Any:
        return keep_state(reply=(event.caller, 1)) if isinstance(event, Call) else next_state(state)


@in_process
async def test_a_machine_keeps_a_state_that_cannot_be_compared() -> None:
    still = await Still.start_link()
    assert await call(still, Ask(1)) == 1
    cast(still, "again")
    await passed(2)
    assert await call(still, Ask(1)) == 1


@in_process
async def test_a_server_is_stopped_with_a_reason_that_cannot_be_compared() -> None:
    slow, ref = await Slow.start_monitor()
    reason = Hostile()
    await stop(slow, reason)
    with pytest.raises(NoProcess):
        await call(slow, Ask(1))
    assert ref is not None
