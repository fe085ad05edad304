"""How a node that has only a host gets its name and creation: from a node of the cluster (OTP: `erl -name undefined`).

It dials that node before it has any process, calls itself @host, and comes again with what it was given. So no pid ever
carries two names. Nothing is kept about it at the other end, and nobody needs to: the name is drawn by lot from 2⁸⁰.
"""

from __future__ import annotations

import asyncio
from base64 import b32encode
from typing import cast

import attrs

from pydist.core.cookies import Cookies
from pydist.core.handshake import SETUP_TIME, Event, Handshake, Named
from pydist.core.registrations import wide_creation
from pydist.env import Env
from pydist.errors import NodeStartError, WireError
from pydist.node_ports import NodePorts
from pydist.terms import NodeName
from pydist.transport import Network
from pydist.wire.fields import Home
from pydist.wire.handshake import Identity


def chosen_name(env: Env) -> tuple[str, int]:
    """A short name and a creation that no other node has."""
    return b32encode(env.entropy(10)).decode().lower(), wide_creation(int.from_bytes(env.entropy(4)))


@attrs.frozen
class Nameless:
    """A node that has only a host, and the one that is to give it a name."""

    host: str
    by: str

    @classmethod
    def wish(cls, name: str | None, named_by: str | None) -> Nameless | None:
        """What the arguments of a node mean: None if it has a name, or wants none.

        Raises:
            BadNodeName: `named_by` is no node name, or the host is none.
            NodeStartError: there is a name, and who should give one.
        """
        if named_by is None:
            return None
        if name is None or not name.startswith("@"):
            raise NodeStartError(f"a node that is named by another has a name like @host, not {name}")
        return cls(NodeName.parse("x" + name).host, str(NodeName.parse(named_by)))

    async def ask(self, cookies: Cookies, env: Env, network: Network, ports: NodePorts) -> Home:
        """Get a name and a creation.

        Raises:
            Unreachable: the other node can't be reached.
            PortMapperError: no port mapper answers at its host.
            NodeStartError: it gives no name.
        """
        name = NodeName.parse(self.by)
        port = await ports.find(name, SETUP_TIME)
        identity = Identity(f"@{self.host}", 0)
        handshake = Handshake(identity, cookies, env.entropy(32), env.clock(), dialled=self.by)
        asking = await network.dial(lambda: _Asking(handshake, env), name.host, port, timeout=SETUP_TIME)
        try:
            async with asyncio.timeout(SETUP_TIME):
                return await asking.named
        except TimeoutError:
            raise NodeStartError(f"{self.by} gives no name: it did not answer in {SETUP_TIME:g} s") from None
        except WireError as error:
            raise NodeStartError(f"{self.by} gives no name: {error}") from error
        finally:
            asking.transport.close()


class _Asking(asyncio.Protocol):
    """Drives the handshake of a node that has no name."""

    transport: asyncio.Transport

    def __init__(self, handshake: Handshake, env: Env) -> None:
        self.named: asyncio.Future[Home] = asyncio.get_running_loop().create_future()
        self._handshake = handshake
        self._clock = env.clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._handshake.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Go on, until there is a name."""
        try:
            events = self._handshake.receive_data(data, self._clock())
        except WireError as error:
            self._fail(error)
            return
        self.transport.write(self._handshake.data_to_send())
        self._take(events)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the machine knows what it means
        """Without a name, say why."""
        try:
            self._handshake.receive_eof(self._clock())
        except WireError as error:
            self._fail(error)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Named) and not self.named.done():
                self.named.set_result(event.home)

    def _fail(self, error: WireError) -> None:
        if not self.named.done():
            self.named.set_exception(error)
