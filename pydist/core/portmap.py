"""The port mapper as a machine: what is answered to whom, and how long a connection may take.

A connection *is* the registration that it asked for: the name is free again at the moment the connection ends, so that
a node killed without warning leaves nothing behind. Each connection asks once:

    asking --Alive--> registered --any byte, or its end, or Stop from another--> gone
    asking --any other request--> gone                     (the answer is sent first)
    asking --nonsense, its end, 60 s--> gone               (refused: one event says why)

As in Erlang's epmd, only this host may register, dump, kill or stop; and only where `relaxed` may names be taken from
living nodes, or the port mapper be ended while there are any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

from pydist.core.registrations import MAX_NAMES, REMEMBERED, Registrations
from pydist.errors import WireError
from pydist.wire.epmd import (
    MAX_REQUEST,
    WIDE_CREATION_SINCE,
    Alive,
    AliveReply,
    BadNode,
    Dump,
    Kill,
    Names,
    PortInfo,
    PortPlease,
    Request,
    Stop,
    encode_alive_reply,
    encode_dump_reply,
    encode_names_reply,
    encode_port_reply,
    take_request,
)

PACKET_TIMEOUT: Final = 60.0
"""Seconds from the opening of a connection until it must have asked, and taken its answer."""
MAX_WAITING: Final = 256
"""Connections without a registration."""
SPARE_FILES: Final = 64
"""Open files that are no connections: the log, what listens, and what the interpreter needs."""


@attrs.frozen
class Rules:
    """How a port mapper is set.

    Args:
        max_names: how many nodes may be registered at a time.
        max_waiting: how many connections may be open without a registration.
        packet_timeout: seconds that a connection may take to ask, and to take its answer.
        relaxed: whether this host may stop single nodes' registrations, and end the port mapper while nodes live.
        remembered: how many nodes that have gone are kept.
    """

    max_names: int = MAX_NAMES
    max_waiting: int = MAX_WAITING
    packet_timeout: float = PACKET_TIMEOUT
    relaxed: bool = False
    remembered: int = REMEMBERED

    def within(self, files: int) -> Rules:
        """These rules, with as many connections as `files` open files allow: a quarter, 1,024 at most, may wait."""
        waiting = min(1024, files // 4)
        return attrs.evolve(self, max_waiting=waiting, max_names=max(1, files - waiting - SPARE_FILES))


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
    """A stranger was sent away; one with an impossible name has got the answer no, others none."""

    reason: str


@attrs.frozen(eq=False)
class Stopped:
    """The name was taken from `visitor`, whose connection is to be cut."""

    visitor: Visitor


@attrs.frozen
class Killed:
    """The port mapper was asked to end, and may."""


Event: TypeAlias = Registered | Unregistered | NameRefused | Refused | Stopped | Killed


class PortMap:
    """What all connections share.

    Args:
        port: the port mapper's own, for the list of names.
        entropy: gives that many random bytes.
    """

    def __init__(self, port: int, entropy: Callable[[int], bytes], rules: Rules = Rules()) -> None:  # frozen
        self.port: Final = port
        self.rules: Final = rules
        self.nodes: Final = Registrations(entropy, max_names=rules.max_names, remembered=rules.remembered)
        self._waiting: dict[Visitor, None] = {}
        self._holders: dict[str, Visitor] = {}

    def open(self, now: float, *, local: bool, descriptor: int = -1) -> Visitor:
        """A connection has come.

        Args:
            now: seconds.
            local: it is from this host.
            descriptor: the number of its file, for the answer to a dump.
        """
        visitor = Visitor(self, now, local=local, descriptor=descriptor)
        self._waiting[visitor] = None
        return visitor

    def crowded_out(self) -> Visitor | None:
        """The connection that has waited longest, where there are too many: honest ones ask at once."""
        if len(self._waiting) <= self.rules.max_waiting:
            return None
        longest = next(iter(self._waiting))
        self.leave(longest)
        return longest

    def leave(self, visitor: Visitor) -> None:
        """The connection has a registration now, or has been closed."""
        self._waiting.pop(visitor, None)

    def hold(self, name: str, visitor: Visitor) -> None:
        self._holders[name] = visitor
        self.leave(visitor)

    def release(self, name: str) -> None:
        del self._holders[name]
        self.nodes.remove(name)

    def holder(self, name: str) -> Visitor | None:
        return self._holders.get(name)


class Visitor:
    """One connection to the port mapper, from its opening to its end."""

    def __init__(self, portmap: PortMap, now: float, *, local: bool, descriptor: int) -> None:
        self._portmap = portmap
        self._local = local
        self._descriptor = descriptor
        self._deadline = now + portmap.rules.packet_timeout
        self._received = bytearray()
        self._answer = b""
        self._node: PortInfo | None = None
        self.request: Request | None = None
        """What it has asked."""
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
            self.request = take_request(self._received)
        except WireError as error:
            return self.refuse(str(error))
        return [] if self.request is None else self._serve(self.request)

    def receive_eof(self, now: float) -> list[Event]:  # noqa: ARG002
        """The other side has ended the connection."""
        if self.state == "asking":
            return self.refuse("closed within its request" if self._received else "closed without a request")
        return self._leave()

    def refuse(self, reason: str) -> list[Event]:
        """Send a connection that has not registered away."""
        self._leave()
        return [Refused(reason)]

    def closed(self) -> None:
        """Nothing is left of the connection, not even an answer that waits to be taken."""
        self._portmap.leave(self)

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
        return self.refuse(f"no whole request within {self._portmap.rules.packet_timeout:g} s")

    def _leave(self) -> list[Event]:
        node, self._node = self._node, None
        self.state = "gone"
        self._received.clear()
        if node is None:
            return []
        self._portmap.release(node.name)
        return [Unregistered(node)]

    def _serve(self, request: Request) -> list[Event]:
        match request:
            case PortPlease(name):
                return self._reply(encode_port_reply(self._portmap.nodes.find(name)))
            case Names():
                return self._reply(encode_names_reply(self._portmap.nodes.names(self._portmap.port)))
            case _ if not self._local:
                return self.refuse(f"only this host may ask this: {type(request).__name__}")
            case Alive(node):
                return self._register(node)
            case BadNode(reason, wide):
                return [*self._reply(encode_alive_reply(AliveReply(None, wide))), Refused(reason)]
            case Dump():
                return self._reply(encode_dump_reply(self._portmap.nodes.dump(self._portmap.port)))
            case Kill():
                return self._end()
            case Stop(name):
                return self._stop(name)

    def _register(self, node: PortInfo) -> list[Event]:
        wide = node.highest >= WIDE_CREATION_SINCE
        creation = self._portmap.nodes.add(node, self._descriptor)
        if isinstance(creation, str):
            return [*self._reply(encode_alive_reply(AliveReply(None, wide))), NameRefused(node, creation)]
        self._node, self.state = node, "registered"
        self._received.clear()
        self._portmap.hold(node.name, self)
        self._answer = encode_alive_reply(AliveReply(creation, wide))
        return [Registered(node, creation)]

    def _end(self) -> list[Event]:
        if len(self._portmap.nodes) and not self._portmap.rules.relaxed:
            return self._reply(b"NO")
        return [*self._reply(b"OK"), Killed()]

    def _stop(self, name: str) -> list[Event]:
        if not self._portmap.rules.relaxed:
            return self.refuse("a name is taken from its node only under -relaxed_command_check")
        holder = self._portmap.holder(name)
        if holder is None:
            return self._reply(b"NOEXIST")
        return [*holder._leave(), *self._reply(b"STOPPED"), Stopped(holder)]  # its own kind

    def _reply(self, answer: bytes) -> list[Event]:
        self._answer = answer
        return self._leave()
