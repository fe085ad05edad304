"""Sessions and channels of one node, with its media plane and its directory, in one event loop and without browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from examples.sfu.channel import Feed, Join, LookAround, StopFeeding, channel_spec
from examples.sfu.directory import Directories, Directory, NodeInfo, Publication, PublicationGone, Table
from examples.sfu.dynamic import ensure
from examples.sfu.media.sdp import parse_offer
from examples.sfu.media.socket import bind
from examples.sfu.media.tracks import Codec, Member, Role, Track
from examples.sfu.media_server import CLOSED_KEPT, CloseSession, MediaServer, MediaView, View, WhyClosed
from examples.sfu.names import CHANNELS, DIRECTORY, MEDIA, SESSIONS, channel_name, session_name
from examples.sfu.refusal import Refusal
from examples.sfu.session import Begin, Close, NoOffer, session_spec
from examples.sfu.settings import Settings
from examples.sfu.tree import channels, sessions
from pydist import (
    KILL,
    Node,
    Pid,
    Supervisor,
    call,
    cast,
    child,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    send,
    whereis,
    which_children,
)
from pydist.runtime import LOCAL_NODE

TEXT = f"""v=0
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
OFFER = parse_offer(TEXT)
OPUS = (Track("audio", Codec(111, "OPUS", 48000, 2)),)
ELSEWHERE = NodeInfo("z@127.0.0.1", ("127.0.0.1", 9), "http://127.0.0.1:9")


class Nothing:
    """What nobody sends."""


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    started = Node()
    await started.start()
    with bind(("127.0.0.1", 0)) as media:
        settings = Settings(LOCAL_NODE, ("127.0.0.1", 1), media.getsockname())
        children = [
            child(MediaServer, settings.media, media, name=MEDIA),
            child(Directory, settings, name=DIRECTORY),
            child(Supervisor, channels, intensity=20, name=CHANNELS),
            child(Supervisor, sessions, intensity=20, name=SESSIONS),
        ]

        async def tree() -> None:
            await Supervisor.start_link(children, strategy="rest_for_one", intensity=5, name="root")
            await receive(Nothing)

        started.spawn(tree)
        await started.run(until, named(SESSIONS))
        yield started
        await started.stop()


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """What `found` finds, asked again after each turn of all processes."""
    for _ in range(2000):
        answer = await found()
        if answer:
            return answer
        with pytest.raises(TimeoutError):
            await receive(Nothing, timeout=0.001)
    raise AssertionError("it has not come to pass")


def named(name: str, *, other_than: Pid | None = None) -> Callable[[], Awaitable[Pid | None]]:
    async def found() -> Pid | None:
        pid = whereis(name)
        return pid if pid != other_than else None

    return found


def gone(*names: str) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return all(whereis(name) is None for name in names)

    return found


async def begin(session: str, role: Role, channel: str = "lobby") -> str | Refusal:
    await ensure(SESSIONS, session_spec(Member(session, role, channel)))
    return await call(session_name(session), Begin(OFFER))


async def view() -> MediaView:
    return await call(MEDIA, View())


async def crash(name: str) -> Pid:
    """Kill the process, and return the one that comes in its place."""
    before = whereis(name)
    assert before is not None
    ended = monitor(before)
    exit(before, KILL)
    await receive(ended)
    found: Pid = await until(named(name, other_than=before))
    return found


async def publish_and_watch() -> None:
    assert isinstance(await begin("p", "publisher"), str)
    assert isinstance(await begin("s", "subscriber"), str)


MEMBERS = {Member("p", "publisher", "lobby"): "new", Member("s", "subscriber", "lobby"): "new"}
LOBBY = Publication("lobby", LOCAL_NODE, "p", OPUS)


