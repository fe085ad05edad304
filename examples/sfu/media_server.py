"""The process that owns a node's media plane and its UDP socket.

What runs is known here and nowhere else: sessions and channels that crash are started again by their supervisors, ask
this process what there is, and go on. RTP passes through the socket and the plane, never through a mailbox.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Final

import attrs
import structlog

from examples.sfu.holding import hold
from examples.sfu.media.dtls import make_certificate
from examples.sfu.media.link import Direction
from examples.sfu.media.plane import ChannelTaken, ChannelUnknown, Ended, MediaError, Plane
from examples.sfu.media.sdp import Offer, SdpError
from examples.sfu.media.socket import MediaSocket
from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Member, Track
from examples.sfu.names import MEDIA, session_name
from examples.sfu.refusal import Refusal
from pydist import Caller, Exited, GenServer, Request, Stop, send, spawn, trap_exit, whereis
from pydist.terms import Reason

log = structlog.get_logger("sfu")

CLOSED_KEPT: Final = 1000
"""Sessions whose end can still be explained to their clients."""


class Negotiate(Request[str | Refusal], tag="sfu.media.negotiate"):
    """Make a transport for a client; the reply is the answer's SDP."""

    member: Member
    offer: Offer


class CloseSession(Request[None], tag="sfu.media.close_session"):
    """Say good-bye to a client, and remember of it only why; one that is not there does no harm."""

    session: str
    reason: str


class WhyClosed(Request[str | None], tag="sfu.media.why_closed"):
    """Why was a session closed? None where that is not known, or no longer."""

    session: str


class OpenInbound(Request[int | Refusal], tag="sfu.media.open_inbound"):
    """Await a channel from another node; the reply is the link's number. Asking twice gives the same."""

    channel: str
    node: str
    address: Address
    tracks: tuple[Track, ...]


class OpenOutbound(Request[Refusal | None], tag="sfu.media.open_outbound"):
    """Feed a channel to another node. Asking twice does no harm."""

    number: int
    channel: str
    node: str
    address: Address


class CloseLink(Request[None], tag="sfu.media.close_link"):
    """Forget a link; one that is not there does no harm."""

    number: int


@attrs.frozen
class LinkView:
    """A link, as others may see it."""

    number: int
    channel: str
    node: str
    direction: Direction


@attrs.frozen
class MediaView:
    """What the plane carries."""

    members: dict[Member, str]
    """With the state of each transport."""
    tracks: dict[str, tuple[Track, ...]]
    """By channel."""
    links: tuple[LinkView, ...]
    received: int
    sent: int
    dropped: dict[str, int]

    def of_channel(self, channel: str) -> tuple[list[Member], list[LinkView]]:
        """The members and links of one channel."""
        members = [member for member in self.members if member.channel == channel]
        return members, [link for link in self.links if link.channel == channel]


class View(Request[MediaView], tag="sfu.media.view"):
    """What does the plane carry?"""


class MediaServer(GenServer):
    """See the head of this file."""

    async def init(self, address: Address, bound: socket.socket) -> None:
        """`bound` is at `address`, which is what clients and other nodes are told."""
        trap_exit(True)
        ended: asyncio.Queue[Ended] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._closed: dict[str, str] = {}
        """Why, by session; the latest last."""
        self._plane = Plane(address, make_certificate(), os.urandom)
        self._socket = MediaSocket(self._plane, bound, ended.put_nowait)
        hold(self._socket.close)
        spawn(_report_ends, ended, link=True)

    async def handle_call(self, request: Request[Any], _caller: Caller, /) -> object:
        try:
            reply = self._perform(request)
        except SdpError as error:
            reply = Refusal("unusable", str(error))
        except ChannelTaken as error:
            reply = Refusal("taken", str(error))
        except ChannelUnknown as error:
            reply = Refusal("unknown", str(error))
        except MediaError as error:
            reply = Refusal("full", str(error))
        self._socket.flush()
        return reply

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case Exited(_, reason):
                raise Stop(reason)
            case _:
                log.warning("unknown_message", process=MEDIA, message=message)

    async def terminate(self, _reason: Reason, /) -> None:
        """Say good-bye to all clients: they need not wait until they notice."""
        for session in list(self._plane.endpoints.by_session):
            self._plane.close(session)
        self._socket.flush()

    def _perform(self, request: Request[Any]) -> object:
        plane, now = self._plane, self._loop.time()
        match request:
            case Negotiate(member, offer):
                negotiate = plane.publish if member.role == "publisher" else plane.subscribe
                return negotiate(member, offer, now)
            case CloseSession(session, reason):
                plane.close(session)
                self._remember(session, reason)
            case WhyClosed(session):
                return self._closed.get(session)
            case OpenInbound():
                return self._open_inbound(request, now)
            case OpenOutbound(number, channel, node, address):
                plane.open_outbound(number, channel, node, address, now)
            case CloseLink(number):
                plane.close_link(number)
            case View():
                return self._view()
            case _:
                raise TypeError(f"the media server does not know {request!r}")
        return None

    def _remember(self, session: str, reason: str) -> None:
        self._closed.setdefault(session, reason)
        if len(self._closed) > CLOSED_KEPT:
            del self._closed[next(iter(self._closed))]

    def _open_inbound(self, request: OpenInbound, now: float) -> int:
        for link in self._plane.links.values():
            if (link.channel, link.direction) == (request.channel, "in"):
                if (link.node, link.address) == (request.node, request.address):
                    return link.number
                self._plane.close_link(link.number)
                break
        return self._plane.open_inbound(request.channel, request.node, request.address, request.tracks, now)

    def _view(self) -> MediaView:
        plane = self._plane
        return MediaView(
            members={endpoint.member: endpoint.state for endpoint in plane.endpoints.by_session.values()},
            tracks={channel: feed.tracks for channel, feed in plane.feeds.items()},
            links=tuple(LinkView(k.number, k.channel, k.node, k.direction) for k in plane.links.values()),
            received=self._socket.received,
            sent=self._socket.sent,
            dropped=dict(plane.dropped),
        )


async def _report_ends(ended: asyncio.Queue[Ended]) -> None:
    """Tell sessions that their client is gone: the socket's callbacks run outside all processes, and can't send."""
    while True:
        event = await ended.get()
        log.info("client_gone", session=event.member.session, channel=event.member.channel, reason=event.reason)
        name = session_name(event.member.session)
        if whereis(name) is not None:
            send(name, event)
