from __future__ import annotations

import inspect
import re

import pytest

from pydist import errors
from pydist.errors import AlreadyStarted, CallingSelf, CallTimeout, Exit, PydistError, StartError

ROW = re.compile(r"^((?:[│├└ ][ ─]{3})*)([A-Z]\w+)(?:  +(\S.*))?$")


def _head() -> str:
    return inspect.getdoc(errors) or ""


def _drawn() -> dict[str, tuple[str | None, str]]:
    """Parent and remark of each class in the tree that the head of errors.py draws."""
    tree: dict[str, tuple[str | None, str]] = {}
    path: list[str] = []
    for line in _head().split("\n\n")[1].split("\n"):
        row = ROW.match(line)
        assert row is not None, f"no row of the tree: {line!r}"
        del path[len(row[1]) // 4 :]
        tree[row[2]] = (path[-1] if path else None, row[3] or "")
        path.append(row[2])
    return tree


def _classes() -> dict[str, type[BaseException]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
    }


def _parent(error: type[BaseException]) -> str | None:
    return next((base.__name__ for base in error.__bases__ if issubclass(base, PydistError)), None)


def test_the_tree_in_the_head_is_the_tree_of_the_classes() -> None:
    family = {name: _parent(error) for name, error in _classes().items() if issubclass(error, PydistError)}
    assert {name: parent for name, (parent, _) in _drawn().items()} == family


def test_every_row_of_the_tree_says_whose_fault_it_is_or_what_happened() -> None:
    assert [name for name, (parent, remark) in _drawn().items() if parent and not remark] == []


def test_what_stands_outside_the_tree_is_named_in_the_head() -> None:
    outside = [name for name, error in _classes().items() if not issubclass(error, PydistError)]
    assert outside == ["Exit"]
    assert "`Exit` stands outside the tree" in _head()


def test_every_error_says_what_it_means() -> None:
    assert [name for name, error in _classes().items() if not error.__doc__] == []


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("NotInProcess", RuntimeError),
        ("EncodeError", TypeError),
        ("NameTaken", ValueError),
        ("UnknownName", LookupError),
        ("CallTimeout", TimeoutError),
        ("BadNodeName", ValueError),
    ],
)
def test_who_knows_only_python_catches_it_as_what_python_calls_it(name: str, builtin: type[Exception]) -> None:
    assert issubclass(_classes()[name], builtin)


def test_a_failed_call_keeps_its_facts_as_fields() -> None:
    error = CallTimeout("timeout", "server", {"ask": 1})
    assert (error.reason, error.destination, error.request) == ("timeout", "server", {"ask": 1})
    assert str(error) == "call to 'server' failed: 'timeout'; the request was {'ask': 1}"
    assert str(CallingSelf("calling_self", "me", 1, "a server can't call itself")) == "a server can't call itself"


def test_a_failed_start_keeps_its_reason() -> None:
    error = StartError(("bad", 1))
    assert (error.reason, str(error)) == (("bad", 1), "the process did not start: ('bad', 1)")


def test_a_start_under_a_taken_name_says_who_has_it() -> None:
    error = AlreadyStarted("counter", "<pid>")
    assert (error.name, error.pid, error.reason) == ("counter", "<pid>", ("already_started", "<pid>"))
    assert str(error) == "'counter' is taken by '<pid>', which is running"


def test_an_exit_is_not_stopped_by_code_that_catches_errors() -> None:
    assert not issubclass(Exit, Exception)
    assert Exit("done").reason == "done"
