"""The HTTP side of a node: WHIP (RFC 9725), WHEP, the page, and what there is to see.

    POST   /whip/{channel}     publish: an offer in, 201 with the answer and the session's address out
    POST   /whep/{channel}     watch: the same
    GET    /sessions/{id}      which node and process serve the session; 404 says why it has ended
    DELETE /sessions/{id}      end it
    GET    /api/status         node, nodes, channels, sessions, media, supervisors
    POST   /api/debug/kill     {"process": name}: end a process, where the operator allows it

Handlers are ordinary tasks of aiohttp; they reach the processes through the node.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from examples.sfu.directory import Find
from examples.sfu.dynamic import ensure
from examples.sfu.holding import hold
from examples.sfu.media.sdp import SdpError, parse_offer
from examples.sfu.media.tracks import Member, Role
from examples.sfu.media_server import WhyClosed
from examples.sfu.names import DIRECTORY, MEDIA, SESSIONS, session_name
from examples.sfu.refusal import Refusal
from examples.sfu.session import Begin, Close, session_spec
from examples.sfu.settings import Settings
from examples.sfu.status import describe_node, describe_session, kill
from pydist import GenServer, Node, call
from pydist.errors import CallError, PydistError

log = structlog.get_logger("sfu")

MAX_BODY: Final = 64 * 1024
"""Bytes. A browser's offer has 5 to 10 thousand."""

BODY_TIME: Final = 10.0
"""Seconds that a client has to send its body."""

SDP: Final = "application/sdp"
_WEB: Final = Path(__file__).parent / "web"
_CHANNEL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUS: Final = {"unusable": 400, "unknown": 404, "taken": 409, "full": 503, "unavailable": 503}
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Expose-Headers": "Location",
    "Accept-Post": SDP,
}
"""A page of one node publishes and watches at the others."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Face:
    """The handlers of one node. A request's body must be all there within `body_time` seconds."""

    def __init__(self, node: Node, settings: Settings, body_time: float = BODY_TIME) -> None:
        self._node = node
        self._settings = settings
        self._body_time = body_time

    def application(self) -> web.Application:
        """The application, ready to be served."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_plain_errors])
        app.router.add_get("/", _file("index.html"))
        app.router.add_get("/app.js", _file("app.js"))
        app.router.add_post("/whip/{channel}", self.publish)
        app.router.add_post("/whep/{channel}", self.watch)
        app.router.add_get("/sessions/{session}", self.show_session)
        app.router.add_delete("/sessions/{session}", self.end_session)
        app.router.add_patch("/sessions/{session}", _refuse_patch)
        app.router.add_get("/api/status", self.show_status)
        if self._settings.allow_kill:
            app.router.add_post("/api/debug/kill", self.kill)
        return app

    async def publish(self, request: web.Request) -> web.Response:
        """WHIP."""
        return await self._begin(request, "publisher")

    async def watch(self, request: web.Request) -> web.Response:
        """WHEP."""
        return await self._begin(request, "subscriber")

    async def _begin(self, request: web.Request, role: Role) -> web.Response:
        channel = _channel(request)
        offer = parse_offer(await _offer_text(request, self._body_time))
        await self._check_channel(channel, role)
        member = Member(secrets.token_hex(16), role, channel)
        await self._node.run(_start_session, member)
        answer = await self._node.run(call, session_name(member.session), Begin(offer))
        if isinstance(answer, Refusal):
            raise _refused(answer)
        headers = {"Location": f"/sessions/{member.session}"}
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    async def _check_channel(self, channel: str, role: Role) -> None:
        """Refuse what can't work before a process is made for it."""
        publication = await self._node.run(call, DIRECTORY, Find(channel))
        if role == "publisher" and publication is not None:
            raise _error(409, f"somebody publishes on {channel!r} already, at {publication.node}")
        if role == "subscriber" and publication is None:
            raise _error(404, f"nobody publishes on {channel!r}")

    async def show_session(self, request: web.Request) -> web.Response:
        """Which node and which process serve a session."""
        session = request.match_info["session"]
        shown = await self._node.run(describe_session, session)
        if shown is None:
            why = await self._node.run(call, MEDIA, WhyClosed(session))
            raise _error(404, why or "there is no such session, or no longer")
        return web.json_response(shown)

    async def end_session(self, request: web.Request) -> web.Response:
        """WHIP's and WHEP's DELETE."""
        try:
            await self._node.run(call, session_name(request.match_info["session"]), Close())
        except CallError as error:
            raise _error(404, "there is no such session, or no longer") from error
        return web.Response()

    async def show_status(self, _request: web.Request) -> web.Response:
        """Everything there is to see of this node."""
        return web.json_response(await self._node.run(describe_node, self._settings))

    async def kill(self, request: web.Request) -> web.Response:
        """End a process as if it had crashed."""
        match await _json(request, self._body_time):
            case {"process": str(name)}:
                pass
            case _:
                raise _error(400, 'the body must be {"process": name}')
        if not await self._node.run(kill, name):
            raise _error(404, f"nobody is registered as {name!r}")
        return web.json_response({"killed": name})


