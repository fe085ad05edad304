from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pydist.errors import NodeStartError, TailscaleError, Unreachable
from pydist.underlay import Member, Underlay
from pydist.underlay import tailscale as module
from pydist.underlay.tailscale import TailscaleUnderlay
from tests.doors import until
from tests.tailscaled import FakeMachine, Tailscaled, running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "FRESH", 0.0)


@asynccontextmanager
async def tailnet(tmp_path: Path, **settings: Any) -> AsyncGenerator[tuple[TailscaleUnderlay, Tailscaled]]:
    """This is alpha; beta is for operators, gamma is somebody's laptop."""
    peers = [FakeMachine("beta", ["127.0.0.3"], ["tag:ops"]), FakeMachine("gamma", ["127.0.0.4"])]
    daemon = Tailscaled(FakeMachine("alpha", ["127.0.0.2"]), peers)
    async with running(daemon, tmp_path / "tailscaled.sock") as socket:
        yield TailscaleUnderlay(socket, **settings), daemon


async def test_all_machines_of_the_tailnet_are_of_it_and_nobody_else(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, _):
        as_underlay: Underlay = underlay
        assert underlay.addresses() == ()
        assert await as_underlay.ready() == ("127.0.0.2",) == underlay.addresses()
        asked = ["127.0.0.2", "127.0.0.3", "::ffff:127.0.0.4", "127.0.0.1", "100.64.0.1", "nonsense", ""]
        assert [underlay.contains(address) for address in asked] == [True, True, True, False, False, False, False]


async def test_where_there_is_a_list_those_come_in_that_are_on_it(tmp_path: Path) -> None:
    async with tailnet(tmp_path, allow=["tag:ops"]) as (underlay, daemon):
        await underlay.ready()
        assert [underlay.contains(f"127.0.0.{last}") for last in (2, 3, 4)] == [True, True, False]
        daemon.peers[0].tags, daemon.peers[1].tags = [], ["tag:ops"]
        following = asyncio.create_task(underlay.changed(underlay.addresses()))
        await until(lambda: not underlay.contains("127.0.0.3"))
        assert underlay.contains("127.0.0.4")
        following.cancel()


async def test_names_are_found_without_dns_and_machines_by_their_addresses(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, _):
        assert await underlay.resolve("beta") == "127.0.0.3"
        assert await underlay.resolve("gamma.tail1234.ts.net") == "127.0.0.4"
        assert await underlay.resolve("127.0.0.3") == "127.0.0.3"
        with pytest.raises(Unreachable, match="no machine of the tailnet"):
            await underlay.resolve("nobody")


async def test_a_machine_whose_key_has_expired_is_not_dialled(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, daemon):
        daemon.peers[0].expired = True
        with pytest.raises(Unreachable, match="no way to beta: its key has expired"):
            await underlay.resolve("beta")


async def test_whois_tells_machine_and_tags_and_nothing_of_strangers_or_without_an_answer(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, daemon):
        await underlay.ready()
        assert await underlay.whois("127.0.0.3") == Member("beta", frozenset({"tag:ops"}))
        assert await underlay.whois("10.0.0.1") is None
        daemon.answer = lambda writer: writer.write(b"HTTP/1.1 500 X\r\n\r\n")
        assert await underlay.whois("127.0.0.3") is None


@pytest.mark.parametrize("state", ["NeedsLogin", "Stopped", "Starting"])
async def test_a_tailnet_that_is_not_up_is_waited_for_with_progress_in_the_log(tmp_path: Path, state: str) -> None:
    async with tailnet(tmp_path, patience=30.0) as (underlay, daemon):
        daemon.state = state
        with capture_logs() as logs:
            waiting = asyncio.create_task(underlay.ready())
            await until(lambda: logs)
            daemon.state = "Running"
            assert await waiting == ("127.0.0.2",)
        assert [entry["event"] for entry in logs] == ["underlay_awaited"]
        assert f"in the state {state}" in logs[0]["reason"]


async def test_after_its_patience_the_error_says_what_is_wrong(tmp_path: Path) -> None:
    async with tailnet(tmp_path, patience=0.05) as (underlay, daemon):
        daemon.state = "NeedsLogin"
        with pytest.raises(TailscaleError, match=r"NeedsLogin .*tailscale up\): not in the tailnet after 0 s"):
            await underlay.ready()
    with pytest.raises(TailscaleError, match="is Tailscale installed"):
        await TailscaleUnderlay(str(tmp_path / "none"), patience=0.0).ready()


async def test_without_a_network_interface_nobody_can_listen_and_the_error_says_so(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, daemon):
        daemon.tun = False
        with pytest.raises(NodeStartError, match="userspace networking"):
            await underlay.ready()


async def test_a_new_address_and_a_logout_are_told_and_reported(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, daemon):
        known = await underlay.ready()
        daemon.me.addresses = ["127.0.0.9"]
        assert await underlay.changed(known) == ("127.0.0.9",)
        daemon.state, daemon.health = "NeedsLogin", ["You are logged out."]
        with capture_logs() as logs:
            assert await underlay.changed(("127.0.0.9",)) == ()
            assert not underlay.contains("127.0.0.3")
            daemon.state = "Running"
            assert await underlay.changed(()) == ("127.0.0.9",)
        assert [(entry["event"], entry.get("health")) for entry in logs] == [
            ("tailnet_trouble", ["You are logged out."]),
            ("tailnet_recovered", None),
        ]


async def test_while_tailscaled_does_not_answer_what_it_said_last_counts(tmp_path: Path) -> None:
    async with tailnet(tmp_path) as (underlay, daemon):
        known = await underlay.ready()
        daemon.answer = lambda writer: writer.write(b"nonsense\r\n\r\n")
        with capture_logs() as logs:
            following = asyncio.create_task(underlay.changed(known))
            await until(lambda: len(daemon.asked) >= 5)
            assert not following.done()
            following.cancel()
        assert [entry["event"] for entry in logs] == ["tailnet_trouble"]
        assert underlay.contains("127.0.0.3")
        assert await underlay.resolve("beta") == "127.0.0.3"


def test_a_patience_that_is_none_is_refused() -> None:
    with pytest.raises(NodeStartError, match="patience is a number of seconds"):
        TailscaleUnderlay(patience=-1.0)
