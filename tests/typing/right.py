"""What type checkers must accept, and the types they must find: test_typing.py checks this file as users do theirs."""

from __future__ import annotations

from enum import Enum
from typing import Any, assert_type

from pydist import (
    NO_REPLY,
    After,
    Answer,
    Application,
    ApplicationController,
    ApplicationInfo,
    At,
    Call,
    Caller,
    Cast,
    ChildInfo,
    ChildSpec,
    Died,
    Down,
    DynamicSupervisor,
    Enter,
    Event,
    Exited,
    GenServer,
    GenStatem,
    Info,
    Internal,
    Message,
    Node,
    PartitionSupervisor,
    Pid,
    Ref,
    Registry,
    Request,
    RequestId,
    RequestIds,
    Response,
    Returned,
    StateTimeout,
    Supervisor,
    Task,
    TaskStream,
    TaskSupervisor,
    Transition,
    Update,
    call,
    cast,
    check_response,
    child,
    count_children,
    ensure_all_started,
    get_application,
    get_childspec,
    get_status,
    in_state,
    keep_state,
    multi_call,
    next_state,
    pg,
    receive_response,
    repeat_state,
    reply,
    send,
    send_request,
    serve_applications,
    start_child,
    stop,
    stop_machine,
    sys_messages,
    terminate_child,
    wait_response,
    which_applications,
    which_children,
)
from pydist.core.debugging import Statistics, SysEvent


class Joined(Message):
    who: Pid
    room: str = "lobby"


class Tagged(Message, tag="typing.tagged"):
    count: int


class Increment(Request[int]):
    by: int = 1


class Names(Request[list[str]]):
    pass


class Find(Request["Pid | None"], tag="typing.find"):
    name: str


class Counter(GenServer):
    """Its init has parameters of its own; that is no error."""

    async def init(self, start: int, *, step: int = 1) -> None:
        self.value = start
        self.step = step
        self.waiting: list[Caller] = []

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        match request:
            case Increment(by):
                self.value += assert_type(by, int)
                return self.value
            case Names():
                self.waiting.append(caller)
                return NO_REPLY
            case _:
                return await super().handle_call(request, caller)

    async def handle_cast(self, message: Any, /) -> None:
        if isinstance(message, Joined):
            assert_type(message.room, str)
            reply(self.waiting.pop(), [message.room])

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case Down(ref, process, _):
                assert_type(ref, Ref)
                assert_type(process, Pid | tuple[str, str])
            case Exited(pid):
                assert_type(pid, Pid)
            case _:
                pass


class NoParameters(GenServer):
    async def init(self) -> None:
        self.ready = True


async def add(left: int, right: int) -> int:
    return left + right


async def calls(server: Pid) -> None:
    assert_type(await call(server, Increment(2)), int)
    assert_type(await call("name", Increment(by=2), timeout=None), int)
    assert_type(await call(("name", "a@host"), Names(), 1.5), list[str])
    request = send_request(server, Increment(2))
    assert_type(request, RequestId[int])
    assert_type(await receive_response(request), int)
    assert_type(await wait_response(request, None), int)
    answer = check_response("message", request)
    assert_type(answer, Response[int] | None)
    requests: RequestIds[int] = RequestIds()
    requests.add(request, label="the first")
    assert_type((await requests.receive(1)).result(), int)
    replies, silent = await multi_call("name", Names(), timeout=2)
    assert_type(replies, dict[str, list[str]])
    assert_type(silent, list[str])


async def looks(server: Pid) -> None:
    assert_type(await sys_messages.statistics(server, "get"), Statistics | None)
    assert_type(await sys_messages.log(server, "get"), list[SysEvent])
    assert_type((await get_status(server)).suspended, bool)
    await stop(server, "enough", timeout=2)
    monitored, ref = await NoParameters.start_monitor(name="name", start_timeout=2)
    assert_type(monitored, Pid)
    assert_type(ref, Ref)
    assert_type(await call(server, Find("x")), Pid | None)
    cast(server, Joined(server))
    send(("name", "a@host"), Joined(server, room="hall"))


async def servers() -> None:
    assert_type(await Counter.start_link(10, step=2), Pid)
    assert_type(await Counter.start(10, name="counter"), Pid)
    assert_type(await NoParameters.start_link(), Pid)


async def supervisors() -> None:
    specs = [
        child(Counter, 10, name="counter", restart="transient", shutdown=None),
        child(add, 1, 2, id="adder", restart="temporary", shutdown="brutal_kill"),
        child(Supervisor, [child(NoParameters)], name="inner"),
    ]
    assert_type(specs, list[ChildSpec])
    supervisor = await Supervisor.start_link(specs, strategy="rest_for_one", intensity=3, period=5, name="top")
    assert_type(supervisor, Pid)
    assert_type(await start_child(supervisor, child(NoParameters)), Pid | None)
    assert_type(await which_children("top"), list[ChildInfo])
    assert_type(await count_children("top"), dict[str, int])
    assert_type(await get_childspec("top", "counter"), ChildSpec)


async def rooms() -> list[ChildSpec]:
    return [child(Counter, 1, restart="transient", significant=True)]