async def _start_session(member: Member) -> None:
    await ensure(SESSIONS, session_spec(member))


class HttpServer(GenServer):
    """The process that serves. When it is started again, clients have waited in the listening socket's queue."""

    async def init(self, node: Node, settings: Settings, listening: socket.socket) -> None:
        runner = web.AppRunner(Face(node, settings).application(), access_log=None)
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("an application that is set up has a server")
        server = await asyncio.get_running_loop().create_server(runner.server, sock=listening.dup())
        hold(server.close)
        log.info("http_serving", url=settings.url)


# -- what a client may ask for


def _channel(request: web.Request) -> str:
    channel = request.match_info["channel"]
    if not _CHANNEL.fullmatch(channel):
        raise _error(400, "a channel has 1 to 64 letters, digits, - or _")
    return channel


async def _body(request: web.Request, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError as error:
        raise _error(408, f"the body was not all here within {seconds:g} s") from error
    except ConnectionError as error:
        # Nobody is left to read this; it only keeps a client that leaves from being logged as an error of ours.
        raise _error(400, "the connection was lost before the body was all here") from error


async def _offer_text(request: web.Request, seconds: float) -> str:
    if request.content_type != SDP:
        raise _error(415, f"the body must be {SDP}, not {request.content_type}")
    try:
        return (await _body(request, seconds)).decode()
    except UnicodeDecodeError as error:
        raise _error(400, "this is no SDP: not UTF-8") from error


async def _json(request: web.Request, seconds: float) -> object:
    try:
        return json.loads(await _body(request, seconds))
    except ValueError:
        return None


async def _refuse_patch(_request: web.Request) -> web.Response:
    reason = "the answer has all candidates, so there is nothing to trickle; for an ICE restart begin a new session"
    raise web.HTTPMethodNotAllowed("PATCH", ["GET", "DELETE"], text=reason)


def _file(name: str) -> Handler:
    async def send_file(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(_WEB / name, headers={"Cache-Control": "no-cache"})

    return send_file


# -- errors


def _error(status: int, reason: str) -> web.HTTPException:
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        404: web.HTTPNotFound,
        408: web.HTTPRequestTimeout,
        409: web.HTTPConflict,
        415: web.HTTPUnsupportedMediaType,
        503: web.HTTPServiceUnavailable,
    }
    return kinds[status](text=reason)


def _refused(refusal: Refusal) -> web.HTTPException:
    return _error(_STATUS[refusal.kind], refusal.reason)


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors are one sentence of plain text, and pages of other nodes may read them."""
    try:
        response = web.Response(status=204) if request.method == "OPTIONS" else await handler(request)
    except SdpError as error:
        response = web.Response(status=400, text=str(error))
    except web.HTTPException as error:
        response = web.Response(status=error.status, text=_reason(request, error), headers=_kept(error))
    except PydistError as error:
        log.warning("request_failed", method=request.method, path=request.path, reason=str(error))
        response = web.Response(status=503, text="a process that is needed does not answer: try again")
    response.headers.update(_CORS)
    return response


def _reason(request: web.Request, error: web.HTTPException) -> str | None:
    unknown = error is request.match_info.http_exception and error.status == 404
    return f"there is nothing at {request.path}" if unknown else error.text


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
