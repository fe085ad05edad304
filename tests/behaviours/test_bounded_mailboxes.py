"""What a behaviour sends to itself, or has asked for, is not lost in a mailbox that is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    ChildSpec,
    GenServer,
    GenStatem,
    NoProcess,
    Request,
    Returned,
    Supervisor,
    Task,
    Via,
    bound_mailbox,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    next_state,
    receive_response,
    self_pid,
    send,
    send_request,
    which_children,
)
from pydist.bounds import WhenFull
from tests.helpers import in_process, passed


class Flaky(GenServer):
    """The second start takes a second, and fails."""

    starts = 0

    async def init(self) -> None:
        type(self).starts += 1
        if type(self).starts == 2:
            await asyncio.sleep(1)
            raise ValueError


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
@in_process
async def test_a_failed_restart_is_tried_again_though_the_mailbox_is_full(when_full: WhenFull) -> None:
    Flaky.starts = 0

    def children() -> list[ChildSpec]:
        bound_mailbox(1, when_full)
        return [child(Flaky, id="flaky")]

    supervisor = await Supervisor.start_link(children, intensity=5)
    [before] = await which_children(supervisor)
    assert before.pid is not None
    exit(before.pid, KILL)
    await passed(0.5)
    send(supervisor, "noise")
    await passed(1)
    [after] = await which_children(supervisor)
    assert (after.restarting, after.pid is None, Flaky.starts) == (False, False, 3)


class Machine(GenStatem[str, list[str]]):
    async def init(self, seen: list[str]) -> Any:
        bound_mailbox(1, "drop_oldest")
        return next_state("on", seen, state_timeout=0.5)

    async def handle_event(self, event: Any, state: str, data: list[str], /) -> None:
        data.append(type(event).__name__)
        if data == ["Cast"]:
            await asyncio.sleep(2)


@in_process
async def test_the_timeout_of_a_machine_is_not_dropped_for_a_newer_message() -> None:
    seen: list[str] = []
    machine = await Machine.start_link(seen)
    cast(machine, "busy")
    await passed(1)
    cast(machine, "next")
    await passed(10)
    assert seen == ["Cast", "StateTimeout"]


class Ask(Request[int], tag="test_bounded_mailboxes.Ask"):
    pass


class Nowhere:
    """Knows of nobody."""

    @staticmethod
    def register_name(_key: Any, _pid: Any) -> bool:
        return False

    @staticmethod
    def unregister_name(_key: Any) -> None: ...

    @staticmethod
    def whereis_name(_key: Any) -> None:
        return None


@in_process
async def test_that_nobody_is_there_to_be_asked_is_heard_with_a_full_mailbox() -> None:
    bound_mailbox(1)
    send(self_pid(), "noise")
    with pytest.raises(NoProcess):
        await receive_response(send_request(Via(Nowhere, "x"), Ask()))


async def returns_after(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@in_process
async def test_outcomes_are_given_back_to_a_full_mailbox_when_the_wait_for_many_is_interrupted() -> None:
    tasks = [Task.async_(returns_after, seconds) for seconds in (0.1, 100.0)]
    bound_mailbox(1)
    send(self_pid(), "noise")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await Task.yield_many(tasks, 10)
    assert await tasks[0].yield_(0) == Returned(0.1)
