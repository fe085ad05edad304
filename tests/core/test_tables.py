from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.tables import amount, fitted, table, width_of

TEXTS = st.text(alphabet="ab漢́ ", max_size=30)


def test_columns_stand_under_each_other_and_numbers_to_the_right() -> None:
    lines = table(("PID", "NAME"), [("7", "漢字"), ("123", "x")], 80, frozenset({0}))
    assert lines == ["PID  NAME", "  7  漢字", "123  x"]


@given(TEXTS, st.integers(0, 40))
def test_no_text_is_wider_than_there_is_room(text: str, width: int) -> None:
    assert width_of(fitted(text, width)) <= width
    assert fitted(text, 100) == text


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.integers(4, 50))
def test_no_line_of_a_table_is_wider_than_asked(rows: list[tuple[str, str]], width: int) -> None:
    assert max(map(width_of, table(("A", "B"), rows, width, frozenset()))) <= width


def test_a_number_of_bytes_is_short() -> None:
    sizes = (0, 999, 1000, 4_140, 17_400_000, 3 * 10**12)
    assert [amount(size) for size in sizes] == ["0", "999", "1.0k", "4.1k", "17M", "3000G"]
