"""Processes that are started on another node, of what it exports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    KILL,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Atom,
    Caller,
    Crash,
    Down,
    DynamicSupervisor,
    Exited,
    ExportRefused,
    GenServer,
    NameTaken,
    Node,
    NodeDisconnected,
    NodeStartError,
    NotExported,
    Pid,
    Request,
    SpawnReply,
    StartError,
    Stop,
    Supervisor,
    call,
    disconnect,
    exit,  # noqa: A004  # OTP's name
    export,
    monitor,
    receive,
    self_pid,
    send,
    spawn,
    spawn_on,
    spawn_request,
    spawn_request_abandon,
    system_monitor,
    trap_exit,
    whereis,
)
from pydist.messaging import current
from pydist.transport.memory import MemoryNetwork
from pydist.wire import control
from tests.helpers import mailbox, plain

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]
Settled = Callable[[], Awaitable[None]]
Leftovers = Callable[..., list[Any]]


@export
async def greet(to: Pid, word: str = "hello") -> None:
    send(to, (self_pid(), word))


@export
def greet_at_once(to: Pid) -> None:
    send(to, self_pid())


@export
async def wait(to: Pid | None = None) -> Any:
    if to is not None:
        send(to, self_pid())
    return await receive()


@export
async def trap(to: Pid) -> None:
    trap_exit(True)
    send(to, self_pid())
    while True:
        send(to, await receive())


@export
async def fail(text: str) -> None:
    raise ValueError(text)


@export(to=["c@*", "tag:ops"])
async def for_c() -> None: ...


class Get(Request[int], tag="test_spawn_on.get"):
    pass


@export(name="spawned counter")
class Counter(GenServer):
    async def init(self, value: int) -> None:
        if value < 0:
            raise Stop(("negative", value))
        self.value = value

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        return self.value


class Heir(Counter):
    pass


async def not_marked() -> None: ...


def runs(node: Node, function: Callable[..., Any]) -> Awaitable[Any]:
    return node.run(function)


async def test_a_function_runs_on_the_other_node_with_its_arguments(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        for function in (greet, "tests.test_spawn_on:greet"):
            pid = await spawn_on(b.name, function, self_pid(), "hi")
            assert await receive() == (pid, "hi")
            assert pid.node == b.name
        pid = await spawn_on(b.name, greet_at_once, self_pid())
        assert await receive() == pid

    await a.run(main)


async def test_on_the_own_node_it_is_the_same(pair: Pair) -> None:
    a, _ = pair

    async def main() -> None:
        pid, ref = await spawn_on(a.name, greet, self_pid(), "hi", link=True, monitor=True)
        assert await receive() == (pid, "hi")
        assert await receive() == Down(ref, pid, NORMAL)
        with pytest.raises(NotExported):
            await spawn_on(a.name, "nothing")
        with pytest.raises(TypeError, match="greet: missing a required argument: 'to'"):
            await spawn_on(a.name, greet)

    await a.run(main)


async def test_nothing_else_can_be_started_and_the_node_says_so(
    pair: Pair, logs: list[EventDict], settled: Settled
) -> None:
    a, b = pair
    heard: list[Any] = []

    async def hear() -> None:
        system_monitor(export_refused=True)
        while True:
            heard.append(await receive())

    b.spawn(hear)
    await settled()
    names = ["os:system", "builtins:eval", "tests.test_spawn_on:not_marked", "tests.test_spawn_on:greet.__call__"]

    async def main() -> Pid:
        for name in names:
            with pytest.raises(NotExported) as caught:
                await spawn_on(b.name, name, 1)
            assert (caught.value.export, caught.value.node) == (name, b.name)
        with pytest.raises(NotExported, match=r"@export\(to="):
            await spawn_on(b.name, for_c)
        for unmarked in (not_marked, Heir):
            with pytest.raises(NotExported):
                await spawn_on(b.name, unmarked)
        return self_pid()

    pid = await a.run(main)
    await settled()
    whys = [*["unknown"] * 4, "not in the `to` of the export"]
    names.append("tests.test_spawn_on:for_c")
    assert heard == [ExportRefused(pid, name, why) for name, why in zip(names, whys, strict=True)]
    lines = [line for line in logs if line["event"] == "export_refused"]
    assert [(line["node"], line["peer"], line["export"], line["reason"]) for line in lines] == [
        (b.name, a.name, name, why) for name, why in zip(names, whys, strict=True)
    ]


@pytest.mark.parametrize(
    ("exports", "greets", "waits"),
    [
        (None, True, True),
        ([], False, False),
        ([greet], True, False),
        (["tests.test_spawn_on:w*"], False, True),
        ({"a@*": [greet], "c@*": ["*"]}, True, False),
        ({"tag:ops": ["*"]}, False, False),
    ],
)
async def test_a_node_exports_what_its_lists_say(
    start_node: StartNode, exports: Any, greets: bool, waits: bool
) -> None:
    a, b = await start_node("a"), await start_node("b", exports=exports)

    async def works(*call: Any) -> bool:
        try:
            await spawn_on(b.name, *call)
        except NotExported:
            return False
        return True

    async def main() -> tuple[bool, bool]:
        return await works(greet, self_pid()), await works(wait)

    assert await a.run(main) == (greets, waits)


async def test_a_tag_of_the_underlay_counts(pair: Pair) -> None:
    a, b = pair
    assert b._cluster is not None
    b._cluster.up[a.name].tags = frozenset({"tag:ops"})

    async def main() -> None:
        await spawn_on(b.name, for_c)

    await a.run(main)


@pytest.mark.parametrize("exports", ["all", {"a@*": "all"}, [1], [not_marked], 5])
def test_lists_that_are_none_are_refused(exports: Any) -> None:
    with pytest.raises(NodeStartError, match="exports"):
        Node("a@127.0.0.1", exports=exports)


async def test_the_reply_comes_before_all_that_the_new_process_sends(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        ref = spawn_request(b.name, greet, self_pid(), "x" * 200_000, link=True, monitor=True)
        trap_exit(True)
        reply, greeting, *ends = [await receive() for _ in range(4)]
        assert reply == SpawnReply(ref, reply.pid)
        assert greeting == (reply.pid, "x" * 200_000)
        assert ends == [Exited(reply.pid, NORMAL), Down(ref, reply.pid, NORMAL)]

    await a.run(main)


async def test_who_watches_and_is_linked_hears_the_real_reason(pair: Pair, leftovers: Leftovers) -> None:
    a, b = pair

    async def main() -> None:
        trap_exit(True)
        pid, ref = await spawn_on(b.name, fail, "at once", link=True, monitor=True)
        exited, down = await receive(), await receive()
        assert (exited.pid, plain(exited.reason)) == (pid, ("ValueError", "at once"))
        assert (down.ref, plain(down.reason)) == (ref, ("ValueError", "at once"))

    await a.run(main)
    assert leftovers(a, b) == []


async def test_a_link_works_both_ways(pair: Pair) -> None:
    a, b = pair

    async def leaves(to: Pid) -> None:
        send(to, await spawn_on(b.name, trap, to, link=True))
        await receive()

    async def main() -> None:
        child = spawn(leaves, self_pid())
        pid = await receive(Pid)
        assert await receive(Pid) == pid
        exit(child, KILL)
        assert await receive() == Exited(child, Atom("killed"))

    await a.run(main)


async def test_of_a_server_init_is_done(pair: Pair, leftovers: Leftovers, settled: Settled) -> None:
    a, b = pair

    async def main() -> None:
        counter = await spawn_on(b.name, Counter, 5, name="counter")
        assert await call(("counter", b.name), Get()) == await call(counter, Get()) == 5
        assert mailbox() == []
        await settled()
        assert leftovers(a, b) == []
        linked, _ = await spawn_on(b.name, "spawned counter", 6, link=True, monitor=True)
        trap_exit(True)
        exit(linked, "enough")
        assert {type(await receive()), type(await receive())} == {Exited, Down}

    await a.run(main)


async def test_a_server_that_does_not_come_up_is_an_error(pair: Pair, leftovers: Leftovers) -> None:
    a, b = pair

    async def main() -> None:
        trap_exit(True)
        with pytest.raises(StartError) as caught:
            await spawn_on(b.name, Counter, -1, link=True, name="counter")
        assert caught.value.reason == ("negative", -1)
        with pytest.raises(StartError, match="'<' not supported") as caught:
            await spawn_on(b.name, Counter, "x")
        assert isinstance(caught.value.reason, Crash)
        with pytest.raises(TypeError, match=r"on b@127.0.0.1: spawned counter: missing a required argument: 'value'"):
            await spawn_on(b.name, Counter)
        assert mailbox() == []

    await a.run(main)
    assert leftovers(a, b) == []


async def test_a_server_ends_with_the_process_that_it_was_linked_to(pair: Pair) -> None:
    a, b = pair

    async def starts(to: Pid) -> None:
        send(to, await spawn_on(b.name, Counter, 1, link=True))
        await receive()

    async def main() -> None:
        starter = spawn(starts, self_pid())
        ref = monitor(await receive(Pid))
        exit(starter, "gone")
        assert (await receive(ref)).reason == "gone"

    await a.run(main)


async def test_a_name_that_is_taken_starts_nothing(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        await spawn_on(b.name, wait, name="one")
        with pytest.raises(NameTaken, match=r"on b@127.0.0.1: .*'one'"):
            await spawn_on(b.name, greet, self_pid(), name="one")
        with pytest.raises(ValueError, match="at least one character"):
            await spawn_on(b.name, wait, name="")
        assert mailbox() == []

    await a.run(main)

    async def has_it() -> bool:
        return whereis("one") is not None

    assert await b.run(has_it)


async def test_a_node_that_is_not_there_is_an_error(pair: Pair) -> None:
    a, _ = pair

    async def main() -> None:
        with pytest.raises(NodeDisconnected, match=r"no connection to x@127.0.0.1: .* was not started"):
            await spawn_on("x@127.0.0.1", wait, link=True, monitor=True)
        assert mailbox() == []

    await a.run(main)


async def test_a_node_without_distribution_reaches_none() -> None:
    node = Node()
    await node.start()

    async def main() -> None:
        with pytest.raises(NodeDisconnected):
            await spawn_on("x@127.0.0.1", wait)

    await node.run(main)
    await node.stop()


async def test_a_connection_that_is_lost_meanwhile_is_an_error(
    pair: Pair, network: MemoryNetwork, leftovers: Leftovers
) -> None:
    a, b = pair

    async def cut() -> None:
        network.cut()

    async def main() -> None:
        trap_exit(True)
        spawn(cut)
        with pytest.raises(NodeDisconnected, match=r"was lost; whether .* was started is unknown"):
            await spawn_on(b.name, wait, link=True, monitor=True)
        assert mailbox() == []

    await a.run(main)
    assert leftovers(a, b) == []


async def test_a_child_that_is_linked_ends_with_the_connection(pair: Pair, settled: Settled) -> None:
    a, b = pair
    heard: list[Any] = []

    async def main() -> None:
        trap_exit(True)
        pid = await spawn_on(b.name, trap, self_pid(), link=True)
        assert await receive() == pid
        disconnect(b.name)
        heard.append((await receive()).reason)

    await a.run(main)
    assert heard == [NOCONNECTION]


async def test_who_dies_before_the_reply_takes_a_linked_child_along(
    pair: Pair, settled: Settled, leftovers: Leftovers
) -> None:
    a, b = pair
    heard: list[Any] = []

    async def hears() -> None:
        while True:
            heard.append(await receive())

    witness = b.spawn(hears)

    async def asks() -> None:
        spawn_request(b.name, trap, witness, link=True, monitor=True)
        spawn_request(b.name, wait, witness, monitor=True)

    asker = a.spawn(asks)
    await settled()
    assert [type(each) for each in heard] == [Pid, Pid, Exited]
    assert heard[2] == Exited(asker, NOPROC)
    assert leftovers(a, b) == []


async def test_an_abandoned_request_gets_no_reply_and_ends_a_linked_child(
    pair: Pair, settled: Settled, leftovers: Leftovers
) -> None:
    a, b = pair

    async def main() -> None:
        ref = spawn_request(b.name, trap, self_pid(), link=True, monitor=True)
        assert spawn_request_abandon(ref) is True
        assert spawn_request_abandon(ref) is False
        assert type(await receive()) is Pid
        assert await receive() == Exited(self_pid(), Atom("abandoned"))
        await settled()
        assert mailbox() == []
        assert current().aliases == {}

    await a.run(main)


async def test_who_waits_no_longer_gets_an_error_and_nothing_later(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(StartError) as caught:
            await spawn_on(b.name, wait, link=True, monitor=True, timeout=0)
        assert caught.value.reason is Atom("timeout")
        await settled()
        assert mailbox() == []

    await a.run(main)


async def test_a_node_runs_a_limited_number_of_processes_for_another(start_node: StartNode, settled: Settled) -> None:
    a, b = await start_node("a"), await start_node("b", spawn_limit=2)

    async def main() -> None:
        first, _ = [await spawn_on(b.name, wait) for _ in range(2)]
        with pytest.raises(StartError, match="spawn_limit") as caught:
            await spawn_on(b.name, wait)
        assert caught.value.reason[0] is Atom("system_limit")
        ref = monitor(first)
        exit(first, "end")
        await receive(ref)
        await settled()
        await spawn_on(b.name, wait)

    await a.run(main)


async def test_what_cannot_cross_raises_here(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(TypeError, match="can't be sent"):
            await spawn_on(b.name, wait, object())
        assert current().aliases == {}

    await a.run(main)


@pytest.mark.parametrize("forged", [1, 0])
async def test_a_reply_that_nobody_has_asked_for_means_nothing(
    pair: Pair, settled: Settled, leftovers: Leftovers, forged: int
) -> None:
    a, b = pair
    victim = a.spawn(wait)
    assert b._cluster is not None
    assert a._runtime is not None
    there = Pid(b.name, 99 * forged, b._runtime.creation if b._runtime else 0)
    b._cluster.up[a.name].send(control.SpawnReply(there, victim, a._runtime.new_ref(), 1, "forged"))
    await settled()
    process = a._runtime.process(victim)
    assert process is not None
    assert (process.mailbox.messages(), process.relations, process.aliases) == ([], None, None)


def test_what_can_be_marked_is_a_function_or_a_process_class() -> None:
    for mistake in (5, len, Supervisor, DynamicSupervisor, object, lambda: None, str.join):
        with pytest.raises(TypeError):
            export(mistake)  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType]  # that is it
    with pytest.raises(TypeError, match="give it one"):

        @export
        async def inner() -> None: ...

    with pytest.raises(TypeError, match="is the name of another export"):
        export(name="spawned counter")(not_marked)
    with pytest.raises(TypeError, match="is a list"):
        export(to="a@h")
