"""A chat room on several nodes: who is there, what they say, and what was said before. Start it as
`python -m examples.chat a`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterable
from typing import Any, Final

from pydist import (
    AlreadyStarted,
    Caller,
    CallError,
    GenServer,
    Message,
    Pid,
    Request,
    Supervisor,
    Via,
    call,
    cast,
    child,
    global_names,
    monitor,
    pg,
    receive,
    run,
    self_pid,
    send,
)

NODES: Final = ("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1")
SCOPE: Final = "chat"
ROOM: Final = "lobby"
MEMORY: Final = Via(global_names, "memory")
"""One in the whole cluster."""
REMEMBERED: Final = 20


class Said(Message, tag="chat.said"):
    """To everybody in the room."""

    who: str
    text: str


class Recall(Request[list[str]], tag="chat.recall"):
    """What was said last?"""


class Memory(GenServer):
    """Remembers what was said. Gone with its node; the next one begins with what is said from then on."""

    async def init(self) -> None:
        self.lines: list[str] = []

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        return self.lines if isinstance(request, Recall) else await super().handle_call(request, caller)

    async def handle_cast(self, message: Any, /) -> None:
        self.lines = [*self.lines, message][-REMEMBERED:]


async def keep_memory() -> None:
    """See to it that there is a memory: here, unless another node has it, and as soon as that is gone."""
    while True:
        try:
            memory = await Memory.start_link(name=MEMORY)
        except AlreadyStarted as error:
            memory = error.pid
        await receive(monitor(memory))


class Guest(GenServer):
    """The one who sits at this node: is in the room, sees who comes and goes, and hears what is said."""

    async def init(self, name: str) -> None:
        self.name = name
        _, present = await pg.monitor(SCOPE, ROOM)
        tell(present, "is here")
        await pg.join(SCOPE, ROOM, self_pid())

    async def handle_cast(self, message: Any, /) -> None:
        for pid in pg.get_members(SCOPE, ROOM):
            send(pid, Said(self.name, message))
        cast(MEMORY, f"{self.name}: {message}")

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case Said(who, text):
                show(f"{who}: {text}")
            case pg.Joined(_, _, pids):
                tell(pids, "is here")
            case pg.Left(_, _, pids):
                tell(pids, "has left")
            case _:
                await super().handle_info(message)


def tell(guests: Iterable[Pid], what: str) -> None:
    """What is to be said of each of them."""
    for pid in guests:
        show(f"* {pid.node[0]} {what}")


def show(line: str) -> None:
    """A line for the one who sits here."""
    print(line, flush=True)  # noqa: T201  # what it is for


async def main(name: str) -> None:
    """Say each line of the standard input, until it ends."""
    children = [child(pg.Scope, name=SCOPE), child(Guest, name, name="guest"), child(keep_memory)]
    await Supervisor.start_link(
        children, strategy="rest_for_one", intensity=5
    )  # without its scope, nobody is in a room
    lines: asyncio.Queue[str] = asyncio.Queue()
    threading.Thread(target=read_lines, args=(asyncio.get_running_loop(), lines), daemon=True).start()
    while line := await lines.get():
        if line == "/recall\n":
            await recall()
        else:
            cast("guest", line.rstrip("\n"))


def read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    """A thread of its own, which ends with the program; asyncio would wait at the end for one of `to_thread`."""
    with open(0, closefd=False) as stdin:
        for line in stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
    loop.call_soon_threadsafe(lines.put_nowait, "")


async def recall() -> None:
    """Show what was said, also before this node was there."""
    try:
        for line in await call(MEMORY, Recall()):
            show(f"> {line}")
    except CallError:
        show("* nobody remembers just now")


if __name__ == "__main__":
    if sys.argv[1:] not in (["a"], ["b"], ["c"]):
        sys.exit("usage: python -m examples.chat a|b|c")
    own = f"{sys.argv[1]}@127.0.0.1"
    others = [node for node in NODES if node != own]
    run(main, sys.argv[1], name=own, cookie="chat", keep_connected=others)
