from __future__ import annotations

import copy
import gc
from typing import Any, cast, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist import terms
from pydist.errors import BadNodeName
from pydist.terms import (
    NORMAL,
    SHUTDOWN,
    Alias,
    Atom,
    Crash,
    Down,
    Exited,
    NodeDown,
    NodeName,
    NodeUp,
    Pid,
    Ref,
    is_pid,
    is_shutdown,
    is_silent,
)

NUMBERS = st.integers(0, 2**64 - 1)


def test_equal_atoms_are_one_object() -> None:
    assert Atom("ok") is Atom("ok")
    assert Atom("ok") != Atom("error")


def test_an_atom_is_never_a_string() -> None:
    strange = cast("object", "normal")
    assert strange != NORMAL
    assert {NORMAL: 1, "normal": 2} == {"normal": 2, NORMAL: 1}
    assert len({NORMAL, "normal"}) == 2


def test_atoms_are_held_weakly_so_that_a_peer_can_not_fill_memory() -> None:
    kept = Atom("kept")
    for number in range(1000):
        Atom(f"passing {number}")
    gc.collect()
    assert [name for name in terms._atoms if name.startswith("passing")] == []
    assert terms._atoms["kept"] is kept


def test_an_atom_has_at_most_255_characters() -> None:
    assert Atom("é" * 255).name == "é" * 255
    with pytest.raises(ValueError, match="at most 255 characters, this one has 256"):
        Atom("é" * 256)


def test_an_atom_can_not_be_changed() -> None:
    with pytest.raises(AttributeError, match="can't be changed"):
        NORMAL.name = "other"  # type: ignore[misc]  # the point of the test


def test_a_copied_atom_is_the_same_atom() -> None:
    assert copy.copy(NORMAL) is NORMAL
    assert copy.deepcopy([NORMAL])[0] is NORMAL


def test_an_atom_shows_its_name() -> None:
    assert repr(Atom("ok")) == "Atom('ok')"


@pytest.mark.parametrize("kind", [Pid, Ref])
def test_the_parts_of_an_identifier_are_given_by_place(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"takes a node|positional-only"):
        kind(node="a@h", number=1, creation=1)


@pytest.mark.parametrize("kind", [Pid, Ref])
@given(number=st.integers(0, 2**64 - 2), creation=st.integers(0, 2**32 - 2))
def test_identifiers_are_compared_by_value(kind: type[Pid | Ref], number: int, creation: int) -> None:
    one, same = kind("a@h", number, creation), kind("a@h", number, creation)
    assert (one, hash(one)) == (same, hash(same))
    assert one != kind("b@h", number, creation)
    assert one != kind("a@h", number + 1, creation)
    assert one != kind("a@h", number, creation + 1)


def test_a_pid_and_a_ref_of_equal_parts_are_different() -> None:
    assert cast("object", Pid("a@h", 1, 2)) != Ref("a@h", 1, 2)


@given(NUMBERS)
def test_a_number_is_an_id_and_a_serial_as_in_erlang(number: int) -> None:
    pid = Pid("a@h", number, 1)
    assert 0 <= pid.id < 2**32
    assert pid.serial << 32 | pid.id == number


@pytest.mark.parametrize("kind", [Pid, Ref])
@pytest.mark.parametrize(("number", "creation"), [(-1, 1), (2**64, 1), (1, -1), (1, 2**32)])
def test_an_identifier_that_has_no_place_on_the_wire_is_refused(
    kind: type[Pid | Ref], number: int, creation: int
) -> None:
    with pytest.raises(ValueError, match=f"^a {kind.__name__} has a number of 64 bits .* not {number} and {creation}$"):
        kind("a@h", number, creation)


@pytest.mark.parametrize("kind", [Pid, Ref])
def test_identifiers_that_differ_in_one_part_have_different_hashes(kind: type[Pid | Ref]) -> None:
    assert len({hash(kind("a@h", 7, creation)) for creation in range(1000)}) == 1000
    assert len({hash(kind("a@h", number, 7)) for number in range(1000)}) == 1000
    assert len({hash(kind(f"a{node}@h", 7, 7)) for node in range(1000)}) == 1000


