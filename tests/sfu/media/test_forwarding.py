from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media import rtp
from examples.sfu.media.forwarding import Rewriter
from examples.sfu.media.rtcp import SenderReport


def packet(sequence: int, timestamp: int, ssrc: int = 1) -> bytes:
    return struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc) + b"payload"


def forward(rewriter: Rewriter, source: bytes, now: float = 0.0) -> rtp.Header:
    return rtp.parse(rewriter.rewrite(source, rtp.parse(source), now))


def rewriter(first_sequence: int = 100) -> Rewriter:
    return Rewriter(ssrc=2, payload_type=100, clock_rate=90_000, first_sequence=first_sequence)


def test_a_subscriber_gets_its_own_ssrc_payload_type_and_sequence() -> None:
    mine = rewriter()
    assert forward(mine, packet(5000, 7)) == rtp.Header(100, False, 100, 7, 2, 12)
    assert forward(mine, packet(5001, 8)) == rtp.Header(100, False, 101, 8, 2, 12)


def test_the_first_sequence_number_is_in_the_lower_half() -> None:
    assert forward(rewriter(0xFFFF), packet(5, 7)).sequence == 0x7FFF


def test_loss_and_reordering_upstream_are_seen_downstream_as_they_were() -> None:
    mine = rewriter()
    sequences = [forward(mine, packet(n, n)).sequence for n in (65534, 1, 65535, 0, 2)]
    assert sequences == [100, 103, 101, 102, 104]


def test_a_new_source_goes_on_in_sequence_and_later_by_the_clock() -> None:
    mine = rewriter()
    forward(mine, packet(5000, 1000), now=1.0)
    forward(mine, packet(5001, 1000), now=1.0)
    assert forward(mine, packet(9, 777_777, ssrc=3), now=1.5) == rtp.Header(100, False, 102, 46_000, 2, 12)
    assert forward(mine, packet(10, 777_778, ssrc=3), now=1.5).timestamp == 46_001


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 2000), max_size=40), st.integers(0, 20))
def test_distances_between_packets_are_kept_over_every_wrap(start: int, steps: list[int], first: int) -> None:
    mine, sequence = rewriter(first), start
    previous = forward(mine, packet(sequence, 0)).sequence
    for step in steps:
        sequence += step
        current = forward(mine, packet(sequence, 0)).sequence
        assert (current - previous) & 0xFFFF == step
        previous = current


def test_a_sender_report_speaks_of_the_subscribers_stream() -> None:
    mine = rewriter()
    assert mine.sender_report(SenderReport(1, 5, 1000, 9, 9)) is None
    forward(mine, packet(5000, 1000), now=1.0)
    forward(mine, packet(1, 5000, ssrc=3), now=2.0)
    assert mine.sender_report(SenderReport(3, 5, 5000, 9, 9)) == SenderReport(2, 5, 91_000, 2, 14)
    assert mine.sender_report(SenderReport(1, 5, 1000, 9, 9)) is None
