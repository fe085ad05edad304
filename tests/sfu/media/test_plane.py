"""Whole planes over a fake wire: the browsers have true ICE, DTLS and SRTP, but neither sockets nor clocks."""

from __future__ import annotations

import os
import random
import re
import struct

import pytest
from OpenSSL import SSL

from examples.sfu.media import plane as media
from examples.sfu.media import relay, rtcp, stun
from examples.sfu.media.dtls import Certificate, make_certificate, pack_records
from examples.sfu.media.endpoint import CONSENT_TIMEOUT
from examples.sfu.media.endpoints import MAX_ADDRESSES
from examples.sfu.media.link import LEASE
from examples.sfu.media.plane import Ended, Plane
from examples.sfu.media.sdp import parse_offer
from examples.sfu.media.srtp import PROFILES, Keys, Srtp
from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Member

CERTIFICATE = make_certificate()
A, C = ("10.0.0.1", 5000), ("10.0.0.3", 5000)
ALICE, BOB = ("192.0.2.1", 1111), ("192.0.2.2", 2222)
STRANGER = ("203.0.113.9", 9)

OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE v
m=video 9 UDP/TLS/RTP/SAVPF {payload_type}
a=ice-ufrag:peer
a=ice-pwd:peerpeerpeerpeerpeerpeer
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:v
a={direction}
a=rtcp-mux
a=rtpmap:{payload_type} VP8/90000
"""


class Wire:
    """Carries datagrams between planes and browsers until nobody has anything to say."""

    def __init__(self, *planes: Plane) -> None:
        self.planes = {plane.address: plane for plane in planes}
        self.browsers: dict[Address, Browser] = {}
        self.now = 100.0

    def send(self, datagram: bytes, source: Address, target: Address) -> None:
        if target in self.planes:
            self.planes[target].receive(datagram, source, self.now)
        elif target in self.browsers:
            self.browsers[target].receive(datagram)
        self.settle()

    def settle(self) -> None:
        for plane in self.planes.values():
            for datagram, target in plane.take_datagrams():
                self.send(datagram, plane.address, target)

    def wait(self, seconds: float) -> None:
        """Time goes by, and with it the browsers' consent checks."""
        end = self.now + seconds
        while self.now < end:
            self.now = round(min(end, self.now + media.TICK), 6)
            for browser in self.browsers.values():
                browser.check()
            for plane in self.planes.values():
                plane.handle_timer(self.now)
            self.settle()