async def other_supervisors() -> None:
    await Supervisor.start_link(rooms, auto_shutdown="any_significant")
    await Supervisor.start_link([child(Supervisor, rooms, auto_shutdown="all_significant")])
    dynamic = await DynamicSupervisor.start_link(max_children=10, extra_arguments=(1,), name="dynamic")
    assert_type(dynamic, Pid)
    await terminate_child("dynamic", dynamic)
    await terminate_child("top", "counter")
    await PartitionSupervisor.start_link(lambda number: child(Counter, number), partitions=4, name="parts")
    parts = PartitionSupervisor("parts")
    assert_type(parts.partitions(), int)
    assert_type(await call(parts.via("key"), Increment(2)), int)


async def tasks() -> None:
    task = Task.async_(add, 1, 2)
    assert_type(task, Task[int])
    assert_type(await task.await_(), int)
    assert_type(await task.yield_(1.5), Returned[int] | Died | None)
    assert_type(await task.shutdown("brutal_kill"), Returned[int] | Died | None)
    assert_type(task.ignore(), Returned[int] | Died | None)
    assert_type(await Task.await_many([task, task], None), list[int])
    assert_type(await Task.yield_many([task], limit=1, on_timeout="ignore"), list[Returned[int] | Died | None])
    assert_type(await Task.start_link(add, 1, 2), Pid)
    assert_type(child(Task, add, 1, 2, id="sum"), ChildSpec)
    stream = Task.async_stream(Counter.start, [1, 2], max_concurrency=2, timeout=None, on_timeout="kill_task")
    assert_type(stream, TaskStream[Pid])
    async for outcome in stream:
        assert_type(outcome, Returned[Pid] | Died)
    assert_type(await TaskSupervisor.async_("tasks", add, 1, 2), Task[int])
    assert_type(await TaskSupervisor.async_nolink("tasks", add, 1, 2, shutdown="brutal_kill"), Task[int])
    assert_type(await TaskSupervisor.start_child("tasks", add, 1, 2, restart="transient"), Pid)
    supervised = TaskSupervisor.async_stream_nolink("tasks", Counter.start, [1, 2], shutdown=None, ordered=False)
    assert_type(supervised, TaskStream[Pid])
    match await task.yield_():
        case Returned(value):
            assert_type(value, int)
        case Died(reason):
            assert_type(reason, Any)
        case None:
            pass


class Shop(Application):
    name = "shop"
    applications = ("database",)
    env = {"port": 8080}  # noqa: RUF012  # as users write it

    async def start(self) -> Pid:
        return await Supervisor.start_link([child(NoParameters)])


async def applications() -> None:
    assert_type(await ApplicationController.start_link([Shop], {"shop": {"port": 1}}, shutdown=5), Pid)
    assert_type(await ensure_all_started("shop", restart="permanent"), list[str])
    assert_type(await which_applications(), list[ApplicationInfo])
    assert_type(get_application(), str | None)
    await node_main()


async def node_main() -> None:
    await serve_applications([Shop], {"shop": {"port": 1}}, "transient")


async def outside(node: Node) -> None:
    assert_type(await node.run(add, 1, 2), int)
    assert_type(node.spawn(add, 1, 2), Pid)


assert_type(Tagged(count=1).count, int)
assert_type(Joined.__fields__, tuple[str, ...])


class Lamp(Enum):
    ON = "on"
    OFF = "off"


class Switch(GenStatem[Lamp, int], state_enter=True):
    """Its data is how often it was switched."""

    async def init(self, times: int) -> Transition[Lamp, int]:
        return next_state(Lamp.OFF, times)

    @in_state(Lamp.ON, Lamp.OFF)
    async def switch(self, event: Event, times: int) -> Answer[Lamp, int]:
        match event:
            case Call(caller, Increment(by)):
                assert_type(caller, Caller)
                return keep_state(times + by, reply=(caller, times))
            case Cast():
                return next_state(Lamp.ON, times + 1, state_timeout=After(5.0, "bright"), timeouts={"dim": None})
            case StateTimeout():
                return next_state(Lamp.OFF, event_timeout=1, next_event=Internal(times))
            case Enter(Lamp.ON):
                return keep_state(state_timeout=Update("still"), timeouts={"dim": At(5.0)})
            case Internal():
                return repeat_state(postpone=True)
            case Info():
                return stop_machine("enough", times)
            case _:
                return self.unhandled(event)


async def machines() -> None:
    assert_type(await Switch.start_link(0, name="switch"), Pid)
    assert_type(await Switch.start_monitor(0), tuple[Pid, Ref])
    await Supervisor.start_link([child(Switch, 0)])


async def registered() -> None:
    rooms = Registry("rooms")
    assert_type(await Registry.start_link(keys="unique", name="rooms"), Pid)
    assert_type(rooms.lookup(("any", "key")), list[tuple[Pid, Any]])
    assert_type(rooms.whereis_name("lobby"), Pid | None)
    await Switch.start_link(0, name=rooms.via("lobby"))
    assert_type(await call(rooms.via("lobby"), Increment(1)), int)
    await Supervisor.start_link([child(Registry, keys="duplicate", name="news"), child(pg.Scope, name="chat")])
    assert_type(await pg.monitor("chat", "red"), tuple[Ref, list[Pid]])
    assert_type(await pg.monitor_scope("chat"), tuple[Ref, dict[Any, list[Pid]]])
    assert_type(pg.get_members("chat", "red"), list[Pid])


def answer_without_data() -> Transition[Lamp, int]:
    answer = next_state(Lamp.ON)
    return answer  # noqa: RET504  # its type is found without the one that is asked for
