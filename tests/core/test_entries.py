from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.entries import Entries, Entry
from pydist.errors import AlreadyRegistered

KEYS = ["k", "l", ("m", 1)]
HOLDERS = ["one", "two", "three"]

Row = tuple[Any, str, int]


def rows(entries: list[Entry[str]]) -> list[Row]:
    return [(entry.key, entry.holder, entry.value) for entry in entries]


class Model:
    """A list of rows that is searched from end to end."""

    def __init__(self, unique: bool) -> None:
        self.unique = unique
        self.rows: list[Row] = []
        self.dead: set[str] = set()

    def living(self) -> list[Row]:
        return [row for row in self.rows if row[1] not in self.dead]

    def add(self, key: Any, holder: str, value: int) -> list[Row] | str:
        if not self.unique:
            self.rows.append((key, holder, value))
            return []
        taken = [row for row in self.living() if row[0] == key]
        if taken:
            return taken[0][1]
        removed = self.remove(lambda row: row[0] == key)
        self.rows.append((key, holder, value))
        return removed

    def remove(self, which: Callable[[Row], bool]) -> list[Row]:
        removed = [row for row in self.rows if which(row)]
        self.rows = [row for row in self.rows if not which(row)]
        return removed


actions = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "remove_some", "die", "remove_all"]),
        st.sampled_from(KEYS),
        st.sampled_from(HOLDERS),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(st.booleans(), actions)
def test_entries_are_a_list_that_is_searched_from_end_to_end(
    unique: bool, history: list[tuple[str, Any, str, int]]
) -> None:
    model = Model(unique)
    entries: Entries[str] = Entries(lambda holder: holder not in model.dead, unique=unique)
    for action, key, holder, value in history:
        if action == "add":
            expected = model.add(key, holder, value)
            assert _add(entries, key, holder, value) == expected
        elif action == "die":
            model.dead.add(holder)
        elif action == "remove_all":
            assert rows(entries.remove_all(holder)) == model.remove(lambda row, who=holder: row[1] == who)  # type: ignore[misc]
        else:
            _check_remove(entries, model, key, holder, some=action == "remove_some")
        _check_reads(entries, model)


def _add(entries: Entries[str], key: Any, holder: str, value: int) -> list[Row] | str:
    """The rows that made room, or who has the key."""
    try:
        return rows(entries.add(key, holder, value))
    except AlreadyRegistered as error:
        return str(error.pid)


def _check_remove(entries: Entries[str], model: Model, key: Any, holder: str, *, some: bool) -> None:
    def goes(value: int) -> bool:
        return value < 2 or not some

    expected = model.remove(lambda row: row[:2] == (key, holder) and goes(row[2]))
    assert rows(entries.remove(key, holder, goes)) == expected


def _check_reads(entries: Entries[str], model: Model) -> None:
    living = model.living()
    assert len(entries) == len(model.rows)
    assert sorted(rows(entries.all()), key=repr) == sorted(living, key=repr)
    for key in KEYS:
        under = [row for row in living if row[0] == key]
        assert rows(entries.at(key)) == under
        assert entries.holder(key) == (under[0][1] if under else None)
        for holder in HOLDERS:
            held = [row for row in model.rows if row[:2] == (key, holder)]
            assert rows(entries.held(key, holder)) == held
    for holder in HOLDERS:
        held = [row for row in model.rows if row[1] == holder]
        assert (rows(entries.of(holder)), entries.count_of(holder)) == (held, len(held))


def _entries(*, unique: bool) -> Entries[str]:
    return Entries(lambda _: True, unique=unique)


def test_a_key_that_is_taken_is_refused_with_its_holder_and_nothing_is_kept() -> None:
    entries = _entries(unique=True)
    entries.add("k", "one", 1)
    with pytest.raises(AlreadyRegistered, match="the key 'k' belongs to 'one', which is alive") as caught:
        entries.add("k", "two", 2)
    assert (caught.value.key, caught.value.pid) == ("k", "one")
    assert (rows(entries.all()), entries.count_of("two")) == ([("k", "one", 1)], 0)


@pytest.mark.parametrize("unique", [True, False])
def test_a_key_that_cannot_be_hashed_is_refused_before_anything_is_kept(unique: bool) -> None:
    entries = _entries(unique=unique)
    with pytest.raises(TypeError, match="unhashable"):
        entries.add([], "one", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is the point
    assert (entries.all(), len(entries), entries.count_of("one")) == ([], 0, 0)


class Mutable:
    """A key that should be none: its hash changes."""

    def __init__(self) -> None:
        self.number = 1

    def __hash__(self) -> int:
        return self.number


def test_a_key_that_changes_its_hash_leaves_with_its_holder_all_the_same() -> None:
    entries = _entries(unique=False)
    key = Mutable()
    entries.add(key, "one", 1)
    entries.add("other", "two", 2)
    key.number = 2
    assert rows(entries.remove_all("one")) == [(key, "one", 1)]
    assert (len(entries), rows(entries.all()), rows(entries.at(key))) == (1, [("other", "two", 2)], [])