class Browser:
    """One client of one plane, at one address."""

    def __init__(self, wire: Wire, plane: Plane, member: Member, address: Address, payload_type: int = 96) -> None:
        self.wire, self.plane, self.address = wire, plane, address
        self.rtp: list[bytes] = []
        self.rtcp: list[rtcp.Feedback] = []
        self.closed = False
        self.srtp: Srtp | None = None
        direction = "sendonly" if member.role == "publisher" else "recvonly"
        self.offer = OFFER.format(payload_type=payload_type, fingerprint=CERTIFICATE.fingerprint, direction=direction)
        negotiate = plane.publish if member.role == "publisher" else plane.subscribe
        self.answer = negotiate(member, parse_offer(self.offer), wire.now)
        self.ssrc = int(self.attribute("ssrc").split()[0]) if member.role == "subscriber" else 0xCAFE
        self._dtls = _dtls_client(CERTIFICATE)
        wire.browsers[address] = self

    def attribute(self, name: str) -> str:
        match = re.search(rf"a={name}:(.*)\r", self.answer)
        assert match is not None
        return match[1]

    def connect(self) -> None:
        self.check()
        self._handshake()
        assert self.srtp is not None

    def check(self, password: bytes | None = None, address: Address | None = None) -> None:
        username = f"{self.attribute('ice-ufrag')}:peer".encode()
        body = struct.pack(">HH", stun.USERNAME, len(username)) + username + bytes(-len(username) % 4)
        body += struct.pack(">HH", stun.USE_CANDIDATE, 0)
        request = struct.pack(">HHI12s", stun.BINDING_REQUEST, len(body), stun.MAGIC_COOKIE, bytes(12)) + body
        sealed = stun.seal(request, password or self.attribute("ice-pwd").encode())
        self.wire.send(sealed, address or self.address, self.plane.address)

    def receive(self, datagram: bytes) -> None:
        if datagram[0] < 4:
            assert stun.is_authentic(stun.parse(datagram), self.attribute("ice-pwd").encode())
        elif datagram[0] < 64:
            self._dtls.bio_write(datagram)
            self._handshake()
        elif self.srtp is not None and 192 <= datagram[1] <= 223:
            self.rtcp += rtcp.parse(self.srtp.open_rtcp(datagram))
        elif self.srtp is not None:
            self.rtp.append(self.srtp.open_rtp(datagram))

    def send(self, datagram: bytes) -> None:
        self.wire.send(datagram, self.address, self.plane.address)

    def send_rtp(self, sequence: int, payload: bytes, payload_type: int = 96) -> None:
        assert self.srtp is not None
        packet = struct.pack(">BBHII", 0x80, payload_type, sequence, 1000, self.ssrc) + payload
        self.send(self.srtp.seal_rtp(packet))

    def send_rtcp(self, compound: bytes) -> None:
        assert self.srtp is not None
        self.send(self.srtp.seal_rtcp(compound))

    def close(self) -> None:
        self._dtls.shutdown()
        self._flush()

    def _handshake(self) -> None:
        try:
            if self.srtp is None:
                self._dtls.do_handshake()
                self.srtp = Srtp(_client_keys(self._dtls))
            else:
                self._dtls.recv(1)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        self._flush()

    def _flush(self) -> None:
        try:
            flight = self._dtls.bio_read(65536)
        except SSL.WantReadError:
            return
        for datagram in pack_records(flight):
            self.send(datagram)


def _dtls_client(certificate: Certificate) -> SSL.Connection:
    connection = SSL.Connection(certificate.context, None)
    connection.set_connect_state()
    connection.set_ciphertext_mtu(1200)
    return connection


def _client_keys(connection: SSL.Connection) -> Keys:
    profile = PROFILES[connection.get_selected_srtp_profile().decode()]
    key, salt = profile.key_size, profile.salt_size
    material = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
    keys, salts = material[: 2 * key], material[2 * key :]
    return Keys(profile, local=keys[:key] + salts[:salt], remote=keys[key:] + salts[salt:])


def make_plane(address: Address) -> Plane:
    return Plane(address, CERTIFICATE, random.Random(address[0]).randbytes)  # noqa: S311  # a test repeats itself


PUBLISHER, SUBSCRIBER = Member("s1", "publisher", "lobby"), Member("s2", "subscriber", "lobby")


def call(wire: Wire, here: Plane, there: Plane, payload_type: int = 96) -> tuple[Browser, Browser]:
    """Alice publishes at `here`, Bob watches at `there`."""
    alice = Browser(wire, here, PUBLISHER, ALICE)
    alice.connect()
    if there is not here:
        number = there.open_inbound("lobby", "a@10.0.0.1", here.address, here.feeds["lobby"].tracks, wire.now)
        here.open_outbound(number, "lobby", "c@10.0.0.3", there.address, wire.now)
    bob = Browser(wire, there, SUBSCRIBER, BOB, payload_type)
    bob.connect()
    return alice, bob


@pytest.mark.parametrize("relayed", [False, True])
def test_a_packet_of_the_publisher_arrives_at_the_subscriber_in_its_own_numbers(relayed: bool) -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    alice, bob = call(wire, here, there if relayed else here, payload_type=120)
    alice.send_rtp(7, b"one")
    alice.send_rtp(8, b"two")
    first = struct.unpack(">H", bob.rtp[0][2:4])[0]
    assert bob.rtp == [
        struct.pack(">BBHII", 0x80, 120, first, 1000, bob.ssrc) + b"one",
        struct.pack(">BBHII", 0x80, 120, first + 1, 1000, bob.ssrc) + b"two",
    ]


