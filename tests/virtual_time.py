"""An event loop whose clock jumps to the next timer when nothing else is to be done: an hour's timeout takes no time.

It has no sockets and no threads to wait for. So when nothing is ready and no timer is set, all would wait for ever:
that is an error here, and not a test that hangs. While anything is ready, time stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar, TypeVarTuple

from pydist import Node

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Selector(DefaultSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever come")
        self.now += max(timeout, 0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the head of this file."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._virtual.now


def run_process(main: Callable[[*Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T:
    """Run `main(*args)` in a process of a node without distribution, in virtual time."""

    async def with_node() -> T:
        node = Node()
        await node.start()
        try:
            return await node.run(main, *args)
        finally:
            await node.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(with_node())
