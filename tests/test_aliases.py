"""Aliases (EEP 53): what deactivates one, and what becomes of messages to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import (
    KILL,
    NOCONNECTION,
    NOPROC,
    Alias,
    Down,
    Pid,
    Ref,
    alias,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    make_ref,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    start_timer,
    unalias,
)
from pydist.messaging import acting, current
from pydist.primitives import (
    MonitorAlias,
)
from tests.helpers import ended, in_process, links_and_monitors, mailbox, passed

HERE = "nonode@nohost"
NOBODY = Pid(HERE, 4711, 1)
ENDS: list[MonitorAlias] = ["explicit_unalias", "demonitor", "reply_demonitor"]
NO_RELATIONS = (0, 0, 0, 0)


async def wait() -> None:
    await receive()


def watchers(pid: Pid) -> int:
    """How many monitor a process."""
    return links_and_monitors(pid)[2]


# alias and unalias


@in_process
async def test_an_alias_lets_messages_in_until_it_is_unaliased() -> None:
    here = alias()
    send(here, 1)
    send(here, 2)
    assert [unalias(here), unalias(here)] == [True, False]
    send(here, 3)
    assert (mailbox(), here.pid, links_and_monitors()) == ([1, 2], self_pid(), NO_RELATIONS)


@in_process
async def test_an_alias_for_one_reply_lets_one_message_in() -> None:
    here = alias(reply=True)
    send(here, 1)
    send(here, 2)
    assert (mailbox(), unalias(here), links_and_monitors()) == ([1], False, NO_RELATIONS)


@in_process
async def test_an_alias_for_one_reply_can_be_unaliased_before_it() -> None:
    here = alias(reply=True)
    assert unalias(here) is True
    send(here, 1)
    assert mailbox() == []


@in_process
async def test_messages_by_the_pid_do_not_use_an_alias_up() -> None:
    here = alias(reply=True)
    send(self_pid(), 1)
    send(here, 2)
    send(self_pid(), 3)
    assert mailbox() == [1, 2, 3]


@in_process
async def test_aliases_of_one_process_are_independent() -> None:
    first, second, once = alias(), alias(), alias(reply=True)
    unalias(first)
    for number, here in enumerate((first, second, once, first, second, once)):
        send(here, number)
    assert mailbox() == [1, 2, 4]


@in_process
async def test_only_the_process_of_an_alias_can_deactivate_it() -> None:
    async def meddle(other: Alias, told: Pid) -> None:
        send(told, unalias(other))

    here = alias()
    spawn(meddle, here, self_pid())
    assert await receive() is False
    send(here, "still active")
    assert mailbox() == ["still active"]


@in_process
async def test_an_alias_of_the_dead_leads_nowhere() -> None:
    async def die(told: Pid) -> None:
        send(told, alias())

    pid = spawn(die, self_pid())
    there = await receive(Alias)
    await ended(pid)
    send(there, "lost")
    assert (unalias(there), mailbox()) == (False, [])


@in_process
async def test_an_alias_with_the_pid_of_another_is_none() -> None:
    pid, here = spawn(wait), alias()
    send(Alias(pid, here.ref), "lost")
    assert (mailbox(), unalias(Alias(pid, here.ref)), unalias(here)) == ([], False, True)
    assert await _is_waiting(pid)


async def _is_waiting(pid: Pid) -> bool:
    await passed(1)
    process = acting()[1].process(pid)
    return process is not None and len(process.mailbox) == 0 and process.parked


@in_process
async def test_many_aliases_leave_nothing_behind() -> None:
    for _ in range(1000):
        here = alias(reply=True)
        send(here, here.ref)
        await receive()
        unalias(alias())
    assert (links_and_monitors(), current().aliases) == (NO_RELATIONS, {})


class Watched:
    """A message that counts how often somebody looks whether it carries a reference."""

    looks = 0

    @property
    def ref(self) -> Ref | None:
        type(self).looks += 1
        return None


@pytest.mark.parametrize(
    "make",
    [
        make_ref,
        lambda: alias().ref,
        lambda: monitor(NOBODY, alias="demonitor")[0],
        lambda: start_timer(1, self_pid(), "x"),
    ],
)
def test_waiting_for_what_comes_by_a_new_reference_does_not_look_at_older_messages(make: Callable[[], Ref]) -> None:
    @in_process
    async def main() -> None:
        Watched.looks = 0
        for _ in range(100):
            send(self_pid(), Watched())
        ref = make()
        send(self_pid(), (ref, "answer"))
        await receive(ref)
        assert Watched.looks == 0

    main()


# Monitors with an alias


@pytest.mark.parametrize("end", ENDS)
def test_a_monitor_and_its_alias_bear_one_reference(end: MonitorAlias) -> None:
    @in_process
    async def main() -> None:
        pid = spawn(wait)
        ref, here = monitor(pid, alias=end)
        assert here == Alias(self_pid(), ref)
        exit(pid, "boom")
        assert await receive(ref) == Down(ref, pid, "boom")

    main()


@pytest.mark.parametrize(
    ("end", "after_demonitor", "after_down"),
    [
        ("explicit_unalias", ["late"], ["late"]),
        ("demonitor", [], []),
        ("reply_demonitor", [], []),
    ],
)
def test_what_the_end_of_a_monitor_does_to_its_alias(
    end: MonitorAlias, after_demonitor: list[str], after_down: list[str]
) -> None:
    @in_process
    async def main() -> None:
        ref, here = monitor(spawn(wait), alias=end)
        demonitor(ref)
        send(here, "late")
        assert (mailbox(), unalias(here)) == (after_demonitor, bool(after_demonitor))
        current().mailbox.flush(lambda _: True)

        pid = spawn(wait)
        ref, here = monitor(pid, alias=end)
        exit(pid, "boom")
        await passed(1)
        send(here, "late")
        assert mailbox() == [Down(ref, pid, "boom"), *after_down]
        assert (unalias(here), links_and_monitors()) == (bool(after_down), NO_RELATIONS)

    main()


@pytest.mark.parametrize("target", [NOBODY, ("nobody", HERE), "nobody"])
@pytest.mark.parametrize("end", ENDS)
def test_the_alias_of_a_monitor_that_fires_at_once_is_no_exception(
    target: Pid | str | tuple[str, str], end: MonitorAlias
) -> None:
    @in_process
    async def main() -> None:
        ref, here = monitor(target, alias=end)
        send(here, "late")
        down = Down(ref, ("nobody", HERE) if isinstance(target, str) else target, NOPROC)
        assert mailbox() == [down, *(["late"] if end == "explicit_unalias" else [])]

    main()


@in_process
async def test_a_message_by_the_alias_of_a_reply_demonitor_ends_the_monitor_too() -> None:
    pid = spawn(wait)
    ref, here = monitor(pid, alias="reply_demonitor")
    send(here, "reply")
    send(here, "another")
    assert (mailbox(), links_and_monitors(), watchers(pid)) == (["reply"], NO_RELATIONS, 0)
    exit(pid, "boom")
    await passed(1)
    assert (mailbox(), demonitor(ref), unalias(here)) == (["reply"], False, False)


@pytest.mark.parametrize("end", ["explicit_unalias", "demonitor"])
def test_messages_by_other_aliases_leave_the_monitor_alone(end: MonitorAlias) -> None:
    @in_process
    async def main() -> None:
        pid = spawn(wait)
        ref, here = monitor(pid, alias=end)
        send(here, "first")
        send(here, "second")
        exit(pid, "boom")
        await passed(1)
        assert mailbox() == ["first", "second", Down(ref, pid, "boom")]

    main()


@pytest.mark.parametrize("end", ENDS)
def test_unalias_leaves_the_monitor(end: MonitorAlias) -> None:
    @in_process
    async def main() -> None:
        pid = spawn(wait)
        ref, here = monitor(pid, alias=end)
        assert unalias(here) is True
        send(here, "late")
        assert (mailbox(), watchers(pid)) == ([], 1)
        exit(pid, "boom")
        assert await receive(ref) == Down(ref, pid, "boom")

    main()


@in_process
async def test_a_process_may_monitor_itself_with_an_alias() -> None:
    _, here = monitor(self_pid(), alias="reply_demonitor")
    send(here, "reply")
    assert (mailbox(), links_and_monitors()) == (["reply"], NO_RELATIONS)


@in_process
async def test_demonitor_of_an_aliass_reference_does_not_deactivate_it() -> None:
    here, once = alias(), alias(reply=True)
    assert [demonitor(here.ref), demonitor(once.ref)] == [False, False]
    send(here, 1)
    send(once, 2)
    assert mailbox() == [1, 2]


@in_process
async def test_an_unreachable_node_ends_monitor_and_alias() -> None:
    ref, here = monitor(Pid("other@host", 1, 1), alias="reply_demonitor")
    send(here, "late")
    assert (mailbox(), links_and_monitors()) == ([Down(ref, Pid("other@host", 1, 1), NOCONNECTION)], NO_RELATIONS)


# What is refused


@in_process
async def test_no_other_end_of_an_alias_can_be_asked_for() -> None:
    end: Any = "reply"
    with pytest.raises(ValueError, match="one of explicit_unalias, demonitor, reply_demonitor, not 'reply'"):
        monitor(self_pid(), alias=end)
    assert links_and_monitors() == NO_RELATIONS


@pytest.mark.parametrize("target", [None, 5, b"a", Alias(NOBODY, Ref(HERE, 1, 1)), Ref(HERE, 1, 1)])
def test_what_is_no_process_is_not_monitored(target: Any) -> None:
    @in_process
    async def main() -> None:
        with pytest.raises(TypeError, match=r"monitor takes a Pid, a name or a pair \(name, node\), not "):
            monitor(target)

    main()


# All together

MODES = ["plain", "reply", *ENDS]

histories = st.lists(
    st.tuples(st.sampled_from(["send", "unalias", "demonitor", "fire"]), st.integers(0, len(MODES) - 1)), max_size=30
)


@given(histories)
def test_an_alias_is_active_until_the_first_thing_that_ends_it(history: list[tuple[str, int]]) -> None:
    """Against the table of `erlang:monitor/3` and `erlang:alias/1`."""
    ends = {
        "plain": {"unalias"},
        "reply": {"unalias", "send"},
        "explicit_unalias": {"unalias"},
        "demonitor": {"unalias", "demonitor", "fire"},
        "reply_demonitor": {"unalias", "demonitor", "fire", "send"},
    }

    @in_process
    async def main() -> None:
        targets = [spawn(wait) for _ in MODES]
        heres = [alias(), alias(reply=True)]
        heres += [monitor(target, alias=end)[1] for target, end in zip(targets[2:], ENDS, strict=True)]
        monitored = set(range(2, len(MODES)))
        active = set(range(len(MODES)))
        expected: list[Any] = []
        for number, (action, which) in enumerate(history):
            here, mode = heres[which], MODES[which]
            if action == "send":
                send(here, number)
                expected += [number] * (which in active)
                if which in active and mode == "reply_demonitor":
                    monitored.discard(which)
            elif action == "unalias":
                assert unalias(here) is (which in active)
            elif action == "demonitor":
                assert demonitor(here.ref) is (which in monitored)
                monitored.discard(which)
            else:
                exit(targets[which], KILL)
                if which in monitored:
                    expected.append(here.ref)
                    monitored.discard(which)
            if action in ends[mode]:
                active.discard(which)
        assert [message.ref if isinstance(message, Down) else message for message in mailbox()] == expected

    main()
