"""The supervision tree of a node; `node` has the picture."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import attrs

from examples.sfu.channel import channel_spec
from examples.sfu.directory import Directory
from examples.sfu.http import HttpServer
from examples.sfu.media_server import MediaServer, View
from examples.sfu.names import CHANNELS, DIRECTORY, HTTP, MEDIA, ROOT, SESSIONS, TOP
from examples.sfu.session import session_spec
from examples.sfu.settings import Settings
from pydist import (
    SHUTDOWN,
    ChildSpec,
    Node,
    Pid,
    Strategy,
    Supervisor,
    call,
    child,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    register,
    self_pid,
    whereis,
)

STOP_TIMEOUT: Final = 4.0
"""Seconds that the tree has to stop in order."""


@attrs.frozen
class Sockets:
    """A node's two ports. They stay open while the processes that serve them are started again."""

    http: socket.socket
    media: socket.socket


class Crowd(Supervisor):
    """Supervises what comes and goes: with many children, a few crashes in a while are no reason to give up."""

    @classmethod
    async def start_link(cls, *args: Any, name: Any = None, **kwargs: Any) -> Pid:
        return await super().start_link(*args, intensity=20, name=name, **kwargs)


class Channels(Crowd):
    """Starts with a process for each channel that the media plane still has."""

    async def init(
        self, specs: Sequence[ChildSpec] = (), strategy: Strategy = "one_for_one", budget: Any = None
    ) -> None:
        channels = {member.channel for member in (await call(MEDIA, View())).members}
        await super().init([*specs, *(channel_spec(channel) for channel in channels)], strategy, budget)


class Sessions(Crowd):
    """Starts with a process for each session that the media plane still has."""

    async def init(
        self, specs: Sequence[ChildSpec] = (), strategy: Strategy = "one_for_one", budget: Any = None
    ) -> None:
        members = (await call(MEDIA, View())).members
        await super().init([*specs, *(session_spec(member) for member in members)], strategy, budget)


async def supervise(node: Node, settings: Settings, sockets: Sockets, ready: asyncio.Event) -> None:
    """The process at the top: starts the tree, says so, and lives as long as it does. Raises StartError."""
    register(TOP, self_pid())
    children = [
        child(MediaServer, settings.media, sockets.media, name=MEDIA),
        child(Directory, settings, name=DIRECTORY),
        child(Channels, name=CHANNELS),
        child(Sessions, name=SESSIONS),
        child(HttpServer, node, settings, sockets.http, name=HTTP),
    ]
    await Supervisor.start_link(children, strategy="rest_for_one", intensity=5, period=10, name=ROOT)
    ready.set()
    await asyncio.get_running_loop().create_future()


async def stop_tree() -> None:
    """Stop the tree in order, as its parent's end does. To be run in a process."""
    top, root = whereis(TOP), whereis(ROOT)
    if top is None or root is None:
        return
    stopped = monitor(root)
    exit(top, SHUTDOWN)
    with suppress(TimeoutError):
        await receive(stopped, timeout=STOP_TIMEOUT)
