"""Asks the underlay what the machine is on which a node runs that has connected, for lists of who may call what."""

from __future__ import annotations

import asyncio
from typing import Final

from pydist.own_log import log
from pydist.peer import Peer
from pydist.underlay import Underlay

TELL_TIME: Final = 5.0
"""Seconds that the underlay has to tell."""


class PeerTags:
    """Of the nodes that connect with one node, as they are at the time of the connection.

    A node has no tags before the underlay has told of its machine, and none where that does not tell.
    """

    def __init__(self, underlay: Underlay) -> None:
        self._underlay = underlay
        self._asking: set[asyncio.Task[None]] = set()

    def ask(self, peer: Peer, address: str) -> None:
        """A peer has connected, from or at this address."""
        task = asyncio.get_running_loop().create_task(self._ask(peer, address))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, peer: Peer, address: str) -> None:
        try:
            async with asyncio.timeout(TELL_TIME):
                member = await self._underlay.whois(address)
        except Exception as error:  # noqa: BLE001  # whoever wrote the underlay: the node goes on without tags
            log.warning("peer_without_tags", node=peer.identity.node, reason=str(error) or type(error).__name__)
        else:
            peer.tags = frozenset() if member is None else member.tags

    def close(self) -> None:
        """The node stops."""
        for task in self._asking:
            task.cancel()
