"""The table of peers: to whom we are connected, whom we are dialling, and what waits for it (OTP: `net_kernel.erl`).

There is never more than one connection to a name. When both nodes dial at once, the attempt of the greater name
survives; whoever is refused waits to be replaced, and fails nobody. When a peer dials us while we believe we are
connected, it is asked (`ALIVE`) and what it says counts: what is there is torn down first.

| state    | input                              | next     | effects                                          |
|----------|------------------------------------|----------|--------------------------------------------------|
| (none)   | send, connect                      | DIALLING | Connect                                          |
| (none)   | send, where `Redial` refuses       | (none)   | Undelivered                                      |
| (none)   | send, connect, too many dialled    | IN LINE  |                                                  |
| (none)   | send, connect, too many in line    | (none)   | Undelivered                                      |
| (none)   | decide                             | (none)   | answer OK                                        |
| IN LINE  | send                               | IN LINE  | the signal waits                                 |
| IN LINE  | an attempt ends, this is the first | DIALLING | Connect                                          |
| IN LINE  | decide                             | IN LINE  | answer OK                                        |
| IN LINE  | disconnect, or out of time         | (none)   | Undelivered                                      |
| DIALLING | send                               | DIALLING | the signal waits                                 |
| DIALLING | decide, our name is the greater    | DIALLING | answer NOK                                       |
| DIALLING | decide, theirs is                  | YIELDED  | answer OK_SIMULTANEOUS, Drop                     |
| DIALLING | refused                            | YIELDED  |                                                  |
| DIALLING | failed, disconnect or out of time  | (none)   | Drop, Undelivered                                |
| YIELDED  | send                               | YIELDED  | the signal waits                                 |
| YIELDED  | decide                             | YIELDED  | answer OK                                        |
| YIELDED  | disconnect, or out of time         | (none)   | Undelivered                                      |
| any      | connected, first                   | UP       | Drop an attempt of ours, Up with what waited     |
| UP       | decide                             | UP       | answer ALIVE                                     |
| UP       | connected, in place of this link   | UP       | Close and Down the old one, Up                   |
| UP       | connected, in place of an older    | UP       | Close the new one: the peer has left it already  |
| UP       | disconnected                       | (none)   | Down                                             |
| UP       | disconnect                         | (none)   | Close, Down                                      |

A peer can make a node dial: the answer to its request goes to where it says the caller lives. So there is a limit.

Every method is given what happened and returns what is to be done, in order. A link is whatever the driver knows a
connection by; an attempt is a number. Inputs about attempts and links that are no longer in the table do nothing, save
that a link which comes up too late is to be closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from pydist.core.redial import Redial
from pydist.errors import ConnectionFull, EncodeError
from pydist.terms import NodeDownReason
from pydist.wire.codec import Encoder
from pydist.wire.control import MESSAGES, Signal
from pydist.wire.fragments import MESSAGE_LIMIT
from pydist.wire.handshake import Status
from pydist.wire.signal_arrays import snapshot

L = TypeVar("L")

CONNECT_TIME: Final = 7.0
"""Seconds from the first signal to the connection, waiting to be replaced included (OTP: `net_setuptime`)."""

WAITING_LIMIT: Final = 16 * 1024 * 1024
"""Bytes that may wait for one connection before it takes no more messages."""

DIAL_LIMIT: Final = 64
"""Nodes that are dialled at a time: far fewer than a program may have files."""

LINE_LIMIT: Final = 1000
"""Nodes that wait to be dialled."""


@attrs.frozen
class Connect:
    """Look the node up, dial it, and report `connected`, `refused` or `failed` under this attempt."""

    node: str
    attempt: int


@attrs.frozen
class Drop:
    """Give this attempt up without a word."""

    attempt: int


@attrs.frozen
class Close(Generic[L]):
    """Close this link."""

    link: L
    text: str


@attrs.frozen
class Up(Generic[L]):
    """The link to `node` is there; send what waited for it through the ordinary way, in order."""

    node: str
    link: L
    waiting: list[Signal]


@attrs.frozen
class Down(Generic[L]):
    """The link to `node` is gone: its links and monitors get `noconnection`."""

    node: str
    link: L
    text: str
    reason: NodeDownReason = "connection_closed"


@attrs.frozen
class Undelivered:
    """There will be no connection; each of these signals meets `noconnection`. Not `tried`: it was not dialled."""

    node: str
    waiting: list[Signal]
    text: str
    tried: bool = True


Effect: TypeAlias = Connect | Drop | Close[Any] | Up[Any] | Down[Any] | Undelivered


@attrs.frozen
class Decision(Generic[L]):
    """The answer to an acceptor's `Decide`. Hand `replaces` back with `connected`."""

    status: Status
    replaces: L | None = None
    effects: tuple[Effect, ...] = ()


