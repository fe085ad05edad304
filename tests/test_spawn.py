"""Processes of one node: how they are started, what they are called, and whether they live."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    NORMAL,
    Exit,
    NameTaken,
    Pid,
    UnknownName,
    is_alive,
    monitor,
    node_name,
    nodes,
    receive,
    register,
    self_pid,
    spawn,
    unregister,
    whereis,
)
from pydist import exit as send_exit
from pydist.messaging import acting
from tests.virtual_time import run_process

HERE = "nonode@nohost"


async def wait() -> None:
    await receive()


async def leave(reason: object) -> None:
    raise Exit(reason)


async def ended(reason: object) -> Pid:
    """A process that has ended."""
    pid, ref = spawn(leave, reason, monitor=True)
    await receive(ref)
    return pid


def test_a_taken_name_starts_nothing() -> None:
    ran: list[str] = []

    async def runs() -> None:
        ran.append("ran")

    async def main() -> bool:
        holder = spawn(wait, name="counter")
        with pytest.raises(NameTaken, match="'counter'"):
            spawn(runs, link=True, monitor=True, name="counter")
        await asyncio.sleep(1)
        return whereis("counter") == holder

    assert (run_process(main), ran) == (True, [])


@pytest.mark.parametrize("name", ["", 5])
def test_a_name_that_is_none_starts_nothing(name: Any) -> None:
    async def main() -> int:
        _, runtime = acting()
        with pytest.raises((ValueError, TypeError), match="a name "):
            spawn(wait, name=name)
        return len(runtime.table)

    assert run_process(main) == 1


def no_coroutine() -> int:
    return 5


@pytest.mark.parametrize(
    ("function", "args", "words"),
    [
        (no_coroutine, (), "a process runs an async function, `async def`; .* is none, and returned int"),
        (wait, (1,), "positional argument"),
    ],
)
def test_what_is_no_async_function_or_does_not_take_the_arguments_is_refused(
    function: Any, args: tuple[Any, ...], words: str
) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match=words):
            spawn(function, *args)

    run_process(main)


def test_no_two_processes_and_no_two_refs_are_the_same() -> None:
    async def main() -> tuple[int, int]:
        pids = {spawn(leave, NORMAL) for _ in range(100)}
        refs = {monitor(self_pid()) for _ in range(100)}
        return len(pids), len(refs)

    assert run_process(main) == (100, 100)


# Names


def test_a_process_has_one_name_and_a_name_one_process() -> None:
    async def main() -> list[object]:
        me, pid = self_pid(), spawn(wait)
        register("one", pid)
        with pytest.raises(NameTaken):
            register("one", me)
        with pytest.raises(NameTaken):
            register("two", pid)
        found = [whereis("one") == pid, whereis("two")]
        unregister("one")
        with pytest.raises(UnknownName):
            unregister("one")
        register("two", pid)
        return [*found, whereis("one"), whereis("two") == pid]

    assert run_process(main) == [True, None, None, True]


@pytest.mark.parametrize("foreign", [False, True])
def test_only_living_processes_of_this_node_can_be_registered(foreign: bool) -> None:
    async def main() -> Pid | None:
        pid = Pid("other@host", 1, 1) if foreign else await ended(NORMAL)
        with pytest.raises(ValueError, match="no living process of this node"):
            register("one", pid)
        return whereis("one")

    assert run_process(main) is None


def test_whether_a_process_of_another_node_is_alive_cannot_be_known() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="monitor it instead"):
            is_alive(Pid("other@host", 1, 1))

    run_process(main)


def test_who_cleans_up_after_an_exit_is_alive_no_more() -> None:
    async def cleans() -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(10)

    async def main() -> list[bool]:
        pid = spawn(cleans)
        await asyncio.sleep(1)
        before = is_alive(pid)
        send_exit(pid, "boom")
        return [before, is_alive(pid), is_alive(self_pid())]

    assert run_process(main) == [True, False, True]


def test_a_node_that_is_alone_says_so() -> None:
    async def main() -> tuple[str, list[str]]:
        return node_name(), nodes()

    assert run_process(main) == (HERE, [])
