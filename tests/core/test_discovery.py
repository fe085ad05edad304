from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.discovery import Effect, Finds, Forget, Found, Keep, TooMany

A, B, C = Found("a@h"), Found("b@h"), Found("c@h", 9100)


def finds(**settings: Any) -> Finds:
    return Finds("me@h", lambda: 0.0, **settings)


def test_what_is_found_is_kept_once_and_its_port_with_it() -> None:
    table = finds()
    assert table.looked([A, C], [], 0.0) == [Keep("a@h", None), Keep("c@h", 9100)]
    assert table.looked([C, A], ["a@h"], 30.0) == []
    assert table.looked([A, Found("c@h", 9200)], [], 60.0) == [Keep("c@h", 9200)]


def test_a_node_does_not_keep_itself() -> None:
    assert finds().looked([Found("me@h"), A], [], 0.0) == [Keep("a@h", None)]


def test_a_node_that_is_seen_no_more_is_forgotten_after_the_grace() -> None:
    table = finds(grace=60.0)
    table.looked([A, B], [], 0.0)
    assert table.looked([B], [], 30.0) == []
    assert table.looked([B], [], 89.0) == []
    assert table.looked([B], [], 90.0) == [Forget("a@h")]
    assert table.nodes == ["b@h"]


def test_one_that_is_seen_again_within_the_grace_was_never_gone() -> None:
    table = finds(grace=60.0)
    table.looked([A], [], 0.0)
    table.looked([], [], 30.0)
    assert table.looked([A], [], 60.0) == []
    assert table.looked([], [], 90.0) == []
    assert table.looked([], [], 149.0) == []


def test_one_that_is_connected_stays_as_long_as_the_connection() -> None:
    table = finds(grace=60.0)
    table.looked([A], [], 0.0)
    table.looked([], ["a@h"], 30.0)
    assert table.looked([], ["a@h"], 900.0) == []
    assert table.looked([], [], 930.0) == [Forget("a@h")]
    assert table.looked([], [], 960.0) == []


def test_of_too_many_those_stay_that_were_there_first() -> None:
    table = finds(limit=2)
    many = [Found(f"n{number}@h") for number in range(5000)]
    assert table.looked([B], [], 0.0) == [Keep("b@h", None)]
    assert table.looked([*many, B], [], 1.0) == [Keep("n0@h", None), TooMany(4999)]
    assert table.nodes == ["b@h", "n0@h"]


def test_each_failure_in_a_row_doubles_the_pause_up_to_five_minutes_and_a_success_ends_it() -> None:
    table = finds(interval=30.0)
    pauses = [table.pause()]
    for _ in range(100):
        table.failed()
        pauses.append(table.pause())
    assert pauses[:6] == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert pauses[-1] == 300.0
    table.looked([], [], 0.0)
    assert table.pause() == 30.0


def test_chance_takes_up_to_a_quarter_of_a_pause() -> None:
    assert Finds("me@h", lambda: 1.0, interval=40.0).pause() == 30.0


def test_an_interval_longer_than_the_longest_pause_is_kept_to() -> None:
    table = finds(interval=3600.0)
    table.failed()
    assert table.pause() == 3600.0


NODES = [f"{letter}@h" for letter in "abcde"]
some = st.lists(st.sampled_from(NODES), max_size=6)
looks = st.tuples(some, some, st.sampled_from([0.0, 10.0, 60.0]))
steps = st.lists(looks | st.none(), max_size=30)  # None: the look failed


@given(steps)
def test_whatever_happens_what_is_kept_is_what_was_seen_lately_or_is_connected(
    history: list[tuple[list[str], list[str], float] | None],
) -> None:
    table, now = finds(grace=60.0, limit=3), 0.0
    kept: set[str] = set()
    last_seen: dict[str, float] = {}
    for step in history:
        effects: list[Effect] = []
        connected: list[str] = []
        if step is None:
            table.failed()
        else:
            found, connected, passed = step
            now += passed
            last_seen.update(dict.fromkeys(found, now))
            effects = table.looked([Found(node) for node in found], connected, now)
        for effect in effects:
            match effect:
                case Keep(node, _):
                    assert node not in kept
                    assert last_seen[node] == now
                    kept.add(node)
                case Forget(node):
                    kept.remove(node)
                    assert last_seen[node] <= now - 60.0
                    assert node not in connected
                case TooMany():
                    assert len(kept) == 3
        assert kept == set(table.nodes)
        assert len(kept) <= 3
