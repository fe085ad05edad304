from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Alias,
    BadNodeName,
    Down,
    Exit,
    Exited,
    Pid,
    Ref,
    UnknownName,
    connect,
    demonitor,
    is_alive,
    link,
    monitor,
    receive,
    register,
    self_pid,
    send,
    spawn,
    trap_exit,
    unlink,
    unregister,
    whereis,
)
from pydist import exit as send_exit
from pydist.messaging import acting, current
from tests.virtual_time import run_process

HERE = "nonode@nohost"


async def wait() -> None:
    await receive()


async def leave(reason: object) -> None:
    raise Exit(reason)


async def obey() -> None:
    """Do what is asked for, as this process."""
    while True:
        (await receive())()


async def all_messages() -> list[Any]:
    """All that is there, once everybody has had a turn."""
    await asyncio.sleep(1)
    messages: list[Any] = []
    while True:
        try:
            messages.append(await receive(timeout=0))
        except TimeoutError:
            return messages


async def ended(reason: object) -> Pid:
    """A process that has ended."""
    pid, ref = spawn(leave, reason, monitor=True)
    await receive(ref)
    return pid


# Links


def test_one_link_per_pair_gives_one_exit_signal_however_often_and_from_whichever_side_it_was_made() -> None:
    async def main() -> bool:
        trap_exit(True)
        me = self_pid()
        pid = spawn(obey, link=True)
        link(pid)
        send(pid, lambda: link(me))
        await asyncio.sleep(0)
        send_exit(pid, "boom")
        return await all_messages() == [Exited(pid, "boom")]

    assert run_process(main) is True


@pytest.mark.parametrize("by_the_other", [False, True])
def test_either_side_may_remove_a_link_and_then_neither_hears_of_the_other(by_the_other: bool) -> None:
    async def main() -> list[Any]:
        trap_exit(True)
        me = self_pid()
        pid = spawn(obey, link=True)
        if by_the_other:
            send(pid, lambda: unlink(me))
            await asyncio.sleep(0)
        else:
            unlink(pid)
        links = current().related().links
        send_exit(pid, "boom")
        return [links, await all_messages()]

    assert run_process(main) == [{}, []]


def test_a_link_can_be_made_again_after_it_was_removed() -> None:
    async def main() -> bool:
        trap_exit(True)
        pid = spawn(wait, link=True)
        unlink(pid)
        link(pid)
        send_exit(pid, "boom")
        return await all_messages() == [Exited(pid, "boom")]

    assert run_process(main) is True


def test_a_link_to_oneself_is_none() -> None:
    async def main() -> object:
        link(self_pid())
        return current().relations

    assert run_process(main) is None


def test_unlinking_whom_one_is_not_linked_with_does_nothing() -> None:
    async def main() -> list[Any]:
        trap_exit(True)
        unlink(await ended(NORMAL))
        unlink(Pid("other@host", 1, 1))
        return await all_messages()

    assert run_process(main) == []


def test_a_link_to_a_dead_process_gives_noproc_and_is_gone() -> None:
    async def main() -> bool:
        trap_exit(True)
        pid = await ended("boom")
        link(pid)
        link(pid)
        got = await all_messages()
        return got == [Exited(pid, NOPROC), Exited(pid, NOPROC)] and current().related().links == {}

    assert run_process(main) is True


def test_an_error_brings_down_all_that_are_linked_and_nobody_else() -> None:
    async def linked_with(partner: Pid) -> None:
        link(partner)
        await receive()

    async def main() -> tuple[list[object], bool]:
        first = spawn(wait)
        second, ref = spawn(linked_with, first, monitor=True)
        _, ref3 = spawn(linked_with, second, monitor=True)
        bystander = spawn(wait)
        await asyncio.sleep(0)
        send_exit(first, "boom")
        return [(await receive(ref)).reason, (await receive(ref3)).reason], is_alive(bystander)

    assert run_process(main) == (["boom", "boom"], True)


# Spawning


