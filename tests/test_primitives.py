from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import (
    KILL,
    Alias,
    Down,
    Message,
    Pid,
    Ref,
    alias,
    cancel_timer,
    connect,
    demonitor,
    is_alive,
    link,
    make_ref,
    monitor,
    monitor_nodes,
    node_name,
    nodes,
    process_info,
    processes,
    read_timer,
    receive,
    register,
    registered,
    self_pid,
    send,
    send_after,
    send_interval,
    spawn,
    start_timer,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from pydist import exit as send_exit
from pydist.errors import NotInProcess
from pydist.messaging import acting, current
from tests.virtual_time import run_process

SOMEBODY = Pid("nonode@nohost", 4711, 1)


class Ping(Message, tag="test_primitives.Ping"):
    number: int


class Pong(Message, tag="test_primitives.Pong"):
    number: int


async def wait() -> None:
    await receive()


async def send_later(to: Pid, messages: list[Any], delay: float = 1.0) -> None:
    for message in messages:
        await asyncio.sleep(delay)
        send(to, message)


def now() -> float:
    return asyncio.get_running_loop().time()


def rest() -> list[Any]:
    """What is in the mailbox of the calling process, in order."""
    mailbox = current().mailbox
    return mailbox.messages()


def is_three(message: object) -> bool:
    return message == 3


# Receiving


def test_messages_of_one_sender_come_in_the_order_of_sending() -> None:
    async def main() -> list[int]:
        for number in range(5000):
            send(self_pid(), number)
        return [await receive() for _ in range(5000)]

    assert run_process(main) == list(range(5000))


def test_a_receive_takes_the_first_that_matches_and_leaves_the_others_in_order() -> None:
    async def main() -> list[Any]:
        for message in (Ping(1), Pong(2), "x", Ping(3), Pong(4)):
            send(self_pid(), message)
        taken = [await receive(Pong), await receive(str), await receive(Ping | Pong)]
        return [*taken, "left", await receive(), await receive()]

    assert run_process(main) == [Pong(2), "x", Ping(1), "left", Ping(3), Pong(4)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(None, 1), (str, "x"), ((str, float), "x"), (str | float, "x"), (is_three, 3), (Ping, Ping(5))],
)
def test_a_receive_waits_for_what_it_wants(pattern: Any, expected: object) -> None:
    async def main() -> object:
        spawn(send_later, self_pid(), [1, 2, "x", 3, Ping(5)])
        return await receive(pattern)

    assert run_process(main) == expected


receives = st.lists(
    st.tuples(st.lists(st.integers(0, 3), max_size=5), st.integers(-1, 3), st.lists(st.integers(0, 3), max_size=5)),
    max_size=15,
)


@given(receives)
def test_receive_is_a_search_from_the_head_whether_it_waits_or_not(
    history: list[tuple[list[int], int, list[int]]],
) -> None:
    """Each step: what is sent before, the kind that is wanted (-1: any), and what comes while it waits."""

    async def main() -> list[Any]:
        expected: list[tuple[int, int]] = []
        numbered = 0
        for before, wanted, meanwhile in history:
            sent = [(kind, numbered + index) for index, kind in enumerate([*before, *meanwhile])]
            numbered += len(sent)
            expected += sent
            for message in sent[: len(before)]:
                send(self_pid(), message)
            spawn(send_later, self_pid(), sent[len(before) :], 1.0)
            found = next((message for message in expected if wanted in (-1, message[0])), None)
            if found is not None:
                expected.remove(found)
            assert await receive_or_none(wanted) == found
            await asyncio.sleep(100)
        return [rest(), expected]

    left, expected = run_process(main)
    assert left == expected


async def receive_or_none(wanted: int) -> Any:
    try:
        return await (receive(None, 50.0) if wanted == -1 else receive(of_kind(wanted), 50.0))
    except TimeoutError:
        return None


def of_kind(kind: int) -> Callable[[Any], bool]:
    return lambda message: message[0] == kind


class Watched:
    """A message that counts how often somebody looks whether it carries a reference."""

    looks = 0

    @property
    def ref(self) -> Ref | None:
        type(self).looks += 1
        return None


def test_waiting_for_a_fresh_monitor_does_not_look_at_older_messages() -> None:
    async def main() -> list[object]:
        for _ in range(1000):
            send(self_pid(), Watched())
        pid, ref = spawn(wait, monitor=True)
        Watched.looks = 0
        send(self_pid(), Watched())
        send_exit(pid, "boom")
        return [await receive(ref) == Down(ref, pid, "boom"), Watched.looks, len(rest())]

    assert run_process(main) == [True, 1, 1001]


def test_a_receive_that_waits_looks_at_each_message_once() -> None:
    looked_at: list[int] = []

    def wanted(message: int) -> bool:
        looked_at.append(message)
        return message == 104

    async def main() -> int:
        for number in range(100):
            send(self_pid(), number)
        spawn(send_later, self_pid(), list(range(100, 110)))
        found: int = await receive(wanted)
        return found

    assert (run_process(main), looked_at) == (104, list(range(105)))


def test_a_predicate_that_raises_does_so_in_the_receive_and_loses_nothing() -> None:
    def breaks(message: str) -> bool:
        raise ValueError(message)

    async def main() -> list[Any]:
        spawn(send_later, self_pid(), ["x", "y"])
        with pytest.raises(ValueError, match="x"):
            await receive(breaks)
        return [await receive(), await receive()]

    assert run_process(main) == ["x", "y"]


def test_what_is_no_pattern_is_refused_at_once() -> None:
    async def main() -> None:
        pattern: Any = "name"
        with pytest.raises(TypeError, match="a type, a Ref or a predicate, not 'name'"):
            await receive(pattern)

    run_process(main)


