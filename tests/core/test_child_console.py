from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.child_console import BURST, LAST_WORDS, LINE_LIMIT, PERIOD, ChildConsole, Line
from pydist.core.child_setup import Up, report_line


def test_bytes_become_lines_and_the_answer_is_told_apart() -> None:
    console = ChildConsole("7")
    assert console.receive_data("stdout", b"half", 0.0) == []
    assert console.receive_data("stdout", b" a line\nx" + report_line("7", Up(5)), 0.0) == [
        Line("stdout", "half a line"),
        Line("stdout", "x"),
        Up(5),
    ]
    assert console.receive_data("stderr", b"the end", 0.0) == []
    assert console.receive_data("stderr", b"", 0.0) == [Line("stderr", "the end")]
    assert console.last_words() == ["the end"]


def test_an_answer_counts_once() -> None:
    console = ChildConsole("7")
    console.receive_data("stdout", report_line("7", Up(5)), 0.0)
    [line] = console.receive_data("stdout", report_line("7", Up(6)), 0.0)
    assert isinstance(line, Line)


def test_a_line_without_end_is_cut_and_takes_no_memory() -> None:
    console = ChildConsole("7")
    events = [event for _ in range(100) for event in console.receive_data("stdout", b"x" * 1000, 0.0)]
    assert events == [Line("stdout", "x" * LINE_LIMIT + "...")]
    assert console.receive_data("stdout", b"rest\nnext\n", 0.0) == [Line("stdout", "next")]


def test_of_a_flood_the_number_is_told() -> None:
    console = ChildConsole("7")
    assert len(console.receive_data("stdout", b"line\n" * (BURST + 10), 0.0)) == BURST
    assert console.receive_data("stdout", b"later\n", PERIOD) == [Line("stdout", "later", 10)]


def test_the_last_words_are_the_last_ones() -> None:
    console = ChildConsole("7")
    console.receive_data("stderr", b"".join(b"%d\n" % number for number in range(100)), 0.0)
    assert console.last_words() == [str(number) for number in range(100 - LAST_WORDS, 100)]


@given(st.lists(st.binary(max_size=50)))
def test_the_pieces_make_no_difference(pieces: list[bytes]) -> None:
    at_once, piece_by_piece = ChildConsole("7"), ChildConsole("7")
    whole = b"".join(pieces) + b"\n"
    expected = at_once.receive_data("stderr", whole, 0.0)
    assert [e for p in [*pieces, b"\n"] if p for e in piece_by_piece.receive_data("stderr", p, 0.0)] == expected


def test_nothing_that_a_child_prints_moves_a_cursor() -> None:
    [line] = ChildConsole("7").receive_data("stdout", b"\x1b[2J\xff\r\n", 0.0)
    assert line == Line("stdout", "\\x1b[2J\\xff")
