"""Process groups of one node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    AlreadyStarted,
    Node,
    NoProcess,
    Pid,
    Ref,
    Supervisor,
    UnknownName,
    child,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    pg,
    published,
    receive,
    resume,
    self_pid,
    send,
    spawn,
    suspend,
    whereis,
)
from pydist import monitor as monitor_process
from pydist.messaging import current
from pydist.pg import Joined, Left
from tests.helpers import end, in_process, links_and_monitors, mailbox, passed
from tests.obedient import obedient


def scope_pid(name: str = "chat") -> Pid:
    pid = whereis(name)
    assert pid is not None
    return pid


def watched() -> tuple[list[Any], list[Ref]]:
    """Whom the scope monitors, and the refs with which it is monitored."""
    process = current().home.process(scope_pid())
    assert process is not None
    monitors = process.relations.monitors if process.relations is not None else {}
    return list(monitors.values()), list(published("chat")._watched)


async def synced() -> None:
    """The scope has seen all that was sent to it."""
    await passed(1)


# -- joining and leaving


@in_process
async def test_a_process_is_a_member_as_often_as_it_has_joined() -> None:
    await pg.start_link("chat")
    me = self_pid()
    await pg.join("chat", "red", me)
    await pg.join("chat", "red", [me, me])
    assert (pg.get_members("chat", "red"), pg.get_local_members("chat", "red")) == ([me] * 3, [me] * 3)
    assert await pg.leave("chat", "red", me) is True
    assert pg.get_members("chat", "red") == [me, me]
    assert await pg.leave("chat", "red", [me, me, me]) is True
    assert pg.get_members("chat", "red") == []


@in_process
async def test_groups_are_there_while_they_have_members() -> None:
    await pg.start_link("chat")
    me = self_pid()
    assert (pg.which_groups("chat"), pg.which_local_groups("chat"), pg.get_members("chat", "red")) == ([], [], [])
    await pg.join("chat", "red", me)
    await pg.join("chat", ("blue", 1), [me, obedient()])
    assert pg.which_groups("chat") == pg.which_local_groups("chat") == ["red", ("blue", 1)]
    await pg.leave("chat", "red", me)
    assert pg.which_groups("chat") == [("blue", 1)]


@in_process
async def test_who_is_no_member_cannot_leave() -> None:
    await pg.start_link("chat")
    other = obedient()
    assert await pg.leave("chat", "red", self_pid()) is False
    await pg.join("chat", "red", self_pid())
    assert await pg.leave("chat", "red", other) is False
    assert await pg.leave("chat", "blue", self_pid()) is False
    assert await pg.leave("chat", "red", [other, self_pid()]) is True
    assert pg.which_groups("chat") == []


@in_process
async def test_scopes_are_worlds_of_their_own() -> None:
    await pg.start_link("chat")
    await pg.start_link("game")
    await pg.join("chat", "red", self_pid())
    assert (pg.get_members("game", "red"), pg.which_groups("game")) == ([], [])
    with pytest.raises(AlreadyStarted):
        await pg.start("chat")


@in_process
async def test_joining_nobody_changes_nothing() -> None:
    await pg.start_link("chat")
    await pg.join("chat", "red", [])
    assert (pg.which_groups("chat"), await pg.leave("chat", "red", [])) == ([], False)


# -- the end of members


@in_process
async def test_when_the_down_is_seen_the_dead_is_no_member_any_more() -> None:
    await pg.start_link("chat")
    pid, other = obedient(), obedient()
    await pg.join("chat", "red", [pid, other, pid])
    await pg.join("chat", "blue", pid)
    monitor_process(pid)
    exit(pid, KILL)  # the scope has had no chance to see it
    assert (len(mailbox()), pg.get_members("chat", "red"), pg.get_members("chat", "blue")) == (1, [other], [])
    await synced()
    assert pg.which_groups("chat") == ["red"]


@in_process
async def test_one_that_is_dead_already_joins_and_leaves_at_once() -> None:
    await pg.start_link("chat")
    pid = obedient()
    await end(pid, KILL)
    ref, _ = await pg.monitor("chat", "red")
    await pg.join("chat", "red", pid)
    await synced()
    assert (mailbox(), pg.which_groups("chat")) == ([Joined(ref, "red", [pid]), Left(ref, "red", [pid])], [])


@in_process
async def test_leaving_and_dying_at_once_leaves_nothing_behind() -> None:
    await pg.start_link("chat")
    pid = obedient()
    await pg.join("chat", "red", pid)

    async def leaves() -> None:
        await pg.leave("chat", "red", pid)

    spawn(leaves)
    await asyncio.sleep(0)
    exit(pid, KILL)
    await synced()
    assert (pg.which_groups("chat"), links_and_monitors(scope_pid())[1]) == ([], 0)
    assert is_alive(scope_pid())


@in_process
async def test_a_scope_monitors_its_members_once_and_no_longer_than_they_are() -> None:
    await pg.start_link("chat")
    pid = obedient()
    await pg.join("chat", "red", [pid, pid])
    await pg.join("chat", "blue", pid)
    seen = [links_and_monitors(scope_pid())[1]]
    await pg.leave("chat", "red", [pid, pid])
    seen.append(links_and_monitors(scope_pid())[1])
    await pg.leave("chat", "blue", pid)
    seen.append(links_and_monitors(scope_pid())[1])
    assert seen == [1, 1, 0]


@in_process
async def test_members_do_not_end_with_the_scope_and_join_the_next_one_again() -> None:
    await Supervisor.start_link([child(pg.Scope, name="chat")])
    await pg.join("chat", "red", self_pid())
    first = scope_pid()
    await end(first, KILL)
    await passed(1)
    assert (scope_pid() != first, pg.get_members("chat", "red")) == (True, [])
    await pg.join("chat", "red", self_pid())
    assert pg.get_members("chat", "red") == [self_pid()]


# -- monitoring


@in_process
async def test_a_monitor_of_a_group_tells_of_its_changes_from_the_members_it_gave_on() -> None:
    await pg.start_link("chat")
    me, other = self_pid(), obedient()
    await pg.join("chat", "red", me)
    ref, members = await pg.monitor("chat", "red")
    assert members == [me]
    await pg.join("chat", "red", [other, other])
    await pg.join("chat", "blue", me)
    await pg.leave("chat", "red", [me, me])
    await end(other, KILL)
    await synced()
    assert mailbox() == [Joined(ref, "red", [other, other]), Left(ref, "red", [me]), Left(ref, "red", [other, other])]


@in_process
async def test_a_monitor_of_a_scope_tells_of_all_its_groups() -> None:
    await pg.start_link("chat")
    me = self_pid()
    await pg.join("chat", "red", [me, me])
    ref, groups = await pg.monitor_scope("chat")
    assert groups == {"red": [me, me]}
    await pg.join("chat", "blue", me)
    await pg.leave("chat", "red", me)
    assert mailbox() == [Joined(ref, "blue", [me]), Left(ref, "red", [me])]


@in_process
async def test_between_members_and_changes_nothing_is_missed_or_told_twice() -> None:
    """Whatever is under way: what `monitor` gives and what it then tells add up."""
    await pg.start_link("chat")
    pids = [obedient() for _ in range(40)]

    async def joins(pid: Pid) -> None:
        await passed(pid.number % 7)
        await pg.join("chat", "red", pid)
        await passed(pid.number % 3)
        await (end(pid, KILL) if pid.number % 3 == 0 else pg.leave("chat", "red", pid))
        await pg.join("chat", "red", pid)

    for pid in pids:
        spawn(joins, pid)
    await passed(3)
    ref, known = await pg.monitor("chat", "red")
    assert len(known) > 0
    await passed(20)
    assert len(mailbox()) > 0
    for change in mailbox():
        for pid in change.pids:
            if isinstance(change, Joined):
                known.append(pid)
            else:
                known.remove(pid)
    assert sorted(pid.number for pid in known) == sorted(pid.number for pid in pids if pid.number % 3)
    assert {change.ref for change in mailbox()} == {ref}


@in_process
async def test_monitors_stack_and_each_goes_by_itself() -> None:
    await pg.start_link("chat")
    me = self_pid()
    first, _ = await pg.monitor("chat", "red")
    second, _ = await pg.monitor("chat", "red")
    third, _ = await pg.monitor_scope("chat")
    await pg.join("chat", "red", me)
    assert mailbox() == [Joined(ref, "red", [me]) for ref in (third, first, second)]
    assert await pg.demonitor("chat", first) is True
    assert mailbox() == [Joined(ref, "red", [me]) for ref in (third, second)]
    await pg.leave("chat", "red", me)
    assert await pg.demonitor("chat", third) is True
    assert mailbox() == [Joined(second, "red", [me]), Left(second, "red", [me])]


@in_process
async def test_after_demonitor_no_change_comes_and_none_is_left() -> None:
    await pg.start_link("chat")
    me = self_pid()
    ref, _ = await pg.monitor("chat", "red")
    await pg.join("chat", "red", me)
    await pg.leave("chat", "red", me)
    send(me, "other")
    assert await pg.demonitor("chat", ref) is True
    await pg.join("chat", "red", me)
    assert (mailbox(), await pg.demonitor("chat", ref)) == (["other"], False)
    assert watched() == ([self_pid()], [])


@in_process
async def test_a_change_is_received_by_its_ref() -> None:
    await pg.start_link("chat")
    ref, _ = await pg.monitor("chat", "red")
    send(self_pid(), "other")
    await pg.join("chat", "red", self_pid())
    assert await receive(ref) == Joined(ref, "red", [self_pid()])


@in_process
async def test_one_that_monitors_and_dies_leaves_nothing_behind() -> None:
    await pg.start_link("chat")

    async def monitors() -> None:
        await pg.monitor("chat", "red")
        await pg.monitor_scope("chat")
        await pg.join("chat", "red", self_pid())
        await receive(Ref)

    pid = spawn(monitors)
    await synced()
    assert [len(each) for each in watched()] == [3, 2]
    await end(pid, "never mind")
    await synced()
    assert (watched(), pg.which_groups("chat")) == (([], []), [])


# -- bad input


UNHASHABLE: Any = ["red"]
NO_PIDS: Any = ["me", [None], [1], None]


@pytest.mark.parametrize(
    ("use", "error", "text"),
    [
        (lambda: pg.join("chat", "red", NO_PIDS[0]), TypeError, "members of a group are pids, not 'm'"),
        (lambda: pg.join("chat", "red", NO_PIDS[1]), TypeError, "members of a group are pids, not None"),
        (lambda: pg.leave("chat", "red", NO_PIDS[2]), TypeError, "members of a group are pids, not 1"),
        (lambda: pg.join("chat", "red", NO_PIDS[3]), TypeError, "not iterable"),
        (lambda: pg.join("chat", UNHASHABLE, self_pid()), TypeError, "unhashable type: 'list'"),
        (lambda: pg.leave("chat", UNHASHABLE, self_pid()), TypeError, "unhashable type: 'list'"),
        (lambda: pg.monitor("chat", UNHASHABLE), TypeError, "unhashable type: 'list'"),
        (lambda: pg.join("chat", "red", Pid("b@h", 1, 1)), ValueError, "lives on another node: a process joins and"),
        (lambda: pg.leave("chat", "red", [self_pid(), Pid("b@h", 1, 1)]), ValueError, "lives on another node"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_the_caller_and_changes_nothing(
    use: Callable[[], Any], error: type[Exception], text: str
) -> None:
    @in_process
    async def check() -> None:
        await pg.start_link("chat")
        with pytest.raises(error, match=text):
            await use()
        assert (is_alive(scope_pid()), pg.which_groups("chat")) == (True, [])

    check()


@in_process
async def test_a_scope_that_does_not_run_is_an_error() -> None:
    me, ref = self_pid(), Ref("a@h", 1, 1)
    for use in (
        pg.join("chat", "red", me),
        pg.leave("chat", "red", me),
        pg.monitor("chat", "red"),
        pg.monitor_scope("chat"),
        pg.demonitor("chat", ref),
    ):
        with pytest.raises(NoProcess, match="no scope 'chat' runs on this node: start it before those who use it"):
            await use
    for read in (lambda: pg.get_members("chat", "red"), lambda: pg.which_groups("chat")):
        with pytest.raises(UnknownName, match=r"no scope 'chat' runs on this node: .* with pg\.start_link\('chat'\)"):
            read()


async def test_a_process_of_another_node_joins_there(pair: tuple[Node, Node]) -> None:
    a, b = pair

    async def idle() -> Pid:
        return obedient()

    async def joins(pid: Pid) -> None:
        await pg.start("chat")
        with pytest.raises(ValueError, match="lives on another node"):
            await pg.join("chat", "red", [self_pid(), pid])
        assert pg.get_members("chat", "red") == []

    await a.run(joins, await b.run(idle))


@pytest.mark.parametrize("watch", [lambda: pg.monitor("chat", "red"), lambda: pg.monitor_scope("chat")])
@in_process
async def test_one_that_is_interrupted_while_it_begins_to_monitor_does_not_monitor(
    watch: Callable[[], Awaitable[Any]],
) -> None:
    scope = await pg.start_link("chat")
    before = links_and_monitors(scope)
    await suspend(scope)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await watch()
    await resume(scope)
    await pg.join("chat", "red", self_pid())
    await pg.leave("chat", "red", self_pid())
    assert (links_and_monitors(scope), links_and_monitors()[1:], mailbox()) == (before, (0, 0, 0), [])
