"""Children whose leaving ends their supervisor (`significant` and `auto_shutdown`)."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    AutoShutdown,
    ChildError,
    ChildSpec,
    Exited,
    Pid,
    Restart,
    Strategy,
    Supervisor,
    child,
    is_alive,
    receive,
    restart_child,
    start_child,
    terminate_child,
    trap_exit,
)
from tests.helpers import in_process, mailbox, passed
from tests.supervised import Journal, downs, failing, kill, listed, pid_of, stop_itself, worker

MODES: list[AutoShutdown] = ["never", "any_significant", "all_significant"]
ENDS: list[Any] = [NORMAL, SHUTDOWN, (SHUTDOWN, "info"), "abnormal", KILLED]
CALM = ENDS[:3]


def _worker(name: str, *, restart: Restart = "transient", significant: bool = True) -> ChildSpec:
    return worker(Journal(), name, stop_time=0, restart=restart, significant=significant)


async def _ends(name: str, reason: Any) -> None:
    await (kill(name) if reason is KILLED else stop_itself(name, reason))
    await passed(1)


async def _ended(supervisor: Pid) -> bool:
    """Whether the supervisor, which is linked, has ended with `SHUTDOWN`."""
    assert mailbox() == ([] if is_alive(supervisor) else [Exited(supervisor, SHUTDOWN)])
    return not is_alive(supervisor)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("reason", ENDS)
def test_a_child_that_is_not_significant_ends_nobody(mode: AutoShutdown, restart: Restart, reason: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        supervisor = await Supervisor.start_link(
            [_worker("a", restart=restart, significant=False)], intensity=5, auto_shutdown=mode
        )
        await _ends("a", reason)
        assert not await _ended(supervisor)

    check()


@pytest.mark.parametrize(
    ("restart", "reason", "ends"),
    [("temporary", reason, True) for reason in ENDS] + [("transient", reason, reason in CALM) for reason in ENDS],
)
def test_any_significant_child_that_leaves_for_good_ends_the_supervisor(
    restart: Restart, reason: Any, ends: bool
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        children = [_worker(name, restart=restart) for name in "ab"]
        supervisor = await Supervisor.start_link(
            [*children, _worker("c", significant=False)], intensity=5, auto_shutdown="any_significant"
        )
        pids = [pid_of(name) for name in "bc"]
        await _ends("a", reason)
        assert (await _ended(supervisor), [not is_alive(pid) for pid in pids]) == (ends, [ends, ends])

    check()


@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("reason", CALM)
def test_only_the_last_significant_child_ends_one_that_waits_for_all(restart: Restart, reason: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        children = [_worker(name, restart=restart) for name in "ab"]
        supervisor = await Supervisor.start_link(
            [*children, _worker("c", significant=False)], intensity=5, auto_shutdown="all_significant"
        )
        c = pid_of("c")
        await _ends("a", reason)
        assert (await _ended(supervisor), is_alive(c)) == (False, True)
        await _ends("b", reason)
        assert (await _ended(supervisor), is_alive(c)) == (True, False)

    check()


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_a_significant_child_that_the_supervisor_was_told_to_stop_ends_nobody(
    mode: AutoShutdown, restart: Restart
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        supervisor = await Supervisor.start_link([_worker("a", restart=restart)], auto_shutdown=mode)
        await terminate_child(supervisor, "a")
        assert not await _ended(supervisor)

    check()


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_significant_children_that_are_stopped_with_their_group_end_nobody(
    mode: AutoShutdown, strategy: Strategy
) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        children = [_worker("a"), _worker("b", significant=False), _worker("c")]
        supervisor = await Supervisor.start_link(children, strategy=strategy, intensity=5, auto_shutdown=mode)
        await _ends("b", KILLED)
        assert not await _ended(supervisor)
        assert await listed(supervisor) == [("a", True), ("b", True), ("c", True)]

    check()


@in_process
async def test_a_significant_child_that_is_being_restarted_has_not_left() -> None:
    trap_exit(True)
    journal = Journal()
    b = worker(journal, "b", restart="transient", significant=True)
    supervisor = await Supervisor.start_link([_worker("a"), b], intensity=100, auto_shutdown="all_significant")
    journal.start_time = 1.0
    journal.failures["b"] = failing(*range(3))
    await kill("b")
    await passed(1.5)
    await stop_itself("a", NORMAL)
    await passed(60)
    assert (await _ended(supervisor), await listed(supervisor)) == (False, [("a", False), ("b", True)])
    await _ends("b", NORMAL)
    assert await _ended(supervisor)


@in_process
async def test_one_that_was_restarted_by_hand_is_significant_again() -> None:
    trap_exit(True)
    supervisor = await Supervisor.start_link([_worker("a"), _worker("b")], auto_shutdown="all_significant")
    await _ends("a", NORMAL)
    await restart_child(supervisor, "a")
    await _ends("b", NORMAL)
    assert not await _ended(supervisor)
    await _ends("a", NORMAL)
    assert await _ended(supervisor)


@in_process
async def test_the_others_are_stopped_in_reverse() -> None:
    trap_exit(True)
    journal = Journal()
    specs = [worker(journal, "a"), worker(journal, "b"), _worker("s"), worker(journal, "c")]
    supervisor = await Supervisor.start_link(specs, auto_shutdown="any_significant")
    mark = len(journal)
    await stop_itself("s", NORMAL)
    assert await receive() == Exited(supervisor, SHUTDOWN)
    assert journal.since(mark) == downs("cba")


@pytest.mark.parametrize("significant", [True, False])
def test_a_supervisor_that_ends_so_may_itself_be_significant_for_the_one_above(significant: bool) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        inner = child(
            Supervisor,
            [_worker("a")],
            auto_shutdown="any_significant",
            name="inner",
            restart="transient",
            significant=significant,
        )
        outer = await Supervisor.start_link([inner], auto_shutdown="any_significant")
        await _ends("a", NORMAL)
        assert await _ended(outer) is significant

    check()


@in_process
async def test_a_significant_child_needs_a_supervisor_that_may_end() -> None:
    supervisor = await Supervisor.start_link()
    with pytest.raises(
        ChildError, match="it is significant, and the auto_shutdown of its supervisor is never"
    ) as caught:
        await start_child(supervisor, _worker("a"))
    assert (caught.value.reason, await listed(supervisor)) == ("bad_combination", [])
    for mode in MODES[1:]:
        other = await Supervisor.start_link(auto_shutdown=mode)
        await start_child(other, _worker(mode))
        assert await listed(other) == [(mode, True)]