@pytest.mark.parametrize("reason", ["boom", NORMAL])
def test_the_real_reason_of_a_child_that_ends_at_once_is_seen_by_link_and_monitor(reason: object) -> None:
    async def main() -> bool:
        trap_exit(True)
        pid, ref = spawn(leave, reason, link=True, monitor=True)
        return await all_messages() == [Exited(pid, reason), Down(ref, pid, reason)]

    assert run_process(main) is True


# Monitors


def test_monitors_stack_and_each_gives_its_own_down() -> None:
    async def main() -> bool:
        pid = spawn(wait)
        refs = [monitor(pid) for _ in range(3)]
        send_exit(pid, "boom")
        return await all_messages() == [Down(ref, pid, "boom") for ref in refs]

    assert run_process(main) is True


def test_a_monitor_is_one_way() -> None:
    async def watches(target: Pid) -> None:
        monitor(target)
        raise Exit("boom")

    async def main() -> list[Any]:
        trap_exit(True)
        spawn(watches, self_pid())
        messages = await all_messages()
        return [messages, current().related().watchers]

    assert run_process(main) == [[], {}]


def down_by(address: object, *, named: bool) -> tuple[object, object]:
    async def main() -> tuple[object, object]:
        if named:
            spawn(wait, name="counter")
        ref = monitor(address)  # type: ignore[call-overload]  # all kinds of addresses
        holder = whereis("counter")
        if holder is not None:
            send_exit(holder, "boom")
        down = await receive(Down)
        assert down.ref == ref
        return down.process, down.reason

    return run_process(main)


@pytest.mark.parametrize(
    ("address", "named", "process", "reason"),
    [
        ("counter", True, ("counter", HERE), "boom"),
        (("counter", HERE), True, ("counter", HERE), "boom"),
        ("counter", False, ("counter", HERE), NOPROC),
        (("counter", HERE), False, ("counter", HERE), NOPROC),
        (Pid(HERE, 4711, 1), False, Pid(HERE, 4711, 1), NOPROC),
        (Pid(HERE, 1, 7), False, Pid(HERE, 1, 7), NOPROC),  # an earlier life of this node
        (("counter", "other@host"), False, ("counter", "other@host"), NOCONNECTION),
        (Pid("other@host", 1, 1), False, Pid("other@host", 1, 1), NOCONNECTION),
    ],
)
def test_a_down_names_the_process_as_it_was_monitored(
    address: object, named: bool, process: object, reason: object
) -> None:
    assert down_by(address, named=named) == (process, reason)


def test_a_monitor_by_name_watches_who_had_the_name_then() -> None:
    async def main() -> bool:
        first = spawn(wait, name="counter")
        ref = monitor("counter")
        unregister("counter")
        second = spawn(wait, name="counter")
        send_exit(second, "second")
        nothing = await all_messages()
        send_exit(first, "first")
        return [nothing, await all_messages()] == [[], [Down(ref, ("counter", HERE), "first")]]

    assert run_process(main) is True


def test_who_watches_the_dead_learns_only_that_there_is_nobody() -> None:
    async def main() -> bool:
        pid = await ended("boom")
        ref = monitor(pid)
        return await all_messages() == [Down(ref, pid, NOPROC)]

    assert run_process(main) is True


@pytest.mark.parametrize("by_name", [False, True])
def test_after_demonitor_no_down_comes_and_nothing_is_left_at_the_other(by_name: bool) -> None:
    async def main() -> list[Any]:
        pid = spawn(wait, name="counter")
        demonitor(monitor("counter" if by_name else pid))
        watched = acting()[1].process(pid)
        assert watched is not None
        watchers = watched.related().watchers
        send_exit(pid, "boom")
        return [watchers, current().related().monitors, await all_messages()]

    assert run_process(main) == [{}, {}, []]


