"""Drives the handshake over one transport, and hands the transport to a :class:`Peer` when it has ended well.

Whatever breaks the protocol costs the other side its transport, and this node one line in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

from pydist.core.handshake import Confirm, Decide, Established, Event, Handshake, Named, NameWanted, Refused
from pydist.core.handshake_states import State
from pydist.errors import WireError
from pydist.flusher import Flusher
from pydist.naming import chosen_name
from pydist.own_log import log
from pydist.peer import Peer, PeerOwner, Settings
from pydist.wire.handshake import Identity, Status


class GreetingOwner(Protocol):
    """What a handshake asks of its node, and tells it. All calls come from the event loop."""

    def decide(self, greeting: Greeting, identity: Identity) -> Status:
        """A node that dialled us has proven itself: what is the answer?"""
        ...

    def confirm(self, greeting: Greeting, identity: Identity) -> bool:
        """A node that we dialled believes we are connected: is this attempt to replace that?"""
        ...

    def connected(self, greeting: Greeting, peer: Peer) -> None:
        """The handshake is over, and `peer.identity` is who it is. Signals may be sent from now on."""
        ...

    def refused(self, greeting: Greeting, status: Status) -> None:
        """A node that we dialled wants no connection by this attempt; the transport is closed."""
        ...

    def failed(self, greeting: Greeting, reason: str) -> None:
        """A handshake that we began has failed; the transport is closed."""
        ...


class Owner(GreetingOwner, PeerOwner, Protocol):
    """Whoever is told of handshakes is told of connections, too."""


class Hall(Protocol):
    """Where greetings come from: knows who is in the middle of one."""

    settings: Settings
    owner: Owner
    flusher: Flusher
    landing: memoryview

    def admit(self, stranger: Greeting, /) -> None:
        """A handshake has begun that the other side asked for."""
        ...

    def introduce(self, stranger: Greeting, /) -> None:
        """The other side has said who it is, and not proven it yet. May come more than once."""
        ...

    def leave(self, greeting: Greeting, /) -> None:
        """A handshake is over, well or not."""
        ...

    def log_refused(self, greeting: Greeting, reason: str, /) -> None:
        """A handshake has failed."""
        ...


class Greeting(asyncio.Protocol):
    """One handshake. Made by :class:`pydist.door.Door`.

    `dialled` and `attempt` are the node that we dialled, and what it was dialled under (None when the other side did);
    `replaces` is the owner's to use.
    """

    _transport: asyncio.Transport
    _handshake: Handshake

    def __init__(self, hall: Hall, *, dialled: str | None = None, attempt: int | None = None) -> None:
        self.dialled = dialled
        self.attempt = attempt
        self.replaces: Peer | None = None
        self.address = self.host = "?"
        self._hall = hall
        self._owner = hall.owner
        self._settings = hall.settings
        self._clock = hall.settings.env.clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    @property
    def in_handshake(self) -> bool:
        """True until the handshake has ended, well or not."""
        return not self._over

    def give_up(self) -> None:
        """End it without a word, to the owner too."""
        if not self._over:
            self._shut(self._linger)

    def turn_away(self, reason: str) -> None:
        """End a stranger's handshake at once, with a line in the log."""
        self._end(reason)

    # The transport's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.host, self.address = _address(transport.get_extra_info("peername"))
        settings = self._settings
        self._handshake = Handshake(
            settings.local,
            settings.cookies(),
            settings.env.entropy(32),
            self._clock(),
            dialled=self.dialled,
            setup_time=settings.setup_time,
        )
        self._write()
        self._set_timer()
        if self.dialled is None:
            self._hall.admit(self)

    def data_received(self, data: bytes) -> None:
        """Feed the machine."""
        if self._over:
            return
        try:
            events = self._handshake.receive_data(data, self._clock())
            if self._handshake.state is State.AWAIT_PROOF:
                self._hall.introduce(self)
            self._perform(events)
        except WireError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ask the machine why, and tell the owner."""
        if self._over:
            self._stop_timer()
            return
        try:
            self._handshake.receive_eof(self._clock())
        except WireError as error:
            self._end(str(error))
        self._end(str(exc) if exc else "closed by the peer")

    # The machine's side ----------------------------------------------------------------------------------------------

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
                case NameWanted():
                    self._perform(self._handshake.give_name(*chosen_name(self._settings.env), self._clock()))
                case Named(home):
                    log.info("node_named", node=home.node, here=self._settings.local.node)
                    self._write()
                    self._shut(self._linger)
        self._write()

    def _write(self) -> None:
        data = self._handshake.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _establish(self, identity: Identity, leftover: bytes) -> None:
        self._write()
        peer = Peer(
            self._settings,
            self._owner,
            identity,
            self._transport,
            flusher=self._hall.flusher,
            landing=self._hall.landing,
            address=self.address,
        )
        self._shut(lambda: self._hand_over(peer))
        self._owner.connected(self, peer)
        if leftover:
            peer.take(leftover)

    def _hand_over(self, peer: Peer) -> None:
        """Reading begins anew: it is done in another way."""
        self._transport.pause_reading()
        self._transport.set_protocol(peer)
        self._transport.resume_reading()

    def _refuse(self, status: Status) -> None:
        self._write()
        self._shut(self._linger)
        if self.dialled is not None:
            self._owner.refused(self, status)

    def _end(self, reason: str) -> None:
        """Close at once, and say why to whoever has to know."""
        if self._over:
            return
        self._write()
        self._shut(self._transport.abort)
        self._hall.log_refused(self, reason)
        if self.dialled is not None:
            self._owner.failed(self, reason)

    def _shut(self, close: Callable[[], None]) -> None:
        self._over = True
        self._hall.leave(self)
        self._stop_timer()
        close()

    def _linger(self) -> None:
        """Let the transport write what it holds, but not wait for ever for a peer that does not read."""
        self._transport.close()
        self._timer = self._loop.call_later(self._settings.setup_time, self._transport.abort)

    # Time ------------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        deadline = self._handshake.next_timer()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - self._clock()), self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        try:
            self._handshake.handle_timer(self._clock())
        except WireError as error:
            self._end(str(error))
            return
        self._set_timer()


def _address(peername: Any) -> tuple[str, str]:
    """The host, and the address for the log."""
    match peername:
        case (str(host), int(port), *_):
            return host, f"{host}:{port}"
        case _:
            return str(peername), str(peername)
