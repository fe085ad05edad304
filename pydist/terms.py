"""The values every layer speaks of: atoms, identifiers, exit reasons, and the messages the runtime itself sends.

They know nothing of a codec, a clock or a socket. Identifiers are compared by value; the two counters in a real Erlang
pid (`id` and `serial`) are one 64-bit `number` here, and `creation` is the incarnation of the node that made it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeAlias, TypeGuard, final
from weakref import WeakValueDictionary

import attrs

from pydist.errors import BadNodeName
from pydist.message import Message, distrust, quicken
from pydist.speedups import native

if TYPE_CHECKING:  # where each checker has it; at run time pydist does without
    from typing_extensions import TypeVar

    M_contra = TypeVar("M_contra", contravariant=True, default=Any)
else:
    from typing import TypeVar

    M_contra = TypeVar("M_contra", contravariant=True)


NAME_LIMIT: Final = 255
"""Characters that an atom has at most, and a registered name."""


@final
class Atom:
    """A name that stands for itself; never equal to a `str`.

    Equal atoms are the same object, so `is` and `==` agree. The table holds them weakly: what a peer sends can't grow
    it for good.
    """

    __slots__ = ("__weakref__", "name")

    name: Final[str]  # type: ignore[misc]  # set in __new__, because an atom is interned there

    def __new__(cls, name: str) -> Atom:
        known = _atoms.get(name)
        if known is not None:
            return known
        if len(name) > NAME_LIMIT:
            raise ValueError(f"an atom has at most {NAME_LIMIT} characters, this one has {len(name)}")
        atom = super().__new__(cls)
        object.__setattr__(atom, "name", name)
        _atoms[name] = atom
        return atom

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"an atom can't be changed: {self!r}.{key}")

    def __copy__(self) -> Atom:
        return self

    def __deepcopy__(self, memo: object) -> Atom:
        return self

    def __repr__(self) -> str:
        return f"Atom({self.name!r})"


_atoms: WeakValueDictionary[str, Atom] = WeakValueDictionary()


_LARGEST_NUMBER: Final = 2**64 - 1
_LARGEST_CREATION: Final = 2**32 - 1
_NUMBERS: Final = Struct(">QI")


class _Identifier:
    """What pids and refs share. A plain class with slots: one is made for each spawn and each call, and attrs' frozen
    initialiser costs three times as much."""

    __slots__ = ("creation", "node", "number")

    def __init__(self, node: str, number: int, creation: int, /) -> None:
        if not (0 <= number <= _LARGEST_NUMBER and 0 <= creation <= _LARGEST_CREATION):
            raise ValueError(
                f"a {type(self).__name__} has a number of 64 bits and a creation of 32, none below 0; not {number!r} "
                f"and {creation!r}"
            )
        self.node: Final = node
        self.number: Final = number
        self.creation: Final = creation

    @property
    def id(self) -> int:
        """The low half of the number, as Erlang's external term format has it."""
        return self.number & 0xFFFF_FFFF

    @property
    def serial(self) -> int:
        """The high half of the number, as Erlang's external term format has it."""
        return self.number >> 32

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str, int, int]]:
        return type(self), (self.node, self.number, self.creation)

    def __hash__(self) -> int:
        # Bytes and strings have secret hashes: a peer can't choose what falls together in a table, as it could with a
        # tuple of numbers.
        return hash(_NUMBERS.pack(self.number, self.creation)) ^ hash(self.node)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.number == other.number and self.node == other.node and self.creation == other.creation

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.node}/{self.number}.{self.creation}>"


@final
class Pid(_Identifier, Generic[M_contra]):
    """A process: the node it lives on, its number there, and that node's creation.

    `Pid[M]` tells type checkers that it takes messages of type `M`, as in `worker: Pid[Job | Stop] = spawn(work)`; to
    send it anything else is an error then. A plain `Pid` takes anything.
    """

    __slots__ = ("process",)

    def __init__(self, node: str, number: int, creation: int, /) -> None:
        super().__init__(node, number, creation)
        self.process: Any = None
        """The runtime's own note on the pids it makes: the process itself, while it lives. No part of the value."""


@final
class Ref(_Identifier):
    """A reference that is unique over the node's life: names a monitor, a call or a timer."""

    __slots__ = ()


if not TYPE_CHECKING and native is not None:
    Pid, Ref = native.Pid, native.Ref


def is_pid(value: object) -> TypeGuard[Pid]:
    """Whether it is a pid (Erlang's `is_pid/1`).

    The same as `isinstance(value, Pid)`, but for pyright in its strict mode, which takes what that finds for a `Pid` of
    unknown messages.
    """
    return isinstance(value, Pid)


@final
@attrs.frozen
class Alias:
    """An address of `pid` until it is deactivated; what comes later is dropped before the mailbox (EEP 53)."""

    pid: Pid
    ref: Ref


AliasEnd: TypeAlias = Literal["explicit_unalias", "demonitor", "reply_demonitor", "reply"]
"""What deactivates an alias, besides `unalias` and the end of its process."""


quicken(Alias)

RegisteredName: TypeAlias = tuple[str, str]
"""A name on a node: `("counter", "a@127.0.0.1")`."""

