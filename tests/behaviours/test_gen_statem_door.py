"""The door with the code lock, as the head of `gen_statem.py` shows it."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pydist
from pydist import call, cast, gen_statem
from tests.helpers import in_process, passed


def example() -> dict[str, Any]:
    """The names that the example defines."""
    assert gen_statem.__doc__ is not None
    _, rest = gen_statem.__doc__.split("\n\n", 1)
    code = dedent(rest.split("    door = await")[0])
    names: dict[str, Any] = {"__name__": "door_example"}
    exec("from __future__ import annotations\nfrom enum import Enum\nfrom pydist import *\n" + code, names)  # noqa: S102
    return names


class Visitor:
    """Stands before the door."""

    def __init__(self, names: dict[str, Any], door: pydist.Pid) -> None:
        self.names = names
        self.door = door

    def press(self, digits: str) -> None:
        for digit in digits:
            cast(self.door, self.names["Press"](digit))

    async def is_open(self) -> bool:
        answer: bool = await call(self.door, self.names["IsOpen"]())
        return answer


async def at_a_door() -> Visitor:
    names = example()
    return Visitor(names, await names["Door"].start_link("1234"))


@in_process
async def test_the_door_opens_when_the_last_digits_are_the_code() -> None:
    visitor = await at_a_door()
    visitor.press("123")
    assert not await visitor.is_open()
    visitor.press("1234")
    assert await visitor.is_open()


@in_process
async def test_the_door_is_open_for_ten_seconds() -> None:
    visitor = await at_a_door()
    visitor.press("1234")
    await passed(9.9)
    assert await visitor.is_open()
    await passed(0.2)
    assert not await visitor.is_open()


@in_process
async def test_what_is_pressed_while_the_door_is_open_counts_when_it_has_locked() -> None:
    visitor = await at_a_door()
    visitor.press("123412")
    await passed(10.1)
    assert not await visitor.is_open()
    visitor.press("34")
    assert await visitor.is_open()


@in_process
async def test_thirty_seconds_without_a_digit_and_the_door_forgets() -> None:
    visitor = await at_a_door()
    visitor.press("12")
    await passed(29)
    visitor.press("3")
    await passed(31)
    visitor.press("4")
    assert not await visitor.is_open()
