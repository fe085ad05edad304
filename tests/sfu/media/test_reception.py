from __future__ import annotations

from examples.sfu.media.reception import Reception
from examples.sfu.media.rtcp import ReportBlock, SenderReport
from examples.sfu.media.rtp import Header


def header(sequence: int, timestamp: int = 0) -> Header:
    return Header(96, False, sequence, timestamp, 7, 12)


def received(*sequences: int) -> Reception:
    reception = Reception(header(sequences[0]), 90_000)
    for sequence in sequences:
        reception.receive(header(sequence), 1.0)
    return reception


def test_a_whole_stream_has_no_loss() -> None:
    assert received(1, 2, 3).block(1.0) == ReportBlock(7, 0, 0, 3, 0, 0, 0)


def test_a_hole_is_counted_once_and_only_since_the_last_report() -> None:
    reception = received(1, 2, 4, 5)
    block = reception.block(1.0)
    assert (block.fraction_lost, block.lost) == (256 // 5, 1)
    reception.receive(header(6), 1.0)
    block = reception.block(1.0)
    assert (block.fraction_lost, block.lost) == (0, 1)


def test_a_late_packet_is_not_lost() -> None:
    assert received(1, 3, 2, 4).block(1.0).lost == 0


def test_wraps_are_counted_in_the_high_half() -> None:
    assert received(65534, 65535, 0, 1).block(1.0).highest_sequence == 0x1_0001


def test_jitter_follows_rfc_3550_and_survives_the_wrap_of_the_timestamp() -> None:
    reception = Reception(header(1, 0xFFFF_FFF0), 90_000)
    reception.receive(header(1, 0xFFFF_FFF0), 1.0)
    reception.receive(header(2, (0xFFFF_FFF0 + 1800) & 0xFFFF_FFFF), 1.0 + 1800 / 90_000)
    assert reception.block(2.0).jitter == 0
    reception.receive(header(3, (0xFFFF_FFF0 + 3600) & 0xFFFF_FFFF), 1.0 + 3760 / 90_000)
    assert reception.block(2.0).jitter == 10


def test_the_last_sender_report_comes_back_with_its_age() -> None:
    reception = received(1)
    reception.receive_report(SenderReport(7, 0x0000_0001_8000_0000, 0, 0, 0), 1.0)
    block = reception.block(1.5)
    assert (block.last_report, block.delay) == (0x0001_8000, 0x8000)