@pytest.mark.parametrize("relayed", [False, True])
def test_a_request_for_a_key_frame_reaches_the_publisher_at_most_twice_a_second(relayed: bool) -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    alice, bob = call(wire, here, there if relayed else here)
    alice.send_rtp(7, b"one")
    for _ in range(20):
        bob.send_rtcp(rtcp.picture_loss(1, bob.ssrc))
        wire.wait(0.1)
    assert 3 <= alice.rtcp.count(rtcp.KeyFrameRequest(0xCAFE)) <= 5
    assert set(alice.rtcp) == {rtcp.KeyFrameRequest(0xCAFE)}


@pytest.mark.parametrize("relayed", [False, True])
def test_the_publishers_sender_report_reaches_the_subscriber_in_its_own_numbers(relayed: bool) -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    alice, bob = call(wire, here, there if relayed else here)
    alice.send_rtp(7, b"one")
    alice.send_rtcp(rtcp.sender_report(rtcp.SenderReport(0xCAFE, 5, 1000, 1, 3), "alice"))
    assert bob.rtcp == [rtcp.SenderReport(bob.ssrc, 5, 1000, 1, 3)]


def test_a_new_subscriber_makes_the_publisher_send_a_key_frame() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice = Browser(wire, here, PUBLISHER, ALICE)
    alice.connect()
    alice.send_rtp(7, b"one")
    Browser(wire, here, SUBSCRIBER, BOB).connect()
    assert alice.rtcp == [rtcp.KeyFrameRequest(0xCAFE)]


def test_a_client_that_says_good_bye_is_gone_at_once() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice, _ = call(wire, here, here)
    alice.close()
    assert here.take_events() == [Ended(PUBLISHER, "the client has closed the connection")]
    assert (list(here.endpoints.by_session), here.feeds) == (["s2"], {})


def test_a_client_that_falls_silent_is_removed_after_15_seconds() -> None:
    here = make_plane(A)
    wire = Wire(here)
    call(wire, here, here)
    del wire.browsers[ALICE]
    wire.wait(CONSENT_TIMEOUT - 1)
    assert here.take_events() == []
    wire.wait(2)
    assert here.take_events() == [Ended(PUBLISHER, "nothing was heard from the client for 15 s")]


def test_a_client_that_never_finishes_the_handshake_is_removed() -> None:
    here = make_plane(A)
    wire = Wire(here)
    Browser(wire, here, PUBLISHER, ALICE)
    wire.browsers.clear()
    wire.wait(CONSENT_TIMEOUT + 1)
    assert (len(here.endpoints), here.feeds, here.next_timer()) == (0, {}, None)


def test_closing_a_session_says_good_bye_to_its_client() -> None:
    here = make_plane(A)
    wire = Wire(here)
    _, bob = call(wire, here, here)
    here.close("s2")
    wire.settle()
    assert bob.closed
    assert here.take_events() == []


def test_a_second_publisher_is_refused() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice = Browser(wire, here, PUBLISHER, ALICE)
    with pytest.raises(media.ChannelTaken):
        here.publish(Member("s9", "publisher", "lobby"), parse_offer(alice.offer), wire.now)
    assert list(here.endpoints.by_session) == ["s1"]


def test_an_unknown_channel_is_refused() -> None:
    here = make_plane(A)
    offer = OFFER.format(payload_type=96, fingerprint=CERTIFICATE.fingerprint, direction="recvonly")
    with pytest.raises(media.ChannelUnknown):
        here.subscribe(SUBSCRIBER, parse_offer(offer), 0.0)
    with pytest.raises(media.ChannelUnknown):
        here.open_outbound(1, "lobby", "c@10.0.0.3", C, 0.0)


def test_a_certificate_that_is_not_the_offers_ends_the_session() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice = Browser(wire, here, PUBLISHER, ALICE)
    alice._dtls = _dtls_client(make_certificate())
    with pytest.raises(AssertionError):
        alice.connect()
    reason = "the peer's certificate is not the one whose fingerprint stands in its offer"
    assert here.take_events() == [Ended(PUBLISHER, reason)]


