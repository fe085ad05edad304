"""One connection to another node: drives the machine in `core/connection.py` over a transport.

Bytes go into the machine, and the signals that come out are delivered to the :class:`PeerOwner`, the node. Output is
written once per turn of the event loop (`flusher.py`), for as long as the transport takes it.

Whatever breaks the protocol costs the peer its transport and one line in the log, and nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs

from pydist.core.connection import Connection
from pydist.core.cookies import Cookies
from pydist.core.crossings import Crossings
from pydist.core.handshake import SETUP_TIME
from pydist.core.ticker import INTENSITY, NET_TICKTIME
from pydist.credit import Ledger
from pydist.env import Env
from pydist.errors import ConnectionFull, TickTimeout, WireError
from pydist.flusher import Flusher
from pydist.gates import Gate
from pydist.own_log import log
from pydist.terms import NodeDownReason
from pydist.transport.direct import DirectWriter
from pydist.wire.assembly import Buffer
from pydist.wire.control import MESSAGES, Incoming, Signal
from pydist.wire.fragments import MESSAGE_LIMIT
from pydist.wire.framing import FRAME_LIMIT
from pydist.wire.handshake import Flag, Identity

BUSY_LIMIT: Final = 1024 * 1024
PENDING_LIMIT: Final = 256 * 1024 * 1024

WRITE: Final = 64 * 1024
"""About so many bytes are written in one turn of the loop: what is sent next does not wait for more than these."""
STALL: Final = 2.0
"""Seconds in which a peer has to take something of what a closed connection still writes."""
PUT_TOGETHER: Final = 16
"""So many requests and replies wait for each other. Then the other node begins with them, while this one goes on."""


@attrs.frozen(kw_only=True)
class Settings:
    """What all peers of a node have in common. Sizes are in bytes, times in seconds."""

    local: Identity
    cookies: Callable[[], Cookies] = attrs.field(repr=False)
    """Asked at the beginning of each handshake."""
    env: Env
    net_ticktime: float = NET_TICKTIME
    intensity: int = INTENSITY
    suspect_after: float | None = None
    """Silence after which a peer is suspect; None: half the `net_ticktime`, and at least three of its intervals."""
    setup_time: float = SETUP_TIME
    frame_limit: int = FRAME_LIMIT
    """The largest message that may cross to or from a peer that takes no fragments."""
    message_limit: int = MESSAGE_LIMIT
    """The largest message that may cross; the same on all nodes."""
    compress: bool = False
    """Whether what is large is sent compressed, to peers that take that."""
    transport_limit: int = 64 * 1024
    """What the transport may hold unsent before it gets no more: all that comes later stands behind that."""
    pending_limit: int = PENDING_LIMIT
    """What may wait for one peer before messages to it raise :class:`ConnectionFull`."""
    busy_limit: int = BUSY_LIMIT
    """What may wait for one peer before it counts as busy (OTP: `dist_buf_busy_limit`)."""
    busy_wait: float = 0.0
    """How long to look for more input after some has come, before the program sleeps."""
    unfinished_limit: int = 128
    """Strangers that have said nothing, and as many more that have said who they are; see `core/strangers.py`."""


class PeerOwner(Protocol):
    """What a connection tells its node. All calls come from the event loop."""

    handlers: Mapping[type, Callable[[Peer, Any], None]]
    """What each class of signals does that comes. Those of one peer come in the order in which it sent them."""

    def disconnected(self, peer: Peer, text: str, reason: NodeDownReason) -> None:
        """It is over. Comes once, from inside `close` too; no signal follows."""
        ...

    def suspected(self, peer: Peer, silent_for: float) -> None:
        """Nothing was heard for so many seconds."""
        ...

    def recovered(self, peer: Peer) -> None:
        """One that was suspected is heard again; what it says comes next."""
        ...

    def delivered(self) -> None:
        """All signals of one read have been delivered: who was woken by them may run."""
        ...

    def crowded(self, peer: Peer) -> None:
        """Something is being sent, and more than `busy_limit` waits already; `writable` comes once less does."""
        ...

    def writable(self, peer: Peer) -> None:
        """The peer was busy or crowded, and is no longer."""
        ...


class Peer(asyncio.BufferedProtocol):
    """The connection to the node `identity`, on a transport whose handshake has ended well."""

    def __init__(
        self,
        settings: Settings,
        owner: PeerOwner,
        identity: Identity,
        transport: asyncio.Transport,
        *,
        flusher: Flusher,
        landing: memoryview,
        address: str,
    ) -> None:
        self.identity = identity
        self.connection_id = 0
        """The owner's number for this connection."""
        self.up = True
        self.busy = False
        """True while more than `transport_limit` waits in the transport. Output then waits in the outbox."""
        self.takes_requests = Flag.REQUESTS in identity.flags
        """Whether a request can cross as one signal."""
        self.takes_urgent = Flag.PRIORITY in identity.flags
        """Whether it knows of messages with priority."""
        self.tags: frozenset[str] = frozenset()
        """What the underlay says of its host, as `tag:ops`, for lists of who may do what."""
        self._settings = settings
        self._owner = owner
        self._flusher = flusher
        self._landing = landing
        self._transport = transport
        self.address = address
        self._crowd_limit = self._crowded_above = min(settings.busy_limit, settings.pending_limit)
        """What may wait in the outbox before who sends more is to wait, too."""
        self._crowded = False
        self.gate = Gate()
        """Where the owner holds who sends while it is crowded."""
        self._answers = 0
        """About how many of the bytes that wait are answers to what the peer has sent."""
        self._deaf = False
        """True while the peer takes none of its answers, and no more is read of it."""
        self._clock = settings.env.clock
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done once the transport is closed, and all is written that will be."""
        self._flush_due = False
        self._writer = DirectWriter(transport)
        self._put = 0
        """Requests and replies since some were written before the end of a turn."""
        self.connection = Connection(
            settings.local,
            identity,
            self._clock(),
            net_ticktime=settings.net_ticktime,
            intensity=settings.intensity,
            suspect_after=settings.suspect_after,
            frame_limit=settings.frame_limit,
            message_limit=settings.message_limit,
            compress=settings.compress,
        )
        self.crossings = Crossings()
        """The owner's notes of what crosses this connection."""
        self.ledger = Ledger(self.send, gives=Flag.CREDIT in identity.flags)
        """The owner's notes of how much may be sent, both ways."""
        self.bounds = self.ledger.credit.left
        """How many more messages the peer's processes take; empty where none of them has a bound."""
        self._outbox = self.connection.outbox
        self._ticker = self.connection.ticker
        self._timer: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(high=min(settings.transport_limit, self._crowd_limit))
        self._set_timer()

    # Sending ---------------------------------------------------------------------------------------------------------

    def send_message(self, number: int, message: Any, source: int = 0) -> None:
        """Queue a message of our process `source` (0: of none) to the peer's process `number`.

        Dropped when the connection is over.

        Raises:
            EncodeError: it can't cross the wire.
            ConnectionFull: more than `pending_limit` waits already.
        """
        if not self.up:
            return
        if self._outbox.size > self._crowded_above:
            self._crowd(capped=True)
        self._outbox.send(number, message, source)
        if not self._flush_due:
            self._flush_due = True
            self._flusher.flush_soon(self)

    def put(self, fields: tuple[int | str, ...], term: Any, source: int) -> None:
        """As `send` of a message, without making a signal of its fields first: requests and replies are in a hurry."""
        if not self.up:
            return
        if self._outbox.size > self._crowded_above:
            self._crowd(capped=True)
        self._outbox.put(fields, term, source)
        self._put += 1
        if self._put == PUT_TOGETHER:
            self._put = 0
            self.flush()
        elif not self._flush_due:
            self._flush_due = True
            self._flusher.flush_soon(self)

    def send(self, signal: Signal) -> None:
        """Queue any signal; raises as `send_message`, but only messages ever find the connection full.

        Links, monitors and exits are not to be lost while the connection lives.
        """
        if not self.up:
            return
        if self._outbox.size > self._crowded_above:
            self._crowd(capped=isinstance(signal, MESSAGES))
        self.connection.send(signal)
        self._flush_soon()

    def flush(self) -> None:
        """Write what waits, or so much of it that others have their turn, and the rest soon."""
        self._flush_due = False
        if not self.up:
            return
        if self._outbox.size and not self.busy:
            self._write(self.connection.buffers_to_send(WRITE))
        if self._outbox.size and not self.busy:
            self._flush_soon()
        self._relieve()

    def _write(self, buffers: list[bytes | memoryview]) -> None:
        if len(buffers) == 1:
            self._writer.write(buffers[0])
        else:
            self._writer.writelines(buffers)

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._flusher.flush_soon(self)

    def close(self, text: str, reason: NodeDownReason = "disconnect") -> None:
        """End it. What was queued is still written, within `setup_time`, if the other side goes on taking it."""
        if not self.up:
            return
        self._write(self.connection.buffers_to_send())
        self._shut(self._linger)
        self._owner.disconnected(self, text, reason)

    def is_crowded(self, source: int) -> bool:
        """Whether so much stands before what the process `source` sends next that it is to wait."""
        return self._outbox.holds_up(source, self._crowded_above)

    def _crowd(self, *, capped: bool) -> None:
        """Much waits already: tell the owner, who holds the sender, and refuse a message where it is too much."""
        self._crowded = True
        self._owner.crowded(self)
        if capped and self._outbox.size > self._settings.pending_limit:
            raise ConnectionFull(
                f"{self._outbox.size} bytes wait for {self.identity.node}, the limit is "
                f"{self._settings.pending_limit}: the message was not sent. Who sends much has to await something "
                "between sends: there it is held until the connection takes more, unless it has called async_dist(True)"
            )

    def _relieve(self) -> None:
        """Let those go on of whose way half is free, and tell the owner when all is."""
        if self._answers:
            self._answers = min(self._answers, self._outbox.size)
            if self._deaf and self._answers <= self._settings.pending_limit // 2 and not self._transport.is_closing():
                self._deaf = False
                self._transport.resume_reading()
        if self._crowded:
            low = self._crowded_above // 2
            if self._outbox.size <= low:
                self._crowded = False
                self._owner.writable(self)
            else:
                self.gate.let_go(lambda pid: not self._outbox.holds_up(pid.number, low))

    # The transport's side --------------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # as much as there is, up to all of it
        """Where the next bytes go. All connections of a node share it: it is empty again before the next one reads."""
        return self._landing

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes are there."""
        self.take(self._landing[:nbytes])

    def take(self, data: Buffer) -> None:
        """Feed the machine. Nothing of `data` is kept: its memory may be used again."""
        if not self.up:
            return
        if self._ticker.suspected:
            self._ticker.suspected = False
            self._owner.recovered(self)
        waiting = self._outbox.size
        try:
            self._deliver(self.connection.receive_data(data, self._clock()))
        except WireError as error:
            self._end(str(error), "protocol_error")
            return
        if self._outbox.size > waiting:  # nobody runs meanwhile
            self._answered(self._outbox.size - waiting)
        self._owner.delivered()

    def _answered(self, size: int) -> None:
        """Read no more of who takes no answers: they are never refused, so they have no other bound.

        Messages don't count: two nodes that have many for each other would wait for each other to read.
        """
        self._answers += size
        if self._answers > self._settings.pending_limit and not self._deaf and not self._transport.is_closing():
            self._deaf = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ask the machine why, and tell the owner."""
        if not self.gone.done():
            self.gone.set_result(None)
        if not self.up:
            self._stop_timer()
            return
        try:
            self.connection.receive_eof(self._clock())
        except WireError as error:
            self._end(str(error), "connection_closed")
        self._end(str(exc) if exc else "closed by the peer", "connection_closed")

    def pause_writing(self) -> None:
        """Much waits in the transport: it counts with what waits in the outbox."""
        self.busy = True
        self._crowded_above = self._crowd_limit - self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """Most of it is gone."""
        self.busy = False
        self._crowded_above = self._crowd_limit
        if self._deaf:  # who takes bytes is there, even if nothing it says is read
            self._ticker.heard = True
            self._ticker.heard_at = self._clock()
        self.flush()

    # The machine's side ----------------------------------------------------------------------------------------------

    def _deliver(self, signals: list[Incoming]) -> None:
        handlers = self._owner.handlers
        for signal in signals:
            if not self.up:
                return
            handlers[type(signal)](self, signal)

    def _end(self, text: str, reason: NodeDownReason) -> None:
        """Close at once, and say why to whoever has to know."""
        if not self.up:
            return
        self._shut(self._transport.abort)
        log.warning("connection_lost", node=self.identity.node, peer=self.address, reason=text)
        self._owner.disconnected(self, text, reason)

    def _shut(self, close: Callable[[], None]) -> None:
        self.up = False
        self._stop_timer()
        close()
        self.gate.open()
        self.ledger.close()

    def _linger(self) -> None:
        """Let the transport write what it holds, but not wait for ever for a peer that does not read."""
        self._transport.close()
        self._wait_for_taker(self._loop.time() + self._settings.setup_time, None)

    def _wait_for_taker(self, deadline: float, before: int | None) -> None:
        """`before`: how much was unwritten a while ago."""
        unwritten, left = self._transport.get_write_buffer_size(), deadline - self._loop.time()
        if unwritten == before or left <= 0:
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(min(STALL, left), self._wait_for_taker, deadline, unwritten)

    # Time ------------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        delay = max(0.0, self.connection.next_timer() - self._clock())
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        now = self._clock()
        try:
            suspect = self.connection.handle_timer(now, unwritten=self._transport.get_write_buffer_size())
        except TickTimeout as error:
            self._end(str(error), "net_tick_timeout")
            return
        self.flush()
        self._set_timer()
        if suspect:
            self._owner.suspected(self, now - self._ticker.heard_at)
