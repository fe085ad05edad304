"""The port mapper as a machine: which node listens where on this host.

A connection *is* the registration that it asked for: the name is free again at the moment the connection ends, so that
a node killed without warning leaves nothing behind. Each connection asks once:

    asking --Alive--> registered --any byte, or its end--> gone
    asking --any other request--> gone                     (the answer is sent first)
    asking --nonsense, its end, 60 s--> gone               (refused: one event says why)

A creation tells the incarnations of a name apart. It is random, so that a port mapper that starts anew does not give
out an old one, and it differs from the last one of that name that is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

from pydist.errors import WireError
from pydist.wire.epmd import (
    MAX_REQUEST,
    WIDE_CREATION_SINCE,
    Alive,
    AliveReply,
    Kill,
    Names,
    NamesReply,
    PortInfo,
    PortPlease,
    Request,
    encode_alive_reply,
    encode_names_reply,
    encode_port_reply,
    take_request,
)

PACKET_TIMEOUT: Final = 60.0
"""Seconds from the opening of a connection until it must have asked, and taken its answer."""
MAX_NAMES: Final = 512
MAX_WAITING: Final = 256
"""Connections without a registration. With MAX_NAMES this stays below the usual limit of 1,024 open files."""
REMEMBERED: Final = 1024
"""Names whose last creation is kept after they have gone."""

# Erlang nodes before OTP 23 know the creations 1 to 3; newer ones keep those apart from their own.
_OLD_CREATIONS: Final = (1, 2, 3)
_FIRST_WIDE: Final = 4
_WIDE_SPAN: Final = (1 << 32) - _FIRST_WIDE


@attrs.frozen
class Registered:
    node: PortInfo
    creation: int


@attrs.frozen
class Unregistered:
    node: PortInfo


@attrs.frozen
class NameRefused:
    """A node got the answer no."""

    node: PortInfo
    reason: str


@attrs.frozen
class Refused:
    """A stranger was sent away without an answer."""

    reason: str


@attrs.frozen
class Killed:
    """The port mapper was asked to end, and may: no node is registered."""


Event: TypeAlias = Registered | Unregistered | NameRefused | Refused | Killed


class PortMap:
    """The registry that all connections share.

    Args:
        port: the port mapper's own, for the list of names.
        entropy: gives that many random bytes.
        max_names: how many nodes may be registered at a time.
        max_waiting: how many connections may be open without a registration.
    """

    def __init__(
        self,
        port: int,
        entropy: Callable[[int], bytes],
        *,
        max_names: int = MAX_NAMES,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.port = port
        self._entropy = entropy
        self._max_names = max_names
        self._max_waiting = max_waiting
        self._nodes: dict[str, PortInfo] = {}
        self._last_creations: dict[str, int] = {}
        self._waiting: dict[Visitor, None] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def open(self, now: float, *, local: bool) -> Visitor:
        """A connection has come; `local` if from this host, for only nodes on this host may register."""
        visitor = Visitor(self, now, local=local)
        self._waiting[visitor] = None
        return visitor

    def crowded_out(self) -> Visitor | None:
        """The connection that has waited longest, where there are too many: honest ones ask at once."""
        return next(iter(self._waiting)) if len(self._waiting) > self._max_waiting else None

    def leave(self, visitor: Visitor) -> None:
        """The connection has a registration now, or has gone."""
        self._waiting.pop(visitor, None)

    def find(self, name: str) -> PortInfo | None:
        return self._nodes.get(name)

    def names(self) -> NamesReply:
        return NamesReply(self.port, tuple((node.name, node.port) for node in self._nodes.values()))

    def add(self, node: PortInfo) -> int | str:
        """The new node's creation, or why it can't register."""
        if node.name in self._nodes:
            return f"the name is taken, by a node at port {self._nodes[node.name].port}"
        if len(self._nodes) >= self._max_names:
            return f"{self._max_names} nodes are registered, which is the limit"
        self._nodes[node.name] = node
        return self._new_creation(node)

    def remove(self, node: PortInfo) -> None:
        del self._nodes[node.name]

    def _new_creation(self, node: PortInfo) -> int:
        last = self._last_creations.pop(node.name, None)
        draw = int.from_bytes(self._entropy(4))
        if node.highest >= WIDE_CREATION_SINCE:
            creation = _FIRST_WIDE + draw % _WIDE_SPAN
            if creation == last:
                creation = _FIRST_WIDE + (draw + 1) % _WIDE_SPAN
        else:
            others = [old for old in _OLD_CREATIONS if old != last]
            creation = others[draw % len(others)]
        self._last_creations[node.name] = creation
        if len(self._last_creations) > REMEMBERED:
            del self._last_creations[next(iter(self._last_creations))]
        return creation


class Visitor:
    """One connection to the port mapper, from its opening to its end."""

    def __init__(self, portmap: PortMap, now: float, *, local: bool) -> None:
        self._portmap = portmap
        self._local = local
        self._deadline = now + PACKET_TIMEOUT
        self._received = bytearray()
        self._answer = b""
        self._node: PortInfo | None = None
        self.state: Literal["asking", "registered", "gone"] = "asking"

    def receive_data(self, data: bytes, now: float) -> list[Event]:  # noqa: ARG002  # all machines have these verbs
        """Bytes have come. When `state` is `gone` afterwards, send what there is to send and close."""
        if self.state == "registered":
            # As Erlang's: a registered node has nothing more to say, so what speaks here is no node.
            return self._leave()
        if self.state == "gone":
            return []
        self._received += data[: MAX_REQUEST + 3 - len(self._received)]
        try:
            request = take_request(self._received)
        except WireError as error:
            return self.refuse(str(error))
        return [] if request is None else self._serve(request)

    def receive_eof(self, now: float) -> list[Event]:  # noqa: ARG002
        """The other side has ended the connection."""
        if self.state == "asking":
            return self.refuse("closed within its request" if self._received else "closed without a request")
        return self._leave()

    def refuse(self, reason: str) -> list[Event]:
        """Send a connection that has not registered away."""
        self._leave()
        return [Refused(reason)]

    def data_to_send(self) -> bytes:
        """What has to be written now. It is given out once."""
        answer, self._answer = self._answer, b""
        return answer

    def next_timer(self) -> float | None:
        """When `handle_timer` is due, even after the connection has gone: its answer may not have been taken."""
        return None if self.state == "registered" else self._deadline

    def handle_timer(self, now: float) -> list[Event]:
        """Time has passed. Where the connection is not registered by now, it has to be cut."""
        if self.state != "asking" or now < self._deadline:
            return []
        return self.refuse(f"no whole request within {PACKET_TIMEOUT:.0f} s")

    def _leave(self) -> list[Event]:
        node, self._node = self._node, None
        self.state = "gone"
        self._received.clear()
        self._portmap.leave(self)
        if node is None:
            return []
        self._portmap.remove(node)
        return [Unregistered(node)]

    def _serve(self, request: Request) -> list[Event]:
        match request:
            case Alive(node):
                return self._register(node) if self._local else self.refuse("only nodes on this host may register")
            case PortPlease(name):
                return self._reply(encode_port_reply(self._portmap.find(name)))
            case Names():
                return self._reply(encode_names_reply(self._portmap.names()))
            case Kill():
                return self._end() if self._local else self.refuse("only this host may end the port mapper")

    def _register(self, node: PortInfo) -> list[Event]:
        wide = node.highest >= WIDE_CREATION_SINCE
        creation = self._portmap.add(node)
        if isinstance(creation, str):
            return [*self._reply(encode_alive_reply(AliveReply(None, wide))), NameRefused(node, creation)]
        self._node, self.state = node, "registered"
        self._received.clear()
        self._portmap.leave(self)
        self._answer = encode_alive_reply(AliveReply(creation, wide))
        return [Registered(node, creation)]

    def _end(self) -> list[Event]:
        if len(self._portmap):
            return self._reply(b"NO")
        return [*self._reply(b"OK"), Killed()]

    def _reply(self, answer: bytes) -> list[Event]:
        self._answer = answer
        return self._leave()
