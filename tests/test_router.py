"""Messages between nodes: what arrives, in which order, and what the sender hears when they can't."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    Alias,
    Atom,
    BadNodeName,
    ConnectionFull,
    Down,
    EncodeError,
    Message,
    Node,
    Opaque,
    Pid,
    Ref,
    Request,
    call,
    connect,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    node_name,
    receive,
    register,
    self_pid,
    send,
    spawn,
    whereis,
)
from pydist.transport.memory import MemoryNetwork

StartNode = Callable[..., Awaitable[Node]]
Pair = tuple[Node, Node]

NOWHERE = "nowhere@127.0.0.1"


class Say(Message):
    words: list[str]
    to: Pid | None = None


class Ask(Request[int]):
    number: int


async def echo() -> None:
    """Sends everything back to who sent it, until it gets None."""
    while (message := await receive()) is not None:
        sender, value = message
        send(sender, value)


async def ask(target: Any, value: Any) -> Any:
    send(target, (self_pid(), value))
    return await receive(timeout=5)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        2**80,
        1.0,
        "text",
        b"bytes",
        Atom("atom"),
        (1, (2,)),
        [1, [2]],
        {"a": 1, (1, 2): {3}},
        {1, 2},
        frozenset({1}),
        Pid("a@127.0.0.1", 5, 7),
        Pid("elsewhere@h", 2**40, 7),
        Ref("elsewhere@h", 1, 2),
        Alias(Pid("a@127.0.0.1", 5, 7), Ref("a@127.0.0.1", 6, 7)),
        Say(["hello"], Pid("b@127.0.0.1", 1, 1)),
        Opaque("nobody.Knows", (1, "x")),
        [Say(["a"]), (Say(["b"]), {"c": Say([])})],
        "x" * 1_000_000,
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_message_arrives_equal_and_of_the_same_type(pair: Pair, value: Any) -> None:
    a, b = pair
    answer = await a.run(ask, b.spawn(echo), value)
    assert (answer, type(answer)) == (value, type(value))


async def test_the_first_message_to_a_node_connects_to_it(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")
    assert await a.run(ask, b.spawn(echo), "hello") == "hello"


async def test_a_message_to_a_name_on_another_node_arrives(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")
    b.spawn(echo, name="echo")
    assert await a.run(ask, ("echo", b.name), "before the connection") == "before the connection"
    assert await a.run(ask, ("echo", b.name), "on the connection") == "on the connection"


async def test_a_name_on_our_own_node_is_no_other_node(start_node: StartNode) -> None:
    a = await start_node("a")
    a.spawn(echo, name="echo")
    assert await a.run(ask, ("echo", a.name), "here") == "here"


async def test_a_node_can_send_from_outside_its_processes(pair: Pair) -> None:
    a, b = pair
    heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def hear() -> None:
        heard.set_result(await receive())

    a.send(b.spawn(hear), "from outside")
    assert await asyncio.wait_for(heard, 5) == "from outside"


async def test_all_kinds_of_messages_to_one_process_keep_their_order(start_node: StartNode) -> None:
    a, b = await start_node("a"), await start_node("b")

    async def collect() -> list[int]:
        register("collector", self_pid())
        return [await receive(timeout=5) for _ in range(300)]

    async def talk(collector: Pid) -> None:
        for number in range(0, 300, 3):  # begins before the connection is there
            send(collector, number)
            send(("collector", b.name), number + 1)
            send(collector, number + 2)
            await asyncio.sleep(0)

    collected = asyncio.ensure_future(b.run(collect))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while (pid := await b.run(_whereis)) is None:
            pass
    await a.run(talk, pid)
    assert await collected == list(range(300))


async def _whereis() -> Pid | None:
    return whereis("collector")


async def test_messages_to_nobody_are_dropped_in_silence(pair: Pair) -> None:
    a, b = pair
    living = b.spawn(echo)

    async def talk() -> Any:
        send(Pid(b.name, 999, living.creation), "to a pid that never was")
        send(("nobody", b.name), "to a name that nobody has")
        send(Alias(living, Ref(b.name, 999, living.creation)), "to an alias that was never opened")
        return await ask(living, "still there")

    assert await a.run(talk) == "still there"


async def test_messages_to_a_node_that_does_not_exist_are_dropped_in_silence(start_node: StartNode) -> None:
    a = await start_node("a")

    async def talk() -> Any:
        send(("echo", NOWHERE), "lost")
        send(Pid(NOWHERE, 1, 1), "lost")
        ref = monitor(("echo", NOWHERE))
        return await receive(ref, 5)

    down = await a.run(talk)
    assert (down.process, down.reason) == (("echo", NOWHERE), Atom("noconnection"))


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_what_cannot_cross_is_an_error_at_the_sender_and_nowhere_else(
    start_node: StartNode, connected: bool
) -> None:
    a, b = await start_node("a"), await start_node("b")
    target = b.spawn(echo, name="echo")

    async def talk() -> Any:
        if connected:
            await ask(target, "hello")
        for destination in (target, ("echo", b.name)):
            with pytest.raises(EncodeError, match=r"message\[1\]\['x'\] is a builtins.object, which can't be sent"):
                send(destination, (self_pid(), {"x": object()}))
        with pytest.raises(EncodeError):
            exit(target, object())
        with pytest.raises(EncodeError):
            await call(target, Ask(object()))  # type: ignore[arg-type]  # that is the point
        return await ask(target, "fine")

    assert await a.run(talk) == "fine"


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_what_the_sender_changes_afterwards_does_not_change_the_message(
    start_node: StartNode, connected: bool
) -> None:
    a, b = await start_node("a"), await start_node("b")
    target = b.spawn(echo)

    async def talk() -> Any:
        if connected:
            await ask(target, "hello")
        words = ["as it was"]
        send(target, (self_pid(), Say(words)))
        words.append("later")
        return await receive(timeout=5)

    assert await a.run(talk) == Say(["as it was"])


ACTIONS: dict[str, Callable[[str], Any]] = {
    "send": lambda node: send(("x", node), 1),
    "send to a pid": lambda node: send(Pid(node, 1, 1), 1),
    "monitor": lambda node: monitor(("x", node)),
    "monitor a pid": lambda node: monitor(Pid(node, 1, 1)),
    "link": lambda node: link(Pid(node, 1, 1)),
    "exit": lambda node: exit(Pid(node, 1, 1), "reason"),
    "connect": connect,
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
@pytest.mark.parametrize("name", ["nohost", "@h", "a@", "a@b@c", "a b@h", "a/b@h"])
async def test_a_bad_node_name_is_an_error_at_the_sender_and_troubles_nobody_when_it_ends(
    start_node: StartNode, action: Callable[[str], Any], name: str
) -> None:
    a = await start_node("a")

    async def clumsy() -> None:
        with pytest.raises(BadNodeName):
            action(name)

    async def watch() -> Any:
        _, ref = spawn(clumsy, monitor=True)
        return await receive(ref, 5)

    assert (await a.run(watch)).reason == Atom("normal")


async def test_a_call_to_a_bad_node_name_is_an_error_at_the_caller(start_node: StartNode) -> None:
    a = await start_node("a")

    async def clumsy() -> None:
        with pytest.raises(BadNodeName):
            await call(("x", "nohost"), Ask(1))

    async def watch() -> Any:
        _, ref = spawn(clumsy, monitor=True)
        return await receive(ref, 5)

    assert (await a.run(watch)).reason == Atom("normal")


async def test_a_down_does_not_overtake_the_last_message(pair: Pair) -> None:
    a, b = pair

    async def speak_and_die() -> None:
        listener = await receive()
        for number in range(100):
            send(listener, number)

    async def listen(speaker: Pid) -> list[Any]:
        monitor(speaker)
        send(speaker, self_pid())
        return [await receive(timeout=5) for _ in range(101)]

    *numbers, last = await a.run(listen, b.spawn(speak_and_die))
    assert (numbers, type(last)) == (list(range(100)), Down)


async def test_messages_in_flight_when_the_network_is_cut_are_lost_and_later_ones_arrive(
    pair: Pair, network: MemoryNetwork
) -> None:
    a, b = pair
    target = b.spawn(echo)

    async def talk() -> Any:
        send(target, (self_pid(), "in flight"))
        network.cut()
        ref = monitor(target)
        assert (await receive(ref, 5)).reason == Atom("noconnection")
        return await ask(target, "later")

    assert await a.run(talk) == "later"


async def test_processes_on_both_nodes_know_where_they_are(pair: Pair) -> None:
    async def where() -> str:
        return node_name()

    a, b = pair
    assert [await a.run(where), await b.run(where)] == ["a@127.0.0.1", "b@127.0.0.1"]


def _send_for_ever(target: Pid, message: Any) -> None:
    while True:
        send(target, message)


async def test_a_process_that_ends_while_too_much_waits_for_a_node_still_tells_everybody(start_node: StartNode) -> None:
    a = await start_node("a")

    async def crowd() -> None:
        link(Pid(NOWHERE, 1, 1))
        monitor(Pid(NOWHERE, 1, 1))
        for size in (1_000_000, 1000, 0):
            with pytest.raises(ConnectionFull):
                _send_for_ever(Pid(NOWHERE, 1, 1), bytes(size))

    async def watch() -> Any:
        _, ref = spawn(crowd, monitor=True)
        return await receive(ref, 5)

    assert (await a.run(watch)).reason == Atom("normal")


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
async def test_a_message_that_is_too_large_is_an_error_at_the_sender_and_the_next_one_arrives(
    start_node: StartNode, connected: bool
) -> None:
    a, b = await start_node("a", message_limit=1_000_000), await start_node("b", message_limit=1_000_000)
    target = b.spawn(echo)

    async def talk() -> Any:
        if connected:
            await ask(target, "hello")
        with pytest.raises(EncodeError, match="too large"):
            send(target, bytes(1_000_001))
        return await ask(target, "small")

    assert await a.run(talk) == "small"
