from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from examples.sfu.directory import (
    Claim,
    Directories,
    Directory,
    Find,
    NodeInfo,
    Publication,
    PublicationGone,
    Release,
    Table,
    is_time_to_dial,
)
from examples.sfu.media.tracks import Codec, Member, Track
from examples.sfu.media_server import MediaView
from examples.sfu.names import DIRECTORY, MEDIA, channel_name
from examples.sfu.refusal import Refusal
from examples.sfu.settings import Settings
from pydist import Caller, GenServer, Node, NodeDown, Request, call, cast, receive, register, self_pid, send

M = NodeInfo("m@127.0.0.1", ("127.0.0.1", 5), "http://127.0.0.1:80")
A = NodeInfo("a@127.0.0.1", ("127.0.0.1", 1), "http://127.0.0.1:81")
Z = NodeInfo("z@127.0.0.1", ("127.0.0.1", 9), "http://127.0.0.1:82")
SETTINGS = Settings(M.name, ("127.0.0.1", 80), M.media)
TRACKS = (Track("video", Codec(96, "VP8", 90000)),)


class StubMedia(GenServer):
    """A media plane that carries what it is told."""

    async def init(self, members: dict[Member, str]) -> None:
        tracks: dict[str, tuple[Track, ...]] = {member.channel: TRACKS for member in members}
        self._view = MediaView(members, tracks, (), 0, 0, {})

    async def handle_call(self, _request: Request[Any], _caller: Caller, /) -> object:
        return self._view


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    started = Node()
    await started.start()
    yield started
    await started.stop()


async def begin(members: dict[Member, str] | None = None) -> None:
    await StubMedia.start_link(members or {}, name=MEDIA)
    await Directory.start_link(SETTINGS, name=DIRECTORY)


def publication(node: NodeInfo, session: str) -> Publication:
    return Publication("lobby", node.name, session, TRACKS)


async def known() -> tuple[list[NodeInfo], list[Publication]]:
    return await call(DIRECTORY, Directories())


async def test_a_channel_is_given_to_the_first_session_that_claims_it(node: Node) -> None:
    async def claim() -> list[Refusal | None]:
        await begin()
        return [await call(DIRECTORY, Claim(publication(M, session))) for session in ("s1", "s1", "s2")]

    reason = "somebody publishes on 'lobby' already, at m@127.0.0.1"
    assert await node.run(claim) == [None, None, Refusal("taken", reason)]


async def test_a_channel_that_is_released_is_free(node: Node) -> None:
    async def release() -> Publication | None:
        await begin()
        await call(DIRECTORY, Claim(publication(M, "s1")))
        cast(DIRECTORY, Release("lobby"))
        return await call(DIRECTORY, Find("lobby"))

    assert await node.run(release) is None


async def test_a_directory_that_starts_again_knows_what_is_published_here(node: Node) -> None:
    async def start() -> Publication | None:
        await begin({Member("s1", "publisher", "lobby"): "connected", Member("s2", "subscriber", "lobby"): "connected"})
        return await call(DIRECTORY, Find("lobby"))

    assert await node.run(start) == publication(M, "s1")


async def test_what_other_nodes_publish_is_known_until_they_say_otherwise_or_go(node: Node) -> None:
    async def listen() -> list[Any]:
        await begin()
        register(channel_name("lobby"), self_pid())
        cast(DIRECTORY, Table(A, (publication(A, "s1"),)))
        seen: list[Any] = [await known()]
        cast(DIRECTORY, Table(A, ()))
        seen += [await known(), await receive(PublicationGone)]
        cast(DIRECTORY, Table(A, (publication(A, "s2"),)))
        send(DIRECTORY, NodeDown(A.name, "connection_closed"))
        return [*seen, await known(), await receive(PublicationGone)]

    gone = PublicationGone("the publisher at a@127.0.0.1 is gone")
    assert await node.run(listen) == [([M, A], [publication(A, "s1")]), ([M, A], []), gone, ([M], []), gone]


async def test_one_node_can_not_release_the_channel_of_another(node: Node) -> None:
    async def release() -> Publication | None:
        await begin()
        cast(DIRECTORY, Table(A, (publication(A, "s1"),)))
        cast(DIRECTORY, Release("lobby"))
        return await call(DIRECTORY, Find("lobby"))

    assert await node.run(release) == publication(A, "s1")


@pytest.mark.parametrize(("other", "winner"), [(A, A), (Z, M)])
async def test_of_two_nodes_that_gave_away_one_channel_the_lesser_name_keeps_it(
    node: Node, other: NodeInfo, winner: NodeInfo
) -> None:
    async def clash() -> tuple[Publication | None, list[Any]]:
        await begin()
        register(channel_name("lobby"), self_pid())
        await call(DIRECTORY, Claim(publication(M, "mine")))
        cast(DIRECTORY, Table(other, (publication(other, "theirs"),)))
        kept = await call(DIRECTORY, Find("lobby"))
        return kept, [await receive(PublicationGone)] if winner is other else []

    kept, told = await node.run(clash)
    assert kept == publication(winner, "theirs" if winner is other else "mine")
    assert told == ([PublicationGone(f"the channel belongs to the publisher at {A.name}")] if winner is A else [])


@pytest.mark.parametrize(("first", "dialled"), [(True, [0, 1, 3, 7, 15, 30, 45]), (False, [7, 15, 30, 45])])
def test_a_node_that_is_away_is_dialled_ever_less_often(first: bool, dialled: list[int]) -> None:
    assert [looks for looks in range(60) if is_time_to_dial(looks, first=first)] == dialled
