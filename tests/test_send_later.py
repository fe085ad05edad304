"""Timers that send messages: what they send, when, and with whom they end."""

from __future__ import annotations

import asyncio
from math import inf, nan
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import (
    Node,
    Pid,
    Ref,
    Timeout,
    bound_mailbox,
    cancel_timer,
    dead_letters,
    make_ref,
    read_timer,
    receive,
    register,
    self_pid,
    send,
    send_after,
    send_interval,
    spawn,
    start_timer,
    trap_exit,
    unregister,
)
from pydist.message_timers import MessageTimer
from pydist.messaging import acting
from tests.helpers import end, ended, in_process, mailbox, now, passed

HERE = "nonode@nohost"
NOBODY = Pid(HERE, 4711, 1)


async def wait() -> None:
    await receive()


async def dead() -> Pid:
    """A process that has ended."""
    pid = spawn(wait)
    await end(pid, "boom")
    return pid


async def arrivals(count: int) -> list[tuple[float, Any]]:
    """The next messages, each with the seconds until it came."""
    start = now()
    found: list[tuple[float, Any]] = []
    for _ in range(count):
        message = await receive()
        found.append((now() - start, message))
    return found


def running() -> int:
    """How many timers of this node run; and its tables agree."""
    runtime = acting()[1]
    timers = runtime.message_timers
    in_heap = {entry.waiter.ref for entry in runtime.timers._heap if isinstance(entry.waiter, MessageTimer)}
    of_process = [ref for refs in timers._of_process.values() for ref in refs]
    assert (in_heap, in_heap.issuperset(of_process)) == (set(timers._running), True)
    assert all(timers._of_process.values())
    return len(timers._running)


# One message


@in_process
async def test_a_message_is_sent_when_its_time_has_come() -> None:
    send_after(3600, self_pid(), "an hour")
    send_after(0.5, self_pid(), "half a second")
    send_after(7, self_pid(), ["seven"])
    assert await arrivals(3) == [(0.5, "half a second"), (7.0, ["seven"]), (3600.0, "an hour")]
    assert running() == 0


@in_process
async def test_a_delay_of_zero_sends_soon_and_not_in_the_call() -> None:
    send_after(0, self_pid(), "soon")
    assert mailbox() == []
    assert await arrivals(1) == [(0.0, "soon")]


@in_process
async def test_start_timer_sends_a_timeout_with_its_reference() -> None:
    refs = [start_timer(seconds, self_pid(), f"in {seconds} s") for seconds in (2, 1)]
    assert await receive(refs[0]) == Timeout(refs[0], "in 2 s")
    assert mailbox() == [Timeout(refs[1], "in 1 s")]


@in_process
async def test_what_is_due_at_the_same_time_comes_in_the_order_of_setting() -> None:
    for number in range(100):
        send_after(1 if number % 3 else 1.0, self_pid(), number)
    await passed(1)
    assert mailbox() == list(range(100))


@in_process
async def test_a_timer_outlives_the_process_that_started_it() -> None:
    async def start_and_die(target: Pid) -> None:
        send_after(5, target, "from the dead")

    await ended(spawn(start_and_die, self_pid()))
    assert await arrivals(1) == [(5.0, "from the dead")]


@in_process
async def test_a_timer_to_a_pid_ends_with_the_process() -> None:
    pid = spawn(wait)
    refs = [send_after(5, pid, "x"), start_timer(5, pid, "x"), send_after(6, pid, "x")]
    assert [read_timer(ref) for ref in refs] == [5.0, 5.0, 6.0]
    await end(pid, "boom")
    assert [*(read_timer(ref) for ref in refs), running()] == [None, None, None, 0]


@in_process
async def test_a_timer_to_the_dead_ends_before_it_begins() -> None:
    for pid in (await dead(), NOBODY, Pid(HERE, self_pid().number, 7)):
        for start in (send_after, start_timer, send_interval):
            ref = start(5, pid, "x")
            assert [read_timer(ref), cancel_timer(ref)] == [None, None]
    assert running() == 0


@in_process
async def test_a_timer_to_a_name_looks_for_it_when_it_fires() -> None:
    first = spawn(wait, name="counter")
    send_after(5, "counter", "x")
    send_after(7, "counter", "y")
    await end(first, "boom")
    register("counter", self_pid())
    assert await arrivals(1) == [(5.0, "x")]
    unregister("counter")
    await passed(10)
    assert (mailbox(), running()) == ([], 0)


@in_process
async def test_a_message_for_a_name_that_nobody_has_is_a_dead_letter() -> None:
    send_after(5, "nobody", "x")
    await passed(10)
    assert acting()[1].dead_letters.counts == {"unknown_name": 1}


# Stopping and reading


