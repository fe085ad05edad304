"""What a peer that holds the cookie can reach: what is exported, and what a pid, a name or a reference stands for.

Every signal and every message of the handshake is gone through, with what a peer could put into each of its fields to
have something run, imported or looked up.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_args

import attrs
import pytest

from pydist import (
    Caller,
    Down,
    DynamicSupervisor,
    Exited,
    GenServer,
    Node,
    NodeUp,
    NotExported,
    Opaque,
    Pid,
    Ref,
    Request,
    Supervisor,
    call,
    child,
    export,
    keep_state,
    next_state,
    pg,
    receive,
    spawn_on,
    sys_messages,
)
from pydist.errors import DecodeError, HandshakeError
from pydist.gen.calls import Call, Cast
from pydist.gen.sys_requests import GetState, Install, ReplaceState, Suspend, System
from pydist.gen_statem import GenStatem
from pydist.peer import Peer
from pydist.terms import Alias
from pydist.wire import control, handshake
from pydist.wire.codec import Decoder, Encoder, PureDecoder
from pydist.wire.control import Incoming, Signal
from pydist.wire.fields import Home
from pydist.wire.signal_arrays import SignalReader
from tests.counter import Counter, Total

Pair = tuple[Node, Node]
Settled = Callable[[], Awaitable[None]]

UNTOUCHED: Final = "antigravity"
"""A module of Python's own that nothing imports."""

TARGETS: Final = [
    "os:system",
    "os.system",
    "builtins:eval",
    "builtins:exec",
    "subprocess:run",
    f"{UNTOUCHED}:fly",
    UNTOUCHED,
    "tests.test_cookie_holder:tripwire",
    "tests.test_cookie_holder:tripwire.__call__",
    "tests.test_cookie_holder:marked.__globals__",
    "tests.test_cookie_holder:marked.__code__",
    "tests.test_cookie_holder:Outer.inner",
    "tests.test_cookie_holder:Outer.Server",
    "tests.test_cookie_holder:Marked.__init__",
    "tests.test_cookie_holder:Marked.handle_call",
    "tests.test_cookie_holder:Marked.__subclasses__",
    "tests.test_cookie_holder:SubOfMarked",
    "tests.test_cookie_holder:<lambda>",
    "tests.test_cookie_holder:*",
    "pydist:spawn",
    "pydist.exports:find_export",
    "pydist.supervisor:Supervisor",
    "__main__:main",
    "__import__",
    "",
    "*",
    "$sys",
    "\0",
]
"""Names by which something would run if a name were imported, split or followed."""

sprung: Final[list[Any]] = []


def tripwire(*args: Any) -> None:
    sprung.append(args)


class Outer:
    @staticmethod
    async def inner(*args: Any) -> None:
        tripwire(*args)

    class Server(GenServer):
        async def init(self, *args: Any) -> None:
            tripwire(*args)


@export
async def marked() -> None: ...


@export
class Marked(GenServer):
    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        return "answered"


class SubOfMarked(Marked):
    async def init(self) -> None:
        tripwire()


class Machine(GenStatem[str, None]):
    async def init(self) -> Any:
        return next_state("state", None)

    async def handle_event(self, event: Any, state: str, data: None) -> Any:
        return keep_state()


def peer_of(node: Node, other: Node) -> Peer:
    assert node._cluster is not None
    return node._cluster.up[other.name]


@pytest.fixture(autouse=True)
def nothing_has_run() -> Any:
    """Whatever a test sends, nothing has run and nothing was imported."""
    sprung.clear()
    before = set(sys.modules)
    yield
    assert sprung == []
    assert UNTOUCHED not in sys.modules
    assert {name for name in set(sys.modules) - before if "." not in name} <= set(sys.stdlib_module_names)


async def wait() -> None:
    while True:
        await receive()


@pytest.mark.parametrize("name", TARGETS)
async def test_no_process_is_started_of_what_is_not_marked(pair: Pair, name: str, settled: Settled) -> None:
    a, b = pair
    assert b._runtime is not None

    async def main() -> None:
        for args in ((), ("true",), (1, 2)):
            with pytest.raises(NotExported):
                await spawn_on(b.name, name, *args)

    before = len(b._runtime.table)
    await a.run(main)
    await settled()
    assert len(b._runtime.table) == before


# What a peer may put where a message, an argument or a reason belongs


