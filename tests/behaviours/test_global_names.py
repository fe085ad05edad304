"""Names and locks of the whole cluster, between nodes in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    NOPROC,
    AlreadyStarted,
    Down,
    GenServer,
    Node,
    NodeDown,
    NodeUp,
    Pid,
    Ref,
    Request,
    UnknownName,
    Via,
    call,
    connect_node,
    disconnect,
    exit,  # noqa: A004  # OTP's name
    global_names,
    monitor,
    net_kernel,
    receive,
    self_pid,
    send,
    spawn,
    whereis,
)
from pydist.gen.calls import Call, Caller
from pydist.global_names import NameConflict
from pydist.message import class_of_tag
from tests.helpers import in_process

StartNode = Callable[..., Awaitable[Node]]


async def wait() -> None:
    await receive()


async def tell(to: Pid) -> None:
    """Tell another process all that comes."""
    while True:
        send(to, ("told", await receive()))


class Whoami(Request[str]):
    pass


class Server(GenServer):
    async def handle_call(self, request: Request[Any], caller: Any, /) -> object:
        return self_pid().node


async def on(node: Node, function: Any, *args: Any) -> Any:
    async with asyncio.timeout(20):
        return await node.run(function, *args)


async def register(name: Any, resolver: Any = global_names.random_exit_name, function: Any = wait, *args: Any) -> Any:
    pid = spawn(function, *args)
    return pid, await global_names.register_name(name, pid, resolver)


async def find(name: Any) -> Pid | None:
    return global_names.whereis_name(name)


async def meet(*others: Node) -> None:
    for other in others:
        assert await connect_node(other.name)
    await global_names.sync()


async def cluster(start_node: StartNode, names: str) -> list[Node]:
    nodes = [await start_node(name, global_names=True) for name in names]
    for node in nodes:
        await on(node, meet, *nodes)
    return nodes


async def test_a_name_is_known_on_all_nodes_when_it_is_registered(start_node: StartNode) -> None:
    nodes = await cluster(start_node, "abc")
    pid, done = await on(nodes[1], register, ("room", 1))
    assert done is True
    assert [await on(node, find, ("room", 1)) for node in nodes] == [pid] * 3
    for node in nodes:
        _, done = await on(node, register, ("room", 1))
        assert done is False


async def test_of_all_nodes_that_register_at_once_one_wins(start_node: StartNode) -> None:
    nodes = await cluster(start_node, "abcde")
    done = await asyncio.gather(*(on(node, register, "leader") for node in nodes))
    assert sorted(won for _, won in done) == [False] * 4 + [True]
    winner = next(pid for pid, won in done if won)
    assert [await on(node, find, "leader") for node in nodes] == [winner] * 5


async def test_who_sees_the_down_finds_the_name_free_on_any_node(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    pid, _ = await on(a, register, "x")

    async def take_over() -> bool:
        ref = monitor(pid)
        exit(pid, KILL)
        down: Down = await receive(ref)
        assert down.process == pid
        return await global_names.register_name("x", self_pid())

    assert await on(b, take_over) is True


async def test_the_names_of_a_node_that_is_lost_are_free(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    await on(b, register, "x")
    await b.stop()

    async def take_over() -> bool:
        return await global_names.register_name("x", self_pid())

    assert await on(a, take_over) is True


async def test_when_nodes_meet_the_process_on_the_lesser_node_keeps_the_name_and_the_other_is_killed(
    start_node: StartNode,
) -> None:
    a, b = await start_node("a", global_names=True), await start_node("b", global_names=True)
    here, _ = await on(a, register, "x")
    there, _ = await on(b, register, "x")

    async def see_the_end() -> Any:
        ref = monitor(there)
        await meet(a)
        return (await receive(ref)).reason.name

    assert await on(b, see_the_end) == "killed"
    assert [await on(node, find, "x") for node in (a, b)] == [here, here]


async def test_three_parts_that_heal_at_once_keep_one_process_of_a_name(start_node: StartNode) -> None:
    nodes = [await start_node(name, global_names=True) for name in "abc"]
    pids = [(await on(node, register, "x"))[0] for node in nodes]
    await asyncio.gather(*(on(node, meet, *nodes) for node in nodes))
    for node in nodes:
        await on(node, global_names.sync)
    assert [await on(node, find, "x") for node in nodes] == [pids[0]] * 3


async def clash(start_node: StartNode, resolver: Any) -> tuple[list[Any], list[Any], list[Pid]]:
    """Two nodes meet with one name: who has it then, what the two processes were told, and which they are."""
    a, b = await start_node("a", global_names=True), await start_node("b", global_names=True)

    async def scene() -> tuple[list[Any], list[Any], list[Pid]]:
        here, _ = await register("x", resolver, tell, self_pid())
        there, _ = await on(b, register, "x", resolver, tell, self_pid())
        await meet(b)
        told: list[Any] = []
        try:
            while True:
                told.append((await receive(None, 0.2))[1])
        except TimeoutError:
            pass
        return [await find("x"), await on(b, find, "x")], told, [here, there]

    result: tuple[list[Any], list[Any], list[Pid]] = await on(a, scene)
    return result


async def test_random_notify_name_tells_the_loser(start_node: StartNode) -> None:
    found, told, (here, _) = await clash(start_node, global_names.random_notify_name)
    assert (found, told) == ([here, here], [NameConflict("x")])


async def test_notify_all_name_frees_the_name_and_tells_both(start_node: StartNode) -> None:
    found, told, (here, there) = await clash(start_node, global_names.notify_all_name)
    assert found == [None, None]
    assert sorted(told, key=repr) == sorted([NameConflict("x", there), NameConflict("x", here)], key=repr)


async def test_none_frees_the_name_and_tells_nobody(start_node: StartNode) -> None:
    found, told, _ = await clash(start_node, global_names.none)
    assert (found, told) == ([None, None], [])


async def test_a_resolver_of_ones_own_runs_once_on_the_lesser_node(start_node: StartNode) -> None:
    calls: list[Any] = []

    async def keeps_the_greater(name: Any, pid: Pid, other: Pid) -> Pid:
        calls.append((self_pid().node, name, pid, other))
        return max(pid, other, key=lambda each: each.node)

    found, _, (here, there) = await clash(start_node, keeps_the_greater)
    assert found == [there, there]
    assert calls == [(here.node, "x", here, there)]


async def test_a_resolver_that_fails_or_takes_too_long_leaves_the_name_to_nobody(start_node: StartNode) -> None:
    def fails(_name: Any, _pid: Pid, _other: Pid) -> Pid:
        raise RuntimeError("no idea")

    found, told, _ = await clash(start_node, fails)
    assert (found, told) == ([None, None], [])


async def test_a_process_of_another_node_is_registered_there(start_node: StartNode) -> None:
    a, b, c = await cluster(start_node, "abc")

    async def start() -> Pid:
        return spawn(wait)

    pid: Pid = await on(c, start)
    assert await on(a, global_names.register_name, "x", pid) is True
    assert await on(b, find, "x") == pid
    assert await on(b, global_names.register_name, "y", pid) is False, "it has a name"
    await on(b, global_names.unregister_name, "x")
    assert [await on(node, find, "x") for node in (a, b, c)] == [None] * 3

    def own(_name: Any, one: Pid, _other: Pid) -> Pid:
        return one

    with pytest.raises(ValueError, match="stays on this node"):
        await on(a, global_names.register_name, "x", pid, own)


async def test_who_re_registers_takes_the_name_from_whoever_has_it(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    await on(a, register, "x")

    async def take() -> Pid:
        pid = spawn(wait)
        assert await global_names.re_register_name("x", pid)
        return pid

    pid = await on(b, take)
    assert [await on(node, find, "x") for node in (a, b)] == [pid, pid]


async def test_servers_start_and_are_called_by_way_of_a_name_in_the_cluster(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    name = Via(global_names, "whoami")
    assert repr(name) == "Via(pydist.global_names, 'whoami')"

    async def start() -> Pid:
        return await Server.start(name=name)

    pid = await on(b, start)
    with pytest.raises(AlreadyStarted):
        await on(a, start)

    async def ask() -> str:
        return await call(name, Whoami())

    assert await on(a, ask) == b.name
    assert await on(a, find, "whoami") == pid


async def test_a_hidden_node_has_names_of_its_own(start_node: StartNode) -> None:
    a, h = await start_node("a", global_names=True), await start_node("h", hidden=True, global_names=True)
    await on(h, meet, a)
    pid, done = await on(h, register, "x")
    assert done
    assert await on(h, find, "x") == pid
    assert await on(a, find, "x") is None


async def test_a_connection_that_is_lost_and_comes_back_brings_the_names_back(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    pid, _ = await on(b, register, "x")

    async def part_and_meet() -> Any:
        disconnect(b.name)
        while await find("x") is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await meet(b)
        return await find("x")

    assert await on(a, part_and_meet) == pid


async def test_a_lock_is_held_on_all_nodes_until_its_holder_gives_it_back_or_ends(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")

    async def hold() -> None:
        assert await global_names.set_lock(("printer", self_pid()))
        await receive()

    async def holder() -> Pid:
        return spawn(hold)

    async def attempt() -> bool:
        return await global_names.set_lock(("printer", self_pid()), retries=0)

    pid = await on(a, holder)
    while await on(b, attempt):
        pass
    assert await on(a, attempt) is False

    async def wait_for_it() -> bool:
        exit(pid, KILL)
        return await global_names.set_lock(("printer", "me"))

    assert await on(b, wait_for_it) is True


async def test_what_runs_under_a_lock_runs_alone_and_gives_it_back(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    inside = 0

    async def work() -> str:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.01)
        inside -= 1
        return "done"

    async def run() -> str | None:
        return await global_names.trans(("work", self_pid()), work)

    assert await asyncio.gather(*(on(node, run) for node in (a, b, a, b))) == ["done"] * 4

    async def fails() -> None:
        raise RuntimeError("inside")

    async def fail_and_try() -> bool:
        with pytest.raises(RuntimeError):
            await global_names.trans(("work", 1), fails)
        return await global_names.set_lock(("work", 2), retries=0)

    assert await on(a, fail_and_try) is True


@in_process
async def test_a_node_without_a_name_has_names_too() -> None:
    assert global_names.whereis_name("x") is None
    assert await global_names.register_name("x", self_pid())
    assert (global_names.whereis_name("x"), global_names.registered_names()) == (self_pid(), ["x"])
    assert global_names.send("x", "hello") == self_pid()
    assert await receive() == "hello"
    await global_names.unregister_name("x")
    with pytest.raises(UnknownName):
        global_names.send("x", "hello")


@in_process
async def test_what_can_not_be_registered_is_refused() -> None:
    pid, ref = spawn(wait, monitor=True)
    exit(pid, KILL)
    await receive(ref)
    with pytest.raises(ValueError, match="no living process"):
        await global_names.register_name("x", pid)
    bad: Any = [["x"], 1.5, None]
    for name in bad:
        with pytest.raises(TypeError, match="a name in the cluster"):
            await global_names.register_name(name, self_pid())
    with pytest.raises(TypeError, match="a lock is a pair"):
        await global_names.set_lock(bad[0])


async def test_what_a_peer_makes_up_does_not_end_the_server(start_node: StartNode) -> None:
    (a,) = await cluster(start_node, "a")

    async def nonsense() -> bool:
        server = whereis("global_name_server")
        assert server is not None
        for tag in ("$global_names", "$global_changed", "$global_ask", "$down", "$nodeup", "$nodedown"):
            message: Any = class_of_tag(tag)
            send(server, message(*[[[]]] * len(message.__fields__)))
        assert await global_names.register_name("x", self_pid())
        return whereis("global_name_server") == server

    assert await on(a, nonsense) is True


async def test_a_lock_is_set_for_nobody_whose_node_is_not_connected(start_node: StartNode) -> None:
    (a,) = await cluster(start_node, "a")

    async def ask() -> Any:
        message: Any = class_of_tag("$global_set_lock")
        me, ref = self_pid(), Ref(a.name, 1, self_pid().creation)
        elsewhere = Pid("nowhere@127.0.0.9", 1, 1)
        server: Any = whereis("global_name_server")
        send(server, Call(Caller(elsewhere, ref, None, a.name), message("x", "theirs")))
        assert await global_names.set_lock(("x", me), [a.name], 0) is True
        return net_kernel.nodes("known")

    assert await on(a, ask) == [a.name]


async def test_a_peer_makes_up_no_end_of_a_process_and_no_node(start_node: StartNode) -> None:
    a, b = await cluster(start_node, "ab")
    pid, _ = await on(a, register, "x")

    async def make_up(of: str) -> None:
        there: Any = "global_name_server", of
        for number in range(1, 200):
            send(there, Down(Ref(a.name, number, pid.creation), pid, NOPROC))
        send(there, NodeDown(b.name, "disconnect"))
        send(there, NodeUp("nowhere@127.0.0.9"))

    await on(b, make_up, a.name)
    await on(b, global_names.sync)
    await on(a, meet, b)
    assert [await on(node, find, "x") for node in (a, b)] == [pid, pid]


async def test_nonsense_of_a_peer_does_not_fill_the_log(start_node: StartNode, logs: list[Any]) -> None:
    a, b = await cluster(start_node, "ab")

    async def flood() -> None:
        for number in range(1, 100):
            there = "global_name_server", a.name
            send(there, f"nonsense {number}")
            send(there, Call(Caller(self_pid(), Ref(b.name, number, 1), None, a.name), "nonsense"))

    await on(b, flood)
    await on(b, register, "x")
    assert len([line for line in logs if line["event"].startswith("global_unknown")]) == 20