# Timeouts


@pytest.mark.parametrize("timeout", [0.001, 1.0, 86_400.0])
def test_a_receive_gives_up_when_its_time_is_over(timeout: float) -> None:
    async def main() -> list[object]:
        send(self_pid(), "other")
        before = now()
        with pytest.raises(TimeoutError, match=f"no message within {timeout} s"):
            await receive(int, timeout)
        return [now() - before, rest()]

    assert run_process(main) == [pytest.approx(timeout), ["other"]]


@pytest.mark.parametrize("timeout", [0, 0.0, -1.0])
def test_a_timeout_of_zero_looks_once_at_what_is_there_and_does_not_wait(timeout: float) -> None:
    looked_at: list[str] = []

    def wanted(message: str) -> bool:
        looked_at.append(message)
        return False

    async def main() -> tuple[float, object]:
        send(self_pid(), "a")
        send(self_pid(), "b")
        before = now()
        with pytest.raises(TimeoutError, match="no message is there"):
            await receive(wanted, timeout)
        return now() - before, await receive("b".__eq__, timeout)

    assert (run_process(main), looked_at) == ((0.0, "b"), ["a", "b"])


@pytest.mark.parametrize("timeout", [None, inf])
def test_without_a_timeout_a_receive_waits_however_long_it_takes(timeout: float | None) -> None:
    async def main() -> object:
        spawn(send_later, self_pid(), ["x"], 1e6)
        return await receive(timeout=timeout)

    assert run_process(main) == "x"


def test_a_message_that_comes_in_time_ends_the_timeout() -> None:
    async def main() -> list[object]:
        spawn(send_later, self_pid(), ["x"])
        got = [await receive(str, 2.0)]
        with pytest.raises(TimeoutError):
            await receive(str, 10.0)
        return [*got, now()]

    assert run_process(main) == ["x", pytest.approx(1011.0)]


def test_a_timeout_that_was_met_does_not_end_a_later_receive() -> None:
    async def main() -> object:
        spawn(send_later, self_pid(), ["x"], 1.0)
        await receive(str, 5.0)
        spawn(send_later, self_pid(), [1], 100.0)
        return await receive(int)

    assert run_process(main) == 1


def test_messages_that_do_not_match_do_not_prolong_the_timeout() -> None:
    async def main() -> float:
        spawn(send_later, self_pid(), list(range(100)), 0.5)
        before = now()
        with pytest.raises(TimeoutError):
            await receive(str, 2.25)
        return now() - before

    assert run_process(main) == pytest.approx(2.25)


def test_many_timeouts_that_are_met_leave_one_timer() -> None:
    async def main() -> int:
        _, runtime = acting()

        async def echo() -> None:
            while True:
                send(await receive(), "echo")

        other = spawn(echo)
        for _ in range(2000):
            send(other, self_pid())
            await receive(str, 5.0)
        return len(runtime.timers._heap)

    assert run_process(main) == 1


# Where they work

EVERYTHING: list[Callable[[], object]] = [
    acting,
    self_pid,
    node_name,
    lambda: spawn(wait),
    lambda: send(SOMEBODY, "x"),
    lambda: send("somebody", "x"),
    lambda: receive().send(None),
    lambda: link(SOMEBODY),
    lambda: unlink(SOMEBODY),
    lambda: monitor(SOMEBODY),
    lambda: demonitor(Ref("nonode@nohost", 1, 1)),
    make_ref,
    alias,
    lambda: unalias(Alias(SOMEBODY, Ref("nonode@nohost", 1, 1))),
    lambda: send_after(1, SOMEBODY, "x"),
    lambda: start_timer(1, SOMEBODY, "x"),
    lambda: send_interval(1, SOMEBODY, "x"),
    lambda: cancel_timer(Ref("nonode@nohost", 1, 1)),
    lambda: read_timer(Ref("nonode@nohost", 1, 1)),
    lambda: process_info(SOMEBODY),
    processes,
    registered,
    lambda: send_exit(SOMEBODY, KILL),
    lambda: trap_exit(True),
    lambda: register("me", SOMEBODY),
    lambda: unregister("me"),
    lambda: whereis("me"),
    lambda: is_alive(SOMEBODY),
    nodes,
    lambda: connect("other@host"),
    lambda: monitor_nodes(True),
]


def refusals() -> int:
    """How many of all primitives refuse to work here."""
    refused = 0
    for primitive in EVERYTHING:
        with pytest.raises(NotInProcess, match="inside a pydist process only: start one with spawn"):
            primitive()
        refused += 1
    return refused


def test_nothing_works_outside_a_process() -> None:
    assert refusals() == len(EVERYTHING)


def test_nothing_works_in_a_task_or_a_callback_or_a_thread_that_a_process_has_started() -> None:
    async def in_task() -> int:
        return refusals()

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        from_callback: asyncio.Future[int] = loop.create_future()
        loop.call_soon(lambda: from_callback.set_result(refusals()))
        return [await asyncio.create_task(in_task()), await from_callback]

    assert run_process(main) == [len(EVERYTHING)] * 2


def test_a_process_is_itself_again_after_it_waited_for_a_task() -> None:
    async def in_task() -> None:
        await asyncio.sleep(1)

    async def main() -> bool:
        me = self_pid()
        await asyncio.create_task(in_task())
        await asyncio.gather(in_task(), in_task())
        return self_pid() == me

    assert run_process(main) is True


def test_trap_exit_gives_the_old_setting() -> None:
    async def main() -> list[bool]:
        return [trap_exit(True), trap_exit(True), trap_exit(False), trap_exit(False)]

    assert run_process(main) == [False, True, True, False]