def poison(pid: Pid, ref: Ref) -> list[Any]:
    caller = Caller(pid, ref, None, "b@127.0.0.1")
    return [
        *TARGETS[:8],
        *(Opaque(name, (name,)) for name in TARGETS[:8]),
        *(Opaque(f"{name.replace(':', '.')}", ()) for name in TARGETS[:8]),
        ("apply", "os", "system", ["true"]),
        {"__class__": "os.system", "__reduce__": ["os.system", ["true"]]},
        Call(caller, ("os", "system")),
        Cast(Opaque("$rpc", ("os:system", ("true",)))),
        System(caller, ReplaceState("os:system")),  # type: ignore[arg-type]  # a peer writes what it likes
        System(caller, Install("key", "os:system", None)),  # type: ignore[arg-type]  # a peer writes what it likes
    ]


def signals(to: Pid, mine: Pid, ref: Ref, term: Any, text: str) -> dict[type, Signal]:
    """One of each kind that a peer can write, with what it can choose in it."""
    alias, number = Alias(to, Ref(to.node, ref.number, to.creation)), 7
    known: list[Signal] = [
        control.Send(to, term),
        control.SendName(text, term),
        control.SendAlias(alias, term),
        control.SendUrgent(alias, term),
        control.Link(mine, to),
        control.Unlink(mine, to, number),
        control.UnlinkAck(mine, to, number),
        control.Exit(mine, to, term),
        control.ExitTo(Pid(mine.node, 12345, mine.creation), Pid(to.node, 54321, to.creation), term),
        control.Monitor(mine, text, ref),
        control.Demonitor(mine, text, ref),
        control.MonitorExit(text, to, alias.ref, term),
        control.Ask(mine, text, Ref(ref.node, ref.number + 1, ref.creation), term),
        control.SpawnRequest(mine, Ref(ref.node, ref.number + 2, ref.creation), text, "", 3, (term,)),
        control.SpawnReply(mine, to, alias.ref, 1, term),
        control.Grant(text, number),
        control.Unbounded(text),
        control.Lost("x@h", 1, number, "y@h", 1),
        control.Part(),
    ]
    return {type(signal): signal for signal in known}


KINDS: Final = [kind for kind in get_args(Signal) if kind is not control.Part]


def test_every_signal_is_gone_through() -> None:
    a, b = Pid("a@h", 1, 1), Pid("b@h", 1, 1)
    kinds = signals(a, b, Ref("b@h", 1, 1), None, "x")
    assert set(kinds) == set(get_args(Signal))
    assert {*kinds, control.Messages} - {control.Send} == set(get_args(Incoming))


