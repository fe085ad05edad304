"""Where a node may find others: a list, a name in DNS, or a tag of the tailnet.

    run(main, name="sfu@10.0.0.2", discovery=DnsDiscovery("sfu.internal", first="sfu"))

What is found is dialled, and dialled again when it was lost, as with `keep_connected`; what is found no longer is
forgotten, see `core/discovery.py`. Whoever knows another place to look writes a class of this shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydist.core.discovery import INTERVAL, Found
from pydist.errors import NodeStartError
from pydist.local_api import SOCKET, LocalApi
from pydist.terms import NodeName


class Discovery(Protocol):
    """A place to look for nodes."""

    @property
    def interval(self) -> float:
        """Seconds from one look to the next."""
        ...

    async def look(self) -> Sequence[Found]:
        """The nodes that are there now; those that make no sense are left out, and so is the node that looks.

        Raises:
            PydistError, OSError: nothing can be known now. What was found before holds, and it is tried again later.
        """
        ...


class StaticDiscovery:
    """A list that does not change.

    Args:
        nodes: their names.

    Raises:
        BadNodeName: one of them is no node name.
    """

    interval = 3600.0

    def __init__(self, nodes: Iterable[str]) -> None:
        if isinstance(nodes, str):
            raise NodeStartError(f"a StaticDiscovery is given a list of node names, not the string {nodes!r}")
        self._found = tuple(Found(str(NodeName.parse(node))) for node in nodes)

    async def look(self) -> Sequence[Found]:
        """All of them."""
        return self._found


class TailnetTagDiscovery:
    """The machines of a tailnet that bear a tag, and are online there.

    Each is taken to run one node, `first@machine`, with the machine's short MagicDNS name; that of a machine shared
    from another tailnet is the long one.

    Args:
        tag: as the tailnet knows it: "tag:sfu".
        first: the part of the nodes' names before the @.
        socket: where tailscaled listens.
        by_address: the nodes are named by addresses of the tailnet, as in sfu@100.64.0.3.
        interval: seconds from one look to the next.

    Raises:
        NodeStartError: the tag does not begin with "tag:".
        BadNodeName: `first` can't stand before the @.
    """

    def __init__(
        self, tag: str, first: str, *, socket: str = SOCKET, by_address: bool = False, interval: float = INTERVAL
    ) -> None:
        if not tag.startswith("tag:"):
            raise NodeStartError(f'a tag of a tailnet begins with "tag:", as "tag:sfu", and {tag!r} does not')
        NodeName.parse(f"{first}@host")
        self.interval = interval
        self._tag = tag
        self._first = first
        self._by_address = by_address
        self._api = LocalApi(socket)

    async def look(self) -> Sequence[Found]:
        """Ask tailscaled. Raises TailscaleError."""
        tailnet = await self._api.status()
        return [
            Found(f"{self._first}@{machine.addresses[0] if self._by_address else tailnet.short_name(machine)}")
            for machine in tailnet.peers
            if self._tag in machine.tags and machine.online and not machine.expired
        ]
