from __future__ import annotations

import asyncio

from structlog.typing import EventDict

from pydist.transport.memory import MemoryNetwork
from pydist.wire.handshake import Flag, Identity, Status
from tests.doors import HOST, Clock, Node, meet, quiet, until

# Handshakes that fail


async def try_to_meet(a: Node, b: Node) -> None:
    network = MemoryNetwork()
    await network.listen(b.door.answer, HOST, 5000)
    await network.dial(a.door.dial(b.identity.node, 7), HOST, 5000, 5.0)
    await quiet()
    assert network.transports == []
    assert (a.door.unfinished, b.door.unfinished) == (0, 0)


async def test_a_wrong_cookie_is_one_line_in_the_log_and_nothing_else(logs: list[EventDict]) -> None:
    a, b = Node("a@h", cookie=b"wrong"), Node("b@h")
    await try_to_meet(a, b)
    assert b.story == []
    assert a.story == [("failed", "b@h", "the peer closed after our proof: most likely its cookie is another")]
    assert [line for line in logs if line["dialled"] is None] == [
        {
            "event": "handshake_refused",
            "log_level": "warning",
            "peer": f"{HOST}:0",
            "dialled": None,
            "reason": "the proof is wrong: the peer has another cookie",
        }
    ]


async def test_a_flag_that_is_missing_is_named_in_the_log(logs: list[EventDict]) -> None:
    a, b = Node("a@h", local=Identity("a@h", 1, Flag.REQUESTS)), Node("b@h")
    await try_to_meet(a, b)
    assert [line["reason"] for line in logs if line["dialled"] is None] == [
        "the peer lacks SIGNALS, without which we can't talk"
    ]


async def test_a_refused_attempt_is_told_to_who_dialled() -> None:
    a, b = Node("a@h"), Node("b@h")
    b.status = Status.NOK
    await try_to_meet(a, b)
    assert (a.story, b.story) == ([("refused", "b@h", Status.NOK)], [("decide", "a@h")])


async def test_who_is_believed_alive_is_asked() -> None:
    a, b = Node("a@h"), Node("b@h")
    b.status, a.wanted = Status.ALIVE, False
    await try_to_meet(a, b)
    assert (a.story, b.story) == ([("confirm", "b@h"), ("refused", "b@h", Status.ALIVE)], [("decide", "a@h")])
    a, b = Node("a@h"), Node("b@h")
    b.status = Status.ALIVE
    await meet(a, b)
    assert a.story == [("confirm", "b@h"), ("connected", "b@h")]
    assert b.story == [("decide", "a@h"), ("connected", "a@h")]


async def test_an_attempt_that_is_given_up_goes_without_a_word(logs: list[EventDict]) -> None:
    network = MemoryNetwork()
    a = Node("a@h")
    await network.listen(asyncio.Protocol, HOST, 5000)
    greeting = await network.dial(a.door.dial("b@h", 1), HOST, 5000, 5.0)
    greeting.give_up()
    await quiet()
    assert (a.story, logs, network.transports) == ([], [], [])


async def test_a_stranger_that_says_nothing_is_closed_at_the_deadline(logs: list[EventDict]) -> None:
    clock, network = Clock(), MemoryNetwork()
    b = Node("b@h", clock=clock, setup_time=0.01)
    await network.listen(b.door.answer, HOST, 5000)
    await network.dial(asyncio.Protocol, HOST, 5000, 5.0)
    assert b.door.unfinished == 1
    clock.now += 0.01
    await until(lambda: not network.transports)
    assert b.door.unfinished == 0
    assert [line["reason"] for line in logs] == ["not done within 0.01 s, still in AWAIT_HELLO"]