def test_every_message_of_the_handshake_is_of_bytes_alone() -> None:
    """Names, numbers and proofs: nothing in it is a term, and nothing of it is looked up but a cookie by a name."""
    starts = [handshake.HELLO, handshake.CHALLENGE, handshake.PROOF, handshake.STATUS, handshake.ANSWER]
    assert len(set(starts)) == 5
    for name in ("os:system", "builtins.eval", "__import__('os')"):
        with pytest.raises(HandshakeError):
            handshake.read_introduction(
                handshake.HELLO,
                handshake.introduction(handshake.HELLO, handshake.Identity(name, 1), 2, bytes(32)),
            )
    assert [field.name for field in attrs.fields(handshake.Identity)] == [
        "node",
        "creation",
        "flags",
        "version",
        "hidden",
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_no_signal_runs_or_imports_what_stands_in_it(pair: Pair, kind: type, settled: Settled) -> None:
    a, b = pair
    assert a._runtime is not None
    assert b._runtime is not None
    mine, ref = a.spawn(wait), a._runtime.new_ref()
    for term in poison(mine, ref):
        for text in TARGETS[:8]:
            if a.name not in b._cluster.up:  # type: ignore[union-attr]  # it is up
                return
            target, before = b.spawn(wait), len(b._runtime.table)
            fresh = a._runtime.new_ref()
            for _ in range(2):  # two more stand in signals
                a._runtime.new_ref()
            peer_of(a, b).send(signals(target, mine, fresh, term, text)[kind])
            await settled()
            assert len(b._runtime.table) <= before


@pytest.mark.parametrize("op", sorted(set(range(60)) | {99, 200, 255}))
@pytest.mark.parametrize("fields", [[], ["os:system"], [1, 2, "os:system"], [1, 2, 3, 4, 5, 6, 7]])
def test_no_number_of_a_signal_is_a_way_in(op: int, fields: list[Any]) -> None:
    """An op that is not listed, or fields that do not fit, cost the connection."""
    reader = SignalReader(Home("a@h", 1), Home("b@h", 1))
    try:
        [read] = reader.read(Encoder().encode([[op, *fields]]))
    except DecodeError:
        return
    assert type(read) in get_args(Incoming)


# System messages


async def start_counter() -> Pid:
    return await Counter.start(3, name="counter")


async def test_lists_keep_others_from_looking_into_servers(start_node: Any) -> None:
    a, b = await start_node("a"), await start_node("b", exports=[marked])
    counter = await b.run(start_counter)

    async def main() -> None:
        for deed in (sys_messages.get_state, sys_messages.get_status, sys_messages.suspend, sys_messages.stop):
            with pytest.raises(NotExported, match=r"\$sys"):
                await deed(counter)
        assert await call(counter, Total()) == 3

    await a.run(main)


async def test_a_list_may_let_some_look(start_node: Any) -> None:
    a, b = await start_node("a"), await start_node("b", exports={"a@*": ["$sys"]})
    counter = await b.run(start_counter)

    async def main() -> None:
        assert (await sys_messages.get_state(counter))["value"] == 3

    await a.run(main)


async def test_who_speaks_for_a_process_here_is_not_obeyed(pair: Pair, settled: Settled) -> None:
    a, b = pair
    counter = await b.run(start_counter)
    victim = b.spawn(wait)
    assert b._runtime is not None
    caller = Caller(victim, b._runtime.new_ref(), None, b.name)
    for request in (Suspend(), GetState()):
        a.send(counter, System(caller, request))
        a.send(counter, Opaque("$system", (caller, request, True)))
    await settled()

    async def main() -> None:
        assert await call(counter, Total()) == 3

    await a.run(main)


# Requests that nobody can answer


MALFORMED: Final = [None, 5, "caller", (), Opaque("x", ()), Opaque("$caller", (1,))]


@pytest.mark.parametrize("server", [Marked, Machine])
async def test_a_request_without_a_caller_ends_no_server(pair: Pair, server: Any, settled: Settled) -> None:
    a, b = pair

    async def start() -> Pid:
        pid: Pid = await server.start()
        return pid

    pid = await b.run(start)
    here = a.spawn(wait)
    assert a._runtime is not None
    ref = a._runtime.new_ref()
    callers: list[Any] = [
        *MALFORMED,
        Caller(Down(ref, here, "x"), ref, None, "x"),  # type: ignore[arg-type]  # a peer writes what it likes
        Caller(5, ref, None, "x"),  # type: ignore[arg-type]  # a peer writes what it likes
        Caller(here, 5, None, "x"),  # type: ignore[arg-type]  # a peer writes what it likes
        Caller(here, ref, "soon", "x"),  # type: ignore[arg-type]  # a peer writes what it likes
        Caller(here, ref, None, None),  # type: ignore[arg-type]  # a peer writes what it likes
    ]
    for caller in callers:
        a.send(pid, Call(caller, "asked"))
        a.send(pid, System(caller, GetState()))
    await settled()
    assert b._runtime is not None
    assert b._runtime.process(pid) is not None
    assert b._runtime.dead_letters.counts["malformed"] == 2 * len(callers)


# What the runtime tells, made up


async def start_supervisor() -> Pid:
    return await Supervisor.start([child(Marked)])


async def start_dynamic() -> Pid:
    return await DynamicSupervisor.start()


async def start_scope() -> Pid:
    return await pg.start("chat")


@pytest.mark.parametrize("start", [start_supervisor, start_dynamic, start_scope])
async def test_an_end_or_a_node_of_no_sense_ends_nobody(pair: Pair, start: Any, settled: Settled) -> None:
    a, b = pair
    pid = await b.run(start)
    for tag, count in (("$down", 3), ("$exited", 2), ("$nodeup", 3), ("$nodedown", 5), ("$task_reply", 2)):
        fields: list[Any] = [[] for _ in range(count)]
        a.send(pid, Opaque(tag, tuple(fields)))
    await settled()
    assert b._runtime is not None
    assert b._runtime.process(pid) is not None


@pytest.mark.parametrize("decoder", [Decoder, PureDecoder])
def test_what_the_runtime_tells_is_taken_only_as_it_tells_it(decoder: type[PureDecoder]) -> None:
    ref, pid = Ref("a@h", 1, 1), Pid("a@h", 2, 1)
    read, write = decoder().decode, Encoder().encode
    for true in (Down(ref, pid, "x"), Down(ref, ("name", "a@h"), "x"), Exited(pid, "x"), NodeUp("a@h")):
        assert read(write(true)) == true
    untrue: list[tuple[str, tuple[Any, ...]]] = [
        ("$down", ([], pid, "x")),
        ("$down", (ref,)),
        ("$exited", ([], "x")),
        ("$nodeup", (5,)),
    ]
    for tag, fields in untrue:
        assert read(write(Opaque(tag, fields))) == Opaque(tag, fields)
