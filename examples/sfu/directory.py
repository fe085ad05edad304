"""Who publishes what where: one directory on each node, each telling the others what is published on its own.

A directory owns the entries of its node, and repeats what the others say of theirs; when a node goes, its entries go.
Two nodes may give away one channel in the same moment: then the lesser name keeps it, on all nodes alike, and the
other's publisher is sent off. (One that agrees beforehand needs consensus, which comes later.)
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from examples.sfu.media.stun import Address
from examples.sfu.media.tracks import Track
from examples.sfu.media_server import View
from examples.sfu.names import DIRECTORY, MEDIA, channel_name
from examples.sfu.refusal import Refusal
from examples.sfu.settings import Settings
from pydist import (
    Caller,
    GenServer,
    Message,
    NodeDown,
    NodeUp,
    Request,
    call,
    cast,
    monitor_nodes,
    nodes,
    self_pid,
    send,
    send_interval,
    whereis,
)

log = structlog.get_logger("sfu")

SEEK_INTERVAL: Final = 1.0
"""Seconds between two looks for nodes that should be there and are not."""

DIALS: Final = (1, 3, 7)
LAST_PAUSE: Final = 15
"""A node that is absent is dialled at once, after that many looks, and then once in so many."""


class NodeInfo(Message, tag="sfu.node"):
    """Where a node is found."""

    name: str
    media: Address
    url: str


class Publication(Message, tag="sfu.publication"):
    """A channel that has a publisher."""

    channel: str
    node: str
    session: str
    tracks: tuple[Track, ...]


class Claim(Request[Refusal | None], tag="sfu.directory.claim"):
    """A publisher on this node wants a channel. Asking twice for the same session does no harm."""

    publication: Publication


class Release(Message, tag="sfu.directory.release"):
    """The publisher of this node is gone from the channel."""

    channel: str


class Find(Request[Publication | None], tag="sfu.directory.find"):
    """Who publishes on a channel?"""

    channel: str


class FindNode(Request[NodeInfo | None], tag="sfu.directory.find_node"):
    """Where is a node?"""

    name: str


class Directories(Request[tuple[list[NodeInfo], list[Publication]]], tag="sfu.directory.all"):
    """All nodes and publications that are known here."""


class Table(Message, tag="sfu.directory.table"):
    """All that is published on one node, from its directory to another's."""

    node: NodeInfo
    publications: tuple[Publication, ...]
    answer_me: bool = False
    """The sender would like to have the receiver's table in return."""


class Seek(Message, tag="sfu.directory.seek"):
    """Time to look for the nodes that are missing."""


class PublicationGone(Message, tag="sfu.directory.gone"):
    """To a channel's process: it has no publisher any more."""

    reason: str


class Directory(GenServer):
    """See the head of this file."""

    async def init(self, settings: Settings) -> None:
        """Take up what is published on this node already, and tell the other nodes."""
        self._me = NodeInfo(settings.name, settings.media, settings.url)
        self._absent = dict.fromkeys(settings.seeds, 0)
        """For how many looks each of the other nodes has been away."""
        self._nodes: dict[str, NodeInfo] = {settings.name: self._me}
        self._publications: dict[str, Publication] = {}
        monitor_nodes(True)
        view = await call(MEDIA, View())
        for member in view.members:
            if member.role == "publisher":
                self._keep(Publication(member.channel, self._me.name, member.session, view.tracks[member.channel]))
        for node in nodes():
            self._tell(node, answer_me=True)
        self._seek()
        send_interval(SEEK_INTERVAL, self_pid(), Seek())

    async def handle_call(self, request: Request[Any], _caller: Caller, /) -> object:
        match request:
            case Claim(publication):
                return self._claim(publication)
            case Find(channel):
                return self._publications.get(channel)
            case FindNode(name):
                return self._nodes.get(name)
            case Directories():
                return list(self._nodes.values()), list(self._publications.values())
            case _:
                raise TypeError(f"the directory does not know {request!r}")

    async def handle_cast(self, message: Any, /) -> None:
        match message:
            case Table():
                self._learn(message)
            case Release(channel):
                self._release(channel)
            case _:
                log.warning("unknown_message", process=DIRECTORY, message=message)

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case NodeUp(node):
                self._tell(node)
            case NodeDown(node):
                self._nodes.pop(node, None)
                self._replace(node, ())
            case Seek():
                self._seek()
            case _:
                log.warning("unknown_message", process=DIRECTORY, message=message)

    def _claim(self, publication: Publication) -> Refusal | None:
        owner = self._publications.get(publication.channel)
        if owner is not None and owner.session != publication.session:
            return Refusal("taken", f"somebody publishes on {publication.channel!r} already, at {owner.node}")
        self._keep(publication)
        self._tell_all()
        return None

    def _release(self, channel: str) -> None:
        owner = self._publications.get(channel)
        if owner is not None and owner.node == self._me.name:
            del self._publications[channel]
            self._tell_all()

    def _seek(self) -> None:
        there = nodes()
        for node, looks in self._absent.items():
            self._absent[node] = 0 if node in there else looks + 1
            if node not in there and is_time_to_dial(looks, first=node < self._me.name):
                self._tell(node)

    def _tell_all(self) -> None:
        for node in nodes():
            self._tell(node)

    def _tell(self, node: str, *, answer_me: bool = False) -> None:
        mine = tuple(p for p in self._publications.values() if p.node == self._me.name)
        cast((DIRECTORY, node), Table(self._me, mine, answer_me))

    def _learn(self, table: Table) -> None:
        """Another node has spoken."""
        self._nodes[table.node.name] = table.node
        self._replace(table.node.name, table.publications)
        if table.answer_me:
            self._tell(table.node.name)

    def _replace(self, node: str, publications: tuple[Publication, ...]) -> None:
        """`publications` is all that there is on `node`."""
        there = {publication.channel: publication for publication in publications}
        for known in [p for p in self._publications.values() if p.node == node]:
            new = there.get(known.channel)
            if new is None or new.session != known.session:
                del self._publications[known.channel]
                self._notify(known.channel, f"the publisher at {node} is gone")
        for publication in publications:
            self._settle(publication)

    def _settle(self, publication: Publication) -> None:
        """Keep an entry of another node, unless a lesser one has the channel too."""
        owner = self._publications.get(publication.channel)
        if owner is None or owner.node == publication.node or publication.node < owner.node:
            self._keep(publication)
            if owner is not None and owner.session != publication.session:
                self._notify(publication.channel, f"the channel belongs to the publisher at {publication.node}")

    def _keep(self, publication: Publication) -> None:
        self._publications[publication.channel] = publication

    def _notify(self, channel: str, reason: str) -> None:
        name = channel_name(channel)
        if whereis(name) is not None:
            send(name, PublicationGone(reason))


def is_time_to_dial(looks: int, *, first: bool) -> bool:
    """Whether a node that has been away for so many looks is dialled now.

    Of two nodes the one with the greater name dials `first`; the other leaves it time: it may be starting just now.
    """
    return (looks in DIALS or looks % LAST_PAUSE == 0) and (first or looks >= DIALS[-1])
