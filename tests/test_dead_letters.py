"""Messages that nobody gets are counted, each for its reason, wherever they are lost."""

from __future__ import annotations

from typing import Any

from pydist import Alias, Pid, Via, cast, exit, monitor, receive, self_pid, send, spawn  # noqa: A004  # OTP's name
from pydist.dead_letters import DeadLetter, DeadLetters
from pydist.messaging import acting
from tests.helpers import end, in_process


async def _waits() -> None:
    await receive()


def _listen() -> list[tuple[Any, Any, str]]:
    """What is lost from now on."""
    found: list[tuple[Any, Any, str]] = []
    _, runtime = acting()
    runtime.dead_letters.listeners["test"] = lambda letter: found.append((letter.target, letter.message, letter.reason))
    return found


@in_process
async def test_what_is_sent_to_nobody_is_a_dead_letter() -> None:
    found = _listen()
    dead = spawn(_waits)
    ref = monitor(dead)
    await end(dead, "boom")
    closed = Alias(self_pid(), ref)
    earlier = Pid(dead.node, dead.number, 77)
    targets: list[tuple[Any, str]] = [
        (dead, "noproc"),
        (Alias(dead, ref), "noproc"),
        (closed, "inactive_alias"),
        (("nobody", dead.node), "unknown_name"),
        (earlier, "incarnation"),
        (Alias(earlier, ref), "incarnation"),
        (Pid("b@127.0.0.1", 1, 1), "noconnection"),
        (("name", "b@127.0.0.1"), "noconnection"),
        (Alias(Pid("b@127.0.0.1", 1, 1), ref), "noconnection"),
    ]
    for target, _ in targets:
        send(target, "hello")
    assert found == [(target, "hello", reason) for target, reason in targets]
    _, runtime = acting()
    assert runtime.dead_letters.counts == {
        "noproc": 2,
        "inactive_alias": 1,
        "unknown_name": 1,
        "incarnation": 2,
        "noconnection": 3,
    }


@in_process
async def test_what_was_in_the_mailbox_of_the_dead_had_arrived() -> None:
    found = _listen()
    pid = spawn(_waits)
    ref = monitor(pid)
    exit(pid, "boom")
    send(pid, "too late to be read")
    await receive(ref)
    assert found == []


def test_a_dead_letter_that_nobody_gets_is_only_counted() -> None:
    letters = DeadLetters()
    pid = Pid("a@host", 1, 1)
    lost = DeadLetter(pid, "hello", "noproc")
    told: list[DeadLetter] = []

    def listener(letter: DeadLetter) -> None:
        told.append(letter)
        letters.add(pid, letter, "mailbox_full")

    letters.listeners["test"] = listener
    letters.add(pid, "hello", "noproc")
    assert (told, letters.counts) == ([lost], {"noproc": 1, "mailbox_full": 1})


class NoNames:
    """Names that nobody has."""

    @staticmethod
    def register_name(key: Any, pid: Pid, /) -> bool:
        return False

    @staticmethod
    def unregister_name(key: Any, /) -> None: ...

    @staticmethod
    def whereis_name(key: Any, /) -> Pid | None:
        return None


@in_process
async def test_a_cast_to_a_name_that_nobody_has_is_one_whoever_keeps_the_name() -> None:
    found = _listen()
    via = Via(NoNames(), "key")
    cast("nobody", "hello")
    cast(via, "hello")
    assert [(target, message.message, reason) for target, message, reason in found] == [
        (("nobody", self_pid().node), "hello", "unknown_name"),
        (via, "hello", "unknown_name"),
    ]
