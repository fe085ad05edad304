"""What a behaviour sends to itself, or has asked for, is not lost in a mailbox that is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    MAILBOX_FULL,
    Caller,
    CallError,
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
    call,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    next_state,
    receive_response,
    self_pid,
    send,
    send_request,
    spawn,
    which_children,
)
from pydist.bounds import WhenFull
from pydist.gen.calls import Call
from tests.helpers import in_process, links_and_monitors, mailbox, now, passed


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


class Number(Request[int], tag="test_bounded_mailboxes.Number"):
    number: int


class Bounded(GenServer):
    """Takes a second for each request."""

    async def init(self, limit: int, when_full: WhenFull) -> None:
        bound_mailbox(limit, when_full)

    async def handle_call(self, request: Any, _caller: Any, /) -> Any:
        await asyncio.sleep(1)
        return request.number


@pytest.mark.parametrize(
    ("when_full", "answered", "refused"), [("drop_newest", [0, 1], [2, 3]), ("drop_oldest", [0, 3], [1, 2])]
)
def test_a_call_that_is_dropped_fails_at_once(when_full: WhenFull, answered: list[int], refused: list[int]) -> None:
    @in_process
    async def main() -> None:
        server = await Bounded.start_link(1, when_full)
        seen: dict[str, list[Any]] = {"answered": [], "refused": []}

        async def asks(number: int) -> None:
            try:
                seen["answered"].append(await call(server, Number(number)))
            except CallError as error:
                seen["refused"].append((number, error.reason, now()))
            assert links_and_monitors() == (0, 0, 0, 0)

        begun = now()
        for number in range(4):
            spawn(asks, number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await passed(5)
        assert seen == {"answered": answered, "refused": [(number, MAILBOX_FULL, begun) for number in refused]}

    main()


@in_process
async def test_a_request_that_is_dropped_is_answered_at_once() -> None:
    server = await Bounded.start_link(1, "drop_newest")
    requests = [send_request(server, Number(number)) for number in range(2)]
    await asyncio.sleep(0)
    requests += [send_request(server, Number(number)) for number in range(2, 4)]
    with pytest.raises(CallError) as caught:
        await receive_response(requests[1])
    assert caught.value.reason is MAILBOX_FULL


@in_process
async def test_what_pretends_to_be_a_call_hurts_nobody() -> None:
    bound_mailbox(1)
    for caller in (None, Caller(5, 6, None, ""), Caller(self_pid(), None, None, "")):  # type: ignore[arg-type]  # from a peer that lies
        send(self_pid(), Call(caller, "request"))  # type: ignore[arg-type]  # see above
    assert len(mailbox()) == 1
