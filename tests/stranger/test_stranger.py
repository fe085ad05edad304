"""A node that was written from docs/wire.md alone, and a node of pydist."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pydist import (
    NOPROC,
    Atom,
    Caller,
    Down,
    Exit,
    Exited,
    GenServer,
    Node,
    Pid,
    Request,
    exit,  # noqa: A004  # OTP's name
    link,
    monitor,
    receive,
    self_pid,
    send,
    trap_exit,
    unlink,
)
from pydist.transport.tcp import TcpNetwork
from tests.stranger import peer as stranger
from tests.stranger.peer import (
    DEMONITOR,
    EXIT,
    EXIT_TO,
    LINK,
    MONITOR,
    MONITOR_EXIT,
    SEND,
    SEND_ALIAS,
    SEND_NAME,
    UNLINK,
    UNLINK_ACK,
    Home,
    Peer,
    look_up,
)

StartNode = Callable[..., Awaitable[Node]]

ME = 7
"""The number of the stranger's one process."""


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node("node", network=TcpNetwork())


@pytest.fixture
async def home(port_mapper: int, node: Node) -> AsyncIterator[Home]:
    """The stranger, listening and registered."""
    home = await asyncio.to_thread(Home, "stranger@127.0.0.1", b"secret", port_mapper)
    yield home
    home.close()


@pytest.fixture
async def dialled(home: Home, node: Node, port_mapper: int) -> AsyncIterator[Peer]:
    """The node as the stranger sees it, that has dialled it."""

    def dial() -> Peer:
        return home.dial(node.name, look_up("node", port_mapper))

    peer = await asyncio.to_thread(dial)
    yield peer
    peer.close()


async def echo(told: list[Any] | None = None) -> None:
    """Answers pairs of a pid and something with the latter, until it is told to leave."""
    while True:
        match await receive():
            case [sender, word]:
                if told is not None:
                    told.append(word)
                send(sender, word)
            case reason:
                raise Exit(reason)


def me(home: Home) -> stranger.Pid:
    return stranger.Pid(ME, home.creation, home.name)


def test_it_imports_nothing_of_pydist_and_is_short() -> None:
    source = Path(stranger.__file__).read_text()
    modules = [
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    ]
    assert [module for module in modules if module is not None and module.startswith("pydist")] == []
    assert len(source.splitlines()) < 250


async def test_it_dials_sends_to_a_name_and_is_answered(node: Node, home: Home, dialled: Peer) -> None:
    told: list[Any] = []
    node.spawn(echo, told, name="echo")

    def talk() -> list[Any]:
        words = ["a text", 2**63, None, 1.5, b"bytes", [1, [2]], {"key": [True]}, stranger.Atom("ok")]
        for word in words:
            dialled.write([SEND_NAME, "echo", [me(home), word]])
        assert [dialled.read() for _ in words] == [[SEND, ME, word] for word in words]
        return words

    words = await asyncio.to_thread(talk)
    assert told == [*words[:-1], Atom("ok")]


async def test_it_links_and_monitors_and_hears_of_the_end(node: Node, home: Home, dialled: Peer) -> None:
    server = node.spawn(echo, None, name="echo")

    def talk() -> list[Any]:
        dialled.write(
            [MONITOR, ME, server.number, 1],
            [MONITOR, ME, "echo", 2],
            [MONITOR, ME, "nobody", 3],
            [LINK, ME, server.number],
        )
        nobody = dialled.read()
        dialled.write([SEND, server.number, ["the end"]])
        return [nobody, *sorted((dialled.read() for _ in range(3)), key=repr)]

    assert await asyncio.to_thread(talk) == [
        [MONITOR_EXIT, "nobody", ME, 3, stranger.Atom("noproc")],
        [EXIT, server.number, ME, "the end"],
        [MONITOR_EXIT, "echo", ME, 2, "the end"],
        [MONITOR_EXIT, server.number, ME, 1, "the end"],
    ]


