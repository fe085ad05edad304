"""What processes say to each other.

A subclass of :class:`Message` is a frozen attrs class that may cross the wire:

    class Joined(Message):
        who: Pid
        room: str = "lobby"

It is known on the wire by its *tag*, `module.QualName` unless the class names one
(`class Joined(Message, tag="chat.joined")`). Messages evolve by appending fields that have defaults: a reader ignores
fields that it does not know yet, and fills in those that an older writer did not send. A tag that nobody here has
defined arrives as :class:`Opaque`, which can be kept, compared and sent on.
"""

from __future__ import annotations

import sys
from inspect import getattr_static
from pathlib import PurePath
from types import MemberDescriptorType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Protocol,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

import attrs

from pydist.speedups import native

Q_co = TypeVar("Q_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)

_classes: dict[str, type[Message]] = {}
_readers: dict[str, type[Any]] = {}
"""What is called with the fields that a peer has sent: the class itself, unless `distrust` has put one before it."""


def class_of_tag(tag: str) -> type[Message] | None:
    """The message class that is known on the wire as `tag`, or None where nobody has defined it."""
    return _classes.get(tag)


def reader_of_tag(tag: str) -> type[Any] | None:
    """What makes a message of the fields that were sent as `tag`, or raises; None where nobody has defined it."""
    return _readers.get(tag)


def distrust(told: type[Message], *kinds: type | tuple[type, ...]) -> None:
    """Let what a peer sends as a `told` arrive as :class:`Opaque`, unless its first fields are of these types.

    It is for what the runtime itself tells: who gets it looks its fields up at once, and does not doubt them.
    """

    class Distrusted:
        __tag__, __fields__ = told.__tag__, told.__fields__

        def __new__(cls, *fields: Any) -> Any:  # the readers call a class
            if not all(map(isinstance, fields, kinds)):
                raise TypeError(told.__tag__)
            return told(*fields)

    _readers[told.__tag__] = Distrusted


def _default_tag(cls: type) -> str:
    return f"{module_name(cls.__module__)}.{cls.__qualname__}"


def module_name(module: str) -> str:
    """`__main__` under the name it would be imported by, so that a script and its importers agree on the tag."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    return PurePath(getattr(main, "__file__", "__main__")).stem


def _claim(tag: str, cls: type[Message]) -> None:
    owner = _classes.get(tag)
    if owner is not None and (owner.__module__, owner.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(
            f"the tag {tag!r} of {cls.__module__}.{cls.__qualname__} already belongs to "
            f"{owner.__module__}.{owner.__qualname__}: give one of them another with `tag=`"
        )
    _classes[tag] = _readers[tag] = cls


def quicken(cls: type) -> None:
    """Let the C twin set the fields of an attrs class that asks for nothing special: a call makes three messages."""
    fields = attrs.fields(cls)
    special = {"__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__"}
    if (
        native is None
        or special & set(dir(cls))
        or BaseException in cls.__mro__
        or not all(map(_takes_as_given, fields))
    ):
        return
    if any(_is_hidden(cls, each.name) for each in fields):
        return
    defaults = tuple(each.default for each in fields if each.default is not attrs.NOTHING)
    names = tuple(each.name for each in fields)
    setattr(cls, "__init__", native.Initializer(vars(cls)["__init__"], names, defaults))  # noqa: B010  # a method, to mypy


def is_plain(cls: type) -> bool:
    """Whether the twin sets the fields, so that each is an attribute by its name, and nothing else is."""
    return native is not None and type(vars(cls).get("__init__")) is native.Initializer


def _takes_as_given(field: Any) -> bool:
    named = field.init and not field.kw_only and field.alias == field.name
    return named and field.validator is None and field.converter is None and not isinstance(field.default, _FACTORY)


def _is_hidden(cls: type, name: str) -> bool:
    """Whether a property, say, of a subclass stands before the field: attrs writes behind it."""
    found: Any = getattr_static(cls, name, None)
    return hasattr(found, "__set__") and not isinstance(found, MemberDescriptorType)


_FACTORY: Final[Any] = type(attrs.Factory(dict[str, str]))


UNSENT: Final = "unsent"
"""In the metadata of a field that is not told to other nodes: there it has its default. Such fields are the last."""


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class Message:
    """Base of everything that is sent as a value of its own type; see the head of this file."""

    __tag__: ClassVar[str] = ""
    __fields__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, tag: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Without slots attrs works in place, which is what lets a bare subclass be enough.
        attrs.define(cls, slots=False, frozen=True)
        quicken(cls)
        fields: Any = attrs.fields(cls)  # type: ignore[arg-type]  # attrs.define has just made it one
        cls.__fields__ = tuple(field.name for field in fields if UNSENT not in field.metadata)
        cls.__tag__ = tag if tag is not None else _default_tag(cls)
        _claim(cls.__tag__, cls)

    def __fieldvalues__(self) -> list[Any]:
        """The values of all fields in order, as they go on the wire."""
        own = self.__dict__
        return [own[name] for name in self.__fields__]

    def __asker__(self) -> Any:
        """The `Alias` at which somebody waits for an answer, to be told if nobody takes the message; None if nobody."""
        return None


class Request(Message, Generic[R_co], tag="$request"):
    """A message that is answered: of `class Add(Request[int])`, `await call(server, Add(...))` is an `int`."""

    if TYPE_CHECKING:

        def __asks__(self) -> tuple[Self, R_co]:
            """See `Asks`."""
            raise NotImplementedError

    __none_replies__: ClassVar[bool] = True
    """Whether None can be the reply, as far as is known."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in vars(cls).get("__orig_bases__", ()):
            if get_origin(base) is Request:
                cls.__none_replies__ = _has_none(get_args(base)[0])


def _has_none(annotation: Any) -> bool:
    """Whether None is a value of this type; where that can't be seen, it is."""
    kind = get_origin(annotation) or annotation
    if kind is Union or isinstance(annotation, UnionType):
        return any(_has_none(each) for each in get_args(annotation))
    try:
        return not isinstance(kind, type) or isinstance(None, kind)
    except TypeError:  # a protocol that can't be asked
        return True


class Asks(Protocol[Q_co, R_co]):
    """A request as type checkers see it: of which type it is itself, which the server must take, and its reply."""

    def __asks__(self) -> tuple[Q_co, R_co]: ...


class PeerMessage(Message, tag="$peer_message"):
    """Base of messages whose receiver has to know which node they have come from.

    One that a peer sends to a name arrives inside a :class:`FromPeer`, which the receiving node makes.
    """


@attrs.frozen
class FromPeer:
    """What another node has sent to a name of this one. It is no message, so no peer can send one: `node` is true."""

    node: str
    message: PeerMessage


@attrs.frozen
class Opaque:
    """A message whose tag no class here claims, or whose fields did not fit that class.

    It is encoded again just as it came, so that a node can forward what it does not understand.
    """

    tag: str
    fields: tuple[Any, ...]


if native is not None:
    native.connect(message_classes=_readers, opaque=Opaque)