def test_a_link_whose_other_end_has_died_is_fed_for_five_seconds_only() -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    call(wire, here, there)
    wire.wait(LEASE + 1)
    assert len(here.links) == 1
    del wire.planes[C]
    wire.wait(LEASE + 1)
    assert here.links == {}


def test_links_end_with_what_they_carry() -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    call(wire, here, there)
    here.close("s1")
    there.close_link(next(iter(there.links)))
    assert (here.links, here.feeds, there.links, there.feeds) == ({}, {}, {}, {})


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"\x00", "stun"),
        (b"\x16", "dtls"),
        (b"\x80", "srtp"),
        (b"\xd5", "relay"),
        (b"\x40", "unknown"),
        (b"", "unknown"),
    ],
)
def test_what_strangers_send_is_dropped_and_counted_and_nobody_else_notices(first: bytes, kind: str) -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    alice, bob = call(wire, here, there)
    chance = random.Random(1)  # noqa: S311  # a test repeats itself
    for _ in range(200):
        wire.send(first + chance.randbytes(chance.randrange(1200) if first else 0), STRANGER, A)
    assert here.dropped == {kind: 200}
    assert len(here.endpoints) == 1
    alice.send_rtp(7, b"still here")
    assert bob.rtp[0][12:] == b"still here"


def test_a_known_client_that_sends_junk_harms_nobody() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice, bob = call(wire, here, here)
    for first in range(256):
        bob.send(bytes((first,)) + os.urandom(60))
    alice.send_rtp(7, b"unannounced", payload_type=50)
    alice.send_rtp(9, b"still here")
    assert [packet[12:] for packet in bob.rtp] == [b"still here"]


def test_a_relayed_packet_from_another_address_than_the_links_is_dropped() -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    _, bob = call(wire, here, there)
    packet = struct.pack(">BBHII", 0x80, 96, 1, 1, 1) + b"forged"
    wire.send(relay.pack(next(iter(there.links)), packet), STRANGER, C)
    assert (bob.rtp, there.dropped) == ([], {"relay": 1})


def test_a_relayed_packet_that_is_too_long_for_a_browser_is_dropped() -> None:
    here, there = make_plane(A), make_plane(C)
    wire = Wire(here, there)
    alice, bob = call(wire, here, there)
    packet = struct.pack(">BBHII", 0x80, 96, 1, 1, 0xCAFE) + bytes(1400)
    wire.send(relay.pack(next(iter(there.links)), packet), A, C)
    alice.send_rtp(2, b"still here")
    assert [packet[12:] for packet in bob.rtp] == [b"still here"]


def test_a_check_with_a_wrong_password_gives_no_address() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice = Browser(wire, here, PUBLISHER, ALICE)
    alice.check(password=b"a guess")
    assert here.endpoints.of_address(ALICE) is None
    alice.connect()


def test_a_client_moves_to_another_address_without_a_new_handshake() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice, bob = call(wire, here, here)
    lte = ("198.51.100.7", 7777)
    wire.browsers[lte] = bob
    del wire.browsers[BOB]
    bob.check(address=lte)
    alice.send_rtp(7, b"over there")
    assert bob.rtp[0][12:] == b"over there"


def test_a_client_has_a_bounded_number_of_addresses_and_keeps_the_one_in_use() -> None:
    here = make_plane(A)
    wire = Wire(here)
    alice = Browser(wire, here, PUBLISHER, ALICE)
    for port in range(MAX_ADDRESSES * 3):
        alice.check(address=("192.0.2.1", 10_000 + port))
    known = [p for p in range(65536) if here.endpoints.of_address(("192.0.2.1", p))]
    assert known == list(range(10_000 + MAX_ADDRESSES * 2, 10_000 + MAX_ADDRESSES * 3))
    assert here.endpoints.by_session["s1"].address == ("192.0.2.1", known[-1])
    here.close("s1")
    assert not any(here.endpoints.of_address(("192.0.2.1", p)) for p in known)
