"""Does what `core/partitions.py` decides: tells of lost connections, and leaves nodes that others have lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydist.core.partitions import Order, Part, Partitions, Tell
from pydist.own_log import log
from pydist.peer import Peer
from pydist.wire import control
from pydist.wire.handshake import Flag, Identity


class Mesh:
    """The members of the cluster that a node is connected with. `leave(node, text)` is to end a connection."""

    def __init__(self, local: Identity, up: Mapping[str, Peer], leave: Callable[[str, str], None]) -> None:
        self._local = local
        self._up = up
        self._leave = leave
        self._partitions = Partitions(local.node, local.creation)

    def joined(self, peer: Peer) -> None:
        """A connection is there."""
        identity = peer.identity
        if Flag.PARTITIONS in identity.flags and not identity.hidden and not self._local.hidden:
            self._partitions.joined(identity.node, identity.creation)

    def lost(self, peer: Peer) -> None:
        """A connection is lost."""
        self._perform(self._partitions.lost(peer.identity.node))

    def told(self, _peer: Peer, loss: control.Lost) -> None:
        """A peer tells of a loss."""
        self._perform(self._partitions.told(loss))

    def left(self, peer: Peer, _signal: control.Part) -> None:
        """A peer leaves this node, and is about to close the connection."""
        self._partitions.left(peer.identity.node)

    def farewell(self) -> None:
        """The node stops: nobody is to take that for a loss."""
        for member in self._partitions.members:
            self._partitions.left(member)
            self._up[member].send(control.Part())

    def _perform(self, orders: list[Order]) -> None:
        for order in orders:
            peer = self._up.get(order.member)
            match order:
                case Tell(_, loss) if peer is not None and not self._spares(peer, loss):
                    peer.send(loss)
                case Part(member, text) if peer is not None:
                    log.warning("node_left", node=member, here=self._local.node, reason=text)
                    peer.send(control.Part())
                    self._leave(member, text)
                case _:
                    pass

    def _spares(self, peer: Peer, loss: control.Lost) -> bool:
        """Whether not to tell on what others have lost: much waits for the peer. The one who has lost tells it, too."""
        return loss.reporter != self._local.node and peer.is_crowded(0)
