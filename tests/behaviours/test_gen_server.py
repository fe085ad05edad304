"""What ends a server, and what it does then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Caller,
    Exit,
    Exited,
    GenServer,
    Message,
    Pid,
    Request,
    Stop,
    call,
    cast,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    receive,
    register,
    self_pid,
    send,
    spawn,
    trap_exit,
)
from tests.helpers import end, ended, in_process, now, passed, plain

Start = Callable[..., Awaitable[Pid]]


class Boom(Message):
    """Told to a server: raise this."""

    error: Any


class Ask(Request[Any]):
    error: Any


class Diary(GenServer):
    """Writes what happens to it into a list, and does as it is told."""

    async def init(self, diary: list[Any], *, trap: bool = False, at_end: BaseException | None = None) -> None:
        self.diary = diary
        self.at_end = at_end
        trap_exit(trap)

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        match request:
            case Ask(BaseException() as error):
                raise error
            case _:
                return list(self.diary)

    async def handle_cast(self, message: Any, /) -> None:
        if isinstance(message, Boom):
            raise message.error
        self.diary.append(("cast", message))

    async def handle_info(self, message: Any, /) -> None:
        if isinstance(message, Boom):
            raise message.error
        self.diary.append(("info", message))

    async def terminate(self, reason: Any, /) -> None:
        await asyncio.sleep(1)
        self.diary.append(("terminate", reason))
        if self.at_end is not None:
            raise self.at_end


class Slow(GenServer):
    """Takes its time to start, and then does not as it is told."""

    async def init(self, seconds: float, then: BaseException | None = None, keep: list[Pid] | None = None) -> None:
        if keep is not None:
            keep.append(self_pid())
        await asyncio.sleep(seconds)
        if then is not None:
            raise then


def _raise_in_cast(pid: Pid, error: BaseException) -> None:
    cast(pid, Boom(error))


def _raise_in_info(pid: Pid, error: BaseException) -> None:
    send(pid, Boom(error))


def _raise_in_call(pid: Pid, error: BaseException) -> None:
    async def ask() -> None:
        await call(pid, Ask(error))

    spawn(ask)


@pytest.mark.parametrize("do", [_raise_in_cast, _raise_in_info, _raise_in_call])
@pytest.mark.parametrize("trap", [True, False])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: Stop("enough"), "enough", id="Stop"),
        pytest.param(lambda: Stop(NORMAL), NORMAL, id="Stop normal"),
        pytest.param(lambda: Exit("enough"), "enough", id="Exit"),
        pytest.param(lambda: KeyError("x"), ("KeyError", "'x'"), id="an error"),
        pytest.param(
            lambda: asyncio.CancelledError("by another"),
            ("asyncio.exceptions.CancelledError", "by another"),
            id="a future that was cancelled",
        ),
    ],
)
def test_a_handler_ends_the_server_by_raising_and_it_cleans_up(
    do: Callable[[Pid, BaseException], None],
    trap: bool,
    make: Callable[[], BaseException],
    reason: Any,
) -> None:
    @in_process
    async def check() -> None:
        diary: list[Any] = []
        server = await Diary.start(diary, trap=trap)
        began = now()
        do(server, make())
        assert plain(await ended(server)) == reason
        assert ([(event, plain(why)) for event, why in diary], now() - began) == ([("terminate", reason)], 1)

    check()


@in_process
async def test_a_caller_gets_the_last_reply_after_the_server_has_cleaned_up() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary)
    assert await call(server, Ask(Stop("enough", reply="bye"))) == "bye"
    assert diary == [("terminate", "enough")]


@in_process
async def test_a_caller_gets_the_last_reply_even_if_the_clean_up_fails() -> None:
    server = await Diary.start([], at_end=OSError("stuck"))
    assert await call(server, Ask(Stop("enough", reply="bye"))) == "bye"


@in_process
async def test_an_error_in_the_clean_up_is_the_reason_of_the_end() -> None:
    for error in (Stop("enough"), ValueError("bad")):
        server = await Diary.start([], at_end=OSError("stuck"))
        cast(server, Boom(error))
        assert plain(await ended(server)) == ("OSError", "stuck")


@in_process
async def test_the_rest_of_the_mailbox_of_a_server_that_stops_is_lost() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary)
    cast(server, Boom(Stop("enough")))
    cast(server, "too late")
    await ended(server)
    assert diary == [("terminate", "enough")]


@pytest.mark.parametrize("trap", [True, False])
def test_a_server_that_is_killed_does_not_clean_up(trap: bool) -> None:
    @in_process
    async def check() -> None:
        diary: list[Any] = []
        server = await Diary.start(diary, trap=trap)
        assert (await end(server, KILL), diary) == (KILLED, [])

    check()


@pytest.mark.parametrize("reason", [SHUTDOWN, "enough"])
def test_an_exit_signal_ends_a_server_that_does_not_trap_without_clean_up(reason: Any) -> None:
    @in_process
    async def check() -> None:
        diary: list[Any] = []
        server = await Diary.start(diary)
        assert (await end(server, reason), diary) == (reason, [])

    check()


@pytest.mark.parametrize("start", [Diary.start, Diary.start_link])
@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, "enough"])
def test_an_exit_signal_of_a_stranger_is_a_message_for_a_server_that_traps(start: Start, reason: Any) -> None:
    @in_process
    async def check() -> None:
        async def stranger() -> None:
            exit(server, reason)

        diary: list[Any] = []
        server = await start(diary, trap=True)
        pid = spawn(stranger)
        await passed(1)
        assert (is_alive(server), diary) == (True, [("info", Exited(pid, reason))])

    check()


async def _be_parent(start: Start, diary: list[Any], trap: bool) -> None:
    send("test", await start(diary, trap=trap))
    await receive("the end".__eq__)


@pytest.mark.parametrize("reason", [SHUTDOWN, "enough", (SHUTDOWN, 1)])
@pytest.mark.parametrize(("trap", "diary"), [(True, ["terminate"]), (False, [])])
def test_a_server_dies_with_its_parent_and_cleans_up_if_it_traps(reason: Any, trap: bool, diary: list[str]) -> None:
    @in_process
    async def check() -> None:
        register("test", self_pid())
        written: list[Any] = []
        parent = spawn(_be_parent, Diary.start_link, written, trap)
        server = await receive()
        exit(parent, reason)
        assert await ended(server) == reason
        assert written == [(each, reason) for each in diary]

    check()


@in_process
async def test_a_server_that_traps_ends_even_when_its_parent_ends_normally() -> None:
    register("test", self_pid())
    diary: list[Any] = []
    parent = spawn(_be_parent, Diary.start_link, diary, True)
    server = await receive()
    send(parent, "the end")
    assert (await ended(server), diary) == (NORMAL, [("terminate", NORMAL)])


@in_process
async def test_a_server_that_does_not_trap_lives_on_when_its_parent_ends_normally() -> None:
    register("test", self_pid())
    parent = spawn(_be_parent, Diary.start_link, list[Any](), False)
    server = await receive()
    send(parent, "the end")
    await passed(5)
    assert is_alive(server)


@in_process
async def test_who_started_a_server_without_a_link_is_not_its_parent() -> None:
    diary: list[Any] = []
    server = await Diary.start(diary, trap=True)
    exit(server, "a word")
    await passed(5)
    assert (is_alive(server), diary) == (True, [("info", Exited(self_pid(), "a word"))])


@in_process
async def test_a_server_may_take_the_place_of_another_at_once_when_its_end_is_seen() -> None:
    trap_exit(True)
    for _ in range(3):
        server = await Diary.start_link([], name="seat")
        exit(server, SHUTDOWN)
        assert await receive(Exited) == Exited(server, SHUTDOWN)


@in_process
async def test_a_server_whose_task_is_cancelled_crashes() -> None:
    class Cancels(Diary):
        async def handle_cast(self, message: Any, /) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel("by itself")
            await asyncio.sleep(1)

    server = await Cancels.start([])
    cast(server, "go")
    assert plain(await ended(server)) == ("asyncio.exceptions.CancelledError", "by itself")
