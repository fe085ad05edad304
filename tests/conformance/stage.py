"""Two places for processes, and the processes there, which do what a test tells them.

A test is one director: a process on the first place. What it plays is written once, and played in several settings:
both places are one node; two nodes in this program, which may speak different versions of the protocol; two programs.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from itertools import count
from typing import Any, Final, Literal, ParamSpec, TypeAlias

from pydist import (
    KILL,
    Down,
    Node,
    Pid,
    Ref,
    exit,  # noqa: A004  # OTP's name
    make_ref,
    monitor,
    receive,
    self_pid,
    send,
)
from pydist.transport.tcp import TcpNetwork
from tests.conformance.deeds import HOST, PATIENCE, Order, host, take
from tests.conformance.far import Far

P = ParamSpec("P")
_NUMBERS: Final = count(1)
"""Each node that meets a program has a name of its own, so that none waits for another's to be free."""
Setting: TypeAlias = Literal["local", "memory", "version 1", "tcp"]


class Actor:
    """An obedient process somewhere, as the director sees it."""

    def __init__(self, pid: Pid) -> None:
        self.pid = pid
        self.watch = monitor(pid)

    def tell(self, deed: Callable[..., Any], *args: Any) -> Ref:
        """Order a deed, and go on."""
        order = Order(deed.__name__, list(args), self_pid(), make_ref())
        send(self.pid, order)
        return order.ref

    async def do(self, deed: Callable[..., Any], *args: Any) -> Any:
        """Order a deed, and wait for its result."""
        return await result(self.tell(deed, *args))

    async def ended(self) -> Any:
        """Wait for its end; the reason."""
        down: Down = await receive(self.watch, PATIENCE)
        return down.reason


async def result(order: Ref) -> Any:
    """Wait for the result of what an actor was told."""
    _, value = await receive(order, PATIENCE)
    return value


class Stage:
    """See the head of this file."""

    def __init__(self, setting: Setting, node: Node, far: str, cut: Callable[[], None]) -> None:
        self.setting = setting
        self.node = node
        """The first place."""
        self.far = far
        """The name of the second place's node."""
        self.cut = cut
        """Lose the connection between the places, as a reset does."""
        self._actors: list[Actor] = []

    @property
    def local(self) -> bool:
        """Both places are one node."""
        return self.setting == "local"

    async def here(self) -> Actor:
        """A process on the first place."""
        return await self._start(self.node.name)

    async def there(self) -> Actor:
        """A process on the second place."""
        return await self._start(self.far)

    async def both(self) -> tuple[Actor, Actor]:
        """One here, and one there."""
        return await self.here(), await self.there()

    async def _start(self, node: str) -> Actor:
        ref = make_ref()
        send((HOST, node), (self_pid(), ref))
        _, pid = await receive(ref, PATIENCE)
        self._actors.append(Actor(pid))
        return self._actors[-1]

    async def settle(self, one: Actor, other: Actor) -> None:
        """Let all arrive that is under way between the two, and what they answer to it."""
        for number in range(4):
            sender, receiver = (one, other) if number % 2 else (other, one)
            await sender.do(send, receiver.pid, ("settled", number))
            await receiver.do(take, ("settled", number))

    async def play(self, case: Callable[[], Awaitable[None]]) -> None:
        """Play a case in a process here; nobody stays behind on the stage."""
        async with asyncio.timeout(4 * PATIENCE):
            try:
                await case()
            finally:
                for actor in self._actors:
                    exit(actor.pid, KILL)


async def opposite(far: Far, start_node: Callable[..., Awaitable[Node]], **options: Any) -> Stage:
    """The stage whose second place is this program, and whose first one a new node here."""
    node = await start_node(f"here{next(_NUMBERS)}", network=TcpNetwork(), epmd_port=far.epmd_port, **options)
    node.spawn(host, name=HOST)
    return Stage("tcp", node, far.name, lambda: _reset(node, far.name))


def _reset(node: Node, far: str) -> None:
    assert node._cluster is not None
    transport = node._cluster.up[far]._transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def on_stage(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Coroutine[Any, Any, None]]:
    """A test whose body is the director. One of its arguments is the stage."""

    @wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        [stage] = [value for value in kwargs.values() if isinstance(value, Stage)]
        await stage.node.run(stage.play, lambda: test(*args, **kwargs))

    return run
