from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media.answer import Stream, Transport, choose_tracks, match_tracks, write_answer
from examples.sfu.media.sdp import MAX_SECTIONS, Offer, SdpError, Section, parse_offer
from examples.sfu.media.tracks import Codec, Member, Track

FINGERPRINT = ":".join(["AB"] * 32)

SESSION = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
TRANSPORT = (
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:OBrB\r\na=ice-pwd:d8rkHgahayhBjlLsNITIwwp/\r\n"
    f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
)
AUDIO = (
    f"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\n{TRANSPORT}a=mid:0\r\na=sendonly\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\n"
    "a=rtpmap:63 red/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"
)
VIDEO = (
    f"m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 102\r\n{TRANSPORT}a=mid:1\r\na=sendonly\r\n"
    "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 VP9/90000\r\n"
    "a=rtpmap:102 H264/90000\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
)
OFFER = SESSION + AUDIO + VIDEO

OPUS = Codec(111, "OPUS", 48000, 2, "minptime=10;useinbandfec=1")
VP8 = Codec(96, "VP8", 90000, feedback=("goog-remb", "nack pli"))
H264 = Codec(102, "H264", 90000, parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")


def test_an_offer_of_a_browser_is_read() -> None:
    assert parse_offer(OFFER) == Offer(
        ufrag="OBrB",
        password="d8rkHgahayhBjlLsNITIwwp/",
        fingerprint=FINGERPRINT,
        sections=(
            Section("audio", "UDP/TLS/RTP/SAVPF", "111 63 0", "0", "sendonly", (OPUS,)),
            Section("video", "UDP/TLS/RTP/SAVPF", "96 97 98 102", "1", "sendonly", (VP8, H264)),
        ),
    )


def test_lines_may_end_without_a_carriage_return() -> None:
    assert parse_offer(OFFER.replace("\r\n", "\n")) == parse_offer(OFFER)


def without(prefix: str) -> Callable[[str], str]:
    return lambda offer: "".join(line for line in offer.splitlines(keepends=True) if not line.startswith(prefix))


DAMAGES: list[tuple[Callable[[str], str], str]] = [
    (lambda _: "", "first line must be v=0"),
    (lambda _: "hello", "first line must be v=0"),
    (lambda _: SESSION, "no m= line"),
    (lambda offer: offer + "nonsense\r\n", "'nonsense' is not of the form"),
    (lambda offer: offer + "a=x\r\n" * 2000, "more than 2000 lines"),
    (lambda offer: offer + AUDIO * MAX_SECTIONS, "18 m= lines: at most 16"),
    (without("a=ice-ufrag"), "no a=ice-ufrag"),
    (without("a=ice-pwd"), "no a=ice-pwd"),
    (without("a=fingerprint"), "no a=fingerprint"),
    (without("a=setup"), "no a=setup"),
    (without("a=group"), "no a=group:BUNDLE"),
    (without("a=mid"), "no a=mid"),
    (without("a=rtcp-mux"), "no a=rtcp-mux"),
    (lambda offer: offer.replace("a=ice-pwd:d8rk", "a=ice-pwd:d8 k"), "RFC 8839 does not allow"),
    (lambda offer: offer.replace("sha-256", "sha-1"), "must be a SHA-256"),
    (lambda offer: offer.replace("AB:AB", "AB:XX"), "must be a SHA-256"),
    (lambda offer: offer.replace("actpass", "passive"), "must be actpass or active"),
    (lambda offer: offer.replace("a=mid:1", "a=mid:0"), "the same a=mid"),
    (lambda offer: offer.replace("m=video 9 ", "m=video x "), "media port protocol formats"),
    (lambda offer: offer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "no audio or video section"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_broken_offer_is_refused_with_the_reason(damage: Callable[[str], str], reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        parse_offer(damage(OFFER))


@given(st.lists(st.sampled_from(OFFER.split("\r\n")), max_size=60), st.text(max_size=20))
def test_shuffled_lines_raise_the_documented_error_only(lines: list[str], tail: str) -> None:
    try:
        parse_offer("\n".join(["v=0", *lines, tail]))
    except SdpError:
        return


def test_a_publisher_sends_the_first_codec_of_each_kind_that_we_forward() -> None:
    assert choose_tracks(parse_offer(OFFER)) == {"0": Track("audio", OPUS), "1": Track("video", VP8)}


@pytest.mark.parametrize(
    "offer", [OFFER.replace("sendonly", "recvonly"), SESSION + VIDEO.replace("96 97 98 102", "98")]
)
def test_an_offer_that_sends_nothing_we_know_is_refused(offer: str) -> None:
    with pytest.raises(SdpError, match="sends nothing that can be forwarded"):
        choose_tracks(parse_offer(offer))


def test_one_payload_type_for_two_tracks_is_refused() -> None:
    offer = SESSION + AUDIO + VIDEO.replace("96", "111")
    with pytest.raises(SdpError, match="the same payload type"):
        choose_tracks(parse_offer(offer))


def test_a_subscriber_gets_the_channels_codecs_under_its_own_payload_types() -> None:
    offer = parse_offer(OFFER.replace("sendonly", "recvonly"))
    theirs = (Track("video", Codec(120, "VP8", 90000)), Track("audio", Codec(109, "OPUS", 48000, 2)))
    assert match_tracks(offer, theirs) == {"1": Track("video", VP8), "0": Track("audio", OPUS)}


def test_h264_fits_only_in_the_same_packetization_mode_and_profile() -> None:
    other_level = Codec(99, "H264", 90000, parameters="profile-level-id=42e034;packetization-mode=1")
    other_mode = Codec(99, "H264", 90000, parameters="profile-level-id=42e01f")
    assert H264.fits(other_level)
    assert not H264.fits(other_mode)


def test_a_subscriber_that_can_take_none_of_the_tracks_is_refused() -> None:
    offer = parse_offer(OFFER.replace("sendonly", "recvonly"))
    with pytest.raises(SdpError, match=r"none of what the channel carries \(AV1\)"):
        match_tracks(offer, (Track("video", Codec(45, "AV1", 90000)),))


def test_an_answer_has_one_ice_lite_transport_and_refuses_what_it_does_not_carry() -> None:
    offer = parse_offer(OFFER.replace("sendonly", "recvonly"))
    transport = Transport("ufrag", "password", "AA:BB", ("127.0.0.1", 5000))
    answer = write_answer(offer, transport, Member("s1", "subscriber", "lobby"), {"1": Stream(Track("video", VP8), 77)})
    assert answer.splitlines() == [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 1",
        "a=ice-lite",
        "a=msid-semantic: WMS s1",
        "m=audio 0 UDP/TLS/RTP/SAVPF 111 63 0",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "m=video 5000 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 127.0.0.1",
        "a=mid:1",
        "a=ice-ufrag:ufrag",
        "a=ice-pwd:password",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:passive",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host",
        "a=end-of-candidates",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 nack pli",
        "a=sendonly",
        "a=msid:s1 video",
        "a=ssrc:77 cname:s1",
        "a=ssrc:77 msid:s1 video",
    ]