def test_demonitor_leaves_a_down_that_is_there_and_flush_takes_only_its_own() -> None:
    async def main() -> bool:
        pid = spawn(wait)
        refs = [monitor(pid) for _ in range(3)]
        send(self_pid(), "before")
        send_exit(pid, "boom")
        await asyncio.sleep(1)
        send(self_pid(), "after")
        demonitor(refs[0])
        demonitor(refs[1], flush=True)
        demonitor(refs[1], flush=True)
        return await all_messages() == ["before", Down(refs[0], pid, "boom"), Down(refs[2], pid, "boom"), "after"]

    assert run_process(main) is True


def test_demonitor_of_an_unknown_ref_does_nothing() -> None:
    async def main() -> None:
        demonitor(Ref(HERE, 4711, 1))
        demonitor(Ref(HERE, 4711, 1), flush=True)

    run_process(main)


# Order


def test_a_down_and_an_exit_do_not_overtake_the_last_messages_of_the_dead() -> None:
    async def talks(to: Pid) -> None:
        for number in range(3):
            send(to, number)
        raise Exit("over")

    async def main() -> bool:
        trap_exit(True)
        pid, ref = spawn(talks, self_pid(), link=True, monitor=True)
        return await all_messages() == [0, 1, 2, Exited(pid, "over"), Down(ref, pid, "over")]

    assert run_process(main) is True


def test_signals_of_different_kinds_from_one_to_another_arrive_in_the_order_of_the_calls() -> None:
    async def talks(to: Pid) -> None:
        send(to, 1)
        send_exit(to, 2)
        send(("main", HERE), 3)
        send_exit(to, 4)
        send("main", 5)

    async def main() -> list[Any]:
        trap_exit(True)
        register("main", self_pid())
        spawn(talks, self_pid())
        return [message.reason if isinstance(message, Exited) else message for message in await all_messages()]

    assert run_process(main) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("reason", ["boom", KILL])
def test_the_name_of_the_dead_is_free_when_its_exit_or_its_down_is_seen(reason: object) -> None:
    async def reuse(pattern: type[Any] | Ref) -> None:
        await receive(pattern)
        register("counter", self_pid())
        unregister("counter")

    async def main() -> Pid | None:
        trap_exit(True)
        pid, ref = spawn(wait, link=True, monitor=True, name="counter")
        await asyncio.sleep(0)
        send_exit(pid, reason)
        await reuse(Exited)
        await reuse(ref)
        return whereis("counter")

    assert run_process(main) is None


# Sending


@pytest.mark.parametrize(
    "target",
    [
        ("nobody", HERE),
        ("nobody", "other@host"),
        Pid("other@host", 1, 1),
        Pid(HERE, 4711, 1),
        Pid(HERE, 1, 7),  # an earlier life of this node
        Alias(Pid("other@host", 1, 1), Ref(HERE, 1, 1)),
        Alias(Pid(HERE, 4711, 1), Ref(HERE, 1, 1)),
        Alias(Pid(HERE, 1, 1), Ref(HERE, 1, 1)),  # of the sender, but never opened
    ],
)
def test_sending_where_nobody_is_is_silent(target: Any) -> None:
    async def main() -> list[Any]:
        send(target, "lost")
        return await all_messages()

    assert run_process(main) == []


def test_sending_to_the_dead_is_silent() -> None:
    async def main() -> list[Any]:
        send(await ended(NORMAL), "lost")
        return await all_messages()

    assert run_process(main) == []


def test_sending_to_a_local_name_that_nobody_has_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(UnknownName, match="'nobody'"):
            send("nobody", "lost")

    run_process(main)


@pytest.mark.parametrize("target", [None, 5, ("a",), ("a", 1), b"a", Ref(HERE, 1, 1)])
def test_what_is_no_destination_is_refused(target: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="a destination is a Pid, an Alias, a name or a pair"):
            send(target, "lost")

    run_process(main)


@pytest.mark.parametrize("use", [lambda: connect("b"), lambda: send(("server", "b"), "hello")], ids=["connect", "send"])
def test_a_node_without_a_name_refuses_what_is_no_node_name_as_any_other(use: Callable[[], None]) -> None:
    async def main() -> None:
        with pytest.raises(BadNodeName, match="the node name 'b' has no host"):
            use()

    run_process(main)
