"""A value in the log is short, on one line, and can do nothing to a terminal, whatever it is."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import Atom
from pydist.core.shown import LIMIT, bare, shown


class Broken:
    def __repr__(self) -> str:
        raise SystemExit("even this")


class Wild:
    def __repr__(self) -> str:
        return "\x1b[2J\nforged line\u202e"


@attrs.frozen
class Plain:
    x: int


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "text",
        "it's",
        b"bytes",
        (),
        (1,),
        (1, 2),
        [],
        [1, "a"],
        {},
        {"a": [1], 2: None},
        set[int](),
        {1},
        frozenset[int](),
        frozenset({1}),
        deque([1, 2]),
        Atom("normal"),
        Plain(1),
        ([{"a": (1,)}],),
    ],
)
def test_an_ordinary_value_is_shown_as_its_repr(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 1_000_000, "'" + "x" * 496 + "..."),
        (list(range(1_000_000)), "[" + ", ".join(map(str, range(20))) + ", ... 999980 more]"),
        ({n: n for n in range(100)}, "{" + ", ".join(f"{n}: {n}" for n in range(20)) + ", ... 80 more}"),
        ([[[[[1]]]]], "[[[[[...]]]]]"),
        (Broken(), "<Broken that can't be shown>"),
        ([Broken()], "[<Broken that can't be shown>]"),
        (Wild(), r"\x1b[2J\nforged line\u202e"),
        ([10**5000], "[<int that can't be shown>]"),
    ],
)
def test_what_is_long_deep_wild_or_broken_is_cut_escaped_or_named(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_a_text_may_stand_without_quotes_but_not_without_its_bounds() -> None:
    assert [bare("a b"), bare("a\x1b[31m\nb"), bare("x" * 1000), bare(1)] == [
        "a b",
        r"a\x1b[31m\nb",
        "x" * 497 + "...",
        "1",
    ]


_values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Broken) | st.builds(Wild),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(_values)
def test_whatever_it_is_it_is_one_short_line_of_what_a_terminal_can_only_show(value: Any) -> None:
    for text in (shown(value), bare(value)):
        assert len(text) <= LIMIT
        assert text.isprintable()
