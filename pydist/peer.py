"""One peer on one transport: drives the handshake, then the connection.

Each `Peer` is an asyncio protocol. Bytes go into the machine of the moment, and what the machine says is done or told
to the :class:`PeerOwner`, the node. Output is written once per turn of the event loop: the first signal of a turn asks
for `flush` at its end, and a scheduler that knows that its batch is over calls `flush` itself.

Whatever breaks the protocol costs the peer its transport and one line in the log, and nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import attrs

from pydist.core.connection import Connection
from pydist.core.handshake import SETUP_TIME, Confirm, Decide, Established, Event, Handshake, Identity, Refused, Status
from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.core.outbox import Outbox
from pydist.core.ticker import INTENSITY, NET_TICKTIME
from pydist.env import Env
from pydist.errors import ConnectionFull, WireError
from pydist.own_log import log
from pydist.wire.control import Incoming, Send, SendAlias, SendName, Signal
from pydist.wire.framing import FRAME_LIMIT


@attrs.frozen(kw_only=True)
class Settings:
    """What all peers of a node have in common. Sizes are in bytes, times in seconds."""

    local: Identity
    cookie: bytes = attrs.field(repr=False)
    env: Env
    net_ticktime: float = NET_TICKTIME
    intensity: int = INTENSITY
    setup_time: float = SETUP_TIME
    frame_limit: int = FRAME_LIMIT
    pending_limit: int = 256 * 1024 * 1024
    """What may wait for one peer before messages to it raise :class:`ConnectionFull`."""
    busy_limit: int = 1024 * 1024
    """What the transport may hold unsent before the peer counts as busy (OTP: `dist_buf_busy_limit`)."""
    unfinished_limit: int = 128
    """Strangers in the middle of their handshakes; one more, and the one that has waited longest is closed."""


class PeerOwner(Protocol):
    """What a peer asks of its node, and tells it. All calls come from the event loop."""

    def decide(self, peer: Peer, identity: Identity) -> Status:
        """A node that dialled us has proven itself: what is the answer?"""
        ...

    def confirm(self, peer: Peer, identity: Identity) -> bool:
        """A node that we dialled believes we are connected: is this attempt to replace that?"""
        ...

    def connected(self, peer: Peer) -> None:
        """The handshake is over, and `peer.identity` is who it is. Signals may be sent from now on."""
        ...

    def refused(self, peer: Peer, status: Status) -> None:
        """A node that we dialled wants no connection by this attempt; the transport is closed."""
        ...

    def failed(self, peer: Peer, reason: str) -> None:
        """A handshake that we began has failed; the transport is closed."""
        ...

    def disconnected(self, peer: Peer, reason: str) -> None:
        """A connection is over. Comes once for each `connected`, from inside `close` too; no `deliver` follows."""
        ...

    def deliver(self, peer: Peer, signal: Incoming) -> None:
        """A signal has come. Signals of one peer come in the order in which it sent them."""
        ...

    def delivered(self) -> None:
        """All signals of one read have been delivered: who was woken by them may run."""
        ...

    def writable(self, peer: Peer) -> None:
        """The peer was busy, and is no longer."""
        ...


class Door:
    """Makes the peers of one node, and knows the strangers among them."""

    def __init__(self, settings: Settings, owner: PeerOwner) -> None:
        self.settings = settings
        self.owner = owner
        self.strangers: dict[Peer, None] = {}
        """Who has dialled us, and is not done with the handshake; who has waited longest comes first."""
        self._refusals = LogAllowance()
        self._loop = asyncio.get_running_loop()
        self._unflushed: list[Peer] = []

    @property
    def unfinished(self) -> int:
        """How many handshakes of strangers are not over."""
        return len(self.strangers)

    def admit(self, stranger: Peer) -> None:
        """Somebody has dialled us. Where there are too many, who has waited longest goes: nodes do not dawdle."""
        self.strangers[stranger] = None
        limit = self.settings.unfinished_limit
        if len(self.strangers) > limit:
            longest = next(iter(self.strangers))
            longest.turn_away(f"too many handshakes are unfinished ({limit}), and this one waited longest")

    def leave(self, peer: Peer) -> None:
        """The handshake of `peer` is over, if it was a stranger's."""
        self.strangers.pop(peer, None)

    def log_refused(self, peer: Peer, reason: str) -> None:
        """One line for each handshake that fails, unless strangers bring too many."""
        withheld = self._refusals.take(self.settings.env.clock()) if peer.dialled is None else 0
        if withheld is not None:
            fields = withheld_field(withheld)
            log.warning("handshake_refused", peer=peer.address, dialled=peer.dialled, reason=reason, **fields)

    def flush_soon(self, peer: Peer) -> None:
        """Write what `peer` has queued in this turn of the loop, or the next."""
        if not self._unflushed:
            self._loop.call_soon(self.flush)
        self._unflushed.append(peer)

    def flush(self) -> None:
        """Write what the peers have queued; a scheduler whose batch is over calls it, and saves them a turn."""
        unflushed, self._unflushed = self._unflushed, []
        for peer in unflushed:
            peer.flush()

    def answer(self) -> Peer:
        """The protocol for a transport that somebody else opened."""
        return Peer(self)

    def dial(self, node: str, attempt: int) -> Callable[[], Peer]:
        """Makes the protocol for a transport that we open to `node`."""
        return lambda: Peer(self, dialled=node, attempt=attempt)


