from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from examples.sfu.directory import Find, Publication
from examples.sfu.http import MAX_BODY, Face
from examples.sfu.media_server import WhyClosed
from examples.sfu.refusal import Refusal
from examples.sfu.session import Begin, Close
from examples.sfu.settings import Settings
from pydist import Node, call
from pydist.errors import NoProcess, PydistError
from pydist.terms import NOPROC

SETTINGS = Settings("a@127.0.0.1", ("127.0.0.1", 8080), ("127.0.0.1", 50000))

OFFER = f"""v=0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=ice-ufrag:peer
a=ice-pwd:peerpeerpeerpeerpeerpeer
a=fingerprint:sha-256 {":".join(["AB"] * 32)}
a=setup:actpass
a=mid:0
a=rtcp-mux
a=rtpmap:111 opus/48000/2
"""


class StubNode:
    """Answers as the processes of a node would: `replies` by the request's type; an error is raised."""

    def __init__(self, replies: dict[type, Any]) -> None:
        self.replies = replies

    async def run(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        reply = self.replies[type(args[1])] if function is call else self.replies.get(cast("Any", function))
        if isinstance(reply, Exception):
            raise reply
        return reply


TAKEN = Publication("lobby", "b@127.0.0.1", "s", ())
Ask = Callable[..., Awaitable[tuple[int, str]]]


async def ask(
    method: str,
    path: str,
    *,
    body: str | bytes = OFFER,
    content_type: str = "application/sdp",
    settings: Settings = SETTINGS,
    replies: dict[type, Any] | None = None,
) -> tuple[ClientResponse, str]:
    node = cast("Node", StubNode(replies or {}))
    async with TestClient(TestServer(Face(node, settings).application())) as client:
        response = await client.request(method, path, data=body, headers={"Content-Type": content_type})
        return response, await response.text()


@pytest.mark.parametrize(("path", "owner"), [("/whip/lobby", None), ("/whep/lobby", TAKEN)])
async def test_an_offer_is_answered_with_the_sessions_address(path: str, owner: Publication | None) -> None:
    response, text = await ask("POST", path, replies={Find: owner, Begin: "v=0 the answer"})
    assert (response.status, response.content_type, text) == (201, "application/sdp", "v=0 the answer")
    assert response.headers["Location"].startswith("/sessions/")
    assert response.headers["Access-Control-Expose-Headers"] == "Location"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "this is no SDP: the first line must be v=0"),
        (b"v=0\r\n", "the offer has no m= line: there is nothing to send or receive"),
        (b"\xff\xfe", "this is no SDP: not UTF-8"),
        (OFFER.replace("a=setup:actpass\n", "").encode(), "the offer has no a=setup"),
    ],
)
async def test_a_broken_offer_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    response, text = await ask("POST", "/whip/lobby", body=body)
    assert (response.status, text) == (400, reason)


async def test_another_content_type_is_refused() -> None:
    response, text = await ask("POST", "/whip/lobby", content_type="application/json")
    assert (response.status, text) == (415, "the body must be application/sdp, not application/json")


async def test_a_body_that_is_too_long_is_refused() -> None:
    response, _ = await ask("POST", "/whip/lobby", body=b"v=0\n" + b"a=x\n" * MAX_BODY)
    assert response.status == 413


HALF_A_BODY = [("/whip/lobby", "application/sdp"), ("/api/debug/kill", "application/json")]


