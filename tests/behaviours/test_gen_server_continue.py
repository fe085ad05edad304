"""What a handler can have come next: a continuation, or a timeout."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    NO_REPLY,
    Caller,
    CallError,
    GenServer,
    Pid,
    Request,
    Stop,
    call,
    cast,
    reply,
    self_pid,
    send,
    sys_messages,
)
from tests.helpers import ended, in_process, now, passed, plain


class Do(Request[Any]):
    """Told to a server: continue with each of these, and wait for so long."""

    terms: list[Any]
    timeout: float | None = None


class Diary(GenServer):
    """Writes what happens to it into a list, and does as it is told."""

    async def init(self, diary: list[Any], terms: list[Any], timeout: float | None = None) -> None:
        self.diary = diary
        self.plan(terms, timeout)

    def plan(self, terms: list[Any], timeout: float | None) -> None:
        for term in terms:
            self.continue_with(term)
        if timeout is not None:
            self.timeout_after(timeout)

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        if isinstance(request, Do):
            self.plan(request.terms, request.timeout)
        self.diary.append("call")
        return list(self.diary)

    async def handle_cast(self, message: Any, /) -> None:
        self.diary.append(("cast", message))

    async def handle_info(self, message: Any, /) -> None:
        self.diary.append(("info", message))
        if isinstance(message, Do):
            self.plan(message.terms, message.timeout)

    async def handle_continue(self, term: Any, /) -> None:
        match term:
            case Do(terms, timeout):
                self.plan(terms, timeout)
            case BaseException():
                raise term
            case _:
                self.diary.append(("continue", term))

    async def handle_timeout(self) -> None:
        self.diary.append("timeout")


@in_process
async def test_what_init_continues_with_comes_before_any_message() -> None:
    class Greets(Diary):
        async def init(self, diary: list[Any], terms: list[Any], timeout: float | None = None) -> None:
            send(self_pid(), "early")
            await super().init(diary, terms)

    diary: list[Any] = []
    server = await Greets.start(diary, [1, 2])
    await call(server, Do([]))
    assert diary == [("continue", 1), ("continue", 2), ("info", "early"), "call"]


@in_process
async def test_what_a_handler_continues_with_comes_before_any_other_message() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, [])
    send(server, Do(["now"]))
    cast(server, "later")
    await passed(1)
    assert diary == [("info", Do(["now"])), ("continue", "now"), ("cast", "later")]


@in_process
async def test_a_continuation_may_continue() -> None:
    diary: list[Any] = []
    await Diary.start(diary, [Do([Do(["third"]), "second"]), "first"])
    await passed(1)
    assert diary == [("continue", "first"), ("continue", "second"), ("continue", "third")]


class Slow(Diary):
    """Takes its time to continue."""

    async def handle_continue(self, term: Any, /) -> None:
        await asyncio.sleep(term)
        self.diary.append(("continue", term))


@in_process
async def test_a_start_does_not_wait_for_what_init_continues_with() -> None:
    diary: list[Any] = []
    began = now()
    await Slow.start(diary, [3])
    assert (now() - began, diary) == (0, [])


@in_process
async def test_a_reply_goes_out_before_the_continuation() -> None:
    diary: list[Any] = []
    server = await Slow.start(diary, [])
    assert await call(server, Do([3])) == ["call"]
    await passed(4)
    assert diary == ["call", ("continue", 3)]


@in_process
async def test_a_request_can_be_answered_in_a_continuation() -> None:
    class Later(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            self.continue_with(caller)
            return NO_REPLY

        async def handle_continue(self, term: Any, /) -> None:
            reply(term, "from the continuation")

    assert await call(await Later.start(), Do([])) == "from the continuation"


@pytest.mark.parametrize(("error", "reason"), [(Stop("enough"), "enough"), (ValueError("bad"), ("ValueError", "bad"))])
def test_a_continuation_ends_the_server_as_a_handler_does(error: BaseException, reason: Any) -> None:
    @in_process
    async def check() -> None:
        server = await Diary.start([], [])
        send(server, Do([error]))
        assert plain(await ended(server)) == reason

    check()


@in_process
async def test_a_last_reply_in_a_continuation_is_for_nobody() -> None:
    class Parts(Diary):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            self.continue_with(Stop("enough", reply="not for this caller"))
            return NO_REPLY

    server = await Parts.start([], [])
    with pytest.raises(CallError) as caught:
        await call(server, Do([]))
    assert caught.value.reason == "enough"


@in_process
async def test_a_server_that_continues_without_a_handler_for_it_ends_with_a_clear_error() -> None:
    class Careless(GenServer):
        async def handle_cast(self, message: Any, /) -> None:
            self.continue_with(message)

    server = await Careless.start(name="careless")
    cast(server, "x")
    _, text = plain(await ended(server))
    assert text.endswith("Careless 'careless' has no handle_continue for 'x'")


# -- timeouts


@pytest.mark.parametrize("seconds", [0, 2, 2.5])
def test_a_timeout_comes_when_no_message_does(seconds: float) -> None:
    @in_process
    async def check() -> None:
        diary: list[Any] = []
        server = await Diary.start(diary, [], seconds)
        await passed(seconds)
        await passed(0)
        assert diary == ["timeout"]
        await call(server, Do([]))
        await passed(10)
        assert diary == ["timeout", "call"]

    check()


@pytest.mark.parametrize("tell", [cast, send])
def test_any_message_ends_the_wait_for_a_timeout(tell: Any) -> None:
    @in_process
    async def check() -> None:
        diary: list[Any] = []
        server = await Diary.start(diary, [], 3)
        await passed(2)
        tell(server, "a message")
        await passed(10)
        assert [each[1] for each in diary] == ["a message"]

    check()


@in_process
async def test_a_timeout_of_zero_comes_when_the_mailbox_is_empty() -> None:
    class Greets(Diary):
        async def init(self, diary: list[Any], terms: list[Any], timeout: float | None = None) -> None:
            send(self_pid(), "early")
            await super().init(diary, terms, timeout)

    diary: list[Any] = []
    await Greets.start(diary, [], 0)
    await passed(1)
    assert diary == [("info", "early")]


@in_process
async def test_a_server_that_wants_its_timeout_again_asks_again() -> None:
    class Ticks(Diary):
        async def handle_timeout(self) -> None:
            await super().handle_timeout()
            if len(self.diary) < 3:
                self.timeout_after(2)

    diary: list[Any] = []
    await Ticks.start(diary, [], 2)
    for expected in (1, 2, 3, 3):
        await passed(2)
        await passed(0)
        assert len(diary) == expected


@in_process
async def test_the_last_timeout_that_a_handler_asks_for_counts_and_a_continuation_comes_first() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, [])
    send(server, Do([Do([], 4), "now"], 1))
    await passed(3)
    assert diary == [("info", Do([Do([], 4), "now"], 1)), ("continue", "now")]
    await passed(1)
    await passed(0)
    assert diary[2:] == ["timeout"]


@in_process
async def test_a_system_message_lets_the_wait_begin_anew() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, [], 3)
    await passed(2)
    await sys_messages.get_state(server)
    await passed(2)
    assert diary == []
    await passed(1)
    await passed(0)
    assert diary == ["timeout"]


@in_process
async def test_a_system_message_brings_back_no_timeout_that_is_over() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, [], 3)
    cast(server, "a message")
    await passed(1)
    await sys_messages.get_state(server)
    await passed(10)
    assert diary == [("cast", "a message")]


@in_process
async def test_a_server_that_is_suspended_waits_for_no_timeout() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, [], 3)
    await sys_messages.suspend(server)
    await passed(100)
    assert diary == []
    await sys_messages.resume(server)
    await passed(3)
    await passed(0)
    assert diary == ["timeout"]


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1"])
def test_a_timeout_is_a_number_from_zero(seconds: Any) -> None:
    @in_process
    async def check() -> None:
        server = await Diary.start([], [])
        send(server, Do([], seconds))
        error, text = plain(await ended(server))
        assert (error, text) == ("ValueError", f"a timeout is a number of seconds from 0, not {seconds!r}")

    check()


@in_process
async def test_a_server_that_waits_without_a_handler_for_the_timeout_ends_with_a_clear_error() -> None:
    class Careless(GenServer):
        async def init(self) -> None:
            self.timeout_after(1)

    server: Pid = await Careless.start()
    _, text = plain(await ended(server))
    assert text.endswith("Careless has called timeout_after, and has no handle_timeout")


@in_process
async def test_a_handler_can_be_tested_by_itself() -> None:
    server = Diary()
    await server.init([], ["term"], 3)
    assert await server.handle_call(Do([]), None) == ["call"]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not used
