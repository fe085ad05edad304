from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    KILL,
    MAILBOX_FULL,
    NORMAL,
    Alias,
    Down,
    Exited,
    Pid,
    Timeout,
    alias,
    bound_mailbox,
    exit,  # noqa: A004  # OTP's name
    make_ref,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    start_timer,
    trap_exit,
)
from pydist.bounds import WhenFull
from pydist.dead_letters import DeadLetter
from pydist.messaging import acting
from tests.helpers import in_process, mailbox, passed


def dead_letters() -> list[tuple[Any, str]]:
    """Hears of all dead letters from now on."""
    heard: list[tuple[Any, str]] = []

    def listen(letter: DeadLetter) -> None:
        heard.append((letter.message, letter.reason))

    acting()[1].dead_letters.listeners["test"] = listen
    return heard


async def wait() -> None:
    await receive(_nothing)


def _nothing(_message: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("when_full", "kept", "dropped"), [("drop_newest", [0, 1, 2], [3, 4]), ("drop_oldest", [2, 3, 4], [0, 1])]
)
def test_what_has_no_room_is_dropped_and_each_one_is_a_dead_letter(
    when_full: WhenFull, kept: list[int], dropped: list[int]
) -> None:
    @in_process
    async def main() -> None:
        heard = dead_letters()
        bound_mailbox(3, when_full)
        for number in range(5):
            send(self_pid(), number)
        assert (mailbox(), heard) == (kept, [(number, "mailbox_full") for number in dropped])

    main()


@in_process
async def test_a_process_may_end_when_its_mailbox_is_full() -> None:
    heard = dead_letters()

    async def bounded() -> None:
        trap_exit(True)
        bound_mailbox(2, "exit")
        await wait()

    pid, ref = spawn(bounded, monitor=True)
    await passed(1)
    for number in range(4):
        send(pid, number)
    assert (await receive(ref), heard) == (
        Down(ref, pid, MAILBOX_FULL),
        [(2, "mailbox_full"), (3, "mailbox_full")],
    )


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
def test_what_the_process_has_asked_for_is_let_in_and_kept(when_full: WhenFull) -> None:
    @in_process
    async def main() -> None:
        trap_exit(True)
        linked = spawn(wait, link=True)
        watched, ref = spawn(wait, monitor=True)
        here: Alias = alias()
        timer = start_timer(2.5, self_pid(), "time")
        await passed(1)
        bound_mailbox(1, when_full)
        exit(linked, "gone")
        exit(watched, KILL)
        await passed(1)
        send(here, (here.ref, "reply"))
        for number in range(3):
            send(self_pid(), number)
        asked: list[Any] = [Exited(linked, "gone"), (here.ref, "reply")]
        await passed(1)
        asked.append(Timeout(timer, "time"))
        assert [message for message in mailbox() if message in asked] == asked
        assert [type(message) for message in mailbox() if getattr(message, "ref", None) == ref] == [Down]
        assert len(mailbox()) == 4

    main()


@in_process
async def test_a_receive_that_waits_misses_nothing_when_older_messages_are_dropped() -> None:
    seen: list[Any] = []

    async def bounded(to: Pid) -> None:
        bound_mailbox(3, "drop_oldest")
        seen.append(await receive(str))
        send(to, "done")

    pid = spawn(bounded, self_pid())
    await passed(1)
    for message in (1, 2, 3, 4, 5, "the one", 6):
        send(pid, message)
    await receive()
    assert seen == ["the one"]


@in_process
async def test_a_bound_may_be_larger_than_any_mailbox() -> None:
    bound_mailbox(10**30)
    send(self_pid(), "there is room")
    assert mailbox() == ["there is room"]


@in_process
async def test_a_bound_can_be_taken_back_and_leaves_what_is_there() -> None:
    for number in range(3):
        send(self_pid(), number)
    bound_mailbox(1)
    send(self_pid(), "dropped")
    bound_mailbox(None)
    send(self_pid(), "kept")
    assert mailbox() == [0, 1, 2, "kept"]


@in_process
async def test_a_message_by_name_is_bounded_as_well() -> None:
    heard = dead_letters()

    async def bounded() -> None:
        bound_mailbox(1)
        await wait()

    spawn(bounded, name="bounded")
    await passed(1)
    send("bounded", 1)
    send("bounded", 2)
    assert heard == [(2, "mailbox_full")]


@pytest.mark.parametrize(
    ("limit", "when_full", "error", "words"),
    [
        (0, "drop_newest", ValueError, "a mailbox has room for at least 1 message, not for 0"),
        (True, "drop_newest", TypeError, "the bound of a mailbox is a number of messages, not True"),
        ("10", "drop_newest", TypeError, "the bound of a mailbox is a number of messages, not '10'"),
        (1, "drop", ValueError, "when_full is one of drop_newest, drop_oldest, exit, block, not 'drop'"),
    ],
)
def test_what_is_no_bound_is_refused(limit: Any, when_full: Any, error: type[Exception], words: str) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(error, match=words):
            bound_mailbox(limit, when_full)

    main()


def test_the_reason_of_a_normal_end_is_untouched_by_a_bound() -> None:
    @in_process
    async def main() -> None:
        async def bounded() -> None:
            bound_mailbox(1)

        ref = monitor(spawn(bounded))
        assert (await receive(ref)).reason is NORMAL
        assert make_ref() != ref

    main()