@attrs.define
class _Pending:
    """No connection yet. DIALLING with an attempt; IN LINE or YIELDED without."""

    attempt: int | None
    deadline: float
    waiting: list[Signal] = attrs.field(factory=list[Signal])
    size: int = 0


class Peers(Generic[L]):
    """The table of the node `me`. Times are in seconds, limits in bytes; `message_limit` is that of a connection.

    `dial_limit` and `line_limit` count nodes: those that are dialled at a time, and those that wait for that.
    """

    def __init__(
        self,
        me: str,
        redial: Redial,
        *,
        connect_time: float = CONNECT_TIME,
        waiting_limit: int = WAITING_LIMIT,
        message_limit: int = MESSAGE_LIMIT,
        dial_limit: int = DIAL_LIMIT,
        line_limit: int = LINE_LIMIT,
    ) -> None:
        self.up: dict[str, L] = {}
        """The live connections. Look up here first; `send` is for nodes that are not in it."""
        self._me = me
        self._redial = redial
        self._connect_time = connect_time
        self._waiting_limit = waiting_limit
        self._message_limit = message_limit
        self._pending: dict[str, _Pending] = {}
        self._dial_limit = dial_limit
        self._dialling: set[str] = set()
        self._line_limit = line_limit
        self._line: dict[str, None] = {}
        self._attempts = count(1)
        self._encoder = Encoder()

    def send(self, node: str, signal: Signal, now: float) -> list[Effect]:
        """Let a signal wait for the connection to `node`, which is not up; the first one asks for it.

        Raises:
            EncodeError: its message or reason can't cross the wire, or is too large.
            ConnectionFull: too much waits already for one more message. Links, monitors and exits always find room.
        """
        limited = isinstance(signal, MESSAGES)
        signal, size = snapshot(signal, self._encoder)
        if size > self._message_limit:
            raise EncodeError(f"a message or reason of {size} bytes is too large to send: send it in parts")
        effects = self.seek(node, now)
        pending = self._pending.get(node)
        if pending is None:
            return [attrs.evolve(effect, waiting=[signal]) for effect in effects if isinstance(effect, Undelivered)]
        if limited and pending.size > self._waiting_limit:
            raise ConnectionFull(
                f"{pending.size} bytes wait for the connection to {node}, the limit is {self._waiting_limit}: "
                "the message was not sent. Who sends much waits for the connection first: await connect_node(...)"
            )
        pending.waiting.append(signal)
        pending.size += size
        return effects

    def seek(self, node: str, now: float) -> list[Effect]:
        """Somebody needs a connection to `node`: ask for it, if it may be dialled now."""
        if node in self.up or node in self._pending:
            return []
        refusal = self._redial.refusal(node, now)
        return self.connect(node, now) if refusal is None else [Undelivered(node, [], refusal, tried=False)]

    def connect(self, node: str, now: float) -> list[Effect]:
        """Ask for a connection to `node` now, whatever was before; it may have to wait in line."""
        if node in self.up or node in self._pending:
            return []
        if len(self._line) >= self._line_limit:
            text = f"{self._line_limit} nodes wait to be dialled: there is no place for one more"
            self._redial.failed(node, text, now)
            return [Undelivered(node, [], text, tried=False)]
        self._pending[node] = _Pending(None, now + self._connect_time)
        self._line[node] = None
        return self._dial()

    def decide(self, node: str) -> Decision[L]:
        """What to answer `node`, which dialled us and has proven itself."""
        if node in self.up:
            return Decision(Status.ALIVE, self.up[node])
        pending = self._pending.get(node)
        if pending is None or pending.attempt is None:
            return Decision(Status.OK)
        if self._me > node:
            return Decision(Status.NOK)
        effects = [*_drop(pending)]
        self._dialling.discard(node)
        return Decision(Status.OK_SIMULTANEOUS, None, (*effects, *self._dial()))

    def confirm(self, node: str, attempt: int | None) -> bool:
        """What to answer `node`, which believes we are connected: is this attempt the real one?"""
        pending = self._pending.get(node)
        return pending is not None and attempt is not None and pending.attempt == attempt

    def connected(self, node: str, link: L, *, attempt: int | None = None, replaces: L | None = None) -> list[Effect]:
        """A handshake ended well. `attempt` names ours; for theirs, `replaces` is what `decide` returned."""
        old = self.up.get(node)
        if attempt is not None and not self.confirm(node, attempt):
            return [Close(link, "this attempt was given up")]
        if old is not None and old is not replaces:
            return [Close(link, "a newer connection is there already")]
        effects: list[Effect] = []
        if old is not None:
            effects = [Close(old, "replaced by the peer"), Down(node, old, "replaced by the peer")]
        pending = self._forget(node)
        if pending is not None and attempt is None:
            effects += _drop(pending)
        self.up[node] = link
        self._redial.reached(node)
        return [*effects, Up(node, link, pending.waiting if pending else []), *self._dial()]

    def disconnected(
        self, node: str, link: L, text: str, now: float, *, reason: NodeDownReason = "connection_closed"
    ) -> list[Effect]:
        """A link was lost."""
        if self.up.get(node) is not link:
            return []
        del self.up[node]
        self._redial.lost(node, now)
        return [Down(node, link, text, reason)]

    def disconnect(self, node: str, text: str, now: float, *, for_good: bool = True) -> list[Effect]:
        """End the connection to `node`, or the attempt. If not `for_good`, one that is to be kept is dialled again."""
        effects: list[Effect] = []
        link = self.up.pop(node, None)
        if link is not None:
            self._redial.lost(node, now)
            effects = [Close(link, text), Down(node, link, text, "disconnect")]
        elif node in self._pending:
            effects = [*self._give_up(node, text, now), *self._dial()]
        if for_good:
            self._redial.left(node)
        return effects

    def refused(self, node: str, attempt: int | None) -> list[Effect]:
        """Our attempt was answered NOK: the peer's own one is on its way, and what waits here waits for that."""
        if not self.confirm(node, attempt):
            return []
        self._pending[node].attempt = None
        self._dialling.discard(node)
        return self._dial()

    def failed(self, node: str, attempt: int | None, text: str, now: float) -> list[Effect]:
        """Our attempt came to nothing."""
        return [*self._give_up(node, text, now), *self._dial()] if self.confirm(node, attempt) else []

    @property
    def pending(self) -> list[str]:
        """The nodes to which a connection is being made."""
        return list(self._pending)

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called, if at all."""
        deadlines = [pending.deadline for pending in self._pending.values()]
        dial = self._redial.next_dial(self._pending)
        return min(deadlines if dial is None else [*deadlines, dial], default=None)

    def handle_timer(self, now: float) -> list[Effect]:
        """Give up what took too long, and dial those again that are to stay connected."""
        late = [node for node, pending in self._pending.items() if pending.deadline <= now]
        text = f"no connection within {self._connect_time:g} s"
        effects = [effect for node in late for effect in self._give_up(node, text, now)]
        for node in self._redial.due(now, self._pending):
            effects += self.connect(node, now)
        return effects + self._dial()

    def _dial(self) -> list[Effect]:
        """Dial those who are first in line, as many as may be dialled now."""
        effects: list[Effect] = []
        while self._line and len(self._dialling) < self._dial_limit:
            node = next(iter(self._line))
            del self._line[node]
            self._dialling.add(node)
            attempt = self._pending[node].attempt = next(self._attempts)
            effects.append(Connect(node, attempt))
        return effects

    def _forget(self, node: str) -> _Pending | None:
        self._line.pop(node, None)
        self._dialling.discard(node)
        return self._pending.pop(node, None)

    def _give_up(self, node: str, text: str, now: float) -> list[Effect]:
        pending = self._pending[node]
        self._forget(node)
        self._redial.failed(node, text, now)
        return [*_drop(pending), Undelivered(node, pending.waiting, text)]


def _drop(pending: _Pending) -> Iterator[Drop]:
    if pending.attempt is not None:
        yield Drop(pending.attempt)
        pending.attempt = None
