"""A registry and the processes around it: links, its own end and restart, supervision, names of servers."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    SHUTDOWN,
    AlreadyStarted,
    Caller,
    CallError,
    Exited,
    GenServer,
    NoProcess,
    Pid,
    Registry,
    Request,
    StartError,
    Stop,
    Supervisor,
    UnknownName,
    Via,
    call,
    child,
    exit,  # noqa: A004  # OTP's name
    get_state,
    is_alive,
    link,
    published,
    receive,
    self_pid,
    spawn,
    trap_exit,
    unlink,
    whereis,
)
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, passed
from tests.obedient import in_, obedient

both = pytest.mark.parametrize("keys", ["unique", "duplicate"])


async def registry(keys: Any = "unique", **options: Any) -> Registry:
    await Registry.start_link(keys=keys, name="rooms", **options)
    return Registry("rooms")


def links(pid: Pid) -> int:
    return links_and_monitors(pid)[0]


# -- links


@both
def test_a_process_is_linked_with_the_registry_from_its_first_entry_to_its_last(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        pid = obedient()
        assert await in_(pid, lambda: rooms.register("lobby")) == whereis("rooms")
        seen = [links(pid)]
        for act in (lambda: rooms.register("attic"), lambda: rooms.unregister("lobby"), lambda: rooms.unregister("x")):
            await in_(pid, act)
            seen.append(links(pid))
        await in_(pid, lambda: rooms.unregister("attic"))
        assert (seen, links(pid)) == ([1, 1, 1, 1], 0)

    check()


@in_process
async def test_a_registration_that_is_refused_makes_no_link() -> None:
    rooms = await registry()
    rooms.register("lobby")
    pid = obedient()

    def refused() -> None:
        with pytest.raises(ValueError, match="'lobby' belongs to"):
            rooms.register("lobby")

    await in_(pid, refused)
    assert links(pid) == 0


@in_process
async def test_a_link_that_was_there_before_stays() -> None:
    rooms = await registry()  # linked with the one that started it
    owner = whereis("rooms")
    assert owner is not None
    pid = obedient()
    await in_(pid, lambda: link(owner))
    for _ in range(2):
        rooms.register("lobby")
        rooms.unregister("lobby")
        await in_(pid, lambda: rooms.register("attic"))
        await in_(pid, lambda: rooms.unregister("attic"))
    assert (links(self_pid()), links(pid)) == (1, 1)
    await in_(pid, lambda: unlink(owner))
    await in_(pid, lambda: rooms.register("attic"))
    await in_(pid, lambda: rooms.unregister("attic"))
    assert links(pid) == 0
    trap_exit(True)
    await end(owner, KILL)
    assert mailbox() == [Exited(owner, KILLED)]


# -- the end of the registry


@both
def test_with_the_registry_its_entries_end_and_so_do_those_registered(keys: str) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        rooms = await registry(keys)
        owner = whereis("rooms")
        assert owner is not None
        registered, never, no_more = obedient(), obedient(), obedient()
        await in_(registered, lambda: rooms.register("lobby"))
        await in_(no_more, lambda: rooms.register("attic"))
        await in_(no_more, lambda: rooms.unregister("attic"))
        rooms.register("cellar")
        exit(owner, KILL)
        with pytest.raises(UnknownName, match="no registry 'rooms' runs"):
            rooms.lookup("lobby")
        await passed(1)
        assert [is_alive(pid) for pid in (registered, never, no_more)] == [False, True, True]
        assert mailbox() == [Exited(owner, KILLED)]

    check()


@in_process
async def test_a_registry_that_is_restarted_begins_anew_and_those_registered_come_again() -> None:
    async def room(key: str) -> None:
        Registry("rooms").register(key)
        await receive()

    await Supervisor.start_link(
        [
            child(Registry, keys="unique", name="rooms", meta={"colour": "red"}),
            child(room, "lobby", id="lobby"),
            child(room, "attic", id="attic"),
        ],
        strategy="rest_for_one",
    )
    rooms = Registry("rooms")
    await passed(1)
    before = [rooms.whereis_name("lobby"), rooms.whereis_name("attic")]
    rooms.put_meta("size", 3)
    owner = whereis("rooms")
    assert owner is not None
    await end(owner, KILL)
    await passed(1)
    after = [rooms.whereis_name("lobby"), rooms.whereis_name("attic")]
    assert None not in before + after
    assert set(before).isdisjoint(after)
    assert (rooms.count(), rooms.meta("colour"), rooms.meta("size")) == (2, "red", None)


@in_process
async def test_one_that_traps_exits_hears_of_the_registrys_end_and_registers_again() -> None:
    trap_exit(True)
    supervisor = await Supervisor.start_link([child(Registry, keys="unique", name="rooms")])
    rooms = Registry("rooms")
    owner = rooms.register("lobby")
    await end(owner, KILL)
    assert await receive(Exited) == Exited(owner, KILLED)
    await passed(1)
    assert rooms.lookup("lobby") == []
    rooms.register("lobby")
    assert rooms.lookup("lobby") == [(self_pid(), None)]
    assert is_alive(supervisor)


@in_process
async def test_a_registry_outlives_the_crashes_of_those_registered_and_of_strangers_linked_to_it() -> None:
    rooms = await registry()
    owner = whereis("rooms")
    assert owner is not None

    async def crashes(registers: bool) -> None:
        if registers:
            rooms.register("lobby")
        link(owner)
        raise ValueError("x")

    for registers in (True, False):
        await ended(spawn(crashes, registers))
    await passed(1)
    assert (is_alive(owner), rooms.entries()) == (True, [])


@in_process
async def test_a_registry_ends_with_the_one_that_started_it() -> None:
    async def starts() -> None:
        await registry()
        await receive()

    starter = spawn(starts)
    await passed(1)
    owner = whereis("rooms")
    assert owner is not None
    await end(starter, "over")
    await passed(1)
    assert (whereis("rooms"), published("rooms")) == (None, None)


@in_process
async def test_a_second_registry_of_one_name_is_not_started() -> None:
    await registry()
    with pytest.raises(AlreadyStarted) as caught:
        await Registry.start_link(keys="duplicate", name="rooms")
    assert caught.value.pid == whereis("rooms")


@in_process
async def test_a_supervisor_stops_a_registry() -> None:
    supervisor = await Supervisor.start_link([child(Registry, keys="unique", name="rooms")])
    owner = whereis("rooms")
    assert owner is not None
    pid = obedient()
    await in_(pid, lambda: Registry("rooms").register("lobby"))
    trap_exit(True)
    await end(supervisor, SHUTDOWN)
    assert [is_alive(each) for each in (owner, pid)] == [False, False]


@in_process
async def test_one_that_looks_inside_sees_which_registry_it_is_and_how_large() -> None:
    rooms = await registry()
    rooms.register("lobby")
    assert repr(await get_state("rooms")) == "{'_table': <Table 'rooms' with 1 entries>}"


# -- names of servers


class Ask(Request[Any]):
    pass


class Room(GenServer):
    async def init(self, answer: Any = "here") -> None:
        if isinstance(answer, BaseException):
            raise answer
        self.answer = answer

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        return self.answer


@in_process
async def test_a_server_starts_under_a_key_and_is_called_by_it() -> None:
    rooms = await registry()
    lobby = rooms.via("lobby")
    pid = await Room.start_link(name=lobby)
    assert (lobby, rooms.lookup("lobby")) == (Via(rooms, "lobby"), [(pid, None)])
    assert (await call(lobby, Ask()), await call(Registry("rooms").via("lobby"), Ask())) == ("here", "here")


@in_process
async def test_a_server_is_registered_with_the_value_of_its_name_and_called_with_or_without() -> None:
    rooms = await registry()
    pid = await Room.start_link(name=rooms.via("lobby", {"floor": 1}))
    assert rooms.lookup("lobby") == [(pid, {"floor": 1})]
    assert await call(rooms.via("lobby"), Ask()) == "here"
    assert await call(rooms.via("lobby", {"floor": 1}), Ask()) == "here"


@in_process
async def test_a_second_server_of_one_key_is_not_started() -> None:
    rooms = await registry()
    name = rooms.via("lobby", 1)
    first = await Room.start_link(name=name)
    for again in (name, rooms.via("lobby")):
        with pytest.raises(AlreadyStarted) as caught:
            await Room.start_link(name=again)
        assert (caught.value.name, caught.value.pid) == (again, first)


@pytest.mark.parametrize("error", [Stop("no"), ValueError("no")])
def test_the_key_of_a_server_that_did_not_start_is_free(error: BaseException) -> None:
    @in_process
    async def check() -> None:
        trap_exit(True)
        rooms = await registry()
        with pytest.raises(StartError):
            await Room.start_link(error, name=rooms.via("lobby", 1))
        assert rooms.entries() == []
        assert await call(await Room.start_link(name=rooms.via("lobby")), Ask()) == "here"

    check()


@in_process
async def test_calling_a_key_that_nobody_has_is_an_error() -> None:
    rooms = await registry()
    with pytest.raises(NoProcess):
        await call(rooms.via("lobby"), Ask())
    pid = await Room.start(name=rooms.via("lobby"))
    await end(pid, KILL)
    with pytest.raises(NoProcess):
        await call(rooms.via("lobby"), Ask())


@in_process
async def test_calling_a_key_of_a_registry_that_does_not_run_says_so() -> None:
    for use in (call(Registry("rooms").via("lobby"), Ask()), Room.start_link(name=Registry("rooms").via("lobby"))):
        with pytest.raises(UnknownName, match="no registry 'rooms' runs"):
            await use


@in_process
async def test_a_call_under_way_fails_when_the_registry_takes_the_server_with_it() -> None:
    class Silent(GenServer):
        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            await passed(1000)
            return None

    rooms = await registry()
    await Silent.start(name=rooms.via("lobby"))

    async def ends() -> None:
        await passed(1)
        owner = whereis("rooms")
        assert owner is not None
        exit(owner, KILL)

    trap_exit(True)
    spawn(ends)
    with pytest.raises(CallError) as caught:
        await call(rooms.via("lobby"), Ask())
    assert caught.value.reason is KILLED


@in_process
async def test_duplicate_keys_are_no_names() -> None:
    rooms = await registry("duplicate")
    rooms.register("lobby")
    for use in (call(rooms.via("lobby"), Ask()), Room.start_link(name=rooms.via("attic"))):
        with pytest.raises(TypeError, match="a via name needs unique keys, and those of the registry 'rooms' are dup"):
            await use


@in_process
async def test_the_functions_of_a_via_name_say_who_has_it() -> None:
    rooms = await registry()
    pid = obedient()
    assert (rooms.register_name("lobby", pid), rooms.register_name("lobby", self_pid())) == (True, False)
    assert rooms.whereis_name("lobby") == pid
    rooms.unregister_name("lobby")  # not ours
    assert rooms.whereis_name("lobby") == pid
    await in_(pid, lambda: rooms.unregister_name("lobby"))
    assert (rooms.whereis_name("lobby"), links(pid)) == (None, 0)
    await end(pid, KILL)
    with pytest.raises(ValueError, match="is no living process of this node"):
        rooms.register_name("lobby", pid)
