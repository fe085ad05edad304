from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pydist.errors import TailscaleError
from pydist.local_api import LocalApi
from pydist.wire.local_api import Caller, Machine, Tailnet
from tests.doors import quiet, until
from tests.tailscaled import FakeMachine, Tailscaled, as_json, endless, hang, response, running, saying, trickle

ALPHA = FakeMachine("alpha", ["127.0.0.2", "fd7a:115c:a1e0::2"], ["tag:sfu"])
BETA = FakeMachine("beta", ["127.0.0.3"], ["tag:ops", "tag:sfu"], host_name="Beta's box")
GAMMA = FakeMachine("gamma", ["127.0.0.4"], online=False, expired=True)
NAMED_ALPHA = Machine("alpha.tail1234.ts.net", ("127.0.0.2", "fd7a:115c:a1e0::2"), "alpha", ("tag:sfu",), online=True)
NAMED_BETA = Machine("beta.tail1234.ts.net", ("127.0.0.3",), "Beta's box", ("tag:ops", "tag:sfu"), online=True)


@asynccontextmanager
async def asking(tmp_path: Path, *peers: FakeMachine, **settings: Any) -> AsyncGenerator[tuple[LocalApi, Tailscaled]]:
    daemon = Tailscaled(ALPHA, list(peers))
    async with running(daemon, tmp_path / "tailscaled.sock") as socket:
        yield LocalApi(socket, **settings), daemon


async def test_the_status_tells_of_this_machine_and_of_all_that_it_knows(tmp_path: Path) -> None:
    async with asking(tmp_path, BETA, GAMMA) as (api, daemon):
        assert await api.status() == Tailnet(
            "Running",
            ("127.0.0.2", "fd7a:115c:a1e0::2"),
            NAMED_ALPHA,
            "tail1234.ts.net",
            (NAMED_BETA, Machine("gamma.tail1234.ts.net", ("127.0.0.4",), "gamma", expired=True)),
        )
        assert daemon.asked == ["/localapi/v0/status"]


async def test_the_status_without_peers_is_asked_for_without_peers(tmp_path: Path) -> None:
    async with asking(tmp_path, BETA) as (api, daemon):
        assert (await api.status(peers=False)).peers == ()
        assert daemon.asked == ["/localapi/v0/status?peers=false"]


@pytest.mark.parametrize("state", ["NoState", "NeedsLogin", "NeedsMachineAuth", "Stopped", "Starting"])
async def test_a_tailscaled_that_is_not_up_says_how_it_stands(tmp_path: Path, state: str) -> None:
    async with asking(tmp_path, BETA) as (api, daemon):
        daemon.state, daemon.health = state, ["You are logged out."]
        status = await api.status()
        assert (status.state, status.addresses, status.peers) == (state, (), ())
        assert status.health == ("You are logged out.",)


async def test_whois_tells_the_machine_behind_a_connection_its_tags_and_its_user(tmp_path: Path) -> None:
    async with asking(tmp_path, BETA, FakeMachine("gamma", ["127.0.0.4"])) as (api, daemon):
        assert await api.whois("127.0.0.3", 4711) == Caller(NAMED_BETA, "tagged-devices")
        assert await api.whois("fd7a:115c:a1e0::2", 1) == Caller(NAMED_ALPHA, "tagged-devices")
        found = await api.whois("127.0.0.4", 1)
        assert found is not None
        assert (found.user, found.machine.label, found.machine.tags) == ("ann@example.com", "gamma", ())
        assert daemon.asked[:2] == [
            "/localapi/v0/whois?addr=127.0.0.3%3A4711",
            "/localapi/v0/whois?addr=%5Bfd7a%3A115c%3Aa1e0%3A%3A2%5D%3A1",
        ]


async def test_whois_of_a_stranger_is_none(tmp_path: Path) -> None:
    async with asking(tmp_path) as (api, _):
        assert await api.whois("192.168.1.1", 4711) is None