Destination: TypeAlias = Pid | Alias | str | RegisteredName
"""Where a message can go: a pid, an alias, a name on this node, a name on that node."""


@final
@attrs.frozen
class NodeName:
    """`short@host`. The host is an address or a name that the port mapper of that host answers at."""

    short: str
    host: str

    @classmethod
    def parse(cls, text: str) -> NodeName:
        """Take a node name apart.

        Raises:
            BadNodeName: no `@`, an empty half, more than 255 bytes, or a character that a name can't have.
        """
        short, at, host = text.partition("@")
        if not at or not host:
            raise BadNodeName(
                f"the node name {text!r} has no host: write it as name@host, for example {short or 'a'}@127.0.0.1"
            )
        if not short:
            raise BadNodeName(f"the node name {text!r} has nothing before the @: write it as name@host")
        if "@" in host or any(c.isspace() or not c.isprintable() or c == "/" for c in text):
            raise BadNodeName(f"the node name {text!r} may hold one @, and no spaces, slashes or control characters")
        if len(text.encode()) > 255:
            raise BadNodeName(f"a node name has at most 255 bytes, this one has {len(text.encode())}")
        return cls(short, host)

    def __str__(self) -> str:
        return f"{self.short}@{self.host}"


# Exit reasons that the runtime itself gives. Any other term is a reason too; `(SHUTDOWN, detail)` counts as a shutdown.
NORMAL: Final = Atom("normal")
SHUTDOWN: Final = Atom("shutdown")
KILL: Final = Atom("kill")
KILLED: Final = Atom("killed")
NOPROC: Final = Atom("noproc")
NOCONNECTION: Final = Atom("noconnection")
MAILBOX_FULL: Final = Atom("mailbox_full")

NODE: Final = 0
"""The number of the pid by which a node itself sends signals; no process has it."""

Reason: TypeAlias = Any

if native is not None:
    native.connect(normal=NORMAL, atom=Atom, alias=Alias)


def is_shutdown(reason: Reason) -> bool:
    """True for `SHUTDOWN` and `(SHUTDOWN, detail)`."""
    if reason is SHUTDOWN:
        return True
    match reason:
        case list():
            return False
        case (first, _):
            return first is SHUTDOWN
        case _:
            return False


def is_silent(reason: Reason) -> bool:
    """True where an end is as it should be, and not reported: `NORMAL`, `SHUTDOWN`, `(SHUTDOWN, detail)`."""
    return reason is NORMAL or is_shutdown(reason)


class Crash(Message, tag="$crash"):
    """The reason of a process that ended by an uncaught exception (Erlang's `{Reason, Stack}`)."""

    def __repr__(self) -> str:
        """Without the traceback, which would fill every log line that mentions the reason."""
        return f"Crash({self.error}: {self.message})"

    error: str
    """The exception's type, `module.QualName`, builtins without the module."""
    message: str
    traceback: str


class Down(Message, tag="$down"):
    """A monitored process is gone. Sent once for each monitor."""

    ref: Ref
    process: Pid | RegisteredName
    """As it was monitored: by pid, or by name as `(name, node)`."""
    reason: Reason


class Exited(Message, tag="$exited"):
    """An exit signal, seen by a process that traps exits (Erlang's `{'EXIT', Pid, Reason}`)."""

    pid: Pid
    reason: Reason


class Timeout(Message, tag="$timeout"):
    """The time of a timer that `start_timer` has started is over (Erlang's `{timeout, TimerRef, Msg}`)."""

    ref: Ref
    message: Any


NodeType: TypeAlias = Literal["visible", "hidden"]
"""What a node is to those that are connected with it. Hidden ones are no members of the cluster."""

NodeDownReason: TypeAlias = Literal[
    "connection_closed",
    "connection_setup_failed",
    "disconnect",
    "net_kernel_terminated",
    "net_tick_timeout",
    "protocol_error",
]
"""Why there is no connection, at this end: the other side has closed it, or it was cut; none could be made; this node
ended it; this node stops; nothing was heard for `net_ticktime`; the peer broke the protocol."""


class NodeUp(Message, tag="$nodeup"):
    """A connection to `node` has come up."""

    node: str
    node_type: NodeType = "visible"
    connection_id: int = 0
    """Greater than that of each connection before."""


class NodeDown(Message, tag="$nodedown"):
    """The connection to `node` is lost, or could not be made. Processes there may still be alive."""

    node: str
    reason: NodeDownReason
    text: str = ""
    """The reason in words, for people."""
    node_type: NodeType = "visible"
    connection_id: int = 0
    """As the `NodeUp` had it; 0 if there was no connection."""


class NodeSuspect(Message, tag="$nodesuspect"):
    """Nothing was heard of `node` for `silent_for` seconds. A `NodeRecovered` or a `NodeDown` will follow."""

    node: str
    silent_for: float


class NodeRecovered(Message, tag="$noderecovered"):
    """A node that was suspect is heard again."""

    node: str


distrust(Down, Ref, (Pid, tuple))
distrust(Exited, Pid)
distrust(Timeout, Ref)
for _told in (NodeUp, NodeDown, NodeSuspect, NodeRecovered):
    distrust(_told, str)
