from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.names import Names
from pydist.errors import NameTaken, UnknownName

NAMES = ["a", "b", "c"]
HOLDERS = ["one", "two", "three"]

actions = st.lists(
    st.tuples(st.sampled_from(["register", "unregister", "release"]), st.sampled_from(NAMES), st.sampled_from(HOLDERS)),
    max_size=30,
)


@given(actions)
def test_a_name_has_one_holder_and_a_holder_one_name_whatever_happens(history: list[tuple[str, str, str]]) -> None:
    names: Names[str] = Names()
    model: dict[str, str] = {}
    for action, name, holder in history:
        if action == "register":
            if name in model or holder in model.values():
                with pytest.raises(NameTaken):
                    names.register(name, holder)
            else:
                names.register(name, holder)
                model[name] = holder
        elif action == "unregister":
            if name in model:
                names.unregister(name)
                del model[name]
            else:
                with pytest.raises(UnknownName):
                    names.unregister(name)
        else:
            held = next((name for name, who in model.items() if who == holder), None)
            assert names.release(holder) == held
            if held is not None:
                del model[held]
        assert names.all() == list(model)
        assert {name: names.holder(name) for name in NAMES} == {name: model.get(name) for name in NAMES}
        assert {holder: names.name_of(holder) for holder in HOLDERS} == {
            holder: next((name for name, who in model.items() if who == holder), None) for holder in HOLDERS
        }


def test_a_taken_name_is_refused_with_its_holder() -> None:
    names: Names[str] = Names()
    names.register("counter", "one")
    with pytest.raises(NameTaken, match="'counter' belongs to 'one'"):
        names.register("counter", "two")


def test_a_second_name_is_refused_with_the_first() -> None:
    names: Names[str] = Names()
    names.register("counter", "one")
    with pytest.raises(NameTaken, match="'one' is registered as 'counter' already"):
        names.register("other", "one")


def test_a_name_that_nobody_has_cannot_be_freed() -> None:
    names: Names[str] = Names()
    with pytest.raises(UnknownName, match="'counter'"):
        names.unregister("counter")


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), (b"counter", TypeError), (None, TypeError), (("a", "b"), TypeError)]
)
def test_what_is_no_name_is_refused_before_anything_is_kept(name: Any, error: type[Exception]) -> None:
    names: Names[str] = Names()
    with pytest.raises(error, match="a name "):
        names.register(name, "one")
    assert (names.all(), names.name_of("one")) == ([], None)
