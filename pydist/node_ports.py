"""On which ports nodes listen: a port mapper tells, or the program that starts them has fixed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from pydist import epmd_client
from pydist.core.registrations import wide_creation
from pydist.errors import BadNodeName, NodeStartError, Unreachable
from pydist.own_log import log
from pydist.terms import NodeName
from pydist.underlay import Underlay
from pydist.underlay.network import within_time

PeerPorts: TypeAlias = int | Mapping[str, int]
"""The port at which all nodes of a cluster listen, or that of each by its name."""

RETRY_DELAY: Final = 2.0
"""Seconds between attempts to register anew with a port mapper that went away (OTP: `erl_epmd.erl`)."""


class NodePorts(Protocol):
    """How a node makes its port known, and learns that of others."""

    async def enter(self, name: NodeName, port: int) -> int:
        """The node listens at `port`; its creation. Raises NodeStartError."""
        ...

    def leave(self) -> None:
        """The node stops."""
        ...

    async def left(self) -> None:
        """Wait until nothing of this goes on."""
        ...

    def learn(self, node: str, port: int | None) -> None:
        """A discovery says that a node listens at this port; None if it no longer does."""
        ...

    async def find(self, name: NodeName, timeout: float) -> int:
        """The port of another node, within `timeout` seconds. Raises Unreachable, PortMapperError."""
        ...

    def options(self, name: str) -> dict[str, Any]:
        """With what another node of the cluster is started, so that it is found in the same way."""
        ...


class MappedPorts:
    """With a port mapper, Erlang's or ours.

    Args:
        epmd_port: where it listens, on all hosts of the cluster.
        hidden: the node registers as one that is no regular member.
        underlay: where the port mappers of other hosts are asked, and where one that is started here listens.
    """

    def __init__(self, epmd_port: int, *, hidden: bool = False, underlay: Underlay | None = None) -> None:
        self._hidden = hidden
        self._underlay = underlay
        self.retry_delay = RETRY_DELAY
        self._epmd_port = epmd_port
        self._registration: epmd_client.Registration | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def enter(self, name: NodeName, port: int) -> int:
        """Register, for as long as the node lives."""
        # With the port mapper of this machine, whatever address the node is found at; as `erl` does.
        underlay = None if self._underlay is None else self._underlay.spec
        await epmd_client.ensure_running(port=self._epmd_port, underlay=underlay)
        registration = await self._register(name.short, port)
        self._registration = registration
        self._keeper = asyncio.create_task(self._stay_registered(name, registration))
        return registration.creation

    async def _stay_registered(self, name: NodeName, registration: epmd_client.Registration) -> None:
        """Be found again after the port mapper restarts.

        As `erl` does: the node keeps the creation that its pids carry, whatever the port mapper gives, and starts no
        port mapper.
        """
        while True:
            await registration.wait_closed()
            log.warning("registration_lost", node=str(name), epmd_port=self._epmd_port, retry_delay=self.retry_delay)
            registration = self._registration = await self._register_again(registration)
            log.info("node_registered_again", node=str(name))

    async def _register_again(self, lost: epmd_client.Registration) -> epmd_client.Registration:
        while True:
            await asyncio.sleep(self.retry_delay)
            with suppress(NodeStartError):
                return await self._register(lost.node.name, lost.node.port)

    async def _register(self, short: str, port: int) -> epmd_client.Registration:
        return await epmd_client.register(short, port, epmd_port=self._epmd_port, hidden=self._hidden)

    def leave(self) -> None:
        """Give the name back."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._registration is not None:
            self._registration.close()

    async def left(self) -> None:
        """Wait for the end of the task that kept the name."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    def learn(self, node: str, port: int | None) -> None:
        """The port mapper knows better."""

    async def find(self, name: NodeName, timeout: float) -> int:
        """Ask the port mapper of that node's host."""
        host = name.host if self._underlay is None else await within_time(self._underlay, name.host, timeout)
        found = await epmd_client.lookup(name.short, host, self._epmd_port, timeout=timeout)
        if found is None:
            raise Unreachable(f"the port mapper at {host} knows no node {name.short!r}")
        if not epmd_client.is_pydist(found):
            raise Unreachable(f"{name} is no pydist node")
        return found.port

    def options(self, name: str) -> dict[str, Any]:  # noqa: ARG002  # the same for each
        """Ask the same port mapper."""
        return {"epmd_port": self._epmd_port}


