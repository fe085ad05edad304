"""A test that can't fail is no test: bugs are planted in pydist, and the model finds each of them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getmembers, isfunction
from typing import Final, TypeAlias

import pytest
from hypothesis import Phase, find, settings

from tests.model import planted_bugs
from tests.model.orders import Plan
from tests.model.plans import crowds, plans
from tests.model.verdict import check_a_possible_outcome, check_the_only_outcome

Bug: TypeAlias = Callable[[pytest.MonkeyPatch], None]

BUGS: Final = [bug for name, bug in getmembers(planted_bugs, isfunction) if not name.startswith("_")]
QUICKLY: Final = settings(max_examples=1000, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


def fails(check: Callable[[Plan], None]) -> Callable[[Plan], bool]:
    """Whether a check finds fault with a plan."""

    def found(plan: Plan) -> bool:
        try:
            check(plan)
        except AssertionError:
            return True
        return False

    return found


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_found_among_orders_that_are_done_together(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    find(plans(orders=4, actions=4), fails(check_a_possible_outcome), settings=QUICKLY)


SIMPLE: Final = [planted_bugs.a_down_comes_twice, planted_bugs.a_demonitor_leaves_the_watcher]


@pytest.mark.parametrize("bug", SIMPLE)
def test_simple_bugs_are_found_among_orders_that_are_done_one_by_one(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    find(plans(orders=1, actions=1), fails(check_the_only_outcome), settings=QUICKLY)


@pytest.mark.parametrize("bug", SIMPLE)
def test_simple_bugs_are_found_among_hundreds(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    find(crowds(), fails(check_the_only_outcome), settings=QUICKLY)
