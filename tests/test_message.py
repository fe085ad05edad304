from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from pydist.message import Message, Opaque, Request, class_of_tag


class Joined(Message):
    who: str
    room: str = "lobby"


class Left(Message, tag="chat.left"):
    who: str


class Renamed(Joined, tag="chat.renamed"):
    new: str = ""


class Add(Request[int]):
    by: int = 1


class Outer:
    class Inner(Message):
        x: int


def test_a_subclass_is_all_it_takes() -> None:
    assert Joined("ada") == Joined(who="ada", room="lobby")
    assert Joined("ada") != Joined("ada", "hall")
    assert repr(Joined("ada")) == "Joined(who='ada', room='lobby')"


def test_a_message_can_not_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Joined("ada").who = "bob"  # type: ignore[misc]  # the point of the test


def test_equal_messages_hash_alike() -> None:
    assert len({Joined("ada"), Joined("ada"), Joined("bob")}) == 2


def test_messages_of_different_classes_differ_whatever_they_hold() -> None:
    left: object = Left("ada")
    assert left != Joined("ada")


def test_a_message_is_taken_apart_by_match() -> None:
    match Joined("ada"):
        case Joined(who, room):
            assert (who, room) == ("ada", "lobby")


def test_fields_go_on_the_wire_in_their_order() -> None:
    assert (Joined.__fields__, Joined("ada").__fieldvalues__()) == (("who", "room"), ["ada", "lobby"])


def test_a_subclass_of_a_message_has_its_fields_first() -> None:
    assert Renamed("ada", "hall", "bob").__fieldvalues__() == ["ada", "hall", "bob"]


def test_the_tag_is_module_and_qualified_name_unless_the_class_names_one() -> None:
    assert (Joined.__tag__, Outer.Inner.__tag__) == (f"{__name__}.Joined", f"{__name__}.Outer.Inner")
    assert (Left.__tag__, Renamed.__tag__) == ("chat.left", "chat.renamed")


def test_a_class_is_found_by_its_tag() -> None:
    assert (class_of_tag("chat.left"), class_of_tag("nobody.has")) == (Left, None)


def test_a_request_is_a_message_that_says_what_answers_it() -> None:
    assert issubclass(Add, Message)
    assert (Add().by, Add(5).__fieldvalues__()) == (1, [5])


def test_a_tag_that_belongs_to_another_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the tag 'chat\.left' of .*Thief already belongs to .*\.Left: give one"):

        class Thief(Message, tag="chat.left"):  # pyright: ignore[reportUnusedClass]  # it never comes to be
            pass

    assert class_of_tag("chat.left") is Left


def test_a_module_that_is_loaded_again_may_define_its_messages_again() -> None:
    def define() -> type[Message]:
        class Again(Message, tag="chat.again"):
            pass

        return Again

    first, second = define(), define()
    assert first is not second
    assert class_of_tag("chat.again") is second


def _in_main(**attributes: Any) -> type[Message]:
    """A message class defined in a main module of these attributes."""
    main = ModuleType("__main__")
    main.__spec__ = None
    vars(main).update(attributes)
    before, sys.modules["__main__"] = sys.modules["__main__"], main
    try:
        return type("Said", (Message,), {"__module__": "__main__"})
    finally:
        sys.modules["__main__"] = before


@pytest.mark.parametrize(
    ("attributes", "tag"),
    [
        ({"__file__": "/srv/chat.py"}, "chat.Said"),
        ({"__spec__": SimpleNamespace(name="talk.server")}, "talk.server.Said"),
        ({}, "__main__.Said"),
    ],
)
def test_a_script_and_those_who_import_it_agree_on_the_tag(attributes: dict[str, Any], tag: str) -> None:
    assert _in_main(**attributes).__tag__ == tag


def test_an_opaque_message_is_a_value_that_can_be_kept_and_compared() -> None:
    assert Opaque("future.Thing", (1, "x")) == Opaque("future.Thing", (1, "x"))
    assert len({Opaque("t", (1,)), Opaque("t", (1,)), Opaque("t", (2,))}) == 2


class Point(Message):
    x: int
    y: int = attrs.field(default=0, repr=False)


def test_a_field_may_be_described_as_attrs_does() -> None:
    assert (Point(1), repr(Point(1)), Point.__fields__) == (Point(1, 0), "Point(x=1)", ("x", "y"))


class Plain(Message, tag="test_message.Plain"):
    number: int
    text: str = "none"


class Careful(Message, tag="test_message.Careful"):
    number: int = attrs.field(validator=attrs.validators.ge(0))
    tags: list[str] = attrs.field(factory=list[str])


@pytest.mark.parametrize(
    "made", [Plain(1), Plain(1, "none"), Plain(number=1), Plain(1, text="none"), Plain(text="none", number=1)]
)
def test_a_message_is_the_same_however_its_fields_are_given(made: Plain) -> None:
    assert (made, made.__fieldvalues__(), repr(made)) == (
        Plain(1, "none"),
        [1, "none"],
        "Plain(number=1, text='none')",
    )


@pytest.mark.parametrize(
    ("args", "words"), [((), "missing 1 required"), ((1, "a", 2), "takes from 2 to 3 positional arguments")]
)
def test_a_message_with_fields_too_few_or_too_many_is_refused(args: tuple[Any, ...], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Plain(*args)


class Shown(Plain, tag="test_message.Shown"):
    extra: int = 0

    @property  # type: ignore[misc]  # the point of the test
    def text(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
        return "shown"


class Raised(Message, Exception, tag="test_message.Raised"):
    number: int
    text: str = "none"


def test_a_property_of_a_message_may_stand_before_a_field_of_its_base() -> None:
    shown = Shown(1, "hidden")
    assert (shown.text, shown.__fieldvalues__()) == ("shown", [1, "hidden", 0])


def test_a_message_that_is_an_exception_too_has_its_fields_as_arguments() -> None:
    assert Raised(1).args == (1, "none")


def test_validators_and_factories_of_attrs_work_in_messages() -> None:
    first, second = Careful(1), Careful(1)
    first.tags.append("mine")
    with pytest.raises(ValueError, match="must be >= 0"):
        Careful(-1)
    assert (first.tags, second.tags) == (["mine"], [])
