from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.child_setup import REASON_LIMIT, ChildReport, ChildSetup, NotUp, Up, report_line, split_report

SETUP = ChildSetup(token="7", node="w@127.0.0.1", starter="a@127.0.0.1", cookie="secret", args=[1, "two"], cpus=[0])


def test_a_setup_is_read_as_it_was_written() -> None:
    assert ChildSetup.read(SETUP.line()) == SETUP


def test_a_setup_shows_no_cookie() -> None:
    assert "secret" not in repr(SETUP)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"version": 2}', b'{"version": 1, "nobody": 1}', b"\xff"])
def test_what_is_no_setup_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        ChildSetup.read(line)


@given(st.one_of(st.builds(Up, st.integers(0, 2**31)), st.builds(NotUp, st.text(max_size=REASON_LIMIT))), st.binary())
def test_an_answer_is_found_behind_whatever_the_child_has_printed(report: ChildReport, own: bytes) -> None:
    assert split_report("7", own + report_line("7", report).rstrip(b"\n")) == (own, report)


@given(st.binary())
def test_other_lines_are_the_childs_own(line: bytes) -> None:
    assert split_report("7", line) == (line, None)


def test_the_answer_of_another_child_is_output() -> None:
    line = report_line("8", Up(1))
    assert split_report("7", line) == (line, None)
