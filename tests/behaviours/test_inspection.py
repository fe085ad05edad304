"""What other nodes may see of the processes of this one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from pydist import (
    GenServer,
    Message,
    Node,
    NotExported,
    Pid,
    RemoteError,
    Supervisor,
    child,
    inspection,
    receive,
    rpc,
    send,
    spawn,
)
from pydist.inspection import Branch, Neighbour, list_processes, look_at, supervision_tree
from tests.helpers import in_process, passed

Pair = tuple[Node, Node]
StartNode = Callable[..., Awaitable[Node]]


class Room(GenServer):
    async def init(self, words: int = 0) -> None:
        self.words = ["word" * 100 + str(number) for number in range(words)]


class Secret(Message, tag="test_inspection.secret"):
    text: str


async def idle() -> None:
    await receive(int)


async def holds(text: str) -> None:
    await receive(int)
    send("nobody", text)


@in_process
async def test_processes_come_in_the_order_that_was_asked_for() -> None:
    large = spawn(holds, "x" * 100_000)
    full = spawn(idle, name="full")
    for _ in range(50):
        send(full, "later")
    await passed(1)
    for _ in range(2000):
        send(spawn(idle), 1)
    await passed(1)
    by_mailbox = await list_processes("mailbox", 2)
    assert (by_mailbox.lines[0].pid, by_mailbox.lines[0].message_queue_len) == (full, 50)
    assert (by_mailbox.lines[0].name, by_mailbox.lines[0].label) == ("full", "idle")
    assert (len(by_mailbox.lines), by_mailbox.count) == (2, 3)
    by_memory = await list_processes("memory", 3)
    assert by_memory.lines[0].pid == large
    assert 100_000 < by_memory.lines[0].memory < 110_000
    assert (await list_processes("mailbox", -5)).lines == []
    work = [line.reductions for line in (await list_processes("reductions", 10)).lines]
    assert work == sorted(work, reverse=True)
    with pytest.raises(ValueError, match="sorted by mailbox, memory, reductions, not 'name'"):
        await list_processes("name", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is it


@in_process
async def test_what_a_server_holds_and_what_waits_counts_as_its_memory() -> None:
    small, large = await Room.start(), await Room.start(500)
    sizes: dict[Pid, int] = {line.pid: line.memory for line in (await list_processes("memory", 10)).lines}
    assert 200_000 < sizes[large] - sizes[small] < 300_000
    waits = spawn(idle)
    for number in range(10_000):
        send(waits, f"{number:0500}")
    found = look_at(waits.number)
    assert found is not None
    assert 5_000_000 < found.memory < 8_000_000


@in_process
async def test_a_process_is_seen_without_what_its_messages_hold() -> None:
    pid = spawn(idle, name="full")
    for word in ("one", "two"):
        send(pid, Secret(f"secret {word}"))
    send(pid, "secret three")
    await passed(1)
    found = look_at("full")
    assert found is not None
    assert (found.info.pid, found.kinds, found.info.message_queue_len) == (pid, [("Secret", 2), ("str", 1)], 3)
    assert "secret" not in repr(found).replace(__file__, "")
    assert look_at(pid.number) == found
    assert (look_at("nobody"), look_at(10**9)) == (None, None)


@in_process
async def test_the_tree_shows_supervisors_with_what_is_below_them() -> None:
    inner = child(Supervisor, [child(Room, id="a"), child(Room, id="b", restart="temporary")], id="inner")
    top = await Supervisor.start_link([child(Room, name="lobby"), inner], name="top")
    tree = await supervision_tree()
    lobby, below, first, second = (branch.pid for branch in tree.branches[1:])
    assert tree.branches == [
        Branch(0, "top", top, "supervisor", "Supervisor"),
        Branch(1, "lobby", lobby, "worker", "Room"),
        Branch(1, "inner", below, "supervisor", "Supervisor"),
        Branch(2, "a", first, "worker", "Room"),
        Branch(2, "b", second, "worker", "Room"),
    ]
    assert not tree.cut


async def test_other_nodes_see_it_unless_the_exports_leave_it_out(start_node: StartNode) -> None:
    a, b, c = await start_node("a"), await start_node("b"), await start_node("c", exports=[])

    async def main() -> None:
        listing = await rpc.call(b.name, inspection.list_processes, "mailbox", 5)
        assert [line.label for line in listing.lines] == ["pydist.inspect.processes"]
        assert await rpc.call(b.name, inspection.connected_nodes) == [Neighbour(a.name, "visible")]
        with pytest.raises(NotExported):
            await rpc.call(c.name, inspection.supervision_tree)
        with pytest.raises(RemoteError, match="sorted by"):
            await rpc.call(b.name, "pydist.inspect.processes", "x", 1)

    await a.run(main)
