"""One channel on one node: lets publisher and subscribers in, and sees that the media reaches this node.

At the publisher's node it claims the channel in the directory, and feeds the nodes that ask. At any other node it asks
the publisher's channel process to feed this one as soon as somebody watches, until nobody does. The two processes
monitor each other. What they hold is also in the media plane; a channel that is started again takes it up from there.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import structlog

from examples.sfu.directory import Claim, Find, FindNode, Publication, PublicationGone, Release
from examples.sfu.dynamic import dismiss
from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Member
from examples.sfu.media_server import CloseLink, LinkView, OpenInbound, OpenOutbound, View
from examples.sfu.names import CHANNELS, DIRECTORY, MEDIA, channel_name, session_name
from examples.sfu.refusal import Refusal
from pydist import (
    NO_REPLY,
    NOCONNECTION,
    Caller,
    ChildSpec,
    Down,
    GenServer,
    Message,
    Ref,
    Request,
    call,
    cast,
    child,
    demonitor,
    monitor,
    node_name,
    self_pid,
    send,
    send_after,
    spawn,
    whereis,
)
from pydist.errors import CallError

log = structlog.get_logger("sfu")

RETRY: Final = 0.2
"""Seconds until the other node's channel process, which has crashed, is asked again."""


PATIENCE: Final = 10.0
"""Seconds that a channel waits for its first session."""


class Join(Request[Refusal | None], tag="sfu.channel.join"):
    """A session comes in. Before a subscriber's media there must be a feed; after a publisher's, a claim."""

    member: Member


class Leave(Request[None], tag="sfu.channel.leave"):
    """A session is gone."""

    session: str


class Feed(Request[Refusal | None], tag="sfu.channel.feed"):
    """From another node's process of this channel: send it here. Asking twice does no harm."""

    node: str
    address: Address
    number: int


class StopFeeding(Message, tag="sfu.channel.stop_feeding"):
    """From another node's process of this channel: nobody watches there any more."""

    number: int


class LookAround(Message, tag="sfu.channel.look_around"):
    """Somebody should have come by now."""


class AskAgain(Message, tag="sfu.channel.ask_again"):
    """The other node's process of this channel should be back."""


class End(Message, tag="sfu.channel.end"):
    """To a session: it is over."""

    reason: str


class Upstream(NamedTuple):
    """Where this node gets the channel from."""

    node: str
    number: int


