"""The connections of a node: dials and answers, and performs what the table of peers (`core/peers.py`) decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from pydist.core.node_monitors import Wish
from pydist.core.peers import Close, Connect, Down, Drop, Effect, Peers, Undelivered, Up
from pydist.core.redial import Redial
from pydist.door import Door
from pydist.errors import PydistError
from pydist.greeting import Greeting
from pydist.mesh import Mesh
from pydist.neighbours import Heritage, NodeInfo, NodeKind
from pydist.node_events import NodeEvents, type_of
from pydist.node_ports import NodePorts
from pydist.own_log import log
from pydist.peer import Peer, Settings
from pydist.peer_tags import PeerTags
from pydist.process import Process
from pydist.router import Router
from pydist.runtime import Runtime
from pydist.spinner import Spinner
from pydist.terms import NodeDownReason, NodeName
from pydist.transport import Network
from pydist.underlay import Underlay
from pydist.wire.control import Signal
from pydist.wire.handshake import Identity, Status

DIAL_TIME: Final = 5.0
"""Seconds to look a node up, and again to reach it."""


class Cluster:
    """The peers' owner, and the router's way to them."""

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        network: Network,
        ports: NodePorts,
        redial: Redial,
        *,
        underlay: Underlay | None = None,
    ) -> None:
        self._tags = None if underlay is None else PeerTags(underlay)
        self._redial = redial
        self._table: Peers[Peer] = Peers(runtime.node, redial, message_limit=settings.message_limit)
        self.up = self._table.up
        self.mesh = Mesh(settings.local, self.up, self._leave)
        self.router = Router(runtime, self)
        self.handlers: Mapping[type, Callable[[Peer, Any], None]] = self.router.handlers
        self.door = Door(settings, self)
        self._runtime = runtime
        self._clock = settings.env.clock
        self._network = network
        self._ports = ports
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._dialled: dict[int, Greeting] = {}
        """The handshakes of our attempts."""
        self._events = NodeEvents(runtime.loop)
        self._connections = count(1)
        self._links: set[asyncio.Future[None]] = set()
        """Done when a connection's transport is closed, which may be later than the connection."""
        self._settings = settings
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard = Spinner(runtime.loop, self._clock, settings.busy_wait).heard
        runtime.outward = self.router
        runtime.neighbours = self
        runtime.scheduler.after_batch = self.door.flusher.flush
        self._set_timer()

    # -- for processes

    def nodes(self, kind: NodeKind) -> list[str]:
        """The names of nodes of this kind."""
        match kind:
            case "this":
                return [self._runtime.node]
            case "known":
                return list(dict.fromkeys([self._runtime.node, *self.up, *self._table.pending, *self._redial.known()]))
            case "connected":
                return list(self.up)
            case _:
                return [node for node, peer in self.up.items() if type_of(peer) == kind]

    def node_info(self, node: str) -> NodeInfo | None:
        """How the connection with `node` stands. Raises BadNodeName."""
        NodeName.parse(node)
        peer = self.up.get(node)
        if peer is None:
            return None
        return NodeInfo(
            node,
            type_of(peer),
            peer.identity.creation,
            peer.connection_id,
            peer.address,
            peer.connection.pending,
            peer.connection.ticker.suspected,
        )

    def monitor_nodes(self, process: Process, wish: Wish, *, wanted: bool) -> None:
        """Tell a process of nodes once more, or once less."""
        self._events.monitor_nodes(process, wish, wanted=wanted)

    def monitor_node(self, process: Process, node: str, *, wanted: bool) -> None:
        """Tell a process once when the connection with `node` is gone, or can't be made. Raises BadNodeName."""
        NodeName.parse(node)
        if node == self._runtime.node:
            return
        self._events.monitor_node(process, node, wanted=wanted)
        if wanted:
            self._perform(self._table.seek(node, self._clock()))

    def connect(self, node: str) -> None:
        """Connect to `node`, if we are not; nothing tells when it is done but `NodeUp`. Raises BadNodeName."""
        NodeName.parse(node)
        self._perform(self._table.connect(node, self._clock()))

    def keep(self, node: str, port: int | None = None) -> None:
        """Dial `node`, which listens at `port`, until it is connected, and whenever it is lost. Raises BadNodeName."""
        NodeName.parse(node)
        self._ports.learn(node, port)
        self._redial.keep(node, self._clock(), connected=node in self.up)
        self._set_timer()

    def forget(self, node: str) -> None:
        """Keep it no longer; a connection that is there stays."""
        self._ports.learn(node, None)
        self._redial.forget(node)
        self._set_timer()

    def reach(self, node: str) -> asyncio.Future[bool]:
        """Connect to `node`, and tell when it is done. Raises BadNodeName."""
        NodeName.parse(node)
        if node in self.up or node == self._runtime.node:
            answer = self._runtime.loop.create_future()
            answer.set_result(True)
            return answer
        answer = self._events.awaited(node)
        self.connect(node)
        return answer

    def disconnect(self, node: str) -> bool:
        """End the connection with `node`, or the attempt; True if there was one. Raises BadNodeName."""
        NodeName.parse(node)
        effects = self._table.disconnect(node, "disconnected by this node", self._clock())
        self._perform(effects)
        return bool(effects)

    def heritage(self, node: str) -> Heritage:
        """What the node of this name has of ours when it is started from here. Raises BadNodeName."""
        NodeName.parse(node)
        settings = self._settings
        options = {
            "net_ticktime": settings.net_ticktime,
            "net_tickintensity": settings.intensity,
            "message_limit": settings.message_limit,
            **self._ports.options(node),
        }
        return Heritage(settings.cookies().of(node), options)

    def _leave(self, node: str, text: str) -> None:
        self._perform(self._table.disconnect(node, text, self._clock(), for_good=False))

    # -- for the router

    def trouble(self, node: str) -> str | None:
        """Why the last try to connect to a node failed; None for those that are connected."""
        return self._redial.trouble(node)

    def send_later(self, node: str, signal: Signal) -> None:
        """Connect to `node`, and send then. Raises BadNodeName, EncodeError, ConnectionFull."""
        NodeName.parse(node)
        self._perform(self._table.send(node, signal, self._clock()))

    async def close(self) -> None:
        """Give up the connections that are being made, and close all others once what was sent is written.

        That takes no longer than `setup_time`, and less where a peer takes nothing.
        """
        if self._tags is not None:
            self._tags.close()
        dials = list(self._dials.values())
        for task in dials:
            task.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for greeting in [*self._dialled.values(), *self.door.strangers]:
            greeting.give_up()
        self.mesh.farewell()
        for peer in list(self.up.values()):
            peer.close("this node stops", "net_kernel_terminated")
        self._events.close()
        self._closed = True
        self._set_timer()
        if self._links:
            await asyncio.wait(self._links, timeout=self._settings.setup_time)

    # -- what handshakes ask and tell (see GreetingOwner)

    def decide(self, greeting: Greeting, identity: Identity) -> Status:
        """A node that dialled us has proven itself."""
        decision = self._table.decide(identity.node)
        greeting.replaces = decision.replaces
        self._perform(decision.effects)
        return decision.status

    def confirm(self, greeting: Greeting, identity: Identity) -> bool:
        """A node that we dialled believes we are connected."""
        return self._table.confirm(identity.node, greeting.attempt)

    def connected(self, greeting: Greeting, peer: Peer) -> None:
        """A handshake has ended well."""
        self._handshake_over(greeting)
        if self._tags is not None:
            self._tags.ask(peer, greeting.host)
        attempt, replaces = greeting.attempt, greeting.replaces
        self._perform(self._table.connected(peer.identity.node, peer, attempt=attempt, replaces=replaces))

    def refused(self, greeting: Greeting, status: Status) -> None:  # noqa: ARG002  # there is only one way to be refused
        """A node that we dialled is dialling us."""
        self._handshake_over(greeting)
        self._perform(self._table.refused(_dialled(greeting), greeting.attempt))

    def failed(self, greeting: Greeting, reason: str) -> None:
        """A handshake that we began has failed."""
        self._handshake_over(greeting)
        self._perform(self._table.failed(_dialled(greeting), greeting.attempt, reason, self._clock()))

    def _handshake_over(self, greeting: Greeting) -> None:
        if greeting.attempt is not None:
            self._dialled.pop(greeting.attempt, None)

    # -- what connections tell (see PeerOwner)

    def disconnected(self, peer: Peer, text: str, reason: NodeDownReason) -> None:
        """A connection is lost."""
        self._perform(self._table.disconnected(peer.identity.node, peer, text, self._clock(), reason=reason))

    def suspected(self, peer: Peer, silent_for: float) -> None:
        """A peer is silent for longer than it should be."""
        log.warning("node_suspect", node=peer.identity.node, here=self._runtime.node, silent_for=round(silent_for, 3))
        self._events.suspected(peer, silent_for)

    def recovered(self, peer: Peer) -> None:
        """It is heard again."""
        log.info("node_recovered", node=peer.identity.node, here=self._runtime.node)
        self._events.recovered(peer)

    def delivered(self) -> None:
        """All signals of one read have been delivered."""
        self._runtime.scheduler.run_batch()
        self._heard()

    def crowded(self, peer: Peer) -> None:
        """Much waits for a peer, and somebody sends more."""
        self.router.crowded(peer)

    def writable(self, peer: Peer) -> None:
        """The peer takes more again."""
        peer.gate.open()

    # -- performing

    def _perform(self, effects: list[Effect] | tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Connect(node, attempt):
                    self._dials[attempt] = self._runtime.loop.create_task(self._dial(node, attempt))
                case Drop(attempt):
                    self._drop(attempt)
                case Close(link, text):
                    link.close(text)
                case Up(node, link, waiting):
                    link.connection_id = next(self._connections)
                    self._links.add(link.gone)
                    link.gone.add_done_callback(self._links.discard)
                    log.info("node_up", node=node, here=self._runtime.node)
                    self._events.up(link)
                    self.mesh.joined(link)
                    self.router.connected(link, waiting)
                case Down(node, link, text, reason):
                    log.warning("node_down", node=node, here=self._runtime.node, reason=text)
                    self.router.disconnected(link)
                    self.mesh.lost(link)
                    self._events.down(link, text, reason)
                case Undelivered(node, waiting, text, tried):
                    if tried:
                        log.warning("node_unreachable", node=node, here=self._runtime.node, reason=text)
                    self.router.undelivered(node, waiting)
                    self._events.unreachable(node, text)
        self._set_timer()

    def _drop(self, attempt: int) -> None:
        task = self._dials.pop(attempt, None)
        if task is not None:
            task.cancel()
        greeting = self._dialled.pop(attempt, None)
        if greeting is not None:
            greeting.give_up()

    async def _dial(self, node: str, attempt: int) -> None:
        try:
            await self._open(node, attempt)
        except (PydistError, OSError) as error:
            self._perform(self._table.failed(node, attempt, str(error), self._clock()))
        finally:
            self._dials.pop(attempt, None)

    async def _open(self, node: str, attempt: int) -> None:
        name = NodeName.parse(node)
        port = await self._ports.find(name, DIAL_TIME)
        dial = self.door.dial(node, attempt)
        greeting = await self._network.dial(dial, name.host, port, timeout=DIAL_TIME)
        if greeting.in_handshake:
            self._dialled[attempt] = greeting

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._table.next_timer()
        if deadline is not None and not self._closed:
            self._timer = self._runtime.loop.call_later(max(0.0, deadline - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        self._perform(self._table.handle_timer(self._clock()))


def _dialled(greeting: Greeting) -> str:
    return greeting.dialled or ""
