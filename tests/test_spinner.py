from __future__ import annotations

import asyncio

from pydist.spinner import Spinner


class Clock:
    """Goes on by a hundredth of a second with each look at it."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 100


async def quiet(clock: Clock) -> int:
    """How often the clock was looked at until nobody looks any more."""
    looks = -1
    while looks != clock.looks:
        looks = clock.looks
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return looks


async def test_the_loop_turns_for_the_time_that_was_asked_for_and_then_rests() -> None:
    clock = Clock()
    spinner = Spinner(asyncio.get_running_loop(), clock, 0.1)
    spinner.heard()
    assert await quiet(clock) == 1
    spinner.heard()
    spinner.heard()
    assert await quiet(clock) == 13


async def test_without_time_it_never_turns() -> None:
    clock = Clock()
    spinner = Spinner(asyncio.get_running_loop(), clock, 0)
    spinner.heard()
    spinner.heard()
    assert await quiet(clock) == 2
