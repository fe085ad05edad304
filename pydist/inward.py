"""What the signals of peers do here: each goes to the process it is for, or is answered where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydist.core.crossings import Spawning
from pydist.credit import address_of
from pydist.errors import WireError
from pydist.mesh import Mesh
from pydist.message import FromPeer, PeerMessage
from pydist.peer import Peer
from pydist.process import Process
from pydist.remote_spawns import ABANDONED, Refused, SpawnReply, Wish, answer_spawn, awaits_spawn
from pydist.runtime import Runtime
from pydist.terms import NODE, NOPROC, Pid, Reason, Ref
from pydist.wire import control


class Inward:
    """See the head of this file; `mesh` takes what nodes tell each other of lost connections."""

    def __init__(self, runtime: Runtime, mesh: Mesh) -> None:
        self._runtime = runtime
        self.handlers: dict[type, Callable[[Peer, Any], None]] = {
            control.Messages: self._messages,
            control.SendName: self._named_message,
            control.SendAlias: self._alias_message,
            control.Link: self._link,
            control.Unlink: self._unlink,
            control.UnlinkAck: self._unlink_ack,
            control.Exit: self._exit,
            control.ExitTo: self._exit_to,
            control.Monitor: self._monitor,
            control.Demonitor: self._demonitor,
            control.MonitorExit: self._monitor_exit,
            control.Ask: self._ask,
            control.SpawnRequest: self._spawn_request,
            control.SpawnReply: self._spawn_reply,
            control.SendUrgent: self._urgent_message,
            control.Grant: self._grant,
            control.Unbounded: self._unbounded,
            control.Lost: mesh.told,
            control.Part: mesh.left,
        }
        """What a signal of a peer does, by its class."""

    def act(self, pid: Pid, act: Callable[[Process], object]) -> None:
        """Do it to the process `pid`, if it lives."""
        process = self._runtime.process(pid)
        if process is not None:
            act(process)

    def fire(self, process: Process, ref: Ref, reason: Reason) -> None:
        """What `process` monitors by `ref` is gone."""
        target = process.relations.monitors.get(ref) if process.relations is not None else None
        if target is not None:
            process.receive_down(ref, target, reason)

    def unwatch(self, watched: Pid, ref: Ref) -> None:
        """Nobody monitors `watched` by `ref` any more."""
        process = self._runtime.process(watched)
        if process is not None and process.relations is not None:
            process.relations.watchers.pop(ref, None)

    # -- messages

    def _messages(self, peer: Peer, run: control.Messages) -> None:
        runtime = self._runtime
        process = runtime.table.get(run.number)
        if process is not None:
            process.deliver_all(run.messages)
            if process.bound is not None:
                peer.ledger.received(run.number, process, len(run.messages))
            return
        nobody = Pid(runtime.node, run.number, runtime.creation)
        for message in run.messages:
            runtime.dead_letter(nobody, message, "noproc")

    def _named_message(self, peer: Peer, signal: control.SendName) -> None:
        process = self._runtime.names.holder(signal.name)
        message = signal.message
        if isinstance(message, PeerMessage):
            message = FromPeer(peer.identity.node, message)
        if process is not None:
            process.deliver(message)
            if process.bound is not None:
                peer.ledger.received(signal.name, process, 1)
        else:
            self._runtime.dead_letter((signal.name, self._runtime.node), signal.message, "unknown_name")

    def _alias_message(self, peer: Peer, signal: control.SendAlias) -> None:
        alias = signal.alias
        process = self._runtime.process(alias.pid)
        if process is None:
            self._runtime.send(alias, signal.message)
            return
        asking = peer.crossings.asking
        if asking.get(alias.ref) == alias.pid:  # written out, since replies are what is in a hurry
            del asking[alias.ref]
            # The other end knows that the monitor has gone with the reply: nothing is left to be told of it.
            process.related().monitors.pop(alias.ref, None)
        process.deliver_alias(alias.ref, signal.message)

    def _urgent_message(self, peer: Peer, signal: control.SendUrgent) -> None:
        peer.crossings.ends_request(signal.alias.ref, signal.alias.pid)
        self._runtime.send_urgently(signal.alias, signal.message)

    # -- credit

    def _grant(self, peer: Peer, signal: control.Grant) -> None:
        peer.ledger.granted(address_of(signal.source), signal.more)

    def _unbounded(self, peer: Peer, signal: control.Unbounded) -> None:
        peer.ledger.unbounded(address_of(signal.source))

    # -- links and exits

    def _link(self, peer: Peer, signal: control.Link) -> None:
        process = self._runtime.process(signal.target)
        if process is None:
            peer.send(control.Exit(signal.target, signal.source, NOPROC))
            return
        process.related().link_received(signal.source)
        peer.crossings.add_link(signal.target, signal.source)

    def _unlink(self, peer: Peer, signal: control.Unlink) -> None:
        self.act(signal.target, lambda process: process.receive_unlink(signal.source))
        peer.send(control.UnlinkAck(signal.target, signal.source, signal.id))
        self._drop_if_unlinked(peer, signal.target, signal.source)

    def _unlink_ack(self, peer: Peer, signal: control.UnlinkAck) -> None:
        self.act(signal.target, lambda process: process.related().unlink_acknowledged(signal.source, signal.id))
        self._drop_if_unlinked(peer, signal.target, signal.source)

    def _drop_if_unlinked(self, peer: Peer, local: Pid, remote: Pid) -> None:
        process = self._runtime.process(local)
        if process is None or process.relations is None or remote not in process.relations.links:
            peer.crossings.drop_link(local, remote)

    def _exit(self, peer: Peer, signal: control.Exit) -> None:
        peer.crossings.drop_link(signal.target, signal.source)
        self.act(signal.target, lambda process: process.receive_exit(signal.source, signal.reason))

    def _exit_to(self, _peer: Peer, signal: control.ExitTo) -> None:
        self.act(signal.target, lambda process: process.receive_exit_to(signal.source, signal.reason))

    # -- monitors and requests

    def _monitor(self, peer: Peer, signal: control.Monitor) -> None:
        watched = self._watch(peer, signal)
        if watched is not None:
            peer.crossings.watchers[signal.ref] = watched.pid

    def _ask(self, peer: Peer, signal: control.Ask) -> None:
        asked = self._watch(peer, signal)
        if asked is not None:
            peer.crossings.asked[signal.ref] = asked.pid
            asked.deliver(signal.message)
            if asked.bound is not None:
                peer.ledger.received(address_of(signal.target), asked, 1)
        else:
            target = signal.target
            nobody = target if isinstance(target, Pid) else (target, self._runtime.node)
            self._runtime.dead_letter(nobody, signal.message, "noproc" if nobody is target else "unknown_name")

    def _watch(self, peer: Peer, signal: control.Monitor | control.Ask) -> Process | None:
        """Let a process of the peer's watch one that is here; who is watched, if it lives.

        Raises:
            WireError: it watches by this reference already.
        """
        if peer.crossings.has_watcher(signal.ref):
            raise WireError(f"the reference {signal.ref.number} of a monitor or request is in use already")
        runtime, target = self._runtime, signal.target
        process = runtime.process(target) if isinstance(target, Pid) else runtime.names.holder(target)
        if process is None:
            peer.send(control.MonitorExit(target, signal.source, signal.ref, NOPROC))
            return None
        address = target if isinstance(target, Pid) else (target, runtime.node)
        process.related().watchers[signal.ref] = (signal.source, address)
        return process

    def _demonitor(self, peer: Peer, signal: control.Demonitor) -> None:
        watched = peer.crossings.drop_watcher(signal.ref)
        if watched is not None:
            self.unwatch(watched, signal.ref)

    def _monitor_exit(self, peer: Peer, signal: control.MonitorExit) -> None:
        if peer.crossings.ends_monitor(signal.ref, signal.target):  # no monitor of others, and none at other nodes
            self.act(signal.target, lambda process: self.fire(process, signal.ref, signal.reason))

    # -- processes that a peer asks for, or has started

    def _spawn_request(self, peer: Peer, signal: control.SpawnRequest) -> None:
        """Start a process, with its link and its monitor, and say so before it takes its first step.

        Raises:
            WireError: a process of the peer's watches by this reference already.
        """
        runtime, asker, ref = self._runtime, signal.source, signal.ref
        if peer.crossings.has_watcher(ref):
            raise WireError(f"the reference {ref.number} of a monitor or request is in use already")
        link, monitor = (
            bool(signal.options & control.SpawnRequest.LINK),
            bool(signal.options & control.SpawnRequest.MONITOR),
        )
        name = signal.name or None
        wish = Wish(asker=asker, ref=ref, export=signal.export, args=signal.args, link=link, monitor=monitor, name=name)
        try:
            child, starting = runtime.spawns.start(wish)
        except Refused as refused:
            nobody = Pid(runtime.node, NODE, runtime.creation)
            peer.send(control.SpawnReply(nobody, asker, ref, 0, refused.reason))
            return
        if link:
            child.related().link_received(asker)
            peer.crossings.add_link(child.pid, asker)
        if monitor or starting:
            child.related().watchers[ref] = (asker, child.pid)
            peer.crossings.watchers[ref] = child.pid
        peer.send(control.SpawnReply(child.pid, asker, ref, control.SpawnReply.STARTING if starting else 0, None))

    def _spawn_reply(self, peer: Peer, signal: control.SpawnReply) -> None:
        asker, child, ref = signal.target, signal.source, signal.ref
        spawning = peer.crossings.ends_spawning(ref, asker)
        if spawning is None:
            return
        if child.number == NODE:
            self.not_spawned(asker, ref, signal.reason)
            return
        starting = bool(signal.state & control.SpawnReply.STARTING)
        watched = spawning.monitor or starting
        process = self._runtime.process(asker)
        if process is None or not awaits_spawn(process, ref):
            self._turn_away(peer, signal, spawning, NOPROC if process is None else ABANDONED, watched=watched)
            return
        if spawning.link:
            process.related().link_received(child)
            peer.crossings.add_link(asker, child)
        if watched:
            process.related().monitors[ref] = child
            peer.crossings.monitors[ref] = asker
        answer_spawn(process, SpawnReply(ref, child, starting=starting))

    def _turn_away(
        self, peer: Peer, signal: control.SpawnReply, spawning: Spawning, reason: Reason, *, watched: bool
    ) -> None:
        """Nobody waits for the new process any more: one that was to be linked ends."""
        if watched:
            peer.send(control.Demonitor(signal.target, signal.source, signal.ref))
        if spawning.link:
            peer.send(control.Exit(signal.target, signal.source, reason))

    def not_spawned(self, asker: Pid, ref: Ref, reason: Reason) -> None:
        """Nothing was started for `asker`, if it waits still."""
        self.act(
            asker,
            lambda process: (
                answer_spawn(process, SpawnReply(ref, None, reason)) if awaits_spawn(process, ref) else None
            ),
        )
