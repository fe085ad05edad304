"""README.md beside this file lists the cases of OTP's and Elixir's suites; here it is held to what it says of tests."""

from __future__ import annotations

from tests.pages import missing_tests, named_tests, rows

PAGE = "tests/behaviours/README.md"


def test_every_test_that_the_page_names_exists() -> None:
    assert (missing_tests(PAGE), len(named_tests(PAGE)) > 60) == ([], True)


def test_every_case_has_something_said_about_it() -> None:
    assert [row for row in rows(PAGE) if not all(cell.strip() for cell in row.strip("|").split("|"))] == []