@asynccontextmanager
async def half_a_body(
    face: Face, path: str, content_type: str
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event]]:
    """A request whose handler waits for the rest of the body; the event is set when it waits no longer."""
    ended = asyncio.Event()

    @web.middleware
    async def watch(request: web.Request, handler: Callable[..., Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            ended.set()

    app = face.application()
    app.middlewares.insert(0, watch)
    # Not a TestServer: that cancels the handlers of clients that have left, which the real one does not.
    runner = web.AppRunner(app, access_log=None, lingering_time=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: 100\r\n"
        writer.write(head.encode() + b"Expect: 100-continue\r\n\r\nv=0\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        try:
            yield reader, writer, ended
        finally:
            writer.transport.abort()
            await runner.cleanup()


@pytest.mark.parametrize(("path", "content_type"), HALF_A_BODY)
async def test_a_body_that_does_not_come_is_408(path: str, content_type: str) -> None:
    face = Face(cast("Node", StubNode({})), attrs.evolve(SETTINGS, allow_kill=True), body_time=0.05)
    async with half_a_body(face, path, content_type) as (reader, _, _):
        answer = await reader.readuntil(b"the body was not all here within 0.05 s")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(("path", "content_type"), HALF_A_BODY)
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    path: str, content_type: str, caplog: pytest.LogCaptureFixture, *, reset: bool
) -> None:
    face = Face(cast("Node", StubNode({})), attrs.evolve(SETTINGS, allow_kill=True))
    with caplog.at_level(logging.INFO, "aiohttp"):
        async with half_a_body(face, path, content_type) as (_, writer, ended):
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
            await ended.wait()
    assert caplog.records == []


async def test_a_channel_name_that_is_none_is_refused() -> None:
    response, text = await ask("POST", "/whip/a%20b")
    assert (response.status, text) == (400, "a channel has 1 to 64 letters, digits, - or _")


async def test_an_unknown_channel_is_404() -> None:
    response, text = await ask("POST", "/whep/lobby", replies={Find: None})
    assert (response.status, text) == (404, "nobody publishes on 'lobby'")


async def test_a_second_publisher_is_409() -> None:
    response, text = await ask("POST", "/whip/lobby", replies={Find: TAKEN})
    assert (response.status, text) == (409, "somebody publishes on 'lobby' already, at b@127.0.0.1")


@pytest.mark.parametrize(
    ("kind", "status"), [("unusable", 400), ("unknown", 404), ("taken", 409), ("full", 503), ("unavailable", 503)]
)
async def test_what_a_process_refuses_the_client_is_told(kind: Any, status: int) -> None:
    response, text = await ask("POST", "/whip/lobby", replies={Find: None, Begin: Refusal(kind, "because")})
    assert (response.status, text) == (status, "because")


@pytest.mark.parametrize("error", [NoProcess(NOPROC, "directory", Find("lobby")), PydistError("any")])
async def test_a_process_that_does_not_answer_is_503(error: PydistError) -> None:
    response, text = await ask("POST", "/whip/lobby", replies={Find: error})
    assert (response.status, text) == (503, "a process that is needed does not answer: try again")


async def test_a_session_is_ended_by_delete_and_then_unknown() -> None:
    response, _ = await ask("DELETE", "/sessions/1234", replies={Close: None})
    assert response.status == 200
    gone = NoProcess(NOPROC, "session:1234", Close())
    response, text = await ask("DELETE", "/sessions/1234", replies={Close: gone})
    assert (response.status, text) == (404, "there is no such session, or no longer")


@pytest.mark.parametrize(
    ("why", "said"), [("the publisher has left",) * 2, (None, "there is no such session, or no longer")]
)
async def test_who_asks_for_a_session_that_has_ended_is_told_why(why: str | None, said: str) -> None:
    response, text = await ask("GET", "/sessions/1234", replies={WhyClosed: why})
    assert (response.status, text) == (404, said)


async def test_an_unknown_path_is_named() -> None:
    response, text = await ask("POST", "/whip/")
    assert (response.status, text) == (404, "there is nothing at /whip/")


async def test_trickling_is_refused_with_the_reason() -> None:
    response, text = await ask("PATCH", "/sessions/1234", content_type="application/trickle-ice-sdpfrag")
    assert (response.status, response.headers["Allow"]) == (405, "DELETE,GET")
    assert text.startswith("the answer has all candidates")


async def test_pages_of_other_nodes_may_ask() -> None:
    response, _ = await ask("OPTIONS", "/whip/lobby", body="")
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (204, "*")


async def test_nobody_can_kill_processes_unless_the_operator_allows_it() -> None:
    response, _ = await ask("POST", "/api/debug/kill", body='{"process": "media"}', content_type="application/json")
    assert response.status == 404


@pytest.mark.parametrize("body", ["", "[]", '{"process": 1}'])
async def test_a_request_to_kill_nobody_is_400(body: str) -> None:
    settings = attrs.evolve(SETTINGS, allow_kill=True)
    response, text = await ask("POST", "/api/debug/kill", body=body, settings=settings)
    assert (response.status, text) == (400, 'the body must be {"process": name}')


@pytest.mark.parametrize("path", ["/", "/app.js"])
async def test_the_page_is_served(path: str) -> None:
    response, text = await ask("GET", path)
    assert (response.status, len(text) > 1000) == (200, True)
