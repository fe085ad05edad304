"""What processes ask for that can't be, and the words in which it is refused: whose fault it is, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pydist import (
    Alias,
    Pid,
    Ref,
    alias,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    link,
    make_ref,
    monitor,
    monitor_nodes,
    process_info,
    receive,
    register,
    self_pid,
    send,
    spawn,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from tests.helpers import in_process, links_and_monitors, mailbox, passed

HERE = "nonode@nohost"

Function = Callable[[Any], object]


async def wait() -> None:
    await receive()


PID_TAKERS: dict[str, Function] = {
    "link": link,
    "unlink": unlink,
    "exit": lambda pid: exit(pid, "boom"),
    "register": lambda pid: register("me", pid),
    "is_alive": is_alive,
    "process_info": process_info,
}


@pytest.mark.parametrize("function", PID_TAKERS)
@pytest.mark.parametrize("wrong", [None, 5, "counter", ("counter", HERE), Ref(HERE, 1, 1)])
def test_what_takes_a_pid_takes_nothing_else(function: str, wrong: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match=f"{function} takes a Pid, not .*: look a name up with whereis"):
            PID_TAKERS[function](wrong)

    main()


NAME_TAKERS: dict[str, Function] = {
    "register": lambda name: register(name, self_pid()),
    "unregister": unregister,
    "whereis": whereis,
    "spawn": lambda name: spawn(wait, name=name),
    "monitor": lambda name: monitor((name, HERE)),
    "send": lambda name: send((name, HERE), "x"),
}


@pytest.mark.parametrize("function", NAME_TAKERS)
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("", ValueError, "at least one character"),
        ("x" * 256, ValueError, "at most 255 characters, this one has 256"),
        ("\ud800", ValueError, "a lone surrogate"),
    ],
)
def test_what_can_be_no_name_is_refused_by_all_who_take_one(
    function: str, name: str, error: type[Exception], words: str
) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(error, match=words):
            NAME_TAKERS[function](name)
        assert links_and_monitors() == (0, 0, 0, 0)

    main()


@pytest.mark.parametrize("function", ["register", "unregister", "whereis"])
@pytest.mark.parametrize("name", [None, 5, b"counter"])
def test_what_is_no_text_is_no_name(function: str, name: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match=f"a name is a str, not {type(name).__name__}"):
            NAME_TAKERS[function](name)

    main()


@pytest.mark.parametrize("wrong", [None, 5, "ref", Pid(HERE, 1, 1), Alias(Pid(HERE, 1, 1), Ref(HERE, 1, 1))])
def test_demonitor_takes_what_monitor_has_returned(wrong: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match="demonitor takes the Ref that monitor has returned, not "):
            demonitor(wrong)

    main()


@in_process
async def test_a_monitor_of_another_node_is_not_ones_own_to_remove() -> None:
    with pytest.raises(ValueError, match="only the process that has made a monitor can remove it"):
        demonitor(Ref("other@host", 1, 1))


@in_process
async def test_the_monitor_of_another_process_stays_whoever_else_removes_it() -> None:
    async def watch(told: Pid) -> None:
        send(told, monitor(told))
        await receive()

    spawn(watch, self_pid())
    ref = await receive(Ref)
    assert [demonitor(ref), demonitor(ref, flush=True), demonitor(make_ref())] == [False, False, False]
    assert links_and_monitors() == (0, 0, 1, 0)


@in_process
async def test_demonitor_says_whether_there_was_a_monitor() -> None:
    pid = spawn(wait)
    fresh, fired = monitor(pid), monitor(Pid(HERE, 4711, 1))
    assert [demonitor(fresh), demonitor(fresh), demonitor(fired, flush=True)] == [True, False, False]
    assert mailbox() == []


@pytest.mark.parametrize("flag", [None, 1, "yes"])
def test_trap_exit_takes_a_bool(flag: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match="trap_exit takes True or False, not "):
            trap_exit(flag)
        assert trap_exit(False) is False

    main()


@in_process
async def test_monitor_nodes_takes_a_bool_and_nothing_else() -> None:
    wrong: Any = "a@127.0.0.1"
    with pytest.raises(TypeError, match="monitor_nodes takes True or False, not 'a@"):
        monitor_nodes(wrong)


@pytest.mark.parametrize("wrong", [None, Ref(HERE, 1, 1), Pid(HERE, 1, 1), "alias"])
def test_unalias_takes_an_alias_and_nothing_else(wrong: Any) -> None:
    @in_process
    async def main() -> None:
        alias()
        with pytest.raises(TypeError, match=r"unalias takes the Alias that alias\(\) or monitor\(..., alias=...\) has"):
            unalias(wrong)

    main()


@in_process
async def test_a_process_that_cleans_up_after_an_exit_gets_no_name() -> None:
    async def cleans() -> None:
        try:
            await receive()
        finally:
            await asyncio.sleep(10)

    pid = spawn(cleans)
    await passed(1)
    exit(pid, "boom")
    with pytest.raises(ValueError, match="no living process of this node"):
        register("late", pid)
