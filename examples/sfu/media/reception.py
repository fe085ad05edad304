"""What arrived of one source, for receiver reports (RFC 3550 section 6.4.1 and appendix A)."""

from __future__ import annotations

from typing import Final

from examples.sfu.media.rtcp import ReportBlock, SenderReport
from examples.sfu.media.rtp import Header

_WRAP: Final = 1 << 16


class Reception:
    """The figures of one SSRC. `now` is in seconds, on a clock that never goes back."""

    def __init__(self, header: Header, clock_rate: int) -> None:
        self.ssrc = header.ssrc
        self._clock_rate = clock_rate
        self._base = header.sequence
        self._highest = header.sequence
        self._received = 0
        self._reported = (0, 0)
        self._transit: int | None = None
        self._jitter = 0.0
        self._report: tuple[int, float] | None = None

    def receive(self, header: Header, now: float) -> None:
        """Count a packet."""
        ahead = (header.sequence - self._highest) % _WRAP
        if ahead < _WRAP // 2:
            self._highest += ahead
        self._received += 1
        transit = round(now * self._clock_rate) - header.timestamp
        if self._transit is not None:
            # Modulo 2**32 and signed: the timestamp may have wrapped between the two.
            distance = abs((transit - self._transit + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000)
            self._jitter += (distance - self._jitter) / 16
        self._transit = transit

    def receive_report(self, report: SenderReport, now: float) -> None:
        """Remember when the sender last reported: it finds the round trip from that."""
        self._report = ((report.ntp >> 16) & 0xFFFF_FFFF, now)

    def block(self, now: float) -> ReportBlock:
        """The figures since the last block was made."""
        expected = self._highest - self._base + 1
        expected_since, received_since = expected - self._reported[0], self._received - self._reported[1]
        self._reported = (expected, self._received)
        lost_since = max(0, expected_since - received_since)
        middle, heard = self._report or (0, now)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, 256 * lost_since // expected_since) if expected_since > 0 else 0,
            lost=expected - self._received,
            highest_sequence=self._highest & 0xFFFF_FFFF,
            jitter=min(0xFFFF_FFFF, int(self._jitter)),
            last_report=middle,
            delay=min(0xFFFF_FFFF, round((now - heard) * 65536)),
        )
