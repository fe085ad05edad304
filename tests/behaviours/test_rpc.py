"""Functions called on other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    CallTimeout,
    Down,
    EncodeError,
    Exit,
    Node,
    NodeDisconnected,
    NotExported,
    Pid,
    RemoteError,
    SpawnReply,
    exit,  # noqa: A004  # OTP's name
    export,
    receive,
    rpc,
    self_pid,
    send,
    spawn,
)
from pydist.messaging import current
from pydist.task_process import Returned
from pydist.transport.memory import MemoryNetwork
from tests.helpers import links_and_monitors, mailbox

Pair = tuple[Node, Node]
Leftovers = Callable[..., list[Any]]
Settled = Callable[[], Awaitable[None]]
ADD = "tests.behaviours.test_rpc:add"
NOTHING = (0, 0, 0, 0)


@export
async def add(one: int, other: int = 1) -> int:
    return one + other


@export
def where() -> str:
    return self_pid().node


@export
async def fail(error: str) -> None:
    raise KeyError(error)


@export
async def leave(reason: Any) -> None:
    raise Exit(reason)


@export
async def never(to: Pid) -> str:
    send(to, self_pid())
    return await receive(str)


@export
async def tell(to: Pid, word: str) -> str:
    send(to, word)
    return word


@export
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slow"


@export
def what_cannot_cross() -> object:
    return object()


@export
async def quit_all(word: str) -> None:
    raise SystemExit(word)


@export(to=["c@*"])
def for_c() -> None: ...


async def not_marked() -> None: ...


async def test_a_call_returns_what_the_function_returns(pair: Pair, leftovers: Leftovers) -> None:
    a, b = pair

    async def main() -> None:
        for node in (a.name, b.name):
            assert await rpc.call(node, add, 1, 2) == 3
            assert await rpc.call(node, ADD, 5) == 6
            assert await rpc.call(node, where) == node
        assert await rpc.call(b.name, ADD, "x" * 300_000, "y") == "x" * 300_000 + "y"
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)
    assert leftovers(a, b) == []


async def test_it_runs_in_a_process_of_its_own(pair: Pair) -> None:
    a, _ = pair

    async def main() -> None:
        request = rpc.send_request(a.name, never, self_pid())
        pid = await receive(Pid)
        assert pid != self_pid()
        send(pid, "go on")
        assert await rpc.receive_response(request) == "go on"

    await a.run(main)


async def test_what_it_raises_comes_with_type_message_and_traceback(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(RemoteError, match=r"test_rpc:fail on b@127.0.0.1: KeyError: 'x'") as caught:
            await rpc.call(b.name, fail, "x")
        error = caught.value
        assert (error.type, error.message, error.node, error.signal) == ("KeyError", "'x'", b.name, False)
        assert error.traceback.rstrip().endswith("KeyError: 'x'")
        assert "in fail" in error.traceback
        assert error.traceback in error.__notes__[0]
        with pytest.raises(RemoteError, match="missing 1 required positional argument: 'one'") as caught:
            await rpc.call(b.name, ADD)
        assert caught.value.type == "TypeError"

    await a.run(main)


async def test_what_leaves_the_program_ends_the_call_and_not_the_node(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        rpc.cast(b.name, quit_all, "cast")
        with pytest.raises(RemoteError, match=r"quit_all on b@127.0.0.1: SystemExit: bye"):
            await rpc.call(b.name, quit_all, "bye")
        assert await rpc.call(b.name, tell, self_pid(), "there") == "there"

    await a.run(main)


async def test_a_result_that_somebody_makes_up_is_none(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def main() -> None:
        request = rpc.send_request(b.name, never, self_pid())
        for made_up in (Down(request.ref, self_pid(), Returned("lie")), SpawnReply(request.ref, None, "lie")):
            send(self_pid(), made_up)
        there: Pid = await receive(Pid)
        send(self_pid(), Down(request.ref, there, Returned("lie")))
        send(there, "truth")
        assert await rpc.receive_response(request) == "truth"
        await settled()
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)


async def test_an_exit_and_an_exit_signal_are_told_apart_and_keep_their_reasons(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(RemoteError) as caught:
            await rpc.call(b.name, leave, ("enough", 1))
        assert (caught.value.reason, caught.value.type, caught.value.signal) == (("enough", 1), "Exit", False)
        for sent, heard in ((("boom", 2), ("boom", 2)), (KILL, KILLED)):
            request = rpc.send_request(b.name, never, self_pid())
            exit(await receive(Pid), sent)
            with pytest.raises(RemoteError) as caught:
                await rpc.receive_response(request)
            assert (caught.value.reason, caught.value.signal) == (heard, True)

    await a.run(main)


async def test_what_is_not_exported_is_refused(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        for name in ("os:system", "tests.behaviours.test_rpc:not_marked", "tests.behaviours.test_rpc:for_c", "$rpc2"):
            with pytest.raises(NotExported) as caught:
                await rpc.call(b.name, name)
            assert (caught.value.export, caught.value.node) == (name, b.name)
        with pytest.raises(NotExported, match="is not exported: mark"):
            await rpc.call(b.name, not_marked)
        assert mailbox() == []

    await a.run(main)


async def test_what_cannot_cross_is_an_error_here_for_arguments_and_for_results(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(EncodeError):
            await rpc.call(b.name, ADD, object(), 1)
        with pytest.raises(RemoteError, match=r"what it has returned or raised can't cross the wire: .*object"):
            await rpc.call(b.name, what_cannot_cross)
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)


async def test_a_call_that_has_timed_out_ends_nothing_and_its_result_never_comes(
    pair: Pair, leftovers: Leftovers, settled: Settled
) -> None:
    a, b = pair

    async def main() -> None:
        for node in (a.name, b.name):
            with pytest.raises(CallTimeout, match=r"has not returned within 0\.02 s; it may run on there"):
                await rpc.call(node, never, self_pid(), timeout=0.02)
            send(await receive(Pid), "go on")
            await settled()
            assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)
    assert leftovers(a, b) == []


async def test_a_cancelled_call_leaves_nothing_behind(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await rpc.call(b.name, slow, 0.05)
        await asyncio.sleep(0.1)
        await settled()
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)


async def test_a_node_that_is_not_there_or_is_lost_is_an_error(pair: Pair, network: MemoryNetwork) -> None:
    a, b = pair

    async def cut() -> None:
        network.cut()

    async def main() -> None:
        with pytest.raises(NodeDisconnected, match=r"no connection to x@127\.0\.0\.1"):
            await rpc.call("x@127.0.0.1", where)
        request = rpc.send_request(b.name, never, self_pid())
        await receive(Pid)
        spawn(cut)
        with pytest.raises(NodeDisconnected, match=r"whether .*never has run is unknown"):
            await rpc.receive_response(request)
        assert mailbox() == []

    await a.run(main)


async def test_a_cast_runs_and_says_nothing(pair: Pair, settled: Settled) -> None:
    a, b = pair

    async def main() -> None:
        rpc.cast(b.name, tell, self_pid(), "cast")
        assert await receive() == "cast"
        rpc.cast(b.name, fail, "x")
        rpc.cast(b.name, "not:there")
        rpc.multicast([a.name, b.name, "x@127.0.0.1"], tell, self_pid(), "all")
        assert [await receive(), await receive()] == ["all", "all"]
        await settled()
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)
        with pytest.raises(TypeError, match=r"this is a single one: write \['b@127.0.0.1'\]"):
            rpc.multicast(b.name, tell, self_pid(), "all")

    await a.run(main)


async def test_a_multicall_gives_what_has_come_of_each_in_order(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        there, gone, here = await rpc.multicall([b.name, "x@127.0.0.1", a.name], where)
        assert (there.result(), here.result()) == (b.name, a.name)
        assert isinstance(gone.error(), NodeDisconnected)
        failed = await rpc.multicall([a.name, b.name], fail, "x")
        assert [type(each.error()) for each in failed] == [RemoteError] * 2
        late = await rpc.multicall([a.name, b.name], slow, 5.0, timeout=0.02)
        assert [type(each.error()) for each in late] == [CallTimeout] * 2
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    await a.run(main)


async def test_a_request_is_waited_for_again_and_checked(pair: Pair) -> None:
    a, b = pair

    async def main() -> None:
        request = rpc.send_request(b.name, never, self_pid())
        pid = await receive(Pid)
        with pytest.raises(CallTimeout):
            await rpc.wait_response(request, 0.01)
        send(pid, "go on")
        assert await rpc.wait_response(request) == "go on"
        with pytest.raises(ValueError, match="is over"):
            await rpc.receive_response(request)
        checked = rpc.send_request(b.name, add, 1)
        seen = [await receive(), await receive()]
        assert type(seen[0]) is SpawnReply
        responses = [rpc.check_response(message, checked) for message in ["other", *seen]]
        assert responses[:2] == [None, None]
        assert responses[2] is not None
        assert responses[2].result() == 2

    await a.run(main)


async def test_the_function_is_the_label_of_its_process(pair: Pair) -> None:
    a, _ = pair

    async def main() -> None:
        rpc.cast(a.name, never, self_pid())
        process = current().find(await receive(Pid))
        assert process is not None
        assert process.label == "tests.behaviours.test_rpc:never"

    await a.run(main)
