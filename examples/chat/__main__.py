"""A chat room on several nodes: who is there, and what they say. Start it as `python -m examples.chat a`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any, Final

from pydist import GenServer, Message, Pid, Supervisor, cast, child, pg, run, self_pid, send

NODES: Final = ("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1")
SCOPE: Final = "chat"
ROOM: Final = "lobby"


class Said(Message, tag="chat.said"):
    """To everybody in the room."""

    who: str
    text: str


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
    children = [child(pg.Scope, name=SCOPE), child(Guest, name, name="guest")]
    await Supervisor.start_link(children, strategy="rest_for_one")  # without its scope a guest is in no room
    while line := await asyncio.to_thread(sys.stdin.readline):
        cast("guest", line.rstrip("\n"))


if __name__ == "__main__":
    own = f"{sys.argv[1]}@127.0.0.1"
    others = [node for node in NODES if node != own]
    run(main, sys.argv[1], name=own, cookie="chat", keep_connected=others)
