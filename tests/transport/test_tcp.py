from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import cast

import pytest
import uvloop

from pydist.errors import NodeStartError, PortInUse, Unreachable
from pydist.transport.tcp import NEAR, RECEIVE_BUFFER, TcpNetwork, round_trip

HOST = "127.0.0.1"


class Echo(asyncio.Protocol):
    """Sends back what comes, and keeps it."""

    def __init__(self) -> None:
        self.received = b""
        self.nodelay = 0
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.nodelay = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.came.set_result(data)


class Caller(Echo):
    """Only listens."""

    def data_received(self, data: bytes) -> None:
        self.came.set_result(data)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


def test_bytes_cross_both_ways_without_delay(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        taken: list[Echo] = []

        def take() -> Echo:
            taken.append(Echo())
            return taken[-1]

        listener = await TcpNetwork().listen(take, HOST, 0)
        assert (listener.host, listener.port > 0) == (HOST, True)
        caller = await TcpNetwork().dial(Caller, HOST, listener.port, 5.0)
        caller.transport.write(b"hello")
        assert await caller.came == b"hello"
        assert caller.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert taken[0].nodelay
        caller.transport.close()
        taken[0].transport.close()
        listener.close()
        await asyncio.sleep(0)

    runner.run(scenario())


def test_a_port_in_use_says_which_and_what_to_do(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        listener = await TcpNetwork().listen(Echo, HOST, 0)
        with pytest.raises(PortInUse, match=f"another program listens at {HOST}:{listener.port}: stop it, or choose"):
            await TcpNetwork().listen(Echo, HOST, listener.port)
        listener.close()

    runner.run(scenario())


def test_an_address_of_another_machine_says_so(runner: asyncio.Runner) -> None:
    with pytest.raises(NodeStartError, match=r"192\.0\.2\.1:5000 can't be bound: this machine does not"):
        runner.run(TcpNetwork().listen(Echo, "192.0.2.1", 5000))


def test_a_name_that_does_not_resolve_says_so(runner: asyncio.Runner) -> None:
    with pytest.raises(NodeStartError, match=r"can't listen at no\.such\.host\.invalid:5000"):
        runner.run(TcpNetwork().listen(Echo, "no.such.host.invalid", 5000))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])  # noqa: S104  # that it is refused is the test
def test_every_address_at_once_is_refused_unless_allowed(runner: asyncio.Runner, host: str) -> None:
    async def scenario() -> None:
        with pytest.raises(NodeStartError, match="every address of this machine, and pydist does not encrypt"):
            await TcpNetwork().listen(Echo, host, 0)
        listener = await TcpNetwork(allow_public=True).listen(Echo, host, 0)
        listener.close()

    runner.run(scenario())


def test_nobody_listening_is_unreachable(runner: asyncio.Runner) -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
        with pytest.raises(Unreachable, match=f"no connection to {HOST}:{port}"):
            runner.run(TcpNetwork().dial(Caller, HOST, port, 5.0))


def test_a_host_that_does_not_take_the_connection_is_unreachable_in_time(runner: asyncio.Runner) -> None:
    """A listener with a full queue: the kernel drops what comes."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind((HOST, 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(Unreachable, match=r"did not take the connection within 0\.05 s"):
            runner.run(TcpNetwork().dial(Caller, HOST, full.getsockname()[1], 0.05))


def test_the_system_holds_little_at_both_ends_of_a_connection_that_is_near(runner: asyncio.Runner) -> None:
    async def scenario() -> list[tuple[float, int]]:
        taken: list[Echo] = []

        def take() -> Echo:
            taken.append(Echo())
            return taken[-1]

        listener = await TcpNetwork().listen(take, HOST, 0)
        caller = await TcpNetwork().dial(Caller, HOST, listener.port, 5.0)
        caller.transport.write(b"hello")
        await caller.came
        ends = [end.transport.get_extra_info("socket") for end in (caller, *taken)]
        seen = [(round_trip(end), end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)) for end in ends]
        caller.transport.abort()
        listener.close()
        await asyncio.sleep(0.0)
        return seen

    seen = runner.run(scenario())
    assert [(0 < near < NEAR, room) for near, room in seen] == [(True, 2 * RECEIVE_BUFFER)] * 2
