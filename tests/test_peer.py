from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, cast

import pytest
import uvloop
from structlog.typing import EventDict

from pydist.errors import ConnectionFull, EncodeError
from pydist.greeting import Greeting
from pydist.peer import Peer
from pydist.terms import Pid
from pydist.transport.memory import MemoryNetwork
from pydist.transport.tcp import TcpNetwork
from pydist.wire.control import Exit, Link, Messages, Send, Unlink, UnlinkAck
from tests.doors import Clock, Node, meet, quiet, until

# Two peers


async def test_two_nodes_meet_and_signals_cross_in_order() -> None:
    a, b = Node("a@h", 1), Node("b@h", 2)
    await meet(a, b)
    link = Link(Pid("a@h", 1, 1), Pid("b@h", 2, 2))
    gone = Exit(link.source, link.target, "bye")
    a.peer.send(link)
    a.peer.send_message(2, "x")
    a.peer.send(Send(link.target, "y"))
    a.peer.send(gone)
    b.peer.send_message(1, "back")
    await until(lambda: len(b.story) == 5)
    assert b.story == [("decide", "a@h"), ("connected", "a@h"), link, Messages(2, ["x", "y"]), gone]
    assert a.story == [("connected", "b@h"), Messages(1, ["back"])]
    assert (a.attempts, b.attempts) == ([1], [None])


async def test_one_turn_of_the_loop_is_one_write() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    written = count_writes(a.peer)
    for number in range(100):
        a.peer.send_message(2, number)
    assert written == []
    await quiet()
    assert len(written) == 1
    assert b.story[2:] == [Messages(2, list(range(100)))]


async def test_a_scheduler_can_flush_before_the_turn_is_over() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    written = count_writes(a.peer)
    a.peer.send_message(2, 1)
    a.peer.flush()
    assert len(written) == 1
    await quiet()
    assert len(written) == 1


def count_writes(peer: Peer) -> list[bytes]:
    written: list[bytes] = []
    transport = peer._transport
    original = transport.write

    def write(data: bytes | bytearray | memoryview[Any]) -> None:
        written.append(bytes(data))
        original(data)

    transport.write = write  # type: ignore[method-assign]  # a spy
    return written


async def test_what_is_sent_from_connected_is_not_lost() -> None:
    a, b = Node("a@h"), Node("b@h")

    def greet(greeting: Greeting, peer: Peer) -> None:
        assert not greeting.in_handshake
        b.peers.append(peer)
        peer.send_message(1, "welcome")

    b.connected = greet  # type: ignore[method-assign]  # this one greets
    await meet(a, b)
    await until(lambda: Messages(1, ["welcome"]) in a.story)


async def test_what_cannot_be_sent_raises_at_the_sender_and_the_connection_goes_on() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    with pytest.raises(EncodeError):
        a.peer.send_message(2, object())
    a.peer.send_message(2, "fine")
    await until(lambda: Messages(2, ["fine"]) in b.story)


# Ends


async def test_a_close_writes_what_waits_and_both_owners_are_told_once() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    a.peer.send_message(2, "last words")
    a.peer.close("stopping")
    assert a.story[-1] == ("disconnected", "b@h", "stopping")
    a.peer.close("again")
    await quiet()
    assert b.story[2:] == [Messages(2, ["last words"]), ("disconnected", "a@h", "closed by the peer")]
    assert a.story == [("connected", "b@h"), ("disconnected", "b@h", "stopping")]
    a.peer.flush()


async def test_a_lost_network_is_told_with_its_reason(logs: list[EventDict]) -> None:
    network = MemoryNetwork()
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b, network)
    network.cut()
    await quiet()
    assert a.story[-1] == ("disconnected", "b@h", "the network was cut")
    assert logs[0] == {
        "event": "connection_lost",
        "log_level": "warning",
        "node": "b@h",
        "peer": a.peer.address,
        "reason": "the network was cut",
    }


async def test_nothing_is_delivered_after_a_disconnect() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    b.on_deliver = lambda peer: peer.close("enough")
    for target in (1, 2, 3):
        a.peer.send_message(target, "x")
    await quiet()
    assert b.story[2:] == [Messages(1, ["x"]), ("disconnected", "a@h", "enough")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\x10\0\1", "a frame announces 1048577 bytes, the limit is 1048576"),
        (b"\xff\xff\xff\xff", "no frame is of the kind 255"),
        (b"\0\0\0\1\xc1", "not a term: FormatError "),
        (b"\0\0\0\3\x91\x91\x63", "no signal has the op 99"),
    ],
)
async def test_garbage_costs_the_peer_its_connection(data: bytes, reason: str, logs: list[EventDict]) -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    a.peer._transport.write(data)
    await quiet()
    assert b.story[-1] == ("disconnected", "a@h", reason)
    assert a.story[-1] == ("disconnected", "b@h", "closed by the peer")
    assert logs[0]["reason"] == reason