@in_process
async def test_cancel_timer_stops_a_timer_and_gives_the_seconds_that_were_left() -> None:
    refs = [send_after(10, self_pid(), "x"), start_timer(10, "nobody", "x"), send_interval(10, self_pid(), "x")]
    await passed(4)
    assert [cancel_timer(ref) for ref in refs] == [6.0, 6.0, 6.0]
    assert [cancel_timer(ref) for ref in refs] == [None, None, None]
    await passed(100)
    assert (mailbox(), running()) == ([], 0)


@in_process
async def test_a_timer_that_has_fired_is_unknown_and_its_message_stays() -> None:
    ref = start_timer(1, self_pid(), "x")
    await passed(1)
    assert [read_timer(ref), cancel_timer(ref), mailbox()] == [None, None, [Timeout(ref, "x")]]


@in_process
async def test_reading_a_timer_does_not_stop_it() -> None:
    ref = send_after(10, self_pid(), "x")
    await passed(4)
    assert [read_timer(ref), read_timer(ref)] == [6.0, 6.0]
    assert await arrivals(1) == [(6.0, "x")]


@in_process
async def test_any_process_may_read_and_stop_a_timer() -> None:
    async def stop(ref: Ref, told: Pid) -> None:
        send(told, (read_timer(ref), cancel_timer(ref), read_timer(ref)))

    spawn(stop, start_timer(10, self_pid(), "x"), self_pid())
    assert await arrivals(1) == [(0.0, (10.0, 10.0, None))]
    assert running() == 0


@in_process
async def test_a_reference_of_something_else_names_no_timer() -> None:
    for ref in (make_ref(), Ref("other@host", 1, 1)):
        assert [read_timer(ref), cancel_timer(ref)] == [None, None]


# Intervals


@in_process
async def test_an_interval_sends_again_and_again() -> None:
    ref = send_interval(2.5, self_pid(), "tick")
    assert await arrivals(4) == [(2.5, "tick"), (5.0, "tick"), (7.5, "tick"), (10.0, "tick")]
    await passed(1)
    assert [read_timer(ref), cancel_timer(ref)] == [1.5, 1.5]
    await passed(100)
    assert (mailbox(), running()) == ([], 0)


@in_process
async def test_a_late_tick_of_an_interval_makes_those_behind_it_no_later() -> None:
    send_interval(1, self_pid(), "tick")
    loop = acting()[1].loop
    loop._virtual.now += 3.25  # type: ignore[attr-defined]  # the virtual loop: nobody gets a turn for so long
    assert await arrivals(5) == [(0.0, "tick"), (0.0, "tick"), (0.0, "tick"), (0.75, "tick"), (1.75, "tick")]


@in_process
async def test_an_interval_ends_with_its_receiver() -> None:
    pid = spawn(wait)
    ref = send_interval(1, pid, "tick")
    await passed(0.5)
    await end(pid, "boom")
    assert (read_timer(ref), running()) == (None, 0)


@in_process
async def test_an_interval_to_a_name_ends_with_who_had_it_and_goes_to_who_has_it() -> None:
    trap_exit(True)
    first = spawn(wait, name="counter")
    ref = send_interval(1, "counter", "tick")
    unregister("counter")
    register("counter", self_pid())
    assert await arrivals(2) == [(1.0, "tick"), (2.0, "tick")]
    await end(first, "boom")
    assert (read_timer(ref), running()) == (None, 0)


@in_process
async def test_an_interval_to_a_name_that_nobody_has_does_not_begin() -> None:
    assert read_timer(send_interval(1, "nobody", "tick")) is None
    assert running() == 0


@in_process
async def test_an_interval_outlives_the_process_that_started_it() -> None:
    async def start_and_die(target: Pid) -> None:
        send_interval(1, target, "tick")

    await ended(spawn(start_and_die, self_pid()))
    assert await arrivals(2) == [(1.0, "tick"), (2.0, "tick")]


# What is refused

STARTS: dict[str, Any] = {"send_after": send_after, "start_timer": start_timer, "send_interval": send_interval}


@pytest.mark.parametrize("function", STARTS)
@pytest.mark.parametrize("seconds", [-1, -0.001, nan, inf, -inf, 10**400])
def test_no_time_of_that_length_is_waited_for(function: str, seconds: float) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(ValueError, match=f"{function} takes a finite number of seconds from 0"):
            STARTS[function](seconds, self_pid(), "x")
        assert running() == 0

    main()


@pytest.mark.parametrize("period", [0, 0.0009])
def test_an_interval_is_a_thousandth_of_a_second_at_least(period: float) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(ValueError, match=r"a finite number of seconds from 0\.001 up, not "):
            send_interval(period, self_pid(), "x")

    main()


