"""Tells who wants to know that nodes come, go, fall silent and are heard again, or that one can't be reached."""

from __future__ import annotations

import asyncio

from pydist.core.node_monitors import NodeMonitors, Wish
from pydist.peer import Peer
from pydist.process import Process
from pydist.terms import NodeDown, NodeDownReason, NodeRecovered, NodeSuspect, NodeType, NodeUp


class NodeEvents:
    """Of one node."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._monitors: NodeMonitors[Process] = NodeMonitors()
        self._awaiting: dict[str, list[asyncio.Future[bool]]] = {}

    def monitor_nodes(self, process: Process, wish: Wish, *, wanted: bool) -> None:
        """Tell a process of nodes once more, or once less."""
        self._until_its_end(process)
        self._monitors.monitor_nodes(process, wish, wanted=wanted)

    def monitor_node(self, process: Process, node: str, *, wanted: bool) -> None:
        """Tell a process once more, or once less, when a node is gone."""
        self._until_its_end(process)
        self._monitors.monitor_node(process, node, wanted=wanted)

    def _until_its_end(self, process: Process) -> None:
        process.remove_done_callback(self._monitors.forget)
        process.add_done_callback(self._monitors.forget)

    def awaited(self, node: str) -> asyncio.Future[bool]:
        """Done when the node is connected, or can't be."""
        answer = self._loop.create_future()
        self._awaiting.setdefault(node, []).append(answer)
        answer.add_done_callback(lambda done: self._no_longer_awaited(node, done))
        return answer

    def _no_longer_awaited(self, node: str, answer: asyncio.Future[bool]) -> None:
        answers = self._awaiting.get(node, [])
        if answer in answers:
            answers.remove(answer)
        if not answers:
            self._awaiting.pop(node, None)

    # -- what happens

    def up(self, peer: Peer) -> None:
        """A connection is there; none of its signals has been delivered."""
        node, node_type = peer.identity.node, type_of(peer)
        self._answer(node, connected=True)
        for process in self._monitors.of_nodes(node_type):
            process.deliver(NodeUp(node, node_type, peer.connection_id))

    def down(self, peer: Peer, text: str, reason: NodeDownReason) -> None:
        """A connection is lost; all its signals have been delivered, and what its loss brings to links and monitors."""
        node, node_type = peer.identity.node, type_of(peer)
        message = NodeDown(node, reason, text, node_type, peer.connection_id)
        for process in [*self._monitors.take(node), *self._monitors.of_nodes(node_type)]:
            process.deliver(message)

    def unreachable(self, node: str, text: str) -> None:
        """No connection came about."""
        self._answer(node, connected=False)
        for process in self._monitors.take(node):
            process.deliver(NodeDown(node, "connection_setup_failed", text))

    def suspected(self, peer: Peer, silent_for: float) -> None:
        """A node is silent for longer than it should be."""
        self._tell_of_suspects(peer, NodeSuspect(peer.identity.node, silent_for))

    def recovered(self, peer: Peer) -> None:
        """It is heard again."""
        self._tell_of_suspects(peer, NodeRecovered(peer.identity.node))

    def _tell_of_suspects(self, peer: Peer, message: NodeSuspect | NodeRecovered) -> None:
        for process in self._monitors.of_nodes(type_of(peer), suspects=True):
            process.deliver(message)

    def _answer(self, node: str, *, connected: bool) -> None:
        for answer in self._awaiting.pop(node, []):
            if not answer.done():
                answer.set_result(connected)

    def close(self) -> None:
        """The node stops: nobody waits for a connection any longer."""
        for node in list(self._awaiting):
            self._answer(node, connected=False)


def type_of(peer: Peer) -> NodeType:
    """Whether it counts as a member of the cluster."""
    return "hidden" if peer.identity.hidden else "visible"