async def test_a_publisher_and_a_subscriber_share_a_channel(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        await publish_and_watch()
        return (await view()).members, (await call(DIRECTORY, Directories()))[1]

    assert await node.run(scene) == (MEMBERS, [LOBBY])


async def test_when_the_publisher_leaves_everything_of_the_channel_ends(node: Node) -> None:
    async def scene() -> tuple[Any, Any, Any]:
        await publish_and_watch()
        await call(session_name("p"), Close())
        await until(gone(session_name("p"), session_name("s"), channel_name("lobby")))
        children = [*await which_children(CHANNELS), *await which_children(SESSIONS)]
        return (await view()).members, (await call(DIRECTORY, Directories()))[1], children

    assert await node.run(scene) == ({}, [], [])


async def test_a_channel_stays_while_its_publisher_does(node: Node) -> None:
    async def scene() -> Any:
        await publish_and_watch()
        await call(session_name("s"), Close())
        await until(gone(session_name("s")))
        return (await view()).members, whereis(channel_name("lobby")) is not None

    assert await node.run(scene) == ({Member("p", "publisher", "lobby"): "new"}, True)


async def test_a_second_publisher_is_refused_and_leaves_nothing_behind(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        await publish_and_watch()
        refused = await begin("q", "publisher")
        await until(gone(session_name("q")))
        return refused, (await view()).members

    assert await node.run(scene) == (Refusal("taken", "somebody publishes on 'lobby' already"), MEMBERS)


async def test_a_publisher_is_refused_what_another_node_gave_away_and_leaves_nothing_behind(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        cast(DIRECTORY, Table(ELSEWHERE, (Publication("lobby", ELSEWHERE.name, "x", OPUS),)))
        refused = await begin("p", "publisher")
        await until(gone(session_name("p"), channel_name("lobby")))
        return refused, (await view()).members

    refusal = Refusal("taken", "somebody publishes on 'lobby' already, at z@127.0.0.1")
    assert await node.run(scene) == (refusal, {})


async def test_a_subscriber_of_nothing_is_refused_and_leaves_nothing_behind(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        refused = await begin("s", "subscriber")
        await until(gone(session_name("s"), channel_name("lobby")))
        return refused, (await view()).members

    assert await node.run(scene) == (Refusal("unknown", "nobody publishes on 'lobby'"), {})


async def test_a_subscriber_of_a_node_that_can_not_be_reached_is_refused_and_leaves_nothing_behind(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        cast(DIRECTORY, Table(ELSEWHERE, (Publication("lobby", ELSEWHERE.name, "x", OPUS),)))
        refused = await begin("s", "subscriber")
        await until(gone(session_name("s"), channel_name("lobby")))
        return refused, (await view()).links

    refused, links = await node.run(scene)
    assert (refused.kind, links) == ("unavailable", ())


async def test_a_session_that_crashes_finds_its_transport_and_can_still_be_closed(node: Node) -> None:
    async def scene() -> tuple[Any, Any, Any]:
        await publish_and_watch()
        await crash(session_name("s"))
        send(session_name("s"), NoOffer())
        again = await begin("s", "subscriber")
        kept = (await view()).members
        await call(session_name("s"), Close())
        await until(gone(session_name("s")))
        return again, kept, (await view()).members

    again = Refusal("taken", "the session has begun already")
    assert await node.run(scene) == (again, MEMBERS, {Member("p", "publisher", "lobby"): "new"})


async def test_a_channel_that_crashes_still_knows_its_sessions(node: Node) -> None:
    async def scene() -> Any:
        await publish_and_watch()
        await crash(channel_name("lobby"))
        kept = (await view()).members
        await call(session_name("p"), Close())
        await until(gone(session_name("p"), session_name("s"), channel_name("lobby")))
        return kept, (await view()).members

    assert await node.run(scene) == (MEMBERS, {})


async def test_when_the_directory_crashes_sessions_and_channels_are_started_again_around_it(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        await publish_and_watch()
        before = whereis(session_name("s"))
        await crash(DIRECTORY)
        await until(named(session_name("s"), other_than=before))
        await until(named(channel_name("lobby")))
        return (await view()).members, (await call(DIRECTORY, Directories()))[1]

    assert await node.run(scene) == (MEMBERS, [LOBBY])


async def test_when_the_media_plane_crashes_what_it_carried_is_over(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        await publish_and_watch()
        sessions = whereis(SESSIONS)
        await crash(MEDIA)
        await until(named(SESSIONS, other_than=sessions))
        return (await view()).members, (await call(DIRECTORY, Directories()))[1]

    assert await node.run(scene) == ({}, [])


async def test_whoever_comes_just_as_a_channel_ends_gets_the_next_one(node: Node) -> None:
    async def scene() -> tuple[Any, Any]:
        await begin("p", "publisher")
        await call(session_name("p"), Close())
        assert isinstance(await begin("q", "publisher"), str)
        assert isinstance(await begin("s", "subscriber"), str)
        await until(gone(session_name("p")))
        await call(channel_name("lobby"), Join(Member("s", "subscriber", "lobby")))
        return (await view()).members, (await call(DIRECTORY, Directories()))[1]

    members = {Member("q", "publisher", "lobby"): "new", Member("s", "subscriber", "lobby"): "new"}
    assert await node.run(scene) == (members, [Publication("lobby", LOCAL_NODE, "q", OPUS)])


async def test_a_publisher_that_left_while_its_channel_was_down_does_not_keep_the_channel(node: Node) -> None:
    async def scene() -> Any:
        await publish_and_watch()
        await call(MEDIA, CloseSession("p", "any"))
        await crash(channel_name("lobby"))
        return (await call(DIRECTORY, Directories()))[1]

    assert await node.run(scene) == []


async def test_a_session_without_an_offer_ends(node: Node) -> None:
    async def scene() -> None:
        await ensure(SESSIONS, session_spec(Member("s", "subscriber", "lobby")))
        send(session_name("s"), NoOffer())
        await until(gone(session_name("s")))

    await node.run(scene)


async def test_another_node_is_fed_once_however_often_it_asks_until_it_has_enough(node: Node) -> None:
    async def scene() -> list[Any]:
        await publish_and_watch()
        asked = [await call(channel_name("lobby"), Feed(LOCAL_NODE, ELSEWHERE.media, 77)) for _ in range(2)]
        fed = [link.number for link in (await view()).links]
        cast(channel_name("lobby"), StopFeeding(77))
        await call(channel_name("lobby"), Join(Member("s", "subscriber", "lobby")))
        return [asked, fed, (await view()).links]

    assert await node.run(scene) == [[None, None], [77], ()]


async def test_why_a_session_has_ended_is_remembered(node: Node) -> None:
    async def scene() -> list[str | None]:
        await publish_and_watch()
        await call(session_name("p"), Close())
        await until(gone(session_name("p"), session_name("s")))
        return [await call(MEDIA, WhyClosed(session)) for session in ("p", "s", "another")]

    assert await node.run(scene) == ["closed by the client", "the publisher has left", None]


async def test_of_many_sessions_the_latest_ends_are_remembered(node: Node) -> None:
    async def scene() -> list[str | None]:
        for number in range(CLOSED_KEPT + 1):
            await call(MEDIA, CloseSession(str(number), "any"))
        return [await call(MEDIA, WhyClosed(session)) for session in ("0", "1", str(CLOSED_KEPT))]

    assert await node.run(scene) == [None, "any", "any"]


async def test_when_the_publishers_node_is_gone_its_subscribers_sessions_end(node: Node) -> None:
    async def scene() -> Any:
        await publish_and_watch()
        send(channel_name("lobby"), PublicationGone("the publisher is gone"))
        await until(gone(session_name("p"), session_name("s"), channel_name("lobby")))
        return (await view()).members

    assert await node.run(scene) == {}


async def test_a_channel_that_nobody_comes_to_ends(node: Node) -> None:
    async def scene() -> None:
        await ensure(CHANNELS, channel_spec("empty"))
        send(channel_name("empty"), LookAround())
        await until(gone(channel_name("empty")))

    await node.run(scene)
