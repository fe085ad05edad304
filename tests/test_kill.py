"""What becomes of the coroutine of a process that is killed."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from itertools import count

import pytest

from pydist import KILL, KILLED, Exit, Pid, link, monitor, processes, receive, self_pid, spawn
from pydist import exit as send_exit
from tests.helpers import WAITS, Waits, cleaning, end_of, links_and_monitors, wait_for_message
from tests.virtual_time import run_process


@pytest.mark.parametrize("waits", WAITS)
def test_kill_closes_what_waits_without_an_exception_that_could_be_caught(
    waits: Waits,
) -> None:
    seen: list[object] = []
    assert end_of(cleaning(waits, seen), KILL) is KILLED
    assert seen == [GeneratorExit]


def test_kill_ends_a_clean_up_that_takes_too_long() -> None:
    seen: list[object] = []
    assert (end_of(cleaning(wait_for_message, seen), "boom", KILL), seen) == (KILLED, [Exit])


def test_a_process_that_kills_itself_gets_no_further_than_its_next_await() -> None:
    reached: list[str] = []

    async def suicidal() -> None:
        try:
            send_exit(self_pid(), KILL)
        except Exit as signal:
            reached.append(f"caught {signal.reason}")
        await asyncio.sleep(0)
        reached.append("went on")

    assert (end_of(suicidal), reached) == (KILLED, ["caught Atom('killed')"])


def test_a_future_that_a_killed_process_awaited_is_cancelled() -> None:
    async def main() -> bool:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def awaits() -> None:
            await future

        pid, ref = spawn(awaits, monitor=True)
        await asyncio.sleep(0)
        send_exit(pid, KILL)
        await receive(ref)
        return future.cancelled()

    assert run_process(main) is True


@pytest.mark.parametrize("reason", ["boom", KILL])
# Python reports a coroutine that swallows even the last GeneratorExit; there is no way to end one in silence.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_not_even_a_bare_except_around_a_receive_holds_up_the_node(reason: object) -> None:
    turns = count()

    async def stubborn() -> None:
        while next(turns) < 1000:
            with suppress(BaseException):  # or a bare except, as users write it
                await receive()

    async def main() -> object:
        pid, ref = spawn(stubborn, monitor=True)
        await asyncio.sleep(0)
        send_exit(pid, reason)
        return (await receive(ref)).reason

    assert run_process(main) == (KILLED if reason is KILL else reason)
    gc.collect()
    assert next(turns) < 100


def test_a_killed_process_whose_clean_up_awaits_many_times_is_closed_in_silence() -> None:
    seen: list[int] = []

    async def cleans() -> None:
        try:
            await receive()
        finally:
            for number in range(5):
                try:
                    await asyncio.sleep(1)
                except BaseException:  # noqa: BLE001
                    seen.append(number)

    assert end_of(cleans, KILL) is KILLED
    gc.collect()
    assert seen == [0, 1, 2, 3, 4]


def test_one_that_was_killed_makes_no_more_links_and_monitors() -> None:
    refused: list[object] = []

    def spawn_linked(_other: Pid) -> None:
        spawn(wait_for_message, link=True)

    async def main() -> list[object]:
        other = spawn(wait_for_message)

        async def goes_on() -> None:
            try:
                send_exit(self_pid(), KILL)
            except Exit:
                for relate in (link, monitor, spawn_linked):
                    try:
                        relate(other)
                    except Exit as signal:
                        refused.append(signal.reason)

        _, ref = spawn(goes_on, monitor=True)
        await receive(ref)
        await asyncio.sleep(1)
        return [*links_and_monitors(other), len(processes())]

    assert (run_process(main), refused) == ([0, 0, 0, 0, 2], [KILLED, KILLED, KILLED])
