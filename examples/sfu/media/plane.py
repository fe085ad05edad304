"""One node's media plane: datagrams and `now` in, datagrams and events out. It owns no socket and never blocks.

By its first byte a datagram is STUN, DTLS, SRTP or SRTCP (RFC 7983), or comes over a link from another node. What a
stranger sends costs a look into a table: a check needs a name that was given to somebody, everything else an address
that has passed such a check, a link its number and its node's address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from examples.sfu.media import relay, rtp, stun
from examples.sfu.media.answer import Stream, Transport, choose_tracks, match_tracks, write_answer
from examples.sfu.media.dtls import Certificate, Dtls
from examples.sfu.media.endpoint import Credentials, Endpoint
from examples.sfu.media.endpoints import Endpoints
from examples.sfu.media.feed import Feed, Subscription
from examples.sfu.media.forwarding import rewriters
from examples.sfu.media.link import Direction, Link
from examples.sfu.media.sdp import Offer
from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Member, Track

MAX_ENDPOINTS: Final = 1000
TICK: Final = 0.1
"""Seconds between two looks at all timers; a request for a key frame may be that late."""


class MediaError(Exception):
    """The plane can't do what the control side asks for."""


class ChannelTaken(MediaError):
    """Somebody publishes on the channel already."""


class ChannelUnknown(MediaError):
    """Nobody publishes on the channel, as far as this node's plane knows."""


class PlaneFull(MediaError):
    """The node has as many sessions as it may have."""


@attrs.frozen
class Ended:
    """An endpoint is gone, by the client's doing or by its silence."""

    member: Member
    reason: str


