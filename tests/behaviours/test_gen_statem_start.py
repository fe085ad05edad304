"""How a state machine starts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    NORMAL,
    AlreadyStarted,
    Atom,
    GenStatem,
    Ignore,
    Info,
    Internal,
    Pid,
    Registry,
    StartError,
    StateTimeout,
    Stop,
    Supervisor,
    Transition,
    child,
    get_state,
    keep_state,
    next_state,
    receive,
    send,
    stop_machine,
    trap_exit,
    whereis,
)
from tests.helpers import in_process, mailbox, now, passed, plain
from tests.machines import Told, answers, started


class Starting(GenStatem[str, int]):
    """Takes its time, and then answers or raises what it was given."""

    async def init(self, result: Any) -> Transition[str, int]:
        await asyncio.sleep(5)
        if isinstance(result, BaseException):
            raise result
        answer: Transition[str, int] = result
        return answer

    async def handle_event(self, event: Any, state: str, data: int, /) -> None:
        return None


@in_process
async def test_start_returns_when_init_has() -> None:
    begin = now()
    pid = await Starting.start_link(next_state("a", 0), name="machine")
    assert (whereis("machine"), now()) == (pid, begin + 5)


@in_process
async def test_a_machine_may_begin_with_actions() -> None:
    first = next_state("a", 0, next_event=[Internal("x"), Internal("y")], state_timeout=2.0)
    pid, journal = await started(answers(), first)
    send(pid, "later")
    await passed(3)
    assert journal == [(Internal("x"), "a"), (Internal("y"), "a"), (Info("later"), "a"), (StateTimeout(), "a")]


NOT_A_BEGINNING = "init returns next_state(state, data), with the first state and data, not "


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Stop("no"), "no"),
        (ValueError("bad"), ("ValueError", "bad")),
        (None, ("pydist.errors.BadTransition", NOT_A_BEGINNING + "None")),
        (("a", 0), ("pydist.errors.BadTransition", NOT_A_BEGINNING + "('a', 0)")),
        (
            next_state("a", 0, postpone=True),
            ("pydist.errors.BadTransition", "init can't postpone: there is no event yet"),
        ),
    ],
)
@in_process
async def test_a_machine_whose_init_fails_is_a_start_error_and_its_name_is_free_again(result: Any, reason: Any) -> None:
    with pytest.raises(StartError) as error:
        await Starting.start(result, name="machine")
    assert (plain(error.value.reason), whereis("machine"), mailbox()) == (reason, None, [])


@pytest.mark.parametrize("answer", [next_state("a"), keep_state(0), stop_machine("no")])
@in_process
async def test_init_has_to_give_state_and_data(answer: Any) -> None:
    with pytest.raises(StartError) as error:
        await Starting.start(answer)
    assert plain(error.value.reason)[1].startswith(NOT_A_BEGINNING)


@in_process
async def test_a_machine_without_init_is_told_what_to_write() -> None:
    class Bare(GenStatem[str, int]):
        pass

    with pytest.raises(StartError, match=r"Bare has no init that returns next_state\(state, data\)"):
        await Bare.start()


@in_process
async def test_a_machine_that_ignores_its_start_is_none() -> None:
    trap_exit(True)
    pid: Pid | None = await Starting.start_link(Ignore())
    assert (pid, mailbox()) == (None, [])


@in_process
async def test_a_machine_is_not_started_twice_under_one_name() -> None:
    pid = await Told.start(answers(), [], name="machine")
    with pytest.raises(AlreadyStarted) as error:
        await Told.start_link(answers(), [], name="machine")
    assert error.value.pid == pid


@in_process
async def test_start_monitor_gives_a_monitor_that_sees_every_end() -> None:
    pid, ref = await Told.start_monitor(answers(stop=stop_machine()), [])
    send(pid, "stop")
    down = await receive(ref)
    assert (down.process, down.reason) == (pid, NORMAL)


@in_process
async def test_a_machine_is_a_child_like_others() -> None:
    journal: list[Any] = []
    await Supervisor.start_link([child(Told, answers(stop=stop_machine("crash")), journal, name="machine")])
    first = whereis("machine")
    assert first is not None
    send(first, "stop")
    await passed(1)
    second = whereis("machine")
    assert second is not None
    assert second != first


@in_process
async def test_a_machine_may_have_any_key_of_a_registry_for_its_name() -> None:
    await Registry.start_link(keys="unique", name="machines")
    machines = Registry("machines")
    pid = await Told.start(answers(), [], name=machines.via(("door", 1)))
    assert await get_state(machines.via(("door", 1))) == ("a", 0)
    with pytest.raises(AlreadyStarted) as error:
        await Told.start(answers(), [], name=machines.via(("door", 1)))
    assert error.value.pid == pid


@in_process
async def test_a_machine_that_takes_too_long_to_start_is_killed() -> None:
    begin = now()
    with pytest.raises(StartError) as error:
        await Starting.start(next_state("a", 0), name="machine", start_timeout=2.0)
    assert (error.value.reason, now(), whereis("machine")) == (Atom("timeout"), begin + 2, None)