def test_identifiers_show_where_they_are_from() -> None:
    assert (repr(Pid("a@h", 7, 2)), repr(Ref("a@h", 8, 2))) == ("<Pid a@h/7.2>", "<Ref a@h/8.2>")


def test_an_alias_is_compared_by_value() -> None:
    pid, ref = Pid("a@h", 1, 2), Ref("a@h", 3, 2)
    assert {Alias(pid, ref): "x"}[Alias(Pid("a@h", 1, 2), Ref("a@h", 3, 2))] == "x"
    assert Alias(pid, ref) != Alias(pid, Ref("a@h", 4, 2))


@pytest.mark.parametrize("text", ["a@127.0.0.1", "a-b.c@host", "é@fd7a::1", "x@" + "h" * 253])
def test_a_node_name_is_read_and_written_alike(text: str) -> None:
    assert str(NodeName.parse(text)) == text


def test_a_node_name_has_two_halves() -> None:
    assert NodeName.parse("a@127.0.0.1") == NodeName("a", "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a", r"'a' has no host: write it as name@host, for example a@127\.0\.0\.1"),
        ("", r"'' has no host: write it as name@host, for example a@127\.0\.0\.1"),
        ("a@", "has no host"),
        ("@h", "has nothing before the @"),
        ("a@b@c", "may hold one @"),
        ("a b@h", "no spaces"),
        ("a@h\n", "no spaces"),
        ("a\0@h", "control characters"),
        ("a/b@h", "slashes"),
        ("é" * 127 + "@h", "at most 255 bytes, this one has 256"),
    ],
)
def test_a_bad_node_name_says_what_is_wrong_with_it(text: str, complaint: str) -> None:
    with pytest.raises(BadNodeName, match=complaint):
        NodeName.parse(text)


@given(st.text(max_size=300))
def test_any_text_is_a_node_name_or_a_bad_one(text: str) -> None:
    try:
        name = NodeName.parse(text)
    except BadNodeName:
        return
    assert str(name) == text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (SHUTDOWN, True),
        ((SHUTDOWN, "why"), True),
        ("shutdown", False),
        (NORMAL, False),
        ((SHUTDOWN,), False),
        ((SHUTDOWN, 1, 2), False),
        ([], False),
        ([SHUTDOWN, "why"], False),
        (None, False),
    ],
)
def test_what_counts_as_a_shutdown(reason: object, expected: bool) -> None:
    assert is_shutdown(reason) is expected
    assert is_silent(reason) is (expected or reason is NORMAL)


def test_what_the_runtime_sends_can_be_taken_apart_and_has_its_own_tags() -> None:
    pid, ref = Pid("a@h", 1, 2), Ref("a@h", 3, 2)
    match Down(ref, ("name", "a@h"), NORMAL):
        case Down(r, (name, node), reason):
            assert (r, name, node, reason) == (ref, "name", "a@h", NORMAL)
        case other:
            pytest.fail(f"not taken apart: {other}")
    assert Exited(pid, NORMAL) == Exited(pid, NORMAL)
    tags = [kind.__tag__ for kind in (Down, Exited, NodeUp, NodeDown, Crash)]
    assert tags == ["$down", "$exited", "$nodeup", "$nodedown", "$crash"]


def test_a_crash_is_a_value() -> None:
    assert Crash("ValueError", "no", "tb") == Crash("ValueError", "no", "tb")


def test_a_pid_may_name_its_messages_for_type_checkers_and_is_the_same_pid() -> None:
    assert Pid[int] == Pid[int]
    assert get_origin(Pid[int]) is Pid
    assert Pid[int]("a@h", 1, 1) == Pid("a@h", 1, 1)


@pytest.mark.parametrize(("value", "expected"), [(Pid("a@h", 1, 1), True), (Ref("a@h", 1, 1), False), ("a@h", False)])
def test_what_a_pid_is(value: object, expected: bool) -> None:
    assert is_pid(value) is expected
