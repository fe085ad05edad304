"""What type checkers must accept of processes, their messages and their errors; the rest stands in right.py."""

from __future__ import annotations

from typing import Any, assert_type

from pydist import (
    NORMAL,
    Alias,
    AlreadyStarted,
    CallError,
    ChildError,
    Crash,
    DeadLetter,
    Exit,
    GenServer,
    Ignore,
    LongSchedule,
    Message,
    NodeDown,
    NodeInfo,
    NodeRecovered,
    NodeSuspect,
    NodeUp,
    NoProcess,
    Pid,
    ProcessInfo,
    Ref,
    Request,
    StartError,
    Stop,
    TaskError,
    Timeout,
    Via,
    alias,
    bound_mailbox,
    call,
    cancel_timer,
    cast,
    connect,
    connect_node,
    dead_letters,
    demonitor,
    disconnect,
    exit,  # noqa: A004  # OTP's name
    get_env,
    get_state,
    is_alive,
    is_pid,
    link,
    make_ref,
    monitor,
    monitor_node,
    monitor_nodes,
    node_info,
    node_name,
    nodes,
    process_info,
    processes,
    publish,
    published,
    read_timer,
    receive,
    receive_response,
    register,
    registered,
    replace_state,
    resume,
    rpc,
    self_pid,
    send,
    send_after,
    send_interval,
    send_request,
    spawn,
    start_timer,
    suspend,
    system_monitor,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)


class Joined(Message):
    who: Pid
    room: str = "lobby"


class Tagged(Message, tag="typing.processes.tagged"):
    count: int


class Increment(Request[int]):
    by: int = 1


async def add(left: int, right: int) -> int:
    return left + right


async def of_processes(pid: Pid) -> None:
    assert_type(spawn(add, 1, 2), Pid)
    assert_type(spawn(add, 1, 2, link=True, name="adder"), Pid)
    assert_type(spawn(add, 1, 2, monitor=True), tuple[Pid, Ref])
    assert_type(monitor(pid), Ref)
    assert_type(monitor("adder", alias="reply_demonitor"), tuple[Ref, Alias])
    assert_type(unalias(alias(reply=True)), bool)
    assert_type(demonitor(make_ref(), flush=True), bool)
    assert_type(whereis("adder"), Pid | None)
    assert_type(send_after(1, "adder", "later"), Ref)
    assert_type(await receive(start_timer(0.5, pid, "later")), Any)
    assert_type(await receive(Timeout), Timeout)
    assert_type(cancel_timer(send_interval(1, pid, "tick")), float | None)
    assert_type(await receive(Joined), Joined)
    assert_type(await receive(Joined, timeout=1), Joined)
    await receive()
    await receive(monitor(pid))
    await receive(lambda message: message == 1, timeout=1)
    await receive((Joined, Tagged))
    await receive("hello".__eq__)
    await receive(Joined | Tagged)


async def receive_any_of_these(pattern: type[Joined] | Ref | None) -> Any:
    return await receive(pattern)


async def the_rest_of_a_process(pid: Pid) -> None:
    assert_type(self_pid(), Pid)
    assert_type(node_name(), str)
    assert_type(is_alive(pid), bool)
    assert_type(trap_exit(True), bool)
    assert_type(processes(), list[Pid])
    assert_type(process_info(pid), ProcessInfo | None)
    assert_type(read_timer(make_ref()), float | None)
    link(pid)
    unlink(pid)
    exit(pid, ("any", "reason"))
    publish([1, 2])
    assert_type(published("name"), Any)
    bound_mailbox(1000, "drop_oldest")
    bound_mailbox(None)
    register("name", pid)
    unregister("name")
    assert_type(registered(), list[str])


async def the_node() -> None:
    connect("b@host")
    assert_type(nodes(), list[str])
    assert_type(nodes("known"), list[str])
    assert_type(await connect_node("b@host"), bool)
    assert_type(disconnect("b@host"), bool)
    monitor_node("b@host", True)
    monitor_nodes(True, node_type="all", suspects=True)
    assert_type(node_info("b@host"), NodeInfo | None)
    assert_type((await receive(NodeSuspect)).silent_for, float)
    assert_type((await receive(NodeRecovered)).node, str)
    monitor_nodes(True)
    assert_type((await receive(NodeUp)).node, str)
    assert_type((await receive(NodeDown)).text, str)
    system_monitor(long_schedule=0.5, long_message_queue=(10, 1000), dead_letters=True)
    assert_type((await receive(LongSchedule)).seconds, float)
    assert_type((await receive(DeadLetter)).reason, str)
    assert_type(dead_letters(), dict[str, int])
    assert_type(get_env("port", 80), Any)


def double(number: int) -> str:
    return str(2 * number)


async def far_away() -> None:
    assert_type(await rpc.call("b@host", add, 1, 2), int)
    assert_type(await rpc.call("b@host", double, 1, timeout=2), str)
    assert_type(await rpc.call("b@host", "files:double", 1), Any)
    assert_type(await rpc.receive_response(rpc.send_request("b@host", add, 1, 2)), int)
    assert_type([each.result() for each in await rpc.multicall(["b@host"], double, 1)], list[str])
    rpc.cast("b@host", add, 1, 2)
    rpc.multicast(["b@host"], "files:double", 1)


class Stopped(Message):
    pass


async def typed(pid: Pid, worker: Pid[Joined | Increment | Timeout], who: Pid | str, found: object) -> None:
    """A `Pid[M]` takes messages of that type; a plain one takes anything, and goes wherever a pid is asked for."""
    send(worker, Joined(pid))
    cast(worker, Joined(pid))
    send_after(1, worker, Joined(pid))
    start_timer(1, worker, "any message comes as a Timeout")
    assert_type(await call(worker, Increment(1)), int)
    assert_type(await receive_response(send_request(worker, Increment(1))), int)
    part: Pid[Joined] = worker
    typed_now: Pid[Stopped] = spawn(add, 1, 2)
    send(typed_now, Stopped())
    send(pid, "anything")
    send(who, "anything")
    assert_type(await call(who, Increment(1)), int)
    link(part)
    assert_type(monitor(part), Ref)
    if is_pid(found):
        assert_type(found, Pid)


async def errors() -> None:
    try:
        await call("server", Increment(1))
    except NoProcess as error:
        assert_type(error.request, Any)
    except CallError as error:
        if isinstance(error.reason, Crash):
            assert_type(error.reason.traceback, str)
    except AlreadyStarted as error:
        assert_type(error.pid, Any)
    except StartError as error:
        raise Exit(error.reason) from error
    except ChildError as error:
        assert_type(error.reason, str)
    except TaskError as error:
        raise Exit(NORMAL) from error


class Leaving(GenServer):
    async def init(self, wanted: bool) -> None:
        if not wanted:
            raise Ignore
        raise Stop("no room")


async def states(server: Pid) -> None:
    assert_type(await get_state(server), Any)
    assert_type(await replace_state("server", lambda state: {**state, "count": 0}), Any)
    await suspend(server)
    await resume(server, timeout=1)


class Book:
    """A module that keeps names of its own."""

    def register_name(self, key: Any, pid: Pid, /) -> bool:
        return bool(key) and is_alive(pid)

    def unregister_name(self, key: Any, /) -> None:
        pass

    def whereis_name(self, key: Any, /) -> Pid | None:
        return whereis(str(key))


async def via_a_book() -> None:
    assert_type(await call(Via(Book(), "key"), Increment(1)), int)
