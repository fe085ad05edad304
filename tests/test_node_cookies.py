"""Nodes with cookies of several kinds, and hidden ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pydist import Node, NodeDown, connect_node, epmd_client, monitor_nodes, receive
from pydist.errors import BadNodeName, NodeStartError

StartNode = Callable[..., Awaitable[Node]]


async def part(a: Node, b: Node) -> None:
    """Lose the connection, and wait until a has noticed."""

    async def wait() -> None:
        monitor_nodes(True)
        assert b._cluster is not None
        b._cluster.up[a.name].close("for a new handshake")
        await receive(NodeDown, 5.0)

    await a.run(wait)


async def test_two_nodes_with_a_cookie_of_their_own_connect(start_node: StartNode) -> None:
    a = await start_node("a", cookies={"b@127.0.0.1": "of the two"})
    b = await start_node("b", cookie="another")
    b.set_cookie(a.name, "of the two")
    assert await a.run(connect_node, b.name)


async def test_a_cookie_that_is_taken_back_leaves_the_one_that_all_share(start_node: StartNode) -> None:
    a, b = await start_node("a", cookies={"b@127.0.0.1": "of the two"}), await start_node("b")
    assert not await a.run(connect_node, b.name)
    a.set_cookie(b.name, None)
    assert await a.run(connect_node, b.name)


async def test_a_cluster_moves_to_a_new_cookie_without_a_restart(start_node: StartNode, tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]

    def write(file: Path, text: str) -> None:
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").chmod(0o600)
        file.with_suffix(".new").rename(file)

    for file in files:
        write(file, "old\n")
    a, b = [await start_node(file.name, cookie=None, cookie_file=file) for file in files]
    assert await a.run(connect_node, b.name)
    for number, text in enumerate(["new\nold\n", "new\nold\n", "new\n", "new\n"]):
        write(files[number % 2], text)
        for here, there in ((a, b), (b, a)):
            await part(here, there)
            assert await here.run(connect_node, there.name)
    stranger = await start_node("c", cookie="old")
    assert not await stranger.run(connect_node, b.name)


async def test_a_node_without_a_cookie_takes_the_one_in_the_users_home(
    start_node: StartNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    a, b = await start_node("a", cookie=None), await start_node("b", cookie=None)
    assert await a.run(connect_node, b.name)
    assert (tmp_path / ".pydist.cookie").exists()


async def test_a_node_whose_cookie_file_others_may_read_does_not_start(start_node: StartNode, tmp_path: Path) -> None:
    file = tmp_path / "cookie"
    file.write_text("secret")
    file.chmod(0o644)
    with pytest.raises(NodeStartError, match=f"chmod 600 {file}"):
        await start_node("a", cookie=None, cookie_file=file)


async def test_a_cookie_for_what_is_no_node_is_refused(start_node: StartNode) -> None:
    a = await start_node("a")
    with pytest.raises(BadNodeName):
        a.set_cookie("b", "secret")
    with pytest.raises(NodeStartError, match="the cookie is empty"):
        a.set_cookie("b@127.0.0.1", "")


async def test_a_hidden_node_says_so_to_the_port_mapper_and_to_its_peers(
    start_node: StartNode, port_mapper: int
) -> None:
    a, b = await start_node("a", hidden=True), await start_node("b")
    found = await epmd_client.lookup("a", "127.0.0.1", port_mapper)
    assert found is not None
    assert (found.node_type, epmd_client.is_pydist(found)) == (72, True)
    assert await b.run(connect_node, a.name)
    assert a._cluster is not None
    assert b._cluster is not None
    assert (b._cluster.up[a.name].identity.hidden, a._cluster.up[b.name].identity.hidden) == (True, False)
