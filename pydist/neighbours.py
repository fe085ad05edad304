"""The other nodes, as the processes of this one may ask about them: the shape of it, and a node that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import attrs

from pydist.core.node_monitors import Wish
from pydist.errors import NodeStartError
from pydist.process import Process
from pydist.terms import NodeDown, NodeName, NodeType

NodeKind: TypeAlias = Literal["visible", "hidden", "connected", "this", "known"]

ALONE = "this node has no name, so it reaches no other: give it one, as in run(main, name=..., cookie=...)"


@attrs.frozen
class NodeInfo:
    """What is known of a node that is connected with this one."""

    node: str
    node_type: NodeType
    creation: int
    """Its incarnation."""
    connection_id: int
    """The number of the connection: each one on this node has a greater one than all before it."""
    address: str
    """The other end of the transport."""
    waiting: int
    """Bytes that wait here to be written."""
    suspect: bool
    """Nothing was heard of it for longer than it should be."""


@attrs.frozen
class Heritage:
    """What a node that is started from here has of this one, so that the two find and understand each other."""

    cookies: tuple[bytes, ...] = attrs.field(repr=False)
    """Those that count with it; the first is preferred."""
    options: Mapping[str, Any]
    """Of `Node`, by keyword."""


class Neighbours(Protocol):
    """What a process can ask for. Names are those of nodes; all but `nodes` raise BadNodeName for what is none.
    `heritage` raises NodeStartError where there is no distribution."""

    def nodes(self, kind: NodeKind, /) -> list[str]: ...
    def node_info(self, node: str, /) -> NodeInfo | None: ...
    def connect(self, node: str, /) -> None: ...
    def reach(self, node: str, /) -> asyncio.Future[bool]: ...
    def disconnect(self, node: str, /) -> bool: ...
    def heritage(self, node: str, /) -> Heritage: ...
    def monitor_nodes(self, process: Process, wish: Wish, /, *, wanted: bool) -> None: ...
    def monitor_node(self, process: Process, node: str, /, *, wanted: bool) -> None: ...


class NoNeighbours:
    """Of a node that is not distributed."""

    def __init__(self, me: str, future: Callable[[], asyncio.Future[bool]]) -> None:
        self._me = me
        self._future = future

    def nodes(self, kind: NodeKind) -> list[str]:
        return [self._me] if kind in ("this", "known") else []

    def node_info(self, node: str) -> NodeInfo | None:
        NodeName.parse(node)
        return None

    def connect(self, node: str) -> None:
        NodeName.parse(node)

    def reach(self, node: str) -> asyncio.Future[bool]:
        NodeName.parse(node)
        answer = self._future()
        answer.set_result(node == self._me)
        return answer

    def disconnect(self, node: str) -> bool:
        NodeName.parse(node)
        return False

    def heritage(self, node: str) -> Heritage:
        NodeName.parse(node)
        raise NodeStartError(f"no node can be started from here: {ALONE}")

    def monitor_nodes(self, process: Process, wish: Wish, *, wanted: bool) -> None: ...

    def monitor_node(self, process: Process, node: str, *, wanted: bool) -> None:
        NodeName.parse(node)
        if wanted and node != self._me:
            process.deliver(NodeDown(node, "connection_setup_failed", ALONE))
