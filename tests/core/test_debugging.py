"""What a behaviour notes while it is debugged: a pure machine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.debugging import Debug, Statistics, SysEvent

KINDS = st.sampled_from(["in", "out", "continue", "timeout"])


def test_nothing_is_on_at_first() -> None:
    debug = Debug()
    debug.note(SysEvent("in", 1), "label")
    assert (debug.active(), debug.kept(), debug.counted(7)) == (False, [], None)


def test_each_option_makes_it_active() -> None:
    traced, keeping, counting, hooked = Debug(), Debug(), Debug(), Debug()
    traced.tracing = True
    keeping.keep(3)
    counting.count(1)
    hooked.install("key", once, 1)
    assert [each.active() for each in (traced, keeping, counting, hooked)] == [True] * 4


def once(_state: int, _event: SysEvent, _label: str) -> None:
    """A hook that has seen enough."""


@given(st.lists(KINDS), st.integers(1, 5), st.integers(1, 5))
def test_it_keeps_the_last_events_whatever_the_limit_becomes(kinds: list[str], first: int, second: int) -> None:
    events = [SysEvent(kind, number) for number, kind in enumerate(kinds)]
    debug = Debug()
    debug.keep(first)
    for event in events:
        debug.note(event, "label")
    assert debug.kept() == events[-first:]
    debug.keep(second)
    assert debug.kept() == events[-min(first, second) :]


@given(st.lists(KINDS))
def test_it_counts_what_comes_in_and_goes_out(kinds: list[str]) -> None:
    debug = Debug()
    debug.count(2)
    for kind in kinds:
        debug.note(SysEvent(kind, None), "label")
    assert debug.counted(5) == Statistics(3, kinds.count("in"), kinds.count("out"))
    debug.count(None)
    debug.count(6)
    assert debug.counted(6) == Statistics(0, 0, 0)


def test_a_hook_is_called_with_its_state_until_it_returns_none() -> None:
    seen: list[tuple[int, str]] = []

    def hook(state: int, event: SysEvent, label: str) -> int | None:
        seen.append((state, label))
        return state + 1 if state < 2 else None

    debug = Debug()
    debug.install("key", hook, 1)
    for _ in range(5):
        debug.note(SysEvent("in", None), "label")
    assert (seen, debug.active()) == ([(1, "label"), (2, "label")], False)
