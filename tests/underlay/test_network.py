from __future__ import annotations

import asyncio
from typing import cast

import pytest
from structlog.typing import EventDict

from pydist import Node, connect_node
from pydist.errors import NodeStartError, PortInUse, Unreachable
from pydist.transport.memory import MemoryNetwork
from pydist.transport.tcp import TcpNetwork
from pydist.underlay import Member
from pydist.underlay.border import Border
from pydist.underlay.loopback import LoopbackUnderlay
from pydist.underlay.network import UnderlayNetwork
from tests.virtual_time import VirtualLoop


class Strict(LoopbackUnderlay):
    """Two addresses of loopback, and all others of it are a foreign network."""

    inside = frozenset({"127.0.0.2", "127.0.0.3"})

    def contains(self, address: str) -> bool:
        return address in self.inside


class Moving:
    """An underlay whose addresses a test sets."""

    spec = "moving"

    def __init__(self, *addresses: str) -> None:
        self.now = addresses

    def addresses(self) -> tuple[str, ...]:
        return self.now

    def contains(self, address: str) -> bool:
        return address.startswith("10.")

    async def ready(self) -> tuple[str, ...]:
        return self.now

    async def changed(self, known: tuple[str, ...]) -> tuple[str, ...]:
        while self.now == known:  # noqa: ASYNC110  # as one that polls
            await asyncio.sleep(1)
        return self.now

    async def resolve(self, host: str) -> str:
        raise Unreachable(host)

    async def whois(self, address: str) -> Member | None:
        raise NotImplementedError


class Silent(asyncio.Protocol):
    """Hears all, and says nothing."""

    made: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Silent.made += 1


async def test_a_connection_from_outside_is_closed_unheard_and_counted_and_logged(logs: list[EventDict]) -> None:
    border = Border(Strict("127.0.0.2"), asyncio.get_running_loop().time)
    made: list[asyncio.Protocol] = []

    def factory() -> asyncio.Protocol:
        made.append(Silent())
        return made[-1]

    listener = await UnderlayNetwork(TcpNetwork(guard=border), border).listen(factory, "alpha", 0)
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.2", listener.port, local_addr=("127.0.0.9", 0))
        assert await reader.read() == b""
        writer.close()
    assert (made, border.refused) == ([], 2)
    assert [(line["event"], line["peer"], line["refused"]) for line in logs] == [
        ("stranger_outside_underlay", "127.0.0.9", count) for count in (1, 2)
    ]
    _, writer = await asyncio.open_connection("127.0.0.2", listener.port, local_addr=("127.0.0.3", 0))
    while not made:  # noqa: ASYNC110  # the listener tells nobody
        await asyncio.sleep(0)
    writer.close()
    listener.close()
    assert (len(made), border.refused) == (1, 2)


async def test_a_node_listens_at_all_addresses_of_the_underlay_at_one_port_and_nowhere_else() -> None:
    border = Border(LoopbackUnderlay("127.0.0.2", "127.0.0.3"), asyncio.get_running_loop().time)
    listener = await UnderlayNetwork(TcpNetwork(guard=border), border).listen(Silent, "alpha", 0)
    for address in ("127.0.0.2", "127.0.0.3"):
        _, writer = await asyncio.open_connection(address, listener.port)
        writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", listener.port)
    listener.close()


async def test_a_node_may_have_any_name_but_no_address_of_elsewhere() -> None:
    border = Border(LoopbackUnderlay("127.0.0.2"), asyncio.get_running_loop().time)
    network = UnderlayNetwork(MemoryNetwork(), border)
    with pytest.raises(NodeStartError, match=r"a node at 10\.0\.0\.9 can't be found by others, for this host has 127"):
        await network.listen(Silent, "10.0.0.9", 0)


async def test_nobody_outside_the_underlay_is_dialled() -> None:
    border = Border(LoopbackUnderlay(), asyncio.get_running_loop().time)
    network = UnderlayNetwork(TcpNetwork(guard=border), border)
    with pytest.raises(Unreachable, match=r"^10\.0\.0\.9 is not of the underlay loopback"):
        await network.dial(Silent, "10.0.0.9", 1, 1.0)