@pytest.mark.parametrize("function", STARTS)
@pytest.mark.parametrize("seconds", [None, "5", True, 1j])
def test_what_is_no_number_of_seconds_is_refused(function: str, seconds: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match=f"{function} takes a number of seconds, not "):
            STARTS[function](seconds, self_pid(), "x")

    main()


@pytest.mark.parametrize("function", STARTS)
@pytest.mark.parametrize("target", [None, 5, ("counter", HERE), ("counter", "other@host"), Ref(HERE, 1, 1)])
def test_what_is_no_process_or_name_gets_no_timer(function: str, target: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match=f"{function} takes a Pid or a name of this node, not "):
            STARTS[function](5, target, "x")

    main()


@pytest.mark.parametrize("function", STARTS)
def test_a_process_of_another_node_gets_no_timer(function: str) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(ValueError, match=f"another node, and {function} sends on this one only: start the timer"):
            STARTS[function](5, Pid("other@host", 1, 1), "x")

    main()


@pytest.mark.parametrize("function", [cancel_timer, read_timer])
def test_only_a_reference_names_a_timer(function: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match="takes the Ref that start_timer, send_after or send_interval returned"):
            function(5)

    main()


# The node


async def test_timers_stop_with_their_node() -> None:
    node = Node()
    await node.start()

    async def start_many() -> None:
        for seconds in range(1, 100):
            send_after(seconds, "nobody", "x")
            start_timer(seconds, self_pid(), "x")

    await node.run(start_many)
    runtime = node._runtime
    assert runtime is not None
    before = len(runtime.message_timers._running)
    await node.stop()
    assert (before, len(runtime.message_timers._running), runtime.timers._heap) == (99, 0, [])


async def test_a_clean_up_that_starts_a_timer_does_not_keep_the_node_from_stopping() -> None:
    node = Node()
    await node.start()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except GeneratorExit:  # it is killed, and its node stops
            send_after(3600, "nobody", "x")
            started.append("a timer")

    started: list[str] = []
    node.spawn(stubborn)
    await asyncio.sleep(0)
    assert node._runtime is not None
    node._runtime.close()
    await node.stop()
    assert (started, node._runtime.timers._heap) == (["a timer"], [])


# Many


@in_process
async def test_a_hundred_thousand_timers_set_and_cancelled_leave_nothing() -> None:
    _, runtime = acting()
    for seconds in range(100_000):
        cancel_timer(send_after(3600 + seconds, self_pid(), "x"))
        assert len(runtime.timers._heap) <= 200
    assert running() == 0


@in_process
async def test_a_hundred_thousand_timers_at_once_fire_in_order() -> None:
    for number in range(100_000):
        send_after(number % 100, self_pid(), number)
    await passed(100)
    assert (mailbox(), running()) == (sorted(range(100_000), key=lambda number: number % 100), 0)


steps = st.lists(
    st.tuples(st.sampled_from(["after", "interval", "cancel"]), st.integers(1, 20), st.integers(0, 5)), max_size=60
)


@attrs.define
class Expected:
    """A timer, and the times at which it is to send."""

    ref: Ref
    first: float
    period: float = inf
    end: float = inf

    def times(self, now: float) -> list[float]:
        count = (min(self.end, now) - self.first) // self.period + 1
        return [self.first + number * self.period if number else self.first for number in range(int(count))]

    def runs(self) -> bool:
        return self.period < inf and self.end == inf


@given(steps)
def test_whatever_is_set_and_stopped_each_message_comes_once_and_in_time(history: list[tuple[str, int, int]]) -> None:
    @in_process
    async def main() -> None:
        seen: list[tuple[float, int]] = []
        timers: list[Expected] = []

        async def note() -> None:
            while True:
                index = await receive()
                seen.append((now(), index))

        target = spawn(note)
        for action, number, pause in history:
            seconds = number + 2**-12  # so that nothing fires together with an action
            if action == "after":
                timers.append(Expected(send_after(seconds, target, len(timers)), now() + seconds))
            elif action == "interval":
                timers.append(Expected(send_interval(seconds, target, len(timers)), now() + seconds, seconds))
            elif timers:
                stopped = timers[number % len(timers)]
                if cancel_timer(stopped.ref) is not None:
                    stopped.end = now()
            await passed(pause)
        await passed(50)
        assert seen == sorted((time, index) for index, timer in enumerate(timers) for time in timer.times(now()))
        assert running() == sum(timer.runs() for timer in timers)

    main()


@in_process
async def test_an_interval_leaves_out_what_a_full_bounded_mailbox_has_no_room_for() -> None:
    bound_mailbox(2)
    send_interval(1, self_pid(), "tick")
    await passed(5.5)
    assert (mailbox(), dead_letters()) == (["tick", "tick"], {"mailbox_full": 3})
    assert [await receive(), await receive()] == ["tick", "tick"]
    await passed(1)
    assert mailbox() == ["tick"]