# Time and limits


async def test_a_silent_network_is_noticed_by_the_net_tick() -> None:
    clock, network = Clock(), MemoryNetwork()
    a, b = (Node(name, clock=clock, net_ticktime=0.1) for name in ("a@h", "b@h"))
    await meet(a, b, network)
    for _ in range(8):
        clock.now += 0.01
        await until(lambda: network.transports[0]._protocol)
    network.silence()

    def later() -> bool:
        clock.now += 0.0005
        return not (a.peer.up or b.peer.up)

    await until(later)
    reason = "nothing heard for 0.1 s (net_ticktime)"
    assert a.story == [("connected", "b@h"), "suspected", ("disconnected", "b@h", reason)]


async def test_a_busy_peer_collects_until_it_is_full_and_goes_on_when_there_is_room() -> None:
    a, b = Node("a@h", pending_limit=1000), Node("b@h")
    await meet(a, b)
    written = count_writes(a.peer)
    a.peer.pause_writing()
    a.peer.send_message(2, b"x" * 1001)
    await quiet()
    assert (a.peer.busy, written) == (True, [])
    with pytest.raises(ConnectionFull, match=r"wait for b@h, the limit is 1000: the message was not sent\. Who sends"):
        a.peer.send_message(2, "one more")
    with pytest.raises(ConnectionFull):
        a.peer.send(Send(Pid("b@h", 2, 1), "one more"))
    gone = Exit(Pid("a@h", 1, 1), Pid("b@h", 2, 1), "bye")
    a.peer.send(gone)
    a.peer.resume_writing()
    await quiet()
    assert a.story[-1] == "writable"
    assert b.story[2:] == [Messages(2, [b"x" * 1001]), gone]


async def test_who_takes_no_answers_is_read_no_more_until_it_does() -> None:
    clock = Clock()
    a, b = Node("a@h"), Node("b@h", clock=clock, pending_limit=200)
    await meet(a, b)
    here, there = Pid("a@h", 1, 1), Pid("b@h", 2, 1)
    asked, answers = [Unlink(here, there, number) for number in range(100)], list[Any]()
    b.on_deliver = lambda peer: peer.send(UnlinkAck(there, here, 5))
    a.on_deliver = lambda _: answers.append(a.story[-1])
    b.peer.pause_writing()
    for signal in asked:
        a.peer.send(signal)
        a.peer.flush()
    await quiet()
    read = [signal for signal in b.story if signal in asked]
    assert (0 < len(read) < 80, b.peer.connection.pending < 300) == (True, True)
    clock.now += 1
    b.peer.resume_writing()
    assert b.peer._ticker.heard_at == clock.now
    await until(lambda: len(answers) == 100)
    assert [signal for signal in b.story if signal in asked] == asked


async def test_a_closed_peer_takes_messages_and_drops_them() -> None:
    a, b = Node("a@h"), Node("b@h")
    await meet(a, b)
    a.peer.close("over")
    a.peer.send_message(2, "nobody will see this")
    a.peer.send(Send(Pid("b@h", 2, 1), "nor this"))
    await quiet()
    assert a.peer.connection.pending == 0


# Real sockets, both loops


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


Run = Callable[[Awaitable[None]], None]


def test_large_and_many_messages_cross_real_sockets(run: Run) -> None:
    async def scenario() -> None:
        a, b = Node("a@h"), Node("b@h")
        await meet(a, b, TcpNetwork())
        for number in range(20_000):
            a.peer.send_message(2, number)
        for _ in range(5):
            a.peer.send_message(3, b"x" * 3_000_000)
        b.peer._transport.pause_reading()
        await until(lambda: a.peer.busy)
        b.peer._transport.resume_reading()
        await until(lambda: sum(len(m.messages) for m in b.story[2:]) == 20_005)
        received = [message for run in b.story[2:] for message in run.messages]
        assert received == [*range(20_000), *[b"x" * 3_000_000] * 5]
        await until(lambda: "writable" in a.story)
        a.peer.close("done")
        await until(lambda: b.story[-1] == ("disconnected", "a@h", "closed by the peer"))

    run(scenario())


def test_a_peer_that_never_reads_does_not_keep_a_closed_transport_for_ever(run: Run) -> None:
    async def scenario() -> None:
        a, b = Node("a@h", setup_time=0.1), Node("b@h")
        await meet(a, b, TcpNetwork())
        b.peer._transport.pause_reading()
        for _ in range(20):
            a.peer.send_message(2, b"x" * 1_000_000)
        a.peer.close("stopping")
        descriptor = cast("socket.socket", a.peer._transport.get_extra_info("socket"))
        await until(lambda: descriptor.fileno() == -1)
        b.peer.close("stopping")
        await asyncio.sleep(0)

    run(scenario())
