"""A server for the tests of calls, and what can be said to it."""

from __future__ import annotations

import asyncio
from typing import Any

from pydist import (
    NO_REPLY,
    Caller,
    GenServer,
    Message,
    Request,
    Stop,
    reply,
    spawn,
)


class Add(Request[int]):
    by: int


class Total(Request[int]):
    pass


class Wait(Request[str]):
    seconds: float


class Die(Request[None]):
    how: Any


class Leave(Request[str]):
    last_words: str


class Later(Request[str]):
    pass


class Note(Message):
    text: str


class Heard(Request[list[tuple[str, Any]]]):
    pass


class Counter(GenServer):
    """Counts, and keeps what it has heard."""

    async def init(self, value: int = 0) -> None:
        self.value = value
        self.heard: list[tuple[str, Any]] = []
        self.waiting: list[Caller] = []

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        match request:
            case Add(by):
                self.value += by
                return self.value
            case Total():
                return self.value
            case Wait(seconds):
                await asyncio.sleep(seconds)
                self.value += 1
                return "awake"
            case Die(how):
                raise how
            case Leave(words):
                raise Stop("enough", reply=words)
            case Later():
                self.waiting.append(caller)
                return NO_REPLY
            case _:
                return self.heard

    async def handle_cast(self, message: Any, /) -> None:
        if message == "answer":
            spawn(answer_all, self.waiting)
        self.heard.append(("cast", message))

    async def handle_info(self, message: Any, /) -> None:
        self.heard.append(("info", message))


async def answer_all(callers: list[Caller]) -> None:
    for caller in callers:
        reply(caller, "from elsewhere")
