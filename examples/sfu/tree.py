"""The supervision tree of a node; `node` has the picture."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

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


CROWD: Final = 20
"""Restarts in five seconds that are no reason to give up, among the many children that come and go."""


async def channels() -> list[ChildSpec]:
    """A process for each channel that the media plane still has."""
    names = {member.channel for member in (await call(MEDIA, View())).members}
    return [channel_spec(channel) for channel in names]


async def sessions() -> list[ChildSpec]:
    """A process for each session that the media plane still has."""
    return [session_spec(member) for member in (await call(MEDIA, View())).members]


async def supervise(node: Node, settings: Settings, sockets: Sockets, ready: asyncio.Event) -> None:
    """The process at the top: starts the tree, says so, and lives as long as it does. Raises StartError."""
    register(TOP, self_pid())
    children = [
        child(MediaServer, settings.media, sockets.media, name=MEDIA),
        child(Directory, settings, name=DIRECTORY),
        child(Supervisor, channels, intensity=CROWD, name=CHANNELS),
        child(Supervisor, sessions, intensity=CROWD, name=SESSIONS),
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