async def test_it_is_dialled_and_plays_the_other_side_of_links_and_monitors(node: Node, home: Home) -> None:
    async def main() -> list[Any]:
        trap_exit(True)
        send(("greeter", home.name), self_pid())
        him: Pid = await receive()
        ref = monitor(him)
        link(him)
        unlink(him)
        link(him)
        absent = monitor(("nobody", home.name))
        exit(him, "please")
        heard = [await receive(timeout=5) for _ in range(3)]
        return [him, heard == [Down(absent, ("nobody", home.name), NOPROC), Exited(him, "as"), Down(ref, him, "asked")]]

    def greet() -> list[Any]:
        peer = home.answer()
        op, name, asker = peer.read()
        peer.write([SEND, asker.number, [me(home)]])
        heard = [(op, name)]
        watched = 0
        for _ in range(6):
            signal = peer.read()
            heard.append(tuple(signal[:2]))
            match signal:
                case [20, source, "nobody", ref]:
                    peer.write([MONITOR_EXIT, "nobody", source, ref, stranger.Atom("noproc")])
                case [20, source, target, ref]:
                    watched = ref
                case [14, source, target, "please"]:
                    peer.write([EXIT, target, source, "as"], [MONITOR_EXIT, target, source, watched, "asked"])
                case _:
                    pass
        peer.close()
        return [asker.number, heard]

    (source, heard), (him, as_told) = await asyncio.gather(asyncio.to_thread(greet), node.run(main))
    assert heard == [
        (SEND_NAME, "greeter"),
        (MONITOR, source),
        (LINK, source),
        (UNLINK, source),
        (LINK, source),
        (MONITOR, source),
        (EXIT_TO, source),
    ]
    assert (him, as_told) == (Pid(home.name, ME, home.creation), True)


async def test_an_unlink_of_its_is_acknowledged_before_anything_else(node: Node, home: Home, dialled: Peer) -> None:
    server = node.spawn(echo)

    def talk() -> list[Any]:
        dialled.write(
            [LINK, ME, server.number], [UNLINK, ME, server.number, 99], [SEND, server.number, [[me(home), "after"]]]
        )
        return [dialled.read(), dialled.read()]

    assert await asyncio.to_thread(talk) == [[UNLINK_ACK, server.number, ME, 99], [SEND, ME, "after"]]


async def test_it_lives_by_ticks_alone(start_node: StartNode, port_mapper: int) -> None:
    node = await start_node("quick", network=TcpNetwork(), net_ticktime=1.0)
    server = node.spawn(echo)

    def live() -> list[Any]:
        home = Home("stranger@127.0.0.1", b"secret", port_mapper)
        peer = home.dial(node.name, look_up("quick", port_mapper))
        peer.wait_for_ticks(6)
        peer.write([SEND, server.number, [[me(home), "still here"]]])
        said = peer.read()
        peer.close()
        home.close()
        return said

    assert await asyncio.to_thread(live) == [SEND, ME, "still here"]


async def test_it_replaces_its_own_connection_when_the_node_believes_it_alive(
    node: Node, home: Home, dialled: Peer, port_mapper: int
) -> None:
    server = node.spawn(echo)

    def again() -> list[Any]:
        second = home.dial(node.name, look_up("node", port_mapper))
        second.write([SEND, server.number, [[me(home), "by the second"]]])
        said = second.read()
        second.close()
        with pytest.raises(ConnectionError):
            dialled.read()
        return said

    assert await asyncio.to_thread(again) == [SEND, ME, "by the second"]


async def test_without_the_cookie_it_is_told_nothing(node: Node, port_mapper: int) -> None:
    def dial() -> None:
        home = Home("thief@127.0.0.1", b"guessed", port_mapper)
        try:
            with pytest.raises(ConnectionError):
                home.dial(node.name, look_up("node", port_mapper))
        finally:
            home.close()

    await asyncio.to_thread(dial)


class Double(Request[int], tag="stranger.double"):
    number: int


class Doubler(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        match request:
            case Double(number):
                return 2 * number
            case _:
                raise LookupError("never heard of that")


async def test_it_calls_a_server_and_hears_of_one_that_fails(node: Node, home: Home, dialled: Peer) -> None:
    server = await node.run(_start_doubler)

    def ask(ref: int, request: Any) -> None:
        caller = stranger.message("$caller", me(home), stranger.Ref(ref, home.creation, home.name), 5.0, node.name)
        dialled.write(
            [MONITOR, ME, server.number, ref], [SEND, server.number, [stranger.message("$call", caller, request)]]
        )

    def talk() -> list[Any]:
        ask(1, stranger.message("stranger.double", 21))
        answer = dialled.read()
        dialled.write([DEMONITOR, ME, server.number, 1])
        ask(2, "nonsense")
        return [answer, dialled.read()]

    answer, failure = await asyncio.to_thread(talk)
    assert answer == [SEND_ALIAS, ME, 1, stranger.message("$reply", stranger.Ref(1, home.creation, home.name), 42)]
    head, error, text, _ = failure[-1]
    assert failure[:-1] == [MONITOR_EXIT, server.number, ME, 2]
    assert [head, error, text] == stranger.message("$crash", "LookupError", "never heard of that")


async def _start_doubler() -> Pid:
    return await Doubler.start()
