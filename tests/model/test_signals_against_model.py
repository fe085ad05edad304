"""Hundreds of processes, and a model of the law that says what must become of them."""

from __future__ import annotations

from hypothesis import given, settings

from tests.model.orders import Plan
from tests.model.plans import crowds, plans
from tests.model.verdict import check_a_possible_outcome, check_the_only_outcome


@settings(max_examples=200, deadline=None)
@given(plans(orders=1, actions=1))
def test_one_after_the_other_they_do_what_the_model_says(plan: Plan) -> None:
    check_the_only_outcome(plan)


@settings(max_examples=100, deadline=None)
@given(plans(orders=4, actions=4))
def test_all_at_once_they_do_what_the_model_allows(plan: Plan) -> None:
    check_a_possible_outcome(plan)


@settings(max_examples=30, deadline=None)
@given(crowds())
def test_hundreds_do_what_the_model_says(plan: Plan) -> None:
    check_the_only_outcome(plan)