class Plane:
    """The endpoints, feeds and links of one node."""

    def __init__(self, address: Address, certificate: Certificate, entropy: Callable[[int], bytes]) -> None:
        """`address` is what clients and other nodes are told; `entropy` gives that many random bytes."""
        self.address = address
        self.endpoints = Endpoints()
        self.feeds: dict[str, Feed] = {}
        self.links: dict[int, Link] = {}
        self.dropped: Counter[str] = Counter()
        """Datagrams that were not for anybody, by kind."""
        self._certificate = certificate
        self._entropy = entropy
        self._outbox: list[tuple[bytes, Address]] = []
        self._events: list[Ended] = []
        self._tick_at = 0.0

    # -- asked by the control side

    def publish(self, member: Member, offer: Offer, now: float) -> str:
        """Let a client publish; returns the answer.

        Raises:
            SdpError: the offer sends nothing that can be forwarded.
            ChannelTaken, PlaneFull
        """
        if member.channel in self.feeds:
            raise ChannelTaken(f"somebody publishes on {member.channel!r} already")
        chosen = choose_tracks(offer)
        endpoint = self._open(member, offer, now)
        self.feeds[member.channel] = Feed(endpoint, tuple(chosen.values()), self._draw(4), now)
        streams = {mid: Stream(track, self._draw(4)) for mid, track in chosen.items()}
        return self._answer(endpoint, offer, streams)

    def subscribe(self, member: Member, offer: Offer, now: float) -> str:
        """Let a client watch; returns the answer.

        Raises:
            SdpError: the offer can receive nothing of what the channel carries.
            ChannelUnknown, PlaneFull
        """
        feed = self._feed(member.channel)
        matched = match_tracks(offer, feed.tracks)
        endpoint = self._open(member, offer, now)
        streams = {mid: Stream(track, self._draw(4)) for mid, track in matched.items()}
        feed.subscribe(
            member.session, Subscription(endpoint, member.session, rewriters(feed.tracks, streams, self._draw))
        )
        return self._answer(endpoint, offer, streams)

    def close(self, session: str) -> None:
        """End a session, if it is there."""
        endpoint = self.endpoints.by_session.get(session)
        if endpoint is not None:
            endpoint.close()
            self._forget(endpoint)

    def open_inbound(self, channel: str, node: str, address: Address, tracks: tuple[Track, ...], now: float) -> int:
        """Await a channel from another node, at `address`; returns the number of the link that it shall use."""
        if channel in self.feeds:
            raise ChannelTaken(f"{channel!r} comes from somewhere already")
        link = self._link(self._draw(8), channel, node, "in", address)
        self.feeds[channel] = Feed(link, tracks, self._draw(4), now)
        return link.number

    def open_outbound(self, number: int, channel: str, node: str, address: Address, now: float) -> None:
        """Feed a channel to another node, at `address`; asking twice does no harm.

        Raises:
            ChannelUnknown
        """
        feed = self._feed(channel)
        if number not in self.links:
            feed.add_link(number, self._link(number, channel, node, "out", address))
            feed.request_key_frames(now)
        self.links[number].heard_at = now

    def close_link(self, number: int) -> None:
        """Forget a link, if it is there, and with an inbound one the channel's feed."""
        link = self.links.pop(number, None)
        if link is None:
            return
        if link.direction == "in":
            self.feeds.pop(link.channel, None)
        elif link.channel in self.feeds:
            self.feeds[link.channel].remove_link(number)

    # -- driven by the socket

    def receive(self, datagram: bytes, address: Address, now: float) -> None:
        """Take a datagram from `address`."""
        first = datagram[0] if datagram else 0xFF
        if first < 4:
            self._receive_stun(datagram, address, now)
        elif 20 <= first <= 63:
            self._receive_dtls(datagram, address, now)
        elif 128 <= first <= 191:
            self._receive_media(datagram, address, now)
        elif first == relay.MAGIC:
            self._receive_relayed(datagram, address, now)
        else:
            self.dropped["unknown"] += 1

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` is due; None while there is nothing to look after."""
        return self._tick_at if self.endpoints or self.links else None

    def handle_timer(self, now: float) -> None:
        """Look at all timers."""
        self._tick_at = now + TICK
        for endpoint in list(self.endpoints.by_session.values()):
            endpoint.handle_timer(now)
            self._settle(endpoint)
        for link in list(self.links.values()):
            if link.is_abandoned(now):
                self.close_link(link.number)
        for feed in self.feeds.values():
            feed.handle_timer(now)

    def take_datagrams(self) -> list[tuple[bytes, Address]]:
        """What is to be sent, in order."""
        taken, self._outbox = self._outbox, []
        return taken

    def take_events(self) -> list[Ended]:
        """What the control side should know."""
        taken, self._events = self._events, []
        return taken

    # -- the four kinds of datagrams

    def _receive_stun(self, datagram: bytes, address: Address, now: float) -> None:
        try:
            request = stun.parse(datagram)
        except stun.StunError:
            self.dropped["stun"] += 1
            return
        endpoint = self.endpoints.of_username(request.attributes.get(stun.USERNAME, b""))
        if request.kind != stun.BINDING_REQUEST or endpoint is None:
            self.dropped["stun"] += 1
        elif endpoint.receive_check(request, address, now):
            self.endpoints.learn(endpoint, address)
        else:
            self.dropped["stun"] += 1

    def _receive_dtls(self, datagram: bytes, address: Address, now: float) -> None:
        endpoint = self.endpoints.of_address(address)
        if endpoint is None:
            self.dropped["dtls"] += 1
            return
        connected = endpoint.receive_dtls(datagram, now)
        feed = self.feeds.get(endpoint.member.channel)
        if connected and feed is not None and endpoint.member.role == "subscriber":
            feed.request_key_frames(now)
        self._settle(endpoint)

    def _receive_media(self, datagram: bytes, address: Address, now: float) -> None:
        endpoint = self.endpoints.of_address(address)
        is_rtcp = rtp.is_rtcp(datagram)
        plain = None
        if endpoint is not None:
            plain = endpoint.open_rtcp(datagram, now) if is_rtcp else endpoint.open_rtp(datagram, now)
        if endpoint is None or plain is None:
            self.dropped["srtp"] += 1
            return
        feed = self.feeds.get(endpoint.member.channel)
        if feed is None:
            return
        if endpoint.member.role == "subscriber":
            feed.receive_feedback(endpoint.member.session, plain, now) if is_rtcp else None
        elif is_rtcp:
            feed.receive_rtcp(plain, now)
        else:
            feed.receive_rtp(plain, now)

    def _receive_relayed(self, datagram: bytes, address: Address, now: float) -> None:
        try:
            number, packet = relay.unpack(datagram)
        except relay.RelayError:
            self.dropped["relay"] += 1
            return
        link = self.links.get(number)
        if link is None or link.address != address:
            self.dropped["relay"] += 1
            return
        link.heard_at = now
        feed = self.feeds[link.channel]
        if link.direction == "out":
            feed.receive_link_feedback(packet, now)
        elif rtp.is_rtcp(packet):
            feed.receive_rtcp(packet, now)
        else:
            feed.receive_rtp(packet, now)

    # -- tables

    def _open(self, member: Member, offer: Offer, now: float) -> Endpoint:
        if len(self.endpoints) >= MAX_ENDPOINTS:
            raise PlaneFull(f"this node has {MAX_ENDPOINTS} sessions, which is all it may have: try another node")
        credentials = Credentials.draw(self._entropy)
        dtls = Dtls(self._certificate, offer.fingerprint)
        endpoint = Endpoint(member, credentials, dtls, remote_ufrag=offer.ufrag, emit=self._emit, now=now)
        self.endpoints.add(endpoint)
        return endpoint

    def _settle(self, endpoint: Endpoint) -> None:
        """Forget an endpoint that has ended by itself, and tell."""
        if endpoint.state == "closed":
            self._forget(endpoint)
            self._events.append(Ended(endpoint.member, endpoint.reason))

    def _forget(self, endpoint: Endpoint) -> None:
        member = endpoint.member
        self.endpoints.remove(endpoint)
        feed = self.feeds.get(member.channel)
        if feed is not None and feed.upstream is endpoint:
            self._remove_feed(member.channel)
        elif feed is not None:
            feed.unsubscribe(member.session)

    def _remove_feed(self, channel: str) -> None:
        del self.feeds[channel]
        for link in [link for link in self.links.values() if link.channel == channel]:
            del self.links[link.number]

    def _feed(self, channel: str) -> Feed:
        feed = self.feeds.get(channel)
        if feed is None:
            raise ChannelUnknown(f"nobody publishes on {channel!r}")
        return feed

    def _link(self, number: int, channel: str, node: str, direction: Direction, address: Address) -> Link:
        link = Link(number, channel, node, direction, address=address, emit=self._emit)
        self.links[number] = link
        return link

    def _answer(self, endpoint: Endpoint, offer: Offer, streams: dict[str, Stream]) -> str:
        credentials = endpoint.credentials
        transport = Transport(
            credentials.ufrag, credentials.password.decode(), self._certificate.fingerprint, self.address
        )
        return write_answer(offer, transport, endpoint.member, streams)

    def _draw(self, size: int) -> int:
        return int.from_bytes(self._entropy(size), "big")

    def _emit(self, datagram: bytes, address: Address) -> None:
        self._outbox.append((datagram, address))
