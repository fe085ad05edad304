from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media import rtcp

u32 = st.integers(0, 0xFFFF_FFFF)
REPORT = rtcp.SenderReport(ssrc=0xCAFE, ntp=0x0102030405060708, timestamp=9, packets=10, octets=11)


def test_a_sender_report_has_the_bytes_of_rfc_3550() -> None:
    assert rtcp.sender_report(REPORT, "me") == bytes.fromhex(
        "80c80006 0000cafe 0102030405060708 00000009 0000000a 0000000b 81ca0003 0000cafe 01026d65 00000000"
    )


def test_a_receiver_report_has_the_bytes_of_rfc_3550() -> None:
    block = rtcp.ReportBlock(2, fraction_lost=128, lost=-1, highest_sequence=65537, jitter=3, last_report=4, delay=5)
    assert rtcp.receiver_report(1, [block]) == bytes.fromhex(
        "81c90007 00000001 00000002 80ffffff 00010001 00000003 00000004 00000005"
    )


def test_a_picture_loss_has_the_bytes_of_rfc_4585() -> None:
    assert rtcp.picture_loss(1, 2) == bytes.fromhex("81ce0002 00000001 00000002")


def test_a_bitrate_limit_has_the_bytes_of_the_remb_draft() -> None:
    # 2,500,000 = 156,250 << 4: the mantissa has 18 bits.
    assert rtcp.bitrate_limit(1, 2_500_000, [2, 3]) == bytes.fromhex(
        "8fce0006 00000001 00000000 52454d42 0212625a 00000002 00000003"
    )


def test_full_intra_requests_name_their_sources_in_entries() -> None:
    compound = bytes.fromhex("84ce0006 00000001 00000000 00000007 01000000 00000008 02000000")
    assert rtcp.parse(compound) == [rtcp.KeyFrameRequest(7), rtcp.KeyFrameRequest(8)]


def test_a_compound_is_read_packet_by_packet_and_strange_ones_are_passed_over() -> None:
    strange = bytes.fromhex("80cd0001 00000000")
    compound = rtcp.receiver_report(1, []) + strange + rtcp.sender_report(REPORT, "me") + rtcp.picture_loss(1, 2)
    assert rtcp.parse(compound) == [REPORT, rtcp.KeyFrameRequest(2)]


@pytest.mark.parametrize(
    "compound", ["80c8", "80c80006 00000001", "00c80000", "80c80001 00000001", "81ce0001 00000001"]
)
def test_lengths_that_do_not_fit_are_refused(compound: str) -> None:
    with pytest.raises(rtcp.RtcpError):
        rtcp.parse(bytes.fromhex(compound))


@given(st.binary(max_size=80))
def test_random_bytes_raise_the_documented_error_only(garbage: bytes) -> None:
    try:
        rtcp.parse(garbage)
    except rtcp.RtcpError:
        return


@given(st.builds(rtcp.SenderReport, u32, st.integers(0, 2**64 - 1), u32, u32, u32), st.text("ab", max_size=20))
def test_a_sender_report_that_was_written_is_read_back(report: rtcp.SenderReport, cname: str) -> None:
    assert rtcp.parse(rtcp.sender_report(report, cname)) == [report]
