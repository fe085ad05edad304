"""Doors without nodes: an owner that writes down what it is told, for tests of greetings and peers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from pydist.core.cookies import Cookies
from pydist.door import Door
from pydist.env import Env
from pydist.greeting import Greeting
from pydist.peer import Peer, Settings
from pydist.terms import NodeDownReason
from pydist.transport import Network
from pydist.transport.memory import MemoryNetwork
from pydist.wire.control import Incoming
from pydist.wire.handshake import Identity, Status

HOST = "127.0.0.1"


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """An owner that writes down what it is told, and a door."""

    def __init__(self, name: str, creation: int = 1, *, clock: Clock | None = None, **settings: Any) -> None:
        self.story: list[Any] = []
        self.peers: list[Peer] = []
        self.attempts: list[int | None] = []
        self.status = Status.OK
        self.wanted = True
        self.on_deliver: Callable[[Peer], object] = id
        env = Env(clock or Clock(), entropy=lambda size: name[:1].encode() * size)
        self.identity = settings.pop("local", Identity(name, creation))
        cookie = settings.pop("cookie", b"secret")
        settings = {"cookies": lambda: Cookies((cookie,)), **settings}
        self.handlers: Mapping[type, Callable[[Peer, Any], None]] = defaultdict(lambda: self._deliver)
        self.door = Door(Settings(local=self.identity, env=env, **settings), self)

    @property
    def peer(self) -> Peer:
        return self.peers[-1]

    def decide(self, greeting: Greeting, identity: Identity) -> Status:
        self.story.append(("decide", identity.node))
        return self.status

    def confirm(self, greeting: Greeting, identity: Identity) -> bool:
        self.story.append(("confirm", identity.node))
        return self.wanted

    def connected(self, greeting: Greeting, peer: Peer) -> None:
        self.attempts.append(greeting.attempt)
        self.story.append(("connected", peer.identity.node))
        self.peers.append(peer)

    def refused(self, greeting: Greeting, status: Status) -> None:
        self.story.append(("refused", greeting.dialled, status))

    def failed(self, greeting: Greeting, reason: str) -> None:
        self.story.append(("failed", greeting.dialled, reason))

    def disconnected(self, peer: Peer, text: str, reason: NodeDownReason) -> None:  # as peers call it
        self.story.append(("disconnected", peer.identity.node, text))

    def suspected(self, peer: Peer, silent_for: float) -> None:
        self.story.append("suspected")

    def recovered(self, peer: Peer) -> None:
        self.story.append("recovered")

    def _deliver(self, peer: Peer, signal: Incoming) -> None:
        self.story.append(signal)
        self.on_deliver(peer)

    def delivered(self) -> None: ...

    def crowded(self, peer: Peer) -> None:
        self.story.append("crowded")

    def writable(self, peer: Peer) -> None:
        self.story.append("writable")


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the loop itself is what is waited for
            await asyncio.sleep(0)


async def meet(a: Node, b: Node, network: Network | None = None) -> None:
    network = network or MemoryNetwork()
    listener = await network.listen(b.door.answer, HOST, 0)
    await network.dial(a.door.dial(b.identity.node, 1), HOST, listener.port, 5.0)
    await until(lambda: a.peers and b.peers)
    listener.close()


async def quiet() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
