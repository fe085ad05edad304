"""The signals that nodes exchange, as values; `signal_arrays.py` has the arrays that they are on the wire.

Pids and refs of the two nodes cross as bare
numbers: what a node says *from* can only be its own processes, and what it says *to* can only be the receiver's, so
nobody can speak for another node's pid, and no pid of an older incarnation can come out of the wire. Whoever sends
compares creations first, see :meth:`pydist.core.connection.Connection.reaches`.

Links follow OTP's protocol with unlink ids (erl_dist_protocol, "Link Protocol").
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, TypeAlias, cast

import attrs

from pydist.message import quicken
from pydist.terms import Alias, Pid, Reason, Ref

SEND: Final = 1
SEND_NAME: Final = 2
SEND_ALIAS: Final = 3
LINK: Final = 10
UNLINK: Final = 11
UNLINK_ACK: Final = 12
EXIT: Final = 13
EXIT_TO: Final = 14
MONITOR: Final = 20
DEMONITOR: Final = 21
MONITOR_EXIT: Final = 22
ASK: Final = 23
SPAWN_REQUEST: Final = 30
SPAWN_REPLY: Final = 31
GRANT: Final = 40
UNBOUNDED: Final = 41
SEND_URGENT: Final = 42
LOST: Final = 50
PART: Final = 51


@attrs.frozen
class Send:
    """A message to a process. Received ones come in runs, as :class:`Messages`."""

    target: Pid
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """The number of the process whose signal it is, or 0. For the order of what is sent; it does not cross."""


@attrs.frozen
class SendName:
    """A message to whoever has the name on the receiving node; nobody has it: dropped."""

    name: str
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class SendAlias:
    """A message to an alias; dropped once the alias is deactivated."""

    alias: Alias
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class Link:
    """Set up the link between the two, or make it active again."""

    source: Pid
    target: Pid


@attrs.frozen
class Unlink:
    """Take the link away. The receiver must answer with the same `id` before any other signal to that pid."""

    source: Pid
    target: Pid
    id: int


@attrs.frozen
class UnlinkAck:
    """The answer to :class:`Unlink`."""

    source: Pid
    target: Pid
    id: int


@attrs.frozen
class Exit:
    """`source` died, and tells `target` over their link."""

    source: Pid
    target: Pid
    reason: Reason


@attrs.frozen
class ExitTo:
    """`exit(target, reason)`, called by `source`; needs no link."""

    source: Pid
    target: Pid
    reason: Reason


@attrs.frozen
class Monitor:
    """`source` watches a process, or the name of one, on the receiving node. `ref` is a ref of the sending node."""

    source: Pid
    target: Pid | str
    ref: Ref


@attrs.frozen
class Demonitor:
    """`source` watches no longer. `target` is as it was in :class:`Monitor`."""

    source: Pid
    target: Pid | str
    ref: Ref


@attrs.frozen
class MonitorExit:
    """What `target` watched is gone. `source` is as it was watched: the process, or its name on the sending node."""

    source: Pid | str
    target: Pid
    ref: Ref
    reason: Reason
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`; for the dead that were watched by a name."""


@attrs.frozen
class Ask:
    """A :class:`Monitor` and a message to the same process, which the first message to the alias of `ref` ends.

    Both nodes know from that message that there is nothing to take back, and no :class:`Demonitor` follows.
    """

    source: Pid
    target: Pid | str
    ref: Ref
    message: Any


@attrs.frozen
class SpawnRequest:
    """Start a process of what the receiving node exports as `export`. `ref`, of the sending node, is that of the reply,
    and of the monitor."""

    LINK: ClassVar[int] = 1
    MONITOR: ClassVar[int] = 2

    source: Pid
    ref: Ref
    export: str
    name: str
    """What it is to be registered as; empty for nothing."""
    options: int
    """`LINK` and `MONITOR`: what is to be there from its first step."""
    args: tuple[Any, ...]


@attrs.frozen
class SpawnReply:
    """What a :class:`SpawnRequest` has come to; it goes before all signals of the new process, which is `source`.

    Where none was started, `source` has the number 0, and `reason` says why.
    """

    STARTING: ClassVar[int] = 1

    source: Pid
    target: Pid
    ref: Ref
    state: int
    """`STARTING`, if the new process says later that it is up, to the alias of `ref`; it is monitored then, too."""
    reason: Reason


@attrs.frozen
class SendUrgent:
    """As :class:`SendAlias`, and goes before all ordinary messages, if the alias was made for that."""

    alias: Alias
    message: Any
    sender: int = attrs.field(default=0, eq=False)
    """As that of :class:`Send`."""


@attrs.frozen
class Grant:
    """`source`, a process or a name of the sending node, takes `more` messages than were granted before."""

    source: Pid | str
    more: int


@attrs.frozen
class Unbounded:
    """Messages to `source` are counted no longer; it may be dead."""

    source: Pid | str


@attrs.frozen
class Lost:
    """`reporter`, in the incarnation `creation`, has lost its connection with `node`, which was in `node_creation`.

    See `core/partitions.py`. Of the same pair, each loss has another number.
    """

    reporter: str
    creation: int
    number: int
    node: str
    node_creation: int


@attrs.frozen
class Part:
    """The node that writes this leaves the one that reads it, to prevent overlapping partitions."""


@attrs.define
class Messages:
    """A run of messages to one process, as received. Made once for each run: left unfrozen because that is faster."""

    number: int
    """The number of the receiving process; node and creation are the receiver's."""
    messages: list[Any]


for _each in (
    Send,
    SendName,
    SendAlias,
    Link,
    Unlink,
    UnlinkAck,
    Exit,
    ExitTo,
    Monitor,
    Demonitor,
    MonitorExit,
    Ask,
    Messages,
):
    quicken(_each)

_BothWays: TypeAlias = (
    SendName
    | SendAlias
    | Link
    | Unlink
    | UnlinkAck
    | Exit
    | ExitTo
    | Monitor
    | Demonitor
    | MonitorExit
    | Ask
    | SpawnRequest
    | SpawnReply
    | SendUrgent
    | Grant
    | Unbounded
    | Lost
    | Part
)

Signal: TypeAlias = Send | _BothWays
"""What can be sent."""

Incoming: TypeAlias = Messages | _BothWays
"""What can arrive: as :data:`Signal`, with runs in place of single messages."""

MESSAGES: Final = (Send, SendName, SendAlias, SendUrgent, Ask, SpawnRequest)
"""The signals that are messages: what a process sends at will, and may be refused while too much waits."""


def term_name(signal: Signal) -> str:
    """In which field the signal carries a term. Only for those that carry one."""
    if isinstance(signal, SpawnRequest):
        return "args"
    return "message" if isinstance(signal, MESSAGES) else "reason"


def term_of(signal: Signal) -> Any:
    """The message, the arguments or the reason that the signal carries. Only for those that carry one."""
    return getattr(signal, term_name(signal))


def source_of(signal: Signal) -> int:
    """The number of the process whose signal it is, 0 if that is not known."""
    if isinstance(signal, Send | SendName | SendAlias | SendUrgent):
        return signal.sender
    if isinstance(signal, Grant | Unbounded | Lost | Part):
        return 0
    source = signal.source
    if isinstance(source, str):
        return cast("MonitorExit", signal).sender
    return source.number
