"""One browser in one channel, from its offer to its end.

The browser's transport lives in the media plane: when this process crashes it is started again, finds the transport
there, and the video has never stopped.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from examples.sfu.channel import End, Join, Leave, channel_spec
from examples.sfu.dynamic import dismiss, ensure
from examples.sfu.media.plane import Ended
from examples.sfu.media.sdp import Offer
from examples.sfu.media.tracks import Member
from examples.sfu.media_server import CloseSession, Negotiate, View
from examples.sfu.names import CHANNELS, MEDIA, SESSIONS, channel_name, session_name
from examples.sfu.refusal import Refusal
from pydist import Caller, ChildSpec, GenServer, Message, Request, call, child, self_pid, send, send_after, spawn
from pydist.errors import CallError

log = structlog.get_logger("sfu")

PATIENCE: Final = 10.0
"""Seconds that a session waits for its offer."""

TRIES: Final = 3
"""How often a channel is asked: it may be ending just when somebody comes."""


class Begin(Request[str | Refusal], tag="sfu.session.begin"):
    """The client's offer; the reply is the answer's SDP."""

    offer: Offer


class Close(Request[None], tag="sfu.session.close"):
    """The client, or somebody for it, has had enough."""


class NoOffer(Message, tag="sfu.session.no_offer"):
    """No offer has come in time."""


class Session(GenServer):
    """See the head of this file."""

    async def init(self, member: Member) -> None:
        """Wait for the offer, unless the media plane has the session already."""
        self._member = member
        self._over = False
        self._begun = member in (await call(MEDIA, View())).members
        if not self._begun:
            send_after(PATIENCE, self_pid(), NoOffer())

    async def handle_call(self, request: Request[Any], _caller: Caller, /) -> object:
        match request:
            case Begin(offer) if not self._begun:
                self._begun = True
                return await self._begin(offer)
            case Begin():
                return Refusal("taken", "the session has begun already")
            case Close():
                await self._end("closed by the client")
            case _:
                raise TypeError(f"a session does not know {request!r}")
        return None

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case Ended(_, reason) | End(reason):
                await self._end(reason)
            case NoOffer():
                if not self._begun:
                    await self._end("no offer came")
            case _:
                log.warning("unknown_message", process=session_name(self._member.session), message=message)

    async def _begin(self, offer: Offer) -> str | Refusal:
        """A publisher's media come before its claim, a subscriber's after the feed."""
        if self._member.role == "publisher":
            answer = await call(MEDIA, Negotiate(self._member, offer))
            refusal = answer if isinstance(answer, Refusal) else await self._join()
        else:
            refusal = await self._join()
            answer = refusal if refusal is not None else await call(MEDIA, Negotiate(self._member, offer))
        if refusal is None and isinstance(answer, Refusal):
            refusal = answer
        if refusal is not None:
            send(self_pid(), End(refusal.reason))
            return refusal
        log.info("session_begun", session=self._member.session, role=self._member.role, channel=self._member.channel)
        return answer

    async def _join(self) -> Refusal | None:
        channel = self._member.channel
        for _ in range(TRIES):
            await ensure(CHANNELS, channel_spec(channel))
            try:
                return await call(channel_name(channel), Join(self._member))
            except CallError as error:
                log.info("channel_asked_again", channel=channel, reason=error.reason)
        return Refusal("unavailable", "the channel's process is not there")

    async def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        session = self._member.session
        log.info("session_ended", session=session, role=self._member.role, reason=reason)
        await call(MEDIA, CloseSession(session, reason))
        try:
            await call(channel_name(self._member.channel), Leave(session))
        except CallError:
            log.info("channel_was_gone", channel=self._member.channel, session=session)
        spawn(dismiss, SESSIONS, session)


def session_spec(member: Member) -> ChildSpec:
    """How the sessions' supervisor runs a session."""
    return child(Session, member, id=member.session, name=session_name(member.session))