class Peer(asyncio.Protocol):
    """One transport, from its first byte to its last. Made by :class:`Door`.

    After `connected`, `identity` is the other node; `attempt` is what the node dialled under (None when the other side
    did), and `replaces` is the node's to use.
    """

    identity: Identity
    connection: Connection
    _transport: asyncio.Transport
    _handshake: Handshake
    _outbox: Outbox

    def __init__(self, door: Door, *, dialled: str | None = None, attempt: int | None = None) -> None:
        self.dialled = dialled
        self.attempt = attempt
        self.replaces: Peer | None = None
        self.address = "?"
        self.up = False
        self.busy = False
        """True while more than `busy_limit` waits in the transport. Output then waits in the outbox."""
        self._door = door
        self._owner = door.owner
        self._settings = door.settings
        self._pending_limit = door.settings.pending_limit
        self._clock = door.settings.env.clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._flush_due = False
        self._closed = False

    @property
    def in_handshake(self) -> bool:
        """True until the handshake has ended, well or not."""
        return not self.up and not self._closed

    # Sending ---------------------------------------------------------------------------------------------------------

    def send_message(self, number: int, message: Any) -> None:
        """Queue a message to the peer's process `number`. Dropped when the connection is over.

        Raises:
            EncodeError: it can't cross the wire.
            ConnectionFull: more than `pending_limit` waits already.
        """
        if not self.up:
            return
        if self._outbox.size > self._pending_limit:
            raise self._full()
        self._outbox.send(number, message)
        if not self._flush_due:
            self._flush_due = True
            self._door.flush_soon(self)

    def send(self, signal: Signal) -> None:
        """Queue any signal; raises as `send_message`, but only messages ever find the connection full.

        Links, monitors and exits are not to be lost while the connection lives.
        """
        if not self.up:
            return
        if isinstance(signal, Send | SendName | SendAlias) and self.connection.pending > self._pending_limit:
            raise self._full()
        self.connection.send(signal)
        if not self._flush_due:
            self._flush_due = True
            self._door.flush_soon(self)

    def flush(self) -> None:
        """Write what waits."""
        self._flush_due = False
        if not self.up:
            return
        connection = self.connection
        while connection.outbox.size and not self.busy:
            self._transport.write(connection.data_to_send(self._settings.busy_limit))

    def close(self, reason: str) -> None:
        """End it. What was queued is still written, if the other side takes it soon.

        A handshake is given up without a word, to the owner too.
        """
        if self._closed:
            return
        self.flush()
        was_up = self.up
        self._shut(self._linger)
        if was_up:
            self._owner.disconnected(self, reason)

    def turn_away(self, reason: str) -> None:
        """End a stranger's handshake at once, with a line in the log."""
        self._end(reason)

    def _full(self) -> ConnectionFull:
        return ConnectionFull(
            f"{self.connection.pending} bytes wait for {self.identity.node}, the limit is "
            f"{self._settings.pending_limit}: the message was not sent"
        )

    # The transport's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._settings.busy_limit)
        self.address = _text(transport.get_extra_info("peername"))
        settings = self._settings
        self._handshake = Handshake(
            settings.local,
            settings.cookie,
            settings.env.entropy(32),
            self._clock(),
            dialled=self.dialled,
            setup_time=settings.setup_time,
        )
        self._write_handshake()
        self._set_timer(self._handshake.next_timer())
        if self.dialled is None:
            self._door.admit(self)

    def data_received(self, data: bytes) -> None:
        """Feed the machine."""
        if self._closed:
            return
        try:
            if self.up:
                self._deliver(self.connection.receive_data(data, self._clock()))
                self._owner.delivered()
            else:
                self._perform(self._handshake.receive_data(data, self._clock()))
        except WireError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ask the machine why, and tell the owner."""
        if self._closed:
            self._set_timer(None)
            return
        try:
            if self.up:
                self.connection.receive_eof(self._clock())
            else:
                self._handshake.receive_eof(self._clock())
        except WireError as error:
            self._end(str(error))
        self._end(str(exc) if exc else "closed by the peer")

    def pause_writing(self) -> None:
        """More than `busy_limit` waits in the transport."""
        self.busy = True

    def resume_writing(self) -> None:
        """Most of it is gone."""
        self.busy = False
        self.flush()
        if self.up and not self.busy:
            self._owner.writable(self)

    # The machines' side ----------------------------------------------------------------------------------------------

    def _deliver(self, signals: list[Incoming]) -> None:
        deliver = self._owner.deliver
        for signal in signals:
            if not self.up:
                return
            deliver(self, signal)

    def _perform(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Decide(identity):
                    status = self._owner.decide(self, identity)
                    self._perform(self._handshake.decide(status, self._clock()))
                case Confirm(identity):
                    wanted = self._owner.confirm(self, identity)
                    self._perform(self._handshake.confirm(wanted=wanted, now=self._clock()))
                case Established(identity, leftover):
                    self._establish(identity, leftover)
                case Refused(_, status):
                    self._refuse(status)
        self._write_handshake()

    def _write_handshake(self) -> None:
        data = self._handshake.data_to_send()
        if data and not self._closed:
            self._transport.write(data)

    def _establish(self, identity: Identity, leftover: bytes) -> None:
        self._write_handshake()
        self._door.leave(self)
        settings = self._settings
        self.identity = identity
        self.connection = Connection(
            settings.local,
            identity,
            self._clock(),
            net_ticktime=settings.net_ticktime,
            intensity=settings.intensity,
            frame_limit=settings.frame_limit,
        )
        self._outbox = self.connection.outbox
        self.up = True
        self._set_timer(self.connection.next_timer())
        self._owner.connected(self)
        if leftover:
            self.data_received(leftover)

    def _refuse(self, status: Status) -> None:
        self._write_handshake()
        self._shut(self._linger)
        if self.dialled is not None:
            self._owner.refused(self, status)

    def _end(self, reason: str) -> None:
        """Close at once, and say why to whoever has to know."""
        if self._closed:
            return
        was_up = self.up
        self._shut(self._transport.abort)
        if was_up:
            log.warning("connection_lost", node=self.identity.node, peer=self.address, reason=reason)
            self._owner.disconnected(self, reason)
            return
        self._door.log_refused(self, reason)
        if self.dialled is not None:
            self._owner.failed(self, reason)

    def _shut(self, close: Callable[[], None]) -> None:
        self.up = False
        self._closed = True
        self._door.leave(self)
        self._set_timer(None)
        close()

    def _linger(self) -> None:
        """Let the transport write what it holds, but not wait for ever for a peer that does not read."""
        self._transport.close()
        self._timer = self._loop.call_later(self._settings.setup_time, self._transport.abort)

    # Time ------------------------------------------------------------------------------------------------------------

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        machine: Handshake | Connection = self.connection if self.up else self._handshake
        try:
            machine.handle_timer(self._clock())
        except WireError as error:
            self._end(str(error))
            return
        if self.up:
            self.flush()
        self._set_timer(machine.next_timer())


def _text(peername: Any) -> str:
    match peername:
        case (str(host), int(port), *_):
            return f"{host}:{port}"
        case _:
            return str(peername)
