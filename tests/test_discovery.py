from __future__ import annotations

from pathlib import Path

import pytest

from pydist import BadNodeName, Found, NodeStartError, StaticDiscovery, TailnetTagDiscovery
from pydist.errors import TailscaleError
from tests.tailscaled import FakeMachine, Tailscaled, running


async def test_a_static_list_is_what_is_found() -> None:
    assert await StaticDiscovery(["a@h", "b@h"]).look() == (Found("a@h"), Found("b@h"))


def test_a_list_of_what_are_no_names_is_refused() -> None:
    with pytest.raises(BadNodeName):
        StaticDiscovery(["a"])
    with pytest.raises(NodeStartError, match="not the string 'a@h'"):
        StaticDiscovery("a@h")


async def test_the_machines_of_a_tag_are_found_that_are_online_and_may_talk(tmp_path: Path) -> None:
    peers = [
        FakeMachine("beta", ["100.64.0.3", "fd7a:115c:a1e0::3"], ["tag:sfu", "tag:eu"]),
        FakeMachine("gamma", ["100.64.0.4"], ["tag:ops"]),
        FakeMachine("delta", ["100.64.0.5"], ["tag:sfu"], online=False),
        FakeMachine("epsilon", ["100.64.0.6"], ["tag:sfu"], expired=True),
        FakeMachine("zeta", ["100.64.0.7"], ["tag:sfu"], suffix="other.ts.net"),
    ]
    daemon = Tailscaled(FakeMachine("alpha", ["100.64.0.2"], ["tag:sfu"]), peers)
    async with running(daemon, tmp_path / "tailscaled.sock") as socket:
        by_name = TailnetTagDiscovery("tag:sfu", "sfu", socket=socket)
        assert await by_name.look() == [Found("sfu@beta"), Found("sfu@zeta.other.ts.net")]
        by_address = TailnetTagDiscovery("tag:sfu", "sfu", socket=socket, by_address=True)
        assert await by_address.look() == [Found("sfu@100.64.0.3"), Found("sfu@100.64.0.7")]


async def test_where_no_tailscaled_is_a_look_fails(tmp_path: Path) -> None:
    with pytest.raises(TailscaleError, match="is Tailscale installed"):
        await TailnetTagDiscovery("tag:sfu", "sfu", socket=str(tmp_path / "none")).look()


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(NodeStartError, match=r'begins with "tag:"'):
        TailnetTagDiscovery("sfu", "sfu")
