"""One subscriber's view of one track: a stream of its own, whatever happens upstream.

SSRC, sequence number, timestamp and payload type are the subscriber's. When the source starts anew (another SSRC), the
numbers go on from where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from examples.sfu.media import rtp
from examples.sfu.media.answer import Stream
from examples.sfu.media.rtcp import SenderReport
from examples.sfu.media.tracks import Track

_HALF: Final = 1 << 15


class Rewriter:
    """Maps a source's packets to a subscriber's. `now` is in seconds, on a clock that never goes back."""

    def __init__(self, *, ssrc: int, payload_type: int, clock_rate: int, first_sequence: int) -> None:
        """`first_sequence` is cut to 15 bits: a subscriber that misses the wrap of a higher one would guess SRTP's
        roll-over counter wrong (RFC 3711 section 3.3.1)."""
        self.ssrc = ssrc
        self._payload_type = payload_type
        self._clock_rate = clock_rate
        self._source: int | None = None
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._highest = (first_sequence % _HALF) - 1
        self._timestamp = 0
        self._seen_at = 0.0
        self._packets = 0
        self._octets = 0

    def rewrite(self, packet: bytes, header: rtp.Header, now: float) -> bytes:
        """The packet as the subscriber gets it."""
        if header.ssrc != self._source:
            self._anchor(header, now)
        sequence = (header.sequence + self._sequence_offset) & 0xFFFF
        timestamp = (header.timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        if (sequence - self._highest) & 0xFFFF < _HALF:
            self._highest, self._timestamp, self._seen_at = sequence, timestamp, now
        self._packets += 1
        self._octets += len(packet) - header.payload_at
        return rtp.rewrite(
            packet, header, payload_type=self._payload_type, sequence=sequence, timestamp=timestamp, ssrc=self.ssrc
        )

    def _anchor(self, header: rtp.Header, now: float) -> None:
        """Join the source's numbers to the subscriber's: next in sequence, and as much later as the clock says."""
        if self._source is not None:
            elapsed = max(1, round((now - self._seen_at) * self._clock_rate))
            self._timestamp_offset = self._timestamp + elapsed - header.timestamp
        self._source = header.ssrc
        self._sequence_offset = self._highest + 1 - header.sequence

    def sender_report(self, report: SenderReport) -> SenderReport | None:
        """The publisher's report in the subscriber's numbers; None before the first packet of that source."""
        if report.ssrc != self._source:
            return None
        timestamp = (report.timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        return SenderReport(self.ssrc, report.ntp, timestamp, self._packets & 0xFFFF_FFFF, self._octets & 0xFFFF_FFFF)


def rewriters(
    tracks: tuple[Track, ...], streams: Mapping[str, Stream], draw: Callable[[int], int]
) -> dict[int, Rewriter]:
    """A subscriber's rewriters, by the payload types of the channel's `tracks`; `draw` makes random numbers."""
    by_kind = {stream.track.kind: stream for stream in streams.values()}
    return {
        track.codec.payload_type: Rewriter(
            ssrc=stream.ssrc,
            payload_type=stream.track.codec.payload_type,
            clock_rate=track.codec.clock_rate,
            first_sequence=draw(2),
        )
        for track in tracks
        if (stream := by_kind.get(track.kind)) is not None
    }