class Channel(GenServer):
    """See the head of this file."""

    async def init(self, channel: str) -> None:
        """Take up what the media plane has of the channel."""
        self._channel = channel
        self._sessions: set[str] = set()
        self._publisher: str | None = None
        self._upstream: Upstream | None = None
        self._upstream_monitor: Ref | None = None
        self._fed: dict[Ref, int] = {}
        """Numbers of outbound links, by the monitor of the process that asked for them."""
        self._over = False
        for link in await self._count_sessions():
            self._take_up(link)
        if self._publisher is None:
            # It may have gone while nobody was here to say so.
            cast(DIRECTORY, Release(channel))
        send_after(PATIENCE, self_pid(), LookAround())

    async def _count_sessions(self) -> list[LinkView]:
        """Enter those that the media plane has: a session may have joined just before a crash. Returns the links."""
        members, links = (await call(MEDIA, View())).of_channel(self._channel)
        for member in members:
            self._enter(member)
        return links

    def _take_up(self, link: LinkView) -> None:
        if link.direction == "out":
            self._fed[monitor((channel_name(self._channel), link.node))] = link.number
        else:
            self._upstream = Upstream(link.node, link.number)
            send(self_pid(), AskAgain())

    async def handle_call(self, request: Request[Any], _caller: Caller, /) -> object:
        match request:
            case Join() if self._over:
                # The caller sees this process end, and asks the next one.
                return NO_REPLY
            case Join(member) if member.role == "publisher":
                return await self._join_publisher(member)
            case Join(member):
                return await self._join_subscriber(member)
            case Leave(session):
                await self._leave(session)
            case Feed():
                return await self._feed(request)
            case _:
                raise TypeError(f"a channel does not know {request!r}")
        return None

    async def handle_cast(self, message: Any, /) -> None:
        match message:
            case StopFeeding(number):
                for ref in [ref for ref, known in self._fed.items() if known == number]:
                    demonitor(ref, flush=True)
                    await self._stop_feeding(ref)
            case _:
                log.warning("unknown_message", process=channel_name(self._channel), message=message)

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case PublicationGone(reason):
                await self._publication_gone(reason)
            case Down(ref, _, reason) if ref == self._upstream_monitor:
                # With its node the publisher is gone too, and the directory says so.
                if reason is not NOCONNECTION:
                    send_after(RETRY, self_pid(), AskAgain())
            case Down(ref, _, reason) if ref in self._fed:
                # A process that crashed comes back and asks again; if it doesn't, the link's lease ends.
                if reason is NOCONNECTION:
                    await self._stop_feeding(ref)
                else:
                    del self._fed[ref]
            case AskAgain():
                await self._ask_again()
            case LookAround():
                await self._count_sessions()
                await self._retire_if_empty()
            case _:
                log.warning("unknown_message", process=channel_name(self._channel), message=message)

    # -- sessions

    async def _join_publisher(self, member: Member) -> Refusal | None:
        tracks = (await call(MEDIA, View())).tracks.get(self._channel, ())
        refusal = await call(DIRECTORY, Claim(Publication(self._channel, node_name(), member.session, tracks)))
        if refusal is None:
            self._enter(member)
        else:
            await self._retire_if_empty()
        return refusal

    async def _join_subscriber(self, member: Member) -> Refusal | None:
        publication = await call(DIRECTORY, Find(self._channel))
        refusal = None
        if publication is None:
            refusal = Refusal("unknown", f"nobody publishes on {self._channel!r}")
        elif publication.node != node_name() and self._upstream is None:
            refusal = await self._open_upstream(publication)
        if refusal is None:
            self._enter(member)
        else:
            await self._retire_if_empty()
        return refusal

    def _enter(self, member: Member) -> None:
        self._sessions.add(member.session)
        if member.role == "publisher":
            self._publisher = member.session

    async def _leave(self, session: str) -> None:
        self._sessions.discard(session)
        if session == self._publisher:
            self._publisher = None
            cast(DIRECTORY, Release(self._channel))
            self._end_all("the publisher has left")
        await self._retire_if_empty()

    async def _publication_gone(self, reason: str) -> None:
        await self._close_upstream()
        self._end_all(reason)
        await self._retire_if_empty()

    def _end_all(self, reason: str) -> None:
        for session in self._sessions:
            if whereis(session_name(session)) is not None:
                send(session_name(session), End(reason))

    async def _retire_if_empty(self) -> None:
        if not self._sessions and not self._over:
            self._over = True
            await self._close_upstream()
            spawn(dismiss, CHANNELS, self._channel)

    # -- from another node

    async def _open_upstream(self, publication: Publication) -> Refusal | None:
        there = await call(DIRECTORY, FindNode(publication.node))
        if there is None:
            return Refusal("unavailable", f"the publisher's node {publication.node} can't be reached")
        number = await call(MEDIA, OpenInbound(self._channel, there.name, there.media, publication.tracks))
        if isinstance(number, Refusal):
            return number
        self._upstream = Upstream(there.name, number)
        refusal = await self._ask(self._upstream)
        if refusal is not None:
            await self._close_upstream()
        return refusal

    async def _ask(self, upstream: Upstream) -> Refusal | None:
        """Ask the publisher's channel process to feed this node, and watch it."""
        here = await call(DIRECTORY, FindNode(node_name()))
        process = (channel_name(self._channel), upstream.node)
        if here is None:
            return Refusal("unavailable", "this node is not ready yet")
        try:
            refusal = await call(process, Feed(here.name, here.media, upstream.number))
        except CallError as error:
            return Refusal("unavailable", f"the publisher's node {upstream.node} does not answer: {error.reason!r}")
        if refusal is None:
            self._upstream_monitor = monitor(process)
        return refusal

    async def _ask_again(self) -> None:
        if self._upstream is None:
            return
        refusal = await self._ask(self._upstream)
        if refusal is not None:
            log.warning("feed_refused", channel=self._channel, node=self._upstream.node, reason=refusal.reason)
            send_after(RETRY, self_pid(), AskAgain())

    async def _close_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is None:
            return
        if self._upstream_monitor is not None:
            demonitor(self._upstream_monitor, flush=True)
            self._upstream_monitor = None
        await call(MEDIA, CloseLink(upstream.number))
        cast((channel_name(self._channel), upstream.node), StopFeeding(upstream.number))

    # -- to other nodes

    async def _feed(self, request: Feed) -> Refusal | None:
        refusal = await call(MEDIA, OpenOutbound(request.number, self._channel, request.node, request.address))
        if refusal is None and request.number not in self._fed.values():
            self._fed[monitor((channel_name(self._channel), request.node))] = request.number
        return refusal

    async def _stop_feeding(self, ref: Ref) -> None:
        await call(MEDIA, CloseLink(self._fed.pop(ref)))


def channel_spec(channel: str) -> ChildSpec:
    """How the channels' supervisor runs a channel."""
    return child(Channel, channel, id=channel, name=channel_name(channel))
