"""Random trees whose members are killed: they come back as described, or give up when the budget says so."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Exited,
    Pid,
    Stop,
    Supervisor,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    trap_exit,
    which_children,
)
from pydist.core.restart import AUTO_SHUTDOWNS, RESTARTS, STRATEGIES
from tests.behaviours.supervision_model import Being, World
from tests.helpers import in_process, mailbox, now, passed
from tests.supervised import Journal, Worker, failing


def _spec(journal: Journal, being: Being) -> ChildSpec:
    common: dict[str, Any] = {"id": being.name, "restart": being.restart, "significant": being.significant}
    if being.first is None:
        return child(Worker, journal, being.name, 0.0, **common)
    return child(Supervisor, [_spec(journal, each) for each in being.first], **common, **_flags(being))


def _flags(being: Being) -> dict[str, Any]:
    return {
        "strategy": being.strategy,
        "intensity": being.intensity,
        "period": being.period,
        "auto_shutdown": being.auto_shutdown,
    }


async def _seen(pid: Pid | None, being: Being) -> Any:
    if pid is None or not is_alive(pid):
        return None
    if being.first is None:
        return True
    known = {each.name: each for each in being.first}
    return [(each.id, await _seen(each.pid, known[each.id])) for each in await which_children(pid)]


async def _pid_of(top: Pid, being: Being) -> Pid:
    if being.parent is None:
        return top
    pids = {each.id: each.pid for each in await which_children(await _pid_of(top, being.parent))}
    pid = pids[being.name]
    assert pid is not None
    return pid


# -- drawing trees, and what happens to them


@st.composite
def beings(draw: st.DrawFn, depth: int, auto_shutdown: str = "never") -> Being:
    restart: Any = draw(st.sampled_from(RESTARTS))
    may_be_significant = auto_shutdown != "never" and restart != "permanent"
    being = Being("", restart, significant=may_be_significant and draw(st.booleans()))
    if depth and draw(st.booleans()):
        _make_supervisor(draw, being, depth)
    return being


def _make_supervisor(draw: st.DrawFn, being: Being, depth: int) -> None:
    modes: Any = st.sampled_from(AUTO_SHUTDOWNS)
    strategies: Any = st.sampled_from(STRATEGIES)
    being.strategy, being.auto_shutdown = draw(strategies), draw(modes)
    being.intensity, being.period = draw(st.sampled_from([9, 3, 2, 1, 0])), draw(st.integers(1, 3))
    being.first = draw(st.lists(beings(depth - 1, being.auto_shutdown), min_size=1, max_size=4))
    for each in being.first:
        each.parent = being


@st.composite
def trees(draw: st.DrawFn) -> Being:
    top = Being("")
    _make_supervisor(draw, top, 2)
    for number, being in enumerate(top.below()):
        being.name = f"{'s' if being.first else 'w'}{number}"
    return top


steps = st.lists(
    st.tuples(
        st.sampled_from(["kill", "kill", "kill", "leave", "fail"]),
        st.integers(0, 15),
        st.integers(1, 3),
        st.sampled_from([0.5, 1.0, 2.0]),
    ),
    min_size=5,
    max_size=15,
)


@settings(max_examples=200, deadline=None)
@given(top=trees(), happenings=steps)
def test_a_tree_comes_back_as_it_is_described_or_gives_up_when_its_budget_says_so(top: Being, happenings: Any) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        journal, world = Journal(), World(top)
        pid = await Supervisor.start_link([_spec(journal, each) for each in top.first or ()], **_flags(top))
        for what, which, how_many, seconds in happenings:
            world.now = now()
            await _happen(journal, world, pid, (what, which, how_many))
            await passed(seconds)
            ups = Counter(line.split()[0] for line in journal if line.endswith("is up"))
            gone = [] if top.alive else [Exited(pid, SHUTDOWN)]
            assert (await _seen(pid, top), ups, mailbox()) == (top.seen(), world.ups, gone)
            if not top.alive:
                return

    check()


async def _happen(journal: Journal, world: World, top: Pid, step: tuple[str, int, int]) -> None:
    what, which, how_many = step
    alive = [being for being in world.top.below() if being.alive and being.parent is not None]
    workers = [being for being in alive if being.first is None]
    if what == "kill" and alive:
        chosen = alive[which % len(alive)]
        assert chosen.parent is not None
        siblings = [being for being in chosen.parent.children if being.alive and being is not chosen]
        victims = [chosen, *siblings[: how_many - 1]]
        for pid in [await _pid_of(top, being) for being in victims]:
            exit(pid, KILL)
        world.end(victims, "crash")
    elif what == "leave" and workers:
        chosen = workers[which % len(workers)]
        cast(await _pid_of(top, chosen), Stop(NORMAL))
        world.end([chosen], "normal")
    elif what == "fail" and workers:
        chosen = workers[which % len(workers)]
        world.failures[chosen.name] += how_many
        journal.failures.setdefault(chosen.name, []).extend(failing(*range(how_many)))
