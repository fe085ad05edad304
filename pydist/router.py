"""From the processes of a node to its peers: what the runtime knows of other nodes.

A signal for a node that is not connected waits in the cluster's table until the connection is there. When one is lost,
what crossed it ends here. What the signals of peers do stands in `inward.py`.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from pydist.core.crossings import Crossings, Spawning
from pydist.core.relations import Target
from pydist.credit import Ledger, address_of
from pydist.dead_letters import DeadReason
from pydist.errors import EncodeError, PydistError
from pydist.inward import Inward
from pydist.mesh import Mesh
from pydist.own_log import log
from pydist.peer import Peer
from pydist.process import Process
from pydist.remote_spawns import NOT_SUPPORTED, SYSTEM_LIMIT, Wish
from pydist.runtime import Runtime
from pydist.terms import NOCONNECTION, NOPROC, Alias, Crash, Destination, Pid, Reason, Ref, RegisteredName
from pydist.wire import control
from pydist.wire.codec import Decoder, Encoded, Encoder
from pydist.wire.control import Signal
from pydist.wire.handshake import Flag


class Connections(Protocol):
    """What the router needs of the cluster."""

    up: dict[str, Peer]
    """The nodes that are connected."""

    mesh: Mesh
    """Where it goes what nodes tell each other of lost connections."""

    def send_later(self, node: str, signal: Signal, /) -> None:
        """Connect to `node`, and send then. Raises BadNodeName, EncodeError, ConnectionFull."""
        ...

    def trouble(self, node: str, /) -> str | None:
        """Why the last try to connect to a node failed; None for those that are connected."""
        ...


class Router:
    """See the head of this file. The runtime's `Outward`."""

    def __init__(self, runtime: Runtime, connections: Connections) -> None:
        self._runtime = runtime
        self._connections = connections
        self._up = connections.up
        self._inward = Inward(runtime, connections.mesh)
        self.handlers = self._inward.handlers
        runtime.spawns.tags_of = self._tags_of

    def _tags_of(self, node: str) -> frozenset[str]:
        peer = self._up.get(node)
        return frozenset() if peer is None else peer.tags

    # -- outward: from a local process

    def send(self, target: Pid, message: Any) -> None:
        """A message to a pid."""
        peer = self._up.get(target.node)
        if peer is None:
            self._connections.send_later(target.node, control.Send(target, message, self._sender()))
        elif target.creation == peer.identity.creation:
            peer.send_message(target.number, message, self._sender())
            if peer.bounds:
                peer.ledger.spend(target.number, self._runtime.scheduler.current)
        else:
            self._runtime.dead_letter(target, message, "incarnation")

    def send_name(self, target: RegisteredName, message: Any) -> None:
        """A message to a name."""
        self._send(target[1], control.SendName(target[0], message, self._sender()))

    def send_alias(self, target: Alias, message: Any, *, urgent: bool = False) -> None:
        """A message to an alias; the reply to a request ends it. `urgent`: it asks for priority."""
        pid, ref = target.pid, target.ref
        peer = self._up.get(pid.node)
        if peer is None or urgent or pid.creation != peer.identity.creation:
            kind = control.SendUrgent if urgent else control.SendAlias
            self._send(pid.node, kind(target, message, self._sender()))
        else:
            peer.put((control.SEND_ALIAS, pid.number, ref.number), message, self._sender())
        asked = peer.crossings.asked.pop(ref, None) if peer is not None else None
        if asked is not None:
            self._inward.unwatch(asked, ref)

    def _sender(self) -> int:
        """The number of the process that runs, whose message it is; 0 if that comes from elsewhere."""
        process = self._runtime.scheduler.current
        return 0 if process is None else process.pid.number

    def link(self, source: Process, target: Pid) -> None:
        """A link of `source`, set up at this end already."""
        self._send(target.node, control.Link(source.pid, target))

    def unlink(self, source: Process, target: Pid, unlink_id: int) -> None:
        """A link that is inactive at this end."""
        self._send(target.node, control.Unlink(source.pid, target, unlink_id))

    def exit(self, source: Pid, target: Pid, reason: Reason) -> None:
        """`exit(target, reason)`."""
        self._send(target.node, control.ExitTo(source, target, reason))

    def exit_by_link(self, source: Pid, target: Pid, reason: Reason) -> None:
        """`source` has died, and was linked to `target`."""
        self._send_reason(target.node, control.Exit(source, target, reason))

    def monitor(self, source: Process, target: Target, ref: Ref) -> None:
        """A monitor of `source`, in its table already."""
        node = target.node if isinstance(target, Pid) else target[1]
        self._send(node, control.Monitor(source.pid, _bare(target), ref))

    def demonitor(self, source: Pid, target: Target, ref: Ref) -> None:
        """A monitor that is no longer in its owner's table."""
        node = target.node if isinstance(target, Pid) else target[1]
        peer = self._up.get(node)
        if peer is None or peer.crossings.has_monitor(ref):
            self._send(node, control.Demonitor(source, _bare(target), ref))

    def ask(self, source: Process, target: Target, ref: Ref, message: Any) -> None:
        """A request: a monitor of `source`, in its table already, and a message that is answered by its alias."""
        node = target.node if isinstance(target, Pid) else target[1]
        peer = self._up.get(node)
        if peer is None or not peer.takes_requests:
            self._ask_in_parts(source, target, ref, message)
            return
        if peer.bounds or (isinstance(target, Pid) and target.creation != peer.identity.creation):
            self._transmit(peer, control.Ask(source.pid, _bare(target), ref, message))
            return
        pid, address = source.pid, target.number if isinstance(target, Pid) else target[0]
        peer.put((control.ASK, pid.number, address, ref.number), message, pid.number)
        peer.crossings.asking[ref] = pid

    def _ask_in_parts(self, source: Process, target: Target, ref: Ref, message: Any) -> None:
        self.monitor(source, target, ref)
        try:
            if isinstance(target, Pid):
                self.send(target, message)
            else:
                self.send_name(target, message)
        except PydistError:
            self.demonitor(source.pid, target, ref)
            raise

    def spawn(self, source: Process, node: str, wish: Wish) -> None:
        """A process that is asked for, whose reply `source` can take already."""
        options = (control.SpawnRequest.LINK if wish.link else 0) | (
            control.SpawnRequest.MONITOR if wish.monitor else 0
        )
        self._send(node, control.SpawnRequest(source.pid, wish.ref, wish.export, wish.name or "", options, wish.args))

    def down(self, source: Target, watcher: Pid, ref: Ref, reason: Reason) -> None:
        """`source` has died, and `watcher` monitored it."""
        peer = self._up.get(watcher.node)
        died = source if isinstance(source, Pid) else peer.crossings.watched(ref) if peer is not None else None
        sender = 0 if died is None else died.number
        self._send_reason(watcher.node, control.MonitorExit(_bare(source), watcher, ref, reason, sender))

    def would_hold(self, target: Target) -> bool:
        """Whether who sends to `target` now is held at its next await."""
        peer = self._up.get(target.node if isinstance(target, Pid) else target[1])
        return peer is not None and (
            peer.is_crowded(self._sender()) or peer.ledger.credit.is_out(address_of(_bare(target)))
        )

    def check(self, value: Any) -> None:
        """Raise EncodeError for what can't cross the wire."""
        Encoder().encode(value)

    def trouble(self, node: str) -> str | None:
        """Why no connection to `node` could be made, if the last try failed."""
        return self._connections.trouble(node)

    def watched_from(self, node: str, ref: Ref) -> bool:
        """Whether a process there still monitors one here by this reference."""
        peer = self._up.get(node)
        return peer is not None and peer.crossings.has_watcher(ref)

    def _send(self, node: str, signal: Signal) -> None:
        peer = self._up.get(node)
        if peer is None:
            self._connections.send_later(node, signal)
        else:
            self._transmit(peer, signal)

    def _transmit(self, peer: Peer, signal: Signal) -> None:
        target = _target(signal)
        if target is not None and not peer.connection.reaches(target):
            self._refuse(peer.identity.node, signal, NOPROC)  # a process of that node's earlier life
            return
        if isinstance(signal, control.SpawnRequest) and Flag.SPAWN not in peer.identity.flags:
            self._refuse(peer.identity.node, signal, NOT_SUPPORTED)
            return
        if isinstance(signal, control.SendUrgent) and not peer.takes_urgent:
            signal = control.SendAlias(signal.alias, signal.message, signal.sender)
        peer.send(signal)
        self._note(peer.crossings, signal)
        if peer.bounds:
            self._spend(peer.ledger, signal)

    def _spend(self, ledger: Ledger, signal: Signal) -> None:
        match signal:
            case control.Send(target) | control.SendName(target) | control.Ask(_, target):
                ledger.spend(address_of(target), self._runtime.scheduler.current)
            case _:
                pass

    def _note(self, crossings: Crossings, signal: Signal) -> None:
        """Enter into the table what crosses with this signal, and strike out what ends with it."""
        match signal:
            case control.Monitor(source, _, ref):
                crossings.monitors[ref] = source
            case control.Ask(source, _, ref):
                crossings.asking[ref] = source
            case control.SpawnRequest(source, ref, options=options):
                link, monitor = bool(options & control.SpawnRequest.LINK), bool(options & control.SpawnRequest.MONITOR)
                crossings.spawning[ref] = Spawning(source, link, monitor)
            case control.Demonitor(_, _, ref):
                crossings.drop_monitor(ref)
            case control.MonitorExit(_, _, ref):
                crossings.drop_watcher(ref)
            case control.Link(source, target):
                crossings.add_link(source, target)
            case control.Exit(source, target):
                crossings.drop_link(source, target)
            case _:
                pass

    def _send_reason(self, node: str, signal: control.Exit | control.MonitorExit) -> None:
        """A death must be heard of, even if its reason can't cross the wire."""
        try:
            self._send(node, signal)
        except EncodeError as error:
            self._send(node, attrs.evolve(signal, reason=Crash("pydist.errors.EncodeError", str(error), "")))

    def _refuse(self, node: str, signal: Signal, reason: Reason) -> None:
        """There is nobody to send this to: answer as if it had been, and had met `reason`."""
        match signal:
            case control.Link(source, target):
                self._inward.act(source, lambda process: process.receive_exit(target, reason))
            case control.Unlink(source, target, unlink_id):
                self._inward.act(source, lambda process: process.related().unlink_acknowledged(target, unlink_id))
            case control.Monitor(source, _, ref):
                self._inward.act(source, lambda process: self._inward.fire(process, ref, reason))
            case control.Ask(source, _, ref):
                self._inward.act(source, lambda process: self._inward.fire(process, ref, reason))
                self._lost(node, signal, "incarnation")
            case control.SpawnRequest(source, ref):
                self._inward.not_spawned(source, ref, reason)
            case _:
                self._lost(node, signal, "incarnation" if reason is NOPROC else "noconnection")

    def _lost(self, node: str, signal: Signal, reason: DeadReason) -> None:
        """Where the signal is a message, nobody gets it."""
        address = _address(node, signal)
        if address is None:
            return
        message: Any = control.term_of(signal)
        if type(message) is Encoded and self._runtime.dead_letters.listeners:
            message = Decoder().decode(message.data)
        self._runtime.dead_letter(address, message, reason)

    # -- connections come and go

    def connected(self, peer: Peer, waiting: list[Signal]) -> None:
        """A connection is up; send what waited for it."""
        for signal in waiting:
            try:
                self._transmit(peer, signal)
            except EncodeError as error:  # the message was small enough to wait, and with its address it is too large
                log.warning("message_dropped", node=peer.identity.node, reason=str(error))
                self._lost(peer.identity.node, signal, "too_large")
                if isinstance(signal, control.SpawnRequest):
                    self._inward.not_spawned(signal.source, signal.ref, (SYSTEM_LIMIT, str(error)))

    def crowded(self, peer: Peer) -> None:
        """Something goes to a peer for which much waits already: hold who is at it, at its next await."""
        sender: Process | None = self._runtime.scheduler.current
        if sender is None or (sender.flow is not None and sender.flow.async_dist):
            return
        if not peer.is_crowded(sender.pid.number):
            return  # the large messages of others, which it overtakes
        if peer.gate.hold(sender.flows()) and self._runtime.watch is not None:
            self._runtime.watch.busy_node(sender, peer.identity.node)

    def undelivered(self, node: str, waiting: list[Signal]) -> None:
        """No connection came about."""
        for signal in waiting:
            self._refuse(node, signal, NOCONNECTION)

    def disconnected(self, peer: Peer) -> None:
        """The connection is lost: its links and monitors end with `NOCONNECTION`."""
        crossings, peer.crossings = peer.crossings, Crossings()
        find = self._runtime.process
        for local, remote in crossings.links:
            if process := find(local):
                process.receive_exit(remote, NOCONNECTION)
        for ref, watcher in (crossings.monitors | crossings.asking).items():
            if process := find(watcher):
                self._inward.fire(process, ref, NOCONNECTION)
        for ref, spawning in crossings.spawning.items():
            self._inward.not_spawned(spawning.asker, ref, NOCONNECTION)
        for ref, watched in (crossings.watchers | crossings.asked).items():
            self._inward.unwatch(watched, ref)


def _bare(target: Target) -> Pid | str:
    return target if isinstance(target, Pid) else target[0]


def _address(node: str, signal: Signal) -> Destination | None:
    """Whom a message to `node` is for; None for other signals."""
    match signal:
        case control.Send(target):
            return target
        case control.SendName(name):
            return name, node
        case control.SendAlias(alias) | control.SendUrgent(alias):
            return alias
        case control.Ask(_, target):
            return target if isinstance(target, Pid) else (target, node)
        case _:
            return None


def _target(signal: Signal) -> Pid | None:
    """The process of the peer's that a signal is for, if it is for one."""
    if isinstance(signal, control.SendAlias | control.SendUrgent):
        return signal.alias.pid
    if isinstance(
        signal,
        control.SendName | control.SpawnRequest | control.Grant | control.Unbounded | control.Lost | control.Part,
    ):
        return None
    return signal.target if isinstance(signal.target, Pid) else None