async def test_where_no_tailscaled_is_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        TailscaleError, match=r"nothere\.sock: No such file.*is Tailscale installed, and tailscaled run"
    ):
        await LocalApi(str(tmp_path / "nothere.sock")).status()
    async with asking(tmp_path) as (api, _):
        pass
    with pytest.raises(TailscaleError, match=r"Connection refused.*start it|No such file"):
        await api.status()


@pytest.mark.parametrize("manner", [hang, trickle])
async def test_one_that_hangs_is_given_up_in_time(tmp_path: Path, manner: Callable[..., object]) -> None:
    async with asking(tmp_path, timeout=0.1) as (api, daemon):
        daemon.answer = manner
        with pytest.raises(
            TailscaleError, match=r"did not answer /localapi/v0/status within 0\.1 s: look what it does"
        ):
            await api.status()


async def test_so_many_questions_are_under_way_at_a_time_and_each_is_given_up_in_time(tmp_path: Path) -> None:
    async with asking(tmp_path, timeout=0.3) as (api, daemon):
        daemon.answer = hang
        asking_all = asyncio.gather(*(api.whois("127.0.0.3", port) for port in range(50)), return_exceptions=True)
        await until(lambda: len(daemon.asked) >= 16)
        await quiet()
        assert len(daemon.asked) == 16
        assert [type(end) for end in await asking_all] == [TailscaleError] * 50
        daemon.answer = None
        assert await api.whois("127.0.0.2", 1) == Caller(NAMED_ALPHA, "tagged-devices")


async def test_an_answer_without_end_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    async with asking(tmp_path, answer_limit=100_000) as (api, daemon):
        daemon.answer = endless
        with pytest.raises(TailscaleError, match=r"answers /localapi/v0/status with more than 100000 bytes"):
            await api.status()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (response(403, b"status access denied\n"), r"with status 403: 'status access denied'"),
        (response(500, b"x" * 1000), r"with status 500: 'x{200}'$"),
        (response(404, b"404 page not found\n"), r"with status 404"),
        (b"", r"makes no sense \(Remote end closed connection without response\)"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"makes no sense \(SSH-2\.0-OpenSSH_9\.2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", r"makes no sense \(IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", r"makes no sense \(IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", r"makes no sense \(IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", r"makes no sense \(got more than 100 headers"),
        (response(200, b"<html>"), r"makes no sense \(no JSON"),
        (response(200, b"[" * 100_000), r"makes no sense \(no JSON"),
        (response(200, b"null"), r"makes no sense \(a JSON value that is no object: None"),
        (response(200, b"{}"), r"makes no sense \(a status whose BackendState is None"),
        (response(200, b'{"BackendState": "Dancing"}'), r"BackendState is 'Dancing'"),
        (response(200, b'{"BackendState": "Running", "TailscaleIPs": ["x"]}'), r"addresses that are none"),
        (response(200, b'{"BackendState": "Running", "Peer": 7}'), r"a Peer that is no object: 7"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error_that_says_so(tmp_path: Path, answer: bytes, says: str) -> None:
    async with asking(tmp_path) as (api, daemon):
        daemon.answer = saying(answer)
        with pytest.raises(TailscaleError, match=says) as caught:
            await api.status()
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("answer", [{}, {"Node": None}, {"Node": {}}, {"Node": {"Name": "b.x.", "Tags": [7]}}])
async def test_a_whois_that_makes_no_sense_is_an_error_and_nobody(tmp_path: Path, answer: object) -> None:
    async with asking(tmp_path) as (api, daemon):
        daemon.answer = saying(response(200, as_json(answer)))
        with pytest.raises(TailscaleError, match="makes no sense"):
            await api.whois("127.0.0.3", 1)
        daemon.answer = saying(response(403, b"whois access denied\n"))
        with pytest.raises(TailscaleError, match="whois access denied"):
            await api.whois("127.0.0.3", 1)
