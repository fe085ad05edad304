"""Priority messages: EEP 76, as OTP 28 has them."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    Down,
    Exited,
    Pid,
    alias,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    link,
    make_ref,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    unalias,
    unlink,
)
from pydist.messaging import current
from tests.helpers import in_process, mailbox, passed


async def wait() -> None:
    await receive()


def others(*messages: Any) -> None:
    for message in messages:
        send(self_pid(), message)


@in_process
async def test_a_message_goes_before_all_ordinary_ones_if_receiver_and_sender_ask_for_it() -> None:
    here = alias(priority=True)
    others("a", "b")
    for message in ("U", "V"):
        send(here, message, priority=True)
    send(here, "c")
    assert mailbox() == ["U", "V", "a", "b", "c"]


@pytest.mark.parametrize("priority", [True, False])
def test_neither_side_alone_gives_a_message_priority(priority: bool) -> None:
    @in_process
    async def main() -> None:
        here = alias(priority=not priority)
        others("a")
        send(here, "b", priority=priority)
        send(self_pid(), "c", priority=priority)
        assert mailbox() == ["a", "b", "c"]

    main()


@in_process
async def test_a_down_and_an_exit_go_first_where_the_receiver_asked_for_it() -> None:
    trap_exit(True)
    first, second, third = (spawn(wait) for _ in range(3))
    ref, plain = monitor(first, priority=True), monitor(third)
    link(second, priority=True)
    others("a")
    exit(third, "plain")
    await passed(1)
    exit(first, "first")
    exit(second, "second")
    await passed(1)
    assert mailbox() == [Down(ref, first, "first"), Exited(second, "second"), "a", Down(plain, third, "plain")]


@in_process
async def test_a_receive_for_a_fresh_reference_still_skips_older_ordinary_messages() -> None:
    class Watched:
        looks = 0

        @property
        def ref(self) -> None:
            Watched.looks += 1

    here = alias(priority=True)
    others(*[Watched() for _ in range(5)])
    ref = make_ref()
    send(here, "U", priority=True)
    send(self_pid(), (ref, "reply"))
    assert (await receive(ref), Watched.looks) == ((ref, "reply"), 0)


@in_process
async def test_a_waiting_receive_is_woken_by_an_urgent_message() -> None:
    here = alias(priority=True)
    me = self_pid()
    others("a", "b")

    async def sender() -> None:
        send(me, "c")
        send(here, 1, priority=True)

    spawn(sender)
    assert (await receive(int), mailbox()) == (1, ["a", "b", "c"])


@in_process
async def test_an_alias_of_a_monitor_takes_urgent_messages_until_it_ends() -> None:
    ref, here = monitor(spawn(wait), alias="reply_demonitor", priority=True)
    others("a")
    send(here, (ref, "urgent"), priority=True)
    send(here, (ref, "late"), priority=True)
    assert mailbox() == [(ref, "urgent"), "a"]


@in_process
async def test_nothing_is_remembered_of_what_was_to_be_urgent_once_it_is_over() -> None:
    trap_exit(True)
    aliases = [alias(priority=True), alias(priority=True, reply=True)]
    for here in aliases:
        send(here, "x", priority=True)
    unalias(aliases[0])
    first, second, third = (spawn(wait) for _ in range(3))
    demonitor(monitor(first, priority=True))
    monitor(second, priority=True)
    link(third, priority=True)
    for pid in (first, second, third):
        exit(pid, "over")
    await passed(1)
    assert (current().urgent, len(mailbox())) == (set(), 4)


@in_process
async def test_an_alias_that_outlives_its_monitor_stays_urgent() -> None:
    pid = spawn(wait)
    _, here = monitor(pid, alias="explicit_unalias", priority=True)
    exit(pid, "over")
    await passed(1)
    others("a")
    send(here, "U", priority=True)
    assert [message for message in mailbox() if isinstance(message, str)] == ["U", "a"]
    unalias(here)
    assert current().urgent == set()


@in_process
async def test_a_link_that_is_made_anew_is_urgent_only_if_that_is_asked_for_again() -> None:
    trap_exit(True)
    by_me, by_partner = spawn(wait), spawn(_unlinks, self_pid())
    for pid in (by_me, by_partner):
        link(pid, priority=True)
    unlink(by_me)
    send(by_partner, "unlink")
    assert (await receive(), current().urgent) == ("unlinked", set())
    for pid in (by_me, by_partner):
        link(pid)
    others("a")
    exit(by_me, "over")
    exit(by_partner, "over")
    await passed(1)
    assert mailbox() == ["a", Exited(by_me, "over"), Exited(by_partner, "over")]


@in_process
async def test_to_link_again_says_anew_whether_the_link_is_urgent() -> None:
    trap_exit(True)
    first, second = spawn(wait), spawn(wait)
    link(first, priority=True)
    link(first)
    link(second)
    link(second, priority=True)
    others("a")
    exit(first, "first")
    exit(second, "second")
    await passed(1)
    assert mailbox() == [Exited(second, "second"), "a", Exited(first, "first")]


async def _unlinks(partner: Pid) -> None:
    await receive()
    unlink(partner)
    send(partner, "unlinked")
    await receive()