async def test_a_public_address_of_an_underlay_is_refused_without_the_flag() -> None:
    border = Border(Moving("8.8.8.8"), asyncio.get_running_loop().time)
    with pytest.raises(NodeStartError, match=r"8\.8\.8\.8 is a public address"):
        await UnderlayNetwork(TcpNetwork(guard=border), border).listen(Silent, "alpha", 0)


async def test_nodes_find_each_other_by_names_that_are_no_addresses(port_mapper: int) -> None:
    hosts = {"alpha": "127.0.0.1", "beta": "127.0.0.1"}
    a, b = (
        Node(name, cookie="secret", epmd_port=port_mapper, underlay=LoopbackUnderlay(hosts=hosts))
        for name in ("a@alpha", "b@beta")
    )
    await a.start()
    await b.start()
    try:
        assert await a.run(connect_node, "b@beta")
        assert not await a.run(connect_node, "b@no.such.host.invalid")
    finally:
        await a.stop()
        await b.stop()


async def test_a_node_without_a_free_port_at_all_addresses_says_so() -> None:
    memory = MemoryNetwork()
    await memory.listen(Silent, "10.0.0.3", 5000)
    border = Border(Moving("10.0.0.2", "10.0.0.3"), asyncio.get_running_loop().time)
    with pytest.raises(PortInUse):
        await UnderlayNetwork(memory, border).listen(Silent, "alpha", 5000)
    assert list(memory.listeners) == [("10.0.0.3", 5000)]


def test_a_node_follows_the_addresses_at_its_port_and_waits_while_there_are_none(logs: list[EventDict]) -> None:
    memory, underlay = MemoryNetwork(), Moving("10.0.0.2")

    async def main() -> list[list[tuple[str, int]]]:
        border = Border(underlay, asyncio.get_running_loop().time)
        listener = await UnderlayNetwork(memory, border).listen(Silent, "alpha", 5000)
        seen: list[list[tuple[str, int]]] = []
        for now in (("10.0.0.3",), (), ("10.0.0.3", "10.0.0.4")):
            underlay.now = now
            await asyncio.sleep(3)
            seen.append(list(memory.listeners))
        listener.close()
        return seen

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        seen = runner.run(main())
    assert seen == [[("10.0.0.3", 5000)], [], [("10.0.0.3", 5000), ("10.0.0.4", 5000)]]
    assert memory.listeners == {}
    assert [(line["event"], line["now"]) for line in logs] == [
        ("underlay_changed", now) for now in (["10.0.0.3"], [], ["10.0.0.3", "10.0.0.4"])
    ]


def test_an_address_whose_port_is_taken_is_tried_again(logs: list[EventDict]) -> None:
    memory, underlay = MemoryNetwork(), Moving("10.0.0.2")

    async def main() -> list[tuple[str, int]]:
        border = Border(underlay, asyncio.get_running_loop().time)
        other = await memory.listen(Silent, "10.0.0.3", 5000)
        listener = await UnderlayNetwork(memory, border).listen(Silent, "alpha", 5000)
        underlay.now = ("10.0.0.3",)
        await asyncio.sleep(2)
        other.close()
        await asyncio.sleep(4)
        there = list(memory.listeners)
        listener.close()
        return there

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == [("10.0.0.3", 5000)]
    assert [line["event"] for line in logs].count("underlay_not_listened_at") == 1


async def test_connections_at_an_address_that_is_gone_are_cut() -> None:
    class Underlay(Moving):
        def contains(self, address: str) -> bool:
            return True

    border = Border(Underlay("10.0.0.2"), asyncio.get_running_loop().time)

    class Transport:
        """As uvloop's, which are no subclasses of asyncio's."""

        cut = False

        def __init__(self, address: str) -> None:
            self._address = address

        def get_extra_info(self, _name: str) -> tuple[str, int]:
            return self._address, 1

        def abort(self) -> None:
            self.cut = True

    kept, lost = Transport("10.0.0.3"), Transport("10.0.0.2")
    for transport in (kept, lost):
        border.crossing(cast(asyncio.Transport, transport))
    border.left_with(("10.0.0.3",))
    assert (kept.cut, lost.cut) == (False, True)
