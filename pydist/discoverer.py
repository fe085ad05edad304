"""Looks for nodes as a discovery says, again and again, and has the cluster do what `core/discovery.py` decides."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

from pydist.core.discovery import Finds, Forget, Found, Keep, TooMany
from pydist.core.shown import bare
from pydist.discovery import Discovery
from pydist.env import Env
from pydist.errors import BadNodeName, PydistError
from pydist.own_log import log
from pydist.terms import NodeName

LOOK_TIME: Final = 15.0
"""Seconds that one look may take."""


class Keeper(Protocol):
    """What the discoverer asks of the cluster."""

    @property
    def up(self) -> Collection[str]:
        """The nodes that are connected."""
        ...

    def keep(self, node: str, port: int | None) -> None:
        """Dial it until it is connected, and whenever it is lost."""
        ...

    def forget(self, node: str) -> None:
        """Keep it no longer."""
        ...


class Discoverer:
    """Of the node `me`, from now until `close`."""

    def __init__(self, me: str, discovery: Discovery, keeper: Keeper, env: Env) -> None:
        self._me = me
        self._discovery = discovery
        self._keeper = keeper
        self._clock = env.clock
        self._finds = Finds(me, lambda: int.from_bytes(env.entropy(4)) / (1 << 32), interval=discovery.interval)
        self._trouble: str | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Look no more. What was found is kept."""
        self._task.cancel()

    async def closed(self) -> None:
        """Wait for the end of a look that was going on."""
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._finds.pause())

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LOOK_TIME):
                found = [item for item in await self._discovery.look() if _is_node(item)]
        except TimeoutError:
            self._failed(f"a look takes more than {LOOK_TIME:g} s")
        except (PydistError, OSError) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001  # the user's own discovery may raise anything
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self._looked(found)

    def _failed(self, reason: str) -> None:
        """What was found before holds. The log hears it once, until the reason is another one."""
        self._finds.failed()
        if reason != self._trouble:
            self._trouble = reason
            kept = len(self._finds.nodes)
            log.warning("discovery_failed", node=self._me, reason=bare(reason), kept=kept)

    def _looked(self, found: list[Found]) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.info("discovery_recovered", node=self._me)
        for effect in self._finds.looked(found, self._keeper.up, self._clock()):
            match effect:
                case Keep(node, port):
                    log.info("node_discovered", node=node, here=self._me)
                    self._keeper.keep(node, port)
                case Forget(node):
                    log.info("node_forgotten", node=node, here=self._me)
                    self._keeper.forget(node)
                case TooMany(left_out):
                    log.warning("discovery_left_out", node=self._me, nodes=left_out)


def _is_node(found: Found) -> bool:
    """Whether it is a name that can be dialled: DNS holds what others have written there."""
    try:
        NodeName.parse(found.node)
    except BadNodeName:
        return False
    return True
