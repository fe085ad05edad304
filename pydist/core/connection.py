"""A connection after its handshake: signals and bytes, both ways, and the net tick.

Order is the order of the calls for all signals of one source (`outbox.py`). Input that breaks the protocol raises a
:class:`pydist.errors.WireError`; the connection is of no use afterwards, and the driver closes it.
"""

from __future__ import annotations

from pydist.core.outbox import Outbox
from pydist.core.ticker import INTENSITY, NET_TICKTIME, Due, Ticker
from pydist.errors import TickTimeout, WireError
from pydist.terms import Pid
from pydist.wire.assembly import Buffer
from pydist.wire.bodies import Tailed
from pydist.wire.codec import Encoder
from pydist.wire.control import Incoming, Signal
from pydist.wire.fragments import MESSAGE_LIMIT, FragmentBuffer
from pydist.wire.framing import FRAME_LIMIT, LONG, TICK, FrameBuffer
from pydist.wire.handshake import Flag, Identity
from pydist.wire.signal_arrays import SignalReader


class Connection:
    """The machine of one connection between `local` and `peer`.

    `net_ticktime` is in seconds. `message_limit` is in bytes, for what is sent as well as for what is taken; so is
    `frame_limit`, which counts with a peer that takes no fragments.
    """

    def __init__(
        self,
        local: Identity,
        peer: Identity,
        now: float,
        *,
        net_ticktime: float = NET_TICKTIME,
        intensity: int = INTENSITY,
        suspect_after: float | None = None,
        frame_limit: int = FRAME_LIMIT,
        message_limit: int = MESSAGE_LIMIT,
        compress: bool = False,
    ) -> None:
        self.local = local
        self.peer = peer
        self._net_ticktime = net_ticktime
        self.ticker = Ticker(now, net_ticktime=net_ticktime, intensity=intensity, suspect_after=suspect_after)
        fragments, inflates = Flag.FRAGMENTS in peer.flags, Flag.COMPRESSION in peer.flags
        self._frames = FragmentBuffer(message_limit, inflates=inflates) if fragments else FrameBuffer(LONG, frame_limit)
        self._reader = SignalReader(local.home, peer.home)
        self.outbox = Outbox(
            Encoder(),
            frame_limit=frame_limit,
            fragments=fragments,
            compress=compress and inflates,
            message_limit=message_limit,
        )
        # The hot path: bound here, it costs no call of its own.
        self.send_message = self.outbox.send

    @property
    def pending(self) -> int:
        """Bytes that wait to be written."""
        return self.outbox.size

    def reaches(self, pid: Pid) -> bool:
        """True when `pid` is of the peer's present incarnation. Only then may its number be used here."""
        return pid.creation == self.peer.creation and pid.node == self.peer.node

    def send(self, signal: Signal) -> None:
        """Queue a signal. Its pid at the peer's side must be one that `reaches` is true of.

        Raises:
            EncodeError: its message or reason can't cross the wire. Nothing was queued.
        """
        self.outbox.signal(signal)

    def receive_data(self, data: Buffer, now: float) -> list[Incoming]:
        """Take bytes from the peer; the signals that are whole now, in order. Nothing of `data` is kept.

        Raises:
            FrameTooLarge: a frame or message announces more than the limit.
            FragmentError: fragments that make up no message.
            DecodeError: a frame holds anything but signals.
        """
        self.ticker.heard = True
        self.ticker.heard_at = now
        self._frames.feed(data)
        signals: list[Incoming] = []
        while (frame := self._frames.next_frame()) is not None:
            if isinstance(frame, Tailed):
                signals += self._reader.read_tailed(frame.head, frame.tail)
            elif frame:
                signals += self._reader.read(frame)
        return signals

    def receive_eof(self, now: float) -> None:  # noqa: ARG002  # all machines have these verbs
        """The peer closed the transport.

        Raises:
            WireError: in the middle of a message.
        """
        if len(self._frames):
            raise WireError("the peer closed the connection in the middle of a message")

    def data_to_send(self, limit: int | None = None) -> bytes:
        """What is to be written now: all that waits, or with `limit` whole frames until there are that many bytes."""
        return b"".join(self.buffers_to_send(limit))

    def buffers_to_send(self, limit: int | None = None) -> list[bytes | memoryview]:
        """As `data_to_send`, in parts: what is large is the very memory of the message."""
        buffers = self.outbox.take(limit)
        if buffers and buffers != [TICK]:
            # A tick that counted as written would keep back the next one.
            self.ticker.spoke = True
        return buffers

    def next_timer(self) -> float:
        """When `handle_timer` is to be called."""
        return self.ticker.next_timer()

    def handle_timer(self, now: float, *, unwritten: int = 0) -> bool:
        """Queue a tick when one is due and no output waits, here or as `unwritten` bytes in the transport.

        Returns:
            True when the peer is suspect from now on.

        Raises:
            TickTimeout: nothing was heard for the whole `net_ticktime`.
        """
        due = self.ticker.handle_timer(now)
        if due is Due.DOWN:
            raise TickTimeout(f"nothing heard for {self._net_ticktime:g} s (net_ticktime)")
        if due is Due.TICK and not self.pending and not unwritten:
            self.outbox.tick()
        return due is Due.SUSPECT