class FixedPorts:
    """Without a port mapper (Erlang: `-start_epmd false -erl_epmd_port 9100`).

    Nobody watches over the names: of two nodes of one name on different ports, peers talk to the one whose port they
    know. The creation is drawn at random.

    Args:
        ports: of the other nodes.
        entropy: gives that many random bytes.
    """

    def __init__(self, ports: PeerPorts, entropy: Callable[[int], bytes]) -> None:
        self._ports = ports
        self._learnt: dict[str, int] = {}
        self._entropy = entropy

    async def enter(self, name: NodeName, port: int) -> int:  # noqa: ARG002  # nobody wants to know
        """A creation from 4 to 2**32-1, as a port mapper gives it."""
        return wide_creation(int.from_bytes(self._entropy(4)))

    def leave(self) -> None:
        """Nothing was held."""

    async def left(self) -> None:
        """Nothing goes on."""

    def learn(self, node: str, port: int | None) -> None:
        """For nodes whose port nobody has fixed."""
        self._learnt.pop(node, None)
        if port is not None:
            self._learnt[node] = port

    async def find(self, name: NodeName, timeout: float) -> int:  # noqa: ARG002  # it takes no time
        """The port that is fixed for the node, or was discovered with it, or is that of all."""
        learnt = self._learnt.get(str(name))
        if isinstance(self._ports, int):
            return learnt or self._ports
        port = self._ports.get(str(name), learnt)
        if port is None:
            raise Unreachable(f"{name} is not among the peer_ports of this node: add it there with its port")
        return port

    def options(self, name: str) -> dict[str, Any]:
        """Listen where others look for it."""
        port = self._ports if isinstance(self._ports, int) else self._ports.get(name, 0)
        return {"peer_ports": self._ports, "port": port}


def node_ports(
    *,
    epmd_port: int | None,
    peer_ports: PeerPorts | None,
    port: int,
    hidden: bool = False,
    entropy: Callable[[int], bytes],
    underlay: Underlay | None = None,
) -> NodePorts:
    """What fits the options of a node.

    Raises:
        NodeStartError: the options contradict each other, or hold what is no port.
        BadNodeName: a name in `peer_ports` is not of the form name@host.
    """
    if port != 0:
        _check_port(port, "port")
    if epmd_port is not None:
        _check_port(epmd_port, "epmd_port")
    if peer_ports is None:
        asked = epmd_client.default_port() if epmd_port is None else epmd_port
        return MappedPorts(asked, hidden=hidden, underlay=underlay)
    if epmd_port is not None:
        raise NodeStartError("with peer_ports a node needs no port mapper, so epmd_port says nothing: leave one out")
    if port == 0:
        raise NodeStartError(
            "with peer_ports a node needs a port of its own that others can know: port=9100, for example"
        )
    return FixedPorts(_checked(peer_ports), entropy)


def _checked(ports: PeerPorts) -> PeerPorts:
    if not isinstance(ports, Mapping):
        _check_port(ports, "peer_ports")
        return ports
    for name, port in ports.items():
        if type(name) is not str:
            raise BadNodeName(f"peer_ports maps names of nodes to ports, and {name!r} is no name")
        NodeName.parse(name)
        _check_port(port, f"the port of {name}")
    return dict(ports)


def _check_port(port: object, what: str) -> None:
    if type(port) is not int or not 1 <= port <= 0xFFFF:
        raise NodeStartError(f"{what} is {port!r}: a port is a number from 1 to 65535")
