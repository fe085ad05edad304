"""What is wrong with a class of state machines is an error where it is written."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Any

import pytest

from pydist import (
    Answer,
    Cast,
    Enter,
    Event,
    GenStatem,
    Info,
    Internal,
    StateTimeout,
    Transition,
    cast,
    in_state,
    next_state,
)
from tests.helpers import ended, in_process, passed, plain


class Lamp(Enum):
    ON = "on"
    OFF = "off"


async def seen(kind: type[GenStatem[Any, Any]], *messages: Any) -> list[Any]:
    """What a machine of this kind has kept as its data of what is cast to it."""
    journal: list[Any] = []
    pid = await kind.start(journal)
    for each in messages:
        cast(pid, each)
    await passed(1)
    return journal


class Switch(GenStatem[Lamp, list[Any]]):
    """Goes back and forth, and writes down which method was called."""

    async def init(self, journal: list[Any]) -> Transition[Lamp, list[Any]]:
        return next_state(Lamp.OFF, journal)

    @in_state(Lamp.ON)
    async def on(self, event: Event, data: list[Any]) -> Answer[Lamp, list[Any]]:
        data.append("on")
        return next_state(Lamp.OFF)

    @in_state(Lamp.OFF)
    async def off(self, event: Event, data: list[Any]) -> Answer[Lamp, list[Any]]:
        data.append("off")
        return next_state(Lamp.ON)


@in_process
async def test_a_subclass_overrides_the_method_of_a_state_by_its_name_or_by_the_state() -> None:
    class ByName(Switch):
        async def on(self, event: Event, data: list[Any]) -> Answer[Lamp, list[Any]]:
            data.append("by name")
            return next_state(Lamp.OFF)

    class ByState(Switch):
        @in_state(Lamp.ON)
        async def shining(self, event: Event, data: list[Any]) -> Answer[Lamp, list[Any]]:
            data.append("by state")
            return next_state(Lamp.OFF)

    assert await seen(Switch, 1, 2, 3) == ["off", "on", "off"]
    assert await seen(ByName, 1, 2, 3) == ["off", "by name", "off"]
    assert await seen(ByState, 1, 2, 3) == ["off", "by state", "off"]


@in_process
async def test_handle_event_may_take_some_events_and_leave_the_others_to_the_methods() -> None:
    class Watched(Switch):
        async def handle_event(self, event: Event, state: Lamp, data: list[Any], /) -> Answer[Lamp, list[Any]]:
            if event == Cast("status"):
                data.append(state)
                return None
            return await super().handle_event(event, state, data)

    assert await seen(Watched, 1, "status", 2) == ["off", Lamp.ON, "on"]


def half() -> Any:
    class Half(GenStatem[Lamp, int]):
        @in_state(Lamp.ON)
        async def on(self, event: Event, data: int) -> Answer[Lamp, int]:
            return None

    return Half


def double() -> Any:
    class Double(GenStatem[str, int]):
        @in_state("a", "b")
        async def one(self, event: Event, data: int) -> Answer[str, int]:
            return None

        @in_state("b")
        async def two(self, event: Event, data: int) -> Answer[str, int]:
            return None

    return Double


def plain_function() -> Any:
    class Plain(GenStatem[str, int]):
        @in_state("a")
        def one(self, event: Event, data: int) -> Any:
            return None

    return Plain


def with_plain(name: str) -> Any:
    def function(self: Any) -> Any:
        return None

    return type("Plain", (Switch,), {name: function, "__qualname__": "Plain"})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (half, r"Half has no handler for Lamp.OFF: mark one with @in_state\(Lamp.OFF\)$"),
        (double, "Double has two handlers for 'b': one and two$"),
        (plain_function, "Plain.one is no async function: write `async def one`$"),
        (partial(with_plain, "init"), "^Plain.init is no async function: write `async def init`$"),
        (partial(with_plain, "terminate"), "^Plain.terminate is no async function"),
        (partial(with_plain, "handle_event"), "^Plain.handle_event is no async function"),
        (partial(with_plain, "on"), "^Plain.on is no async function"),
        (in_state, r"^in_state takes the states that the method is for, as in @in_state\(Lock.OPEN\)$"),
    ],
)
def test_a_class_that_cannot_work_is_an_error_where_it_is_written(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()


def test_a_class_that_handles_all_events_in_one_place_needs_no_methods_for_its_states() -> None:
    class Whole(GenStatem[Lamp, int]):
        async def handle_event(self, event: Event, state: Lamp, data: int, /) -> Answer[Lamp, int]:
            return None

    assert Whole._handlers == {}


@in_process
async def test_a_state_that_nobody_handles_ends_the_machine() -> None:
    class Lost(GenStatem[str, int]):
        async def init(self) -> Transition[str, int]:
            return next_state("somewhere", 0)

    pid = await Lost.start()
    cast(pid, "go")
    text = f"{Lost.__qualname__} has no handler for the state 'somewhere', to take Cast(message='go')"
    assert plain(await ended(pid)) == ("TypeError", text)


@pytest.mark.parametrize("event", [Info("x"), Enter("a")])
@in_process
async def test_what_is_unexpected_but_harmless_is_not_an_error(event: Event) -> None:
    assert Switch().unhandled(event) is None


@pytest.mark.parametrize("event", [Cast("x"), Internal("x"), StateTimeout()])
def test_an_event_that_nobody_handles_is_an_error(event: Event) -> None:
    with pytest.raises(TypeError, match="Switch does not handle"):
        Switch().unhandled(event)
