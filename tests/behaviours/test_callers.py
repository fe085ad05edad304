"""What a server sees of who waits for its reply: whether, and for how long still."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from pydist import (
    KILL,
    NO_REPLY,
    Caller,
    CallTimeout,
    GenServer,
    Pid,
    Request,
    call,
    cast,
    receive_response,
    reply,
    self_pid,
    send_request,
    spawn,
)
from tests.helpers import end, in_process, passed


class Ask(Request[Any]):
    pass


class Keeper(GenServer):
    """Keeps its callers, and says of them what it is asked."""

    async def init(self, callers: list[Caller]) -> None:
        self.callers = callers

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        self.callers.append(caller)
        return NO_REPLY


async def ask(server: Pid, timeout: float | None) -> None:
    await call(server, Ask(), timeout)


@in_process
async def test_who_replies_to_something_else_than_a_caller_is_told_so() -> None:
    wrong: Any = self_pid()
    with pytest.raises(TypeError, match="reply takes the Caller that the handler was given, not <Pid "):
        reply(wrong, 1)


@in_process
async def test_a_caller_waits_until_it_has_its_reply_or_its_time_is_over() -> None:
    callers: list[Caller] = []
    server = await Keeper.start(callers)
    for timeout in (2, 10, None):
        spawn(ask, server, timeout)
    await passed(1)
    assert [caller.waiting() for caller in callers] == [True] * 3
    await passed(2)
    reply(callers[2], "the answer")
    assert [caller.waiting() for caller in callers] == [False, True, False]


@in_process
async def test_who_is_cancelled_or_dead_waits_no_longer() -> None:
    async def gives_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await ask(server, None)
        await asyncio.sleep(100)

    callers: list[Caller] = []
    server = await Keeper.start(callers)
    spawn(gives_up)
    killed = spawn(ask, server, None)
    await passed(1)
    await end(killed, KILL)
    assert [caller.waiting() for caller in callers] == [True, False]
    await passed(2)
    assert [caller.waiting() for caller in callers] == [False, False]


@in_process
async def test_a_server_knows_how_long_it_is_waited_for() -> None:
    callers: list[Caller] = []
    server = await Keeper.start(callers)
    spawn(ask, server, 5)
    spawn(ask, server, None)
    await passed(2)
    assert [(caller.timeout, caller.remaining()) for caller in callers] == [(5, 3), (None, inf)]
    await passed(4)
    reply(callers[1], None)
    assert [caller.remaining() for caller in callers] == [0, 0]


@in_process
async def test_the_time_in_the_mailbox_counts() -> None:
    class Busy(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            return caller.remaining()

        async def handle_cast(self, message: Any, /) -> None:
            await asyncio.sleep(message)

    server = await Busy.start()
    cast(server, 2)
    assert await call(server, Ask(), 5) == 3


@in_process
async def test_a_server_may_skip_the_work_that_nobody_waits_for() -> None:
    class Skips(GenServer):
        async def init(self, done: list[Any]) -> None:
            self.done = done

        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            if not caller.waiting():
                return NO_REPLY
            self.done.append(request)
            return None

        async def handle_cast(self, message: Any, /) -> None:
            await asyncio.sleep(message)

    done: list[Any] = []
    server = await Skips.start(done)
    cast(server, 2)
    with pytest.raises(CallTimeout):
        await call(server, Ask(), 1)
    await passed(5)
    assert done == []


@in_process
async def test_a_request_that_is_awaited_later_is_waited_for_until_it_is_over() -> None:
    callers: list[Caller] = []
    server = await Keeper.start(callers)
    request = send_request(server, Ask())
    await passed(1)
    assert (callers[0].waiting(), callers[0].remaining()) == (True, inf)
    with pytest.raises(CallTimeout):
        await receive_response(request, 1)
    assert (callers[0].waiting(), callers[0].remaining()) == (False, 0)


@in_process
async def test_only_the_first_reply_counts() -> None:
    class RepliesTwice(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            reply(caller, 1)
            return 2

    server = await RepliesTwice.start()
    assert [await call(server, Ask()), await call(server, Ask())] == [1, 1]
