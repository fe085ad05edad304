"""What other nodes may start here: functions and process classes that are marked by `export`, and nothing else.

    @export
    async def convert(path: str) -> None: ...

    @export(name="chat.room", to=["web*@10.0.0.2", "tag:ops"])
    class Room(GenServer): ...

An export is known by its name alone, `module:qualname` unless it names another. It is looked up in a table: no name is
ever imported, split, or followed from attribute to attribute. The table is the program's, as that of message tags is;
what counts on a node is `Node(exports=...)` together with the `to` of each export.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import FunctionType
from typing import Any, Final, Protocol, TypeAlias, TypeGuard, TypeVar, cast, overload

import attrs

from pydist.core.export_policy import Policy, Visitor, is_meant
from pydist.errors import NodeStartError, NotExported
from pydist.message import module_name
from pydist.terms import NAME_LIMIT, Pid, Ref

T = TypeVar("T", bound=Callable[..., Any])

Life: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


class ProcessClass(Protocol):
    """What a class has to have to be exported: a generic behaviour that is its process's whole life."""

    __qualname__: str
    init: Callable[..., Any]

    def __remote_life__(
        self, asker: Pid, ref: Ref, args: tuple[Any, ...], /, *, link: bool
    ) -> Coroutine[Any, Any, Any]:
        """The life of a server that `asker` starts from afar. `Started(ref)` goes to its alias once `init` is done."""
        ...


def is_process_class(target: object) -> TypeGuard[ProcessClass]:
    """Whether it is a class that can be started as a process, and not a function."""
    return isinstance(target, type) and callable(getattr(target, "__remote_life__", None))


def _signature_of(export: Export) -> inspect.Signature:
    return inspect.signature(export.target.init if is_process_class(export.target) else export.target)


@attrs.frozen
class Export:
    """Something that was marked."""

    name: str
    target: Callable[..., Any]
    to: tuple[str, ...] | None
    """Patterns of the nodes that it is for, see `core/export_policy.py`; None for all."""
    signature: inspect.Signature = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(_signature_of, takes_self=True)
    )
    """How it is called: found once, since that takes as long as all else that a call needs here."""

    def is_for(self, visitor: Visitor) -> bool:
        """Whether it is meant for that node."""
        return self.to is None or is_meant(self.to, visitor)

    def check(self, args: tuple[Any, ...]) -> None:
        """Raise TypeError for arguments that it does not take."""
        first = (None,) if is_process_class(self.target) else ()
        self.signature.bind(*first, *args)

    def life(self, asker: Pid, ref: Ref, args: tuple[Any, ...], *, link: bool) -> tuple[Life, tuple[Any, ...]]:
        """The async function, and its arguments, that a process of it runs."""
        if is_process_class(self.target):
            target = self.target
            return lambda: target.__remote_life__(asker, ref, args, link=link), ()
        if inspect.iscoroutinefunction(self.target):
            return self.target, args
        return _run, (self.target, args)


async def _run(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A function that is no `async def`, as a process."""
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


_exports: dict[str, Export] = {}
_names: dict[Any, str] = {}


@overload
def export(target: T, /) -> T: ...
@overload
def export(*, name: str | None = None, to: Iterable[str] | None = None) -> Callable[[T], T]: ...
def export(
    target: T | None = None, /, *, name: str | None = None, to: Iterable[str] | None = None
) -> T | Callable[[T], T]:
    """Mark a function or a process class as one that other nodes may start here.

    Args:
        target: a function, `async def` or not, or a subclass of `GenServer` or `GenStatem`. Its subclasses are not
            marked with it. A supervisor is started by an exported function.
        name: by which other nodes ask for it; `module:qualname` by default.
        to: only for these: names of nodes, in which `*` stands for any characters, and tags, as `tag:ops`. What a node
            is given as `exports` may restrict it further.

    Returns:
        The function or class, as it was.

    Raises:
        TypeError: it is neither; it is a lambda or stands inside a function, and has no name; the name belongs to
            something else.
    """
    patterns = _patterns(to)

    def mark(marked: T) -> T:
        _claim(Export(_name_for(marked, name), marked, patterns))
        return marked

    return mark if target is None else mark(target)


def _patterns(to: Iterable[str] | None) -> tuple[str, ...] | None:
    if isinstance(to, str):
        raise TypeError(f"`to` is a list of nodes and tags, not a string: write to=[{to!r}]")
    return None if to is None else tuple(to)


def _name_for(target: Any, name: object) -> str:
    if not isinstance(target, FunctionType) and not is_process_class(target):
        raise TypeError(f"export marks a function or a subclass of GenServer or GenStatem, not {target!r}")
    if name is None:
        if "<" in target.__qualname__:
            raise TypeError(f"{target.__qualname__} can't be found by its name: give it one, @export(name=...)")
        name = f"{module_name(target.__module__)}:{target.__qualname__}"
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
        raise TypeError(f"the name of an export has 1 to {NAME_LIMIT} characters, this is {name!r}")
    return name


def _claim(new: Export) -> None:
    known = _exports.get(new.name)
    if known is not None:
        if _origin(known.target) != _origin(new.target):
            raise TypeError(
                f"{new.name!r} is the name of another export, {_origin(known.target)}: give one of them another name"
            )
        _names.pop(known.target, None)  # the module was read again
    _exports[new.name] = new
    _names[new.target] = new.name


def _origin(target: Any) -> str:
    return f"{module_name(target.__module__)}:{target.__qualname__}"


def find_export(name: str) -> Export | None:
    """What is exported by this name, or None."""
    return _exports.get(name)


def name_of_export(target: object) -> str:
    """The name of an export, which may be given by itself or by that name.

    Raises:
        NotExported: it is a function or class that nobody has marked.
        TypeError: nothing that could be exported.
    """
    if isinstance(target, str):
        return target
    if not callable(target):
        raise TypeError(f"what is to run is an exported function or class, or the name of one, not {target!r}")
    name = _names.get(target)
    if name is None:
        raise NotExported(getattr(target, "__qualname__", repr(target)), None)
    return name


Exports: TypeAlias = "Mapping[str, Iterable[str | Callable[..., Any]]] | Iterable[str | Callable[..., Any]] | None"
"""What a node exports: None for all that is marked; a list of exports; or lists of exports for patterns of nodes."""


def policy_of(exports: Exports) -> Policy:
    """What is given to a node as `exports`, checked.

    Raises:
        NodeStartError: it is no list, or not of exports.
    """
    if exports is None:
        return Policy()
    if isinstance(exports, str):
        raise NodeStartError(f"exports is a list of exports, not a string: write exports=[{exports!r}]")
    try:
        if isinstance(exports, Mapping):
            rules = cast("Mapping[str, Iterable[Any]]", exports)
            return Policy({str(nodes): _named(listed) for nodes, listed in rules.items()})
        return Policy.for_all(_named(exports))
    except (TypeError, NotExported) as error:
        raise NodeStartError(f"exports: {error}") from error


def _named(listed: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(listed, str):
        raise TypeError(f"for each pattern there is a list of exports, not a string: write [{listed!r}]")
    return tuple(name_of_export(each) for each in listed)


CALL: Final = "$rpc"
"""The export of pydist's own that runs others, and looks each of them up by `exported`: no list has to name it."""
SYSTEM: Final = "$sys"
"""Stands for the system messages of `sys_messages.py` in what a node is given as `exports`."""
