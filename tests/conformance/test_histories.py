"""Random histories: what two processes do to a third, large and small, each of them in its own order."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest

from pydist import (
    NORMAL,
    Exited,
    exit,  # noqa: A004  # OTP's name
    link,
    register,
    send,
    trap_exit,
    unlink,
)
from tests.conformance.deeds import alias, hear, hear_all, leave
from tests.conformance.stage import Actor, Stage, on_stage

DEEDS: Final = ("send", "send to name", "send to alias", "exit", "exit normally", "link", "unlink")
SIZES: Final = (1, 1, 1, 1000, 70_000, 200_000)


class Sender:
    """One of the two, what it is told, and what must come of that at the receiver."""

    def __init__(self, actor: Actor, receiver: Actor, address: Any, chance: Random) -> None:
        self.actor = actor
        self.receiver = receiver
        self.ways = {"send": receiver.pid, "send to name": ("receiver", receiver.pid.node), "send to alias": address}
        self.chance = chance
        self.linked = False
        self.expected: list[Any] = []

    def act(self, number: int) -> None:
        deed = self.chance.choice(DEEDS)
        payload = (self.actor.pid, number, b"x" * self.chance.choice(SIZES))
        match deed:
            case "link" | "unlink":
                self.linked = deed == "link"
                self.actor.tell(link if self.linked else unlink, self.receiver.pid)
            case "exit":
                self._exit(payload)
            case "exit normally":
                self._exit(NORMAL)
            case _:
                self.expected.append(payload)
                self.actor.tell(send, self.ways[deed], payload)

    def _exit(self, reason: Any) -> None:
        self.expected.append(Exited(self.actor.pid, reason))
        self.actor.tell(exit, self.receiver.pid, reason)

    def end(self) -> None:
        """The last thing it does; a link says so."""
        self.expected += [Exited(self.actor.pid, "over")] if self.linked else []
        self.actor.tell(leave, "over")

    def is_of(self, message: Any) -> bool:
        return (message.pid if isinstance(message, Exited) else message[0]) == self.actor.pid


@pytest.mark.parametrize("inward", [False, True], ids=["to there", "to here"])
@pytest.mark.parametrize("seed", range(3))
@on_stage
async def test_whatever_two_do_to_a_third_comes_in_the_order_of_each(stage: Stage, seed: int, inward: bool) -> None:
    chance = Random(seed)  # noqa: S311  # a history that can be repeated
    start, far = (stage.there, stage.here) if inward else (stage.here, stage.there)
    receiver = await far()
    await receiver.do(trap_exit, True)
    await receiver.do(register, "receiver", receiver.pid)
    address = await receiver.do(alias)
    senders = [Sender(await start(), receiver, address, chance) for _ in range(2)]
    for number in range(120):
        chance.choice(senders).act(number)
    for sender in senders:
        sender.end()
    heard = await receiver.do(hear, sum(len(sender.expected) for sender in senders))
    for sender in senders:
        assert [message for message in heard if sender.is_of(message)] == sender.expected
    await stage.settle(await start(), receiver)
    assert await receiver.do(hear_all) == []
