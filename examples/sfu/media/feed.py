"""One channel on one node: packets come from upstream, and go to every leg that wants them.

Upstream is the publisher's browser, or the link from the node that has it; a leg is a subscriber's browser, or a link
to another node. Links carry packets as they came, browsers get a stream of their own (`forwarding`).
"""

from __future__ import annotations

from typing import Final, Protocol

import attrs

from examples.sfu.media import rtcp, rtp
from examples.sfu.media.forwarding import Rewriter
from examples.sfu.media.keyframes import KeyFrameRequests
from examples.sfu.media.reception import Reception
from examples.sfu.media.tracks import Track

REPORT_INTERVAL: Final = 1.0
"""Seconds between reports to upstream."""

BITRATE_LIMIT: Final = 2_500_000
"""Bits per second that a publisher may send."""


class Leg(Protocol):
    """Where packets can be sent."""

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, compound: bytes) -> None: ...


@attrs.define
class Source:
    """One track from upstream."""

    track: Track
    key_frames: KeyFrameRequests = attrs.field(factory=KeyFrameRequests)
    reception: Reception | None = None
    """None before the first packet: a payload type is known from the offer, an SSRC is not."""


@attrs.frozen
class Subscription:
    """A browser's leg, with its own numbers for each payload type of upstream."""

    leg: Leg
    cname: str
    rewriters: dict[int, Rewriter]


class Feed:
    """The forwarding of one channel. `now` is in seconds, on a clock that never goes back."""

    def __init__(self, upstream: Leg, tracks: tuple[Track, ...], ssrc: int, now: float) -> None:
        """`ssrc` is what this node calls itself in feedback."""
        self.upstream = upstream
        self.tracks = tracks
        self.sources = {track.codec.payload_type: Source(track) for track in tracks}
        self._ssrc = ssrc
        self._subscriptions: dict[str, Subscription] = {}
        self._links: dict[int, Leg] = {}
        self._report_at = now + REPORT_INTERVAL

    def subscribe(self, session: str, subscription: Subscription) -> None:
        """From now on the session gets what comes."""
        self._subscriptions[session] = subscription

    def unsubscribe(self, session: str) -> None:
        self._subscriptions.pop(session, None)

    def add_link(self, number: int, leg: Leg) -> None:
        """From now on the link gets what comes."""
        self._links[number] = leg

    def remove_link(self, number: int) -> None:
        self._links.pop(number, None)

    def receive_rtp(self, packet: bytes, now: float) -> None:
        """Forward a packet from upstream. One that makes no sense, or that nobody announced, is dropped."""
        try:
            header = rtp.parse(packet)
        except rtp.RtpError:
            return
        source = self.sources.get(header.payload_type)
        if source is None:
            return
        self._count(source, header, now)
        for leg in self._links.values():
            leg.send_rtp(packet)
        for subscription in self._subscriptions.values():
            rewriter = subscription.rewriters.get(header.payload_type)
            if rewriter is not None:
                subscription.leg.send_rtp(rewriter.rewrite(packet, header, now))

    def _count(self, source: Source, header: rtp.Header, now: float) -> None:
        if source.reception is None or source.reception.ssrc != header.ssrc:
            source.reception = Reception(header, source.track.codec.clock_rate)
        source.reception.receive(header, now)

    def receive_rtcp(self, compound: bytes, now: float) -> None:
        """Forward the publisher's reports: lips stay in sync by them."""
        try:
            reports = [item for item in rtcp.parse(compound) if isinstance(item, rtcp.SenderReport)]
        except rtcp.RtcpError:
            return
        for report in reports:
            self._forward_report(report, now)
        if reports:
            for leg in self._links.values():
                leg.send_rtcp(compound)

    def _forward_report(self, report: rtcp.SenderReport, now: float) -> None:
        for source in self.sources.values():
            if source.reception is not None and source.reception.ssrc == report.ssrc:
                source.reception.receive_report(report, now)
        for subscription in self._subscriptions.values():
            for rewriter in subscription.rewriters.values():
                rewritten = rewriter.sender_report(report)
                if rewritten is not None:
                    subscription.leg.send_rtcp(rtcp.sender_report(rewritten, subscription.cname))

    def receive_feedback(self, session: str, compound: bytes, now: float) -> None:
        """What a subscriber's browser has to say."""
        subscription = self._subscriptions.get(session)
        if subscription is None:
            return
        wanted = _key_frames_wanted(compound)
        for payload_type, rewriter in subscription.rewriters.items():
            if rewriter.ssrc in wanted:
                self._request_key_frame(self.sources[payload_type], now)

    def receive_link_feedback(self, compound: bytes, now: float) -> None:
        """What another node has to say: it speaks of the sources by their own SSRCs."""
        wanted = _key_frames_wanted(compound)
        for source in self.sources.values():
            if source.reception is not None and source.reception.ssrc in wanted:
                self._request_key_frame(source, now)

    def request_key_frames(self, now: float) -> None:
        """Somebody new is watching."""
        for source in self.sources.values():
            if source.track.kind == "video":
                self._request_key_frame(source, now)

    def _request_key_frame(self, source: Source, now: float) -> None:
        if source.reception is not None and source.key_frames.request(now):
            self.upstream.send_rtcp(rtcp.picture_loss(self._ssrc, source.reception.ssrc))

    def handle_timer(self, now: float) -> None:
        """Send the requests that were put off, and the reports that are due."""
        for source in self.sources.values():
            if source.reception is not None and source.key_frames.handle_timer(now):
                self.upstream.send_rtcp(rtcp.picture_loss(self._ssrc, source.reception.ssrc))
        if now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL
            self._report(now)

    def _report(self, now: float) -> None:
        """Tell upstream what arrived. A link is told too: it is kept only while somebody listens."""
        receptions = [source.reception for source in self.sources.values() if source.reception is not None]
        compound = rtcp.receiver_report(self._ssrc, [reception.block(now) for reception in receptions])
        if receptions:
            compound += rtcp.bitrate_limit(self._ssrc, BITRATE_LIMIT, [reception.ssrc for reception in receptions])
        self.upstream.send_rtcp(compound)


def _key_frames_wanted(compound: bytes) -> set[int]:
    try:
        return {item.ssrc for item in rtcp.parse(compound) if isinstance(item, rtcp.KeyFrameRequest)}
    except rtcp.RtcpError:
        return set()
