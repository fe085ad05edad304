"""How a server starts, and what becomes of one that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    AlreadyStarted,
    Atom,
    Caller,
    Down,
    Exit,
    GenServer,
    Ignore,
    Message,
    NoProcess,
    NotInProcess,
    Pid,
    Request,
    StartError,
    Stop,
    Via,
    call,
    cast,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    whereis,
)
from pydist.primitives import bound_mailbox
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, now, passed, plain

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


@in_process
async def test_start_returns_when_init_has() -> None:
    for start in (Slow.start_link, Slow.start):
        began = now()
        pid = await start(3)
        assert (is_alive(pid), now() - began, mailbox()) == (True, 3, [])


@in_process
async def test_start_link_links_and_start_does_not() -> None:
    linked = await Slow.start_link(1)
    assert (links_and_monitors(), links_and_monitors(linked)) == ((1, 0, 0, 0), (1, 0, 0, 0))
    alone = await Slow.start(1)
    assert (links_and_monitors(), links_and_monitors(alone)) == ((1, 0, 0, 0), (0, 0, 0, 0))


@in_process
async def test_init_gets_the_arguments_of_start() -> None:
    class Keeper(GenServer):
        async def init(self, first: int, *rest: int, word: str = "none", **more: str) -> None:
            seen.append((first, rest, word, more))

    seen: list[Any] = []
    await Keeper.start_link(1, 2, 3, word="x", other="y")
    await Keeper.start(1, name="keeper")
    assert seen == [(1, (2, 3), "x", {"other": "y"}), (1, (), "none", {})]


@in_process
async def test_a_server_has_its_name_while_it_lives_and_from_its_init_on() -> None:
    class Named(GenServer):
        async def init(self) -> None:
            during.append(whereis("named"))

    during: list[Pid | None] = []
    pid = await Named.start(name="named")
    assert (during, whereis("named")) == ([pid], pid)
    await end(pid, SHUTDOWN)
    assert whereis("named") is None


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("trapping", [True, False])
def test_a_server_is_not_started_twice_under_one_name(linked: bool, trapping: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(trapping)
        first = await Slow.start(0, name="only")
        with pytest.raises(AlreadyStarted, match=r"'only' is taken by .*, which is running") as caught:
            await (Slow.start_link if linked else Slow.start)(0, name="only")
        assert (caught.value.pid, caught.value.name, caught.value.reason) == (first, "only", ("already_started", first))
        assert (is_alive(first), mailbox(), links_and_monitors()) == (True, [], (0, 0, 0, 0))

    check()


@in_process
async def test_a_name_that_is_none_is_the_callers_error() -> None:
    for name in ("", 5):
        with pytest.raises((TypeError, ValueError), match="a name"):
            await Slow.start(0, name=name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point of the test


def test_a_server_cannot_be_started_from_outside_a_process() -> None:
    with pytest.raises(NotInProcess):
        asyncio.run(Slow.start(0))


FAILURES = [
    pytest.param(Stop("no"), "no", id="Stop"),
    pytest.param(Exit((SHUTDOWN, "no")), (SHUTDOWN, "no"), id="Exit"),
    pytest.param(Stop(NORMAL), NORMAL, id="Stop normal"),
    pytest.param(ValueError("no"), ("ValueError", "no"), id="an error"),
    pytest.param(asyncio.CancelledError("no"), ("asyncio.exceptions.CancelledError", "no"), id="cancelled"),
]


@pytest.mark.parametrize(("error", "reason"), FAILURES)
@pytest.mark.parametrize("linked", [True, False])
def test_a_server_whose_init_fails_is_a_start_error_and_its_name_is_free_again(
    error: BaseException, reason: Any, linked: bool
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        with pytest.raises(StartError) as caught:
            await (Slow.start_link if linked else Slow.start)(1, error, name="failing")
        assert plain(caught.value.reason) == reason
        assert str(caught.value).startswith("Slow did not start: ")
        assert (whereis("failing"), mailbox(), links_and_monitors()) == (None, [], (0, 0, 0, 0))
        await Slow.start(1, name="failing")

    check()


@in_process
async def test_a_start_error_says_what_went_wrong() -> None:
    with pytest.raises(StartError, match=r"^Slow did not start: ValueError: no$"):
        await Slow.start(1, ValueError("no"))
    with pytest.raises(StartError, match=r"^Slow did not start: TypeError: .*missing 1 required positional argument"):
        await Slow.start()


@in_process
async def test_a_failed_start_link_ends_a_caller_that_does_not_trap_exits() -> None:
    async def start_one() -> None:
        await Slow.start_link(1, Stop("no"))

    assert await ended(spawn(start_one)) == "no"


@in_process
async def test_a_failed_start_leaves_the_caller_alone() -> None:
    with pytest.raises(StartError):
        await Slow.start(1, Stop("no"))
    await passed(1)
    assert mailbox() == []


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("trapping", [True, False])
def test_a_server_that_need_not_start_is_no_error(linked: bool, trapping: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(trapping)
        pid: Pid | None = await (Slow.start_link if linked else Slow.start)(1, Ignore(), name="ignoring")
        await passed(1)
        assert (pid, whereis("ignoring"), mailbox(), links_and_monitors()) == (None, None, [], (0, 0, 0, 0))

    check()


@in_process
async def test_who_is_linked_to_a_server_that_need_not_start_lives_on() -> None:
    class StartsAnother(GenServer):
        async def init(self) -> None:
            helpers.append(await Slow.start_link(0))
            raise Ignore

    helpers: list[Pid] = []
    pid: Pid | None = await StartsAnother.start()
    assert pid is None
    await passed(1)
    assert is_alive(helpers[0])


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("trapping", [True, False])
def test_a_start_that_is_cancelled_leaves_no_server_and_nothing_behind(linked: bool, trapping: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(trapping)
        started: list[Pid] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await (Slow.start_link if linked else Slow.start)(3, keep=started, name="slow")
        assert (whereis("slow"), links_and_monitors()) == (None, (0, 0, 0, 0))
        await passed(10)
        assert (is_alive(started[0]), mailbox()) == (False, [])

    check()


@in_process
async def test_a_server_whose_parent_ends_during_init_does_not_come_up() -> None:
    async def parent() -> None:
        await Slow.start_link(5, keep=started)

    started: list[Pid] = []
    pid = spawn(parent)
    await passed(1)
    assert await end(pid, "enough") == "enough"
    assert not is_alive(started[0])


@in_process
async def test_what_is_sent_during_init_is_handled_after_it() -> None:
    class Late(Diary):
        async def init(self, diary: list[Any], *, trap: bool = False, at_end: BaseException | None = None) -> None:
            await asyncio.sleep(5)
            await super().init(diary)

    async def start_it() -> None:
        await Late.start([], name="late")

    spawn(start_it)
    await passed(1)
    cast("late", "first")
    send("late", "second")
    assert await call("late", Ask(None), timeout=10) == [("cast", "first"), ("info", "second")]


# -- how long it may take


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("trapping", [True, False])
def test_a_server_that_takes_too_long_to_start_is_killed(linked: bool, trapping: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(trapping)
        started: list[Pid] = []
        began = now()
        with pytest.raises(StartError, match="Slow did not start: its init took longer than 2 s") as caught:
            await (Slow.start_link if linked else Slow.start)(3, keep=started, name="slow", start_timeout=2)
        assert (caught.value.reason, now() - began) == (Atom("timeout"), 2)
        assert (whereis("slow"), is_alive(started[0]), links_and_monitors()) == (None, False, (0, 0, 0, 0))
        await passed(10)
        assert mailbox() == []

    check()


@in_process
async def test_a_server_that_starts_in_time_is_not_disturbed_by_the_limit() -> None:
    server = await Slow.start_link(1, start_timeout=2)
    await passed(10)
    assert is_alive(server)


@in_process
async def test_a_timeout_of_its_own_is_left_to_init() -> None:
    class Fetches(GenServer):
        async def init(self, timeout: float) -> None:
            seen.append(timeout)

    seen: list[float] = []
    await Fetches.start(timeout=30)
    assert seen == [30]


# -- monitored


@in_process
async def test_a_server_can_be_monitored_from_its_first_step() -> None:
    server, ref = await Slow.start_monitor(1, name="watched")
    assert (whereis("watched"), links_and_monitors(server)) == (server, (0, 0, 1, 0))
    exit(server, "enough")
    assert await receive(ref) == Down(ref, server, "enough")
    assert (mailbox(), links_and_monitors()) == ([], (0, 0, 0, 0))


@pytest.mark.parametrize(("error", "reason"), FAILURES)
def test_a_monitored_server_that_does_not_start_leaves_nothing_behind(error: BaseException, reason: Any) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(StartError) as caught:
            await Slow.start_monitor(1, error, name="failing")
        assert plain(caught.value.reason) == reason
        assert (whereis("failing"), mailbox(), links_and_monitors()) == (None, [], (0, 0, 0, 0))

    check()


@in_process
async def test_a_monitored_server_that_need_not_start_is_no_error() -> None:
    both: object = await Slow.start_monitor(1, Ignore())
    assert (both, mailbox(), links_and_monitors()) == (None, [], (0, 0, 0, 0))


# -- names


class Shelf:
    """A module that keeps names, and takes its time where that is asked of it."""

    def __init__(self) -> None:
        self.names: dict[Any, Pid] = {}

    def register_name(self, key: Any, pid: Pid, /) -> bool:
        return self.names.setdefault(key, pid) == pid

    def unregister_name(self, key: Any, /) -> None:
        del self.names[key]

    def whereis_name(self, key: Any, /) -> Pid | None:
        return self.names.get(key)


class SlowShelf(Shelf):
    """As one that asks other nodes."""

    async def register_name(self, key: Any, pid: Pid, /) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # the contract allows both
        await asyncio.sleep(1)
        return super().register_name(key, pid)


@pytest.mark.parametrize("shelf", [Shelf, SlowShelf])
def test_a_server_can_have_a_name_that_a_module_keeps(shelf: type[Shelf]) -> None:
    @in_process
    async def check() -> None:
        class Named(GenServer):
            async def init(self) -> None:
                during.append(names.whereis_name("key"))

            async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
                return self_pid()

        during: list[Pid | None] = []
        names = shelf()
        server = await Named.start_link(name=Via(names, "key"))
        assert (during, names.names) == ([server], {"key": server})
        assert await call(Via(names, "key"), Ask(None)) == server
        cast(Via(names, "nobody"), "silent")
        with pytest.raises(NoProcess):
            await call(Via(names, "nobody"), Ask(None))
        with pytest.raises(AlreadyStarted) as caught:
            await Named.start_link(name=Via(names, "key"))
        assert (caught.value.pid, mailbox()) == (server, [])

    check()


@pytest.mark.parametrize("error", [Stop("no"), Ignore(), ValueError("no")])
def test_a_name_that_a_module_keeps_is_free_again_before_anybody_hears_of_the_failure(error: BaseException) -> None:
    @in_process
    async def check() -> None:
        names = Shelf()
        with suppress(StartError):
            await Slow.start(1, error, name=Via(names, "key"))
        assert names.names == {}

    check()


@pytest.mark.parametrize("shelf", [None, Shelf, SlowShelf])
@pytest.mark.parametrize("trapping", [True, False])
def test_of_several_who_start_one_name_at_once_one_wins_and_the_others_hear_who(
    shelf: type[Shelf] | None, trapping: bool
) -> None:
    @in_process
    async def check() -> None:
        name = "name" if shelf is None else Via(shelf(), "name")

        async def starter() -> None:
            trap_exit(trapping)
            try:
                winners.append(await Slow.start_link(1, name=name))
            except AlreadyStarted as error:
                losers.append(error.pid)
            links.append(links_and_monitors()[0])
            assert (mailbox(), links_and_monitors()[1:]) == ([], (0, 0, 0))
            await asyncio.sleep(100)

        winners: list[Pid] = []
        losers: list[Pid] = []
        links: list[int] = []
        for _ in range(3):
            spawn(starter)
        await passed(5)
        assert (len(winners), losers, sorted(links)) == (1, winners * 2, [0, 0, 1])

    check()


@in_process
async def test_a_module_that_fails_to_register_fails_the_start() -> None:
    class Broken(Shelf):
        def register_name(self, key: Any, pid: Pid, /) -> bool:
            raise OSError("no table")

    with pytest.raises(StartError, match="Slow did not start: OSError: no table"):
        await Slow.start(1, name=Via(Broken(), "key"))


@in_process
async def test_a_process_with_a_full_mailbox_can_start_a_server() -> None:
    bound_mailbox(1)
    for word in ("one", "two"):
        send(self_pid(), word)
    server, ref = await Slow.start_monitor(1)
    assert (mailbox(), links_and_monitors()) == (["one"], (0, 1, 0, 0))
    exit(server, "enough")
    assert (await receive(ref)).reason == "enough"


@in_process
async def test_a_time_that_is_none_starts_nobody() -> None:
    for timeout in ("5", float("nan")):
        with pytest.raises((TypeError, ValueError), match="a timeout is a number of seconds or None, not"):
            await Slow.start(0, name="slow", start_timeout=timeout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point of the test
    assert (whereis("slow"), links_and_monitors()) == (None, (0, 0, 0, 0))


@pytest.mark.parametrize("reason", [KILL, "enough"])
@in_process
async def test_a_server_that_is_not_linked_comes_up_though_its_starter_has_ended(reason: Any) -> None:
    async def starter() -> None:
        await Slow.start(5, keep=started)

    started: list[Pid] = []
    pid = spawn(starter)
    await passed(1)
    await end(pid, reason)
    await passed(10)
    assert is_alive(started[0])
