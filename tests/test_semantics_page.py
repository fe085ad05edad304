"""docs/semantics.md names a test for each guarantee; here it is held to that."""

from __future__ import annotations

from tests.pages import missing_tests, named_tests, rows

PAGE = "docs/semantics.md"


def test_every_test_that_the_page_names_exists() -> None:
    assert (missing_tests(PAGE), len(named_tests(PAGE)) > 60) == ([], True)


def test_every_guarantee_names_a_test() -> None:
    assert [row for row in rows(PAGE) if "::test_" not in row] == []
