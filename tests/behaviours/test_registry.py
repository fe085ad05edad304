"""What a registry says of its entries, with unique and with duplicate keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from pydist import (
    KILL,
    AlreadyRegistered,
    Down,
    Exit,
    NotInProcess,
    Pid,
    Registered,
    Registry,
    UnknownName,
    Unregistered,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    register,
    self_pid,
    spawn,
    trap_exit,
    unlink,
    unregister,
)
from tests.helpers import end, in_process, links_and_monitors, mailbox, passed
from tests.obedient import in_, obedient

both = pytest.mark.parametrize("keys", ["unique", "duplicate"])


async def registry(keys: Any = "unique", **options: Any) -> Registry:
    await Registry.start_link(keys=keys, name="rooms", **options)
    return Registry("rooms")


async def holder_of(rooms: Registry, key: Any, value: Any = None) -> Pid:
    """A process that is registered under the key."""
    pid = obedient()
    await in_(pid, lambda: rooms.register(key, value))
    return pid


# -- registering


@both
def test_a_registry_begins_empty(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        assert (rooms.count(), rooms.entries(), rooms.lookup("lobby"), rooms.keys(self_pid())) == (0, [], [], [])
        assert rooms.values("lobby", self_pid()) == []

    check()


@both
def test_what_a_process_has_registered_is_found_by_all(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        me = self_pid()
        rooms.register("lobby", 1)
        rooms.register(("attic", 2))
        other = await holder_of(rooms, "cellar", {"dark": True})
        assert [rooms.lookup(key) for key in ("lobby", ("attic", 2), "cellar")] == [
            [(me, 1)],
            [(me, None)],
            [(other, {"dark": True})],
        ]
        assert await in_(other, lambda: rooms.lookup("lobby")) == [(me, 1)]
        assert rooms.entries() == [("lobby", me, 1), (("attic", 2), me, None), ("cellar", other, {"dark": True})]
        assert (rooms.keys(me), rooms.keys(other), rooms.count()) == (["lobby", ("attic", 2)], ["cellar"], 3)
        assert (rooms.values("lobby", me), rooms.values("lobby", other)) == ([1], [])

    check()


@in_process
async def test_a_unique_key_has_one_holder() -> None:
    rooms = await registry("unique")
    other = await holder_of(rooms, "lobby", 1)
    with pytest.raises(AlreadyRegistered, match="'lobby' belongs to ") as caught:
        rooms.register("lobby", 2)
    assert (caught.value.key, caught.value.pid) == ("lobby", other)
    assert (rooms.entries(), rooms.keys(self_pid())) == ([("lobby", other, 1)], [])


@in_process
async def test_a_process_cannot_have_a_unique_key_twice() -> None:
    rooms = await registry("unique")
    rooms.register("lobby", 1)
    with pytest.raises(AlreadyRegistered) as caught:
        rooms.register("lobby", 2)
    assert (caught.value.pid, rooms.lookup("lobby")) == (self_pid(), [(self_pid(), 1)])


@in_process
async def test_a_duplicate_key_has_any_number_of_entries_of_one_process_too() -> None:
    rooms = await registry("duplicate")
    me = self_pid()
    rooms.register("lobby", 1)
    other = await holder_of(rooms, "lobby", 2)
    rooms.register("lobby", 1)
    assert rooms.lookup("lobby") == [(me, 1), (other, 2), (me, 1)]
    assert (rooms.keys(me), rooms.values("lobby", me), rooms.count()) == (["lobby", "lobby"], [1, 1], 3)


@both
def test_keys_are_compared_as_in_a_dict(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        rooms.register(1, "one")
        assert rooms.lookup(1.0) == [(self_pid(), "one")]

    check()


@both
def test_a_key_that_cannot_be_hashed_is_an_error_and_leaves_nothing_behind(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        before = links_and_monitors()
        bad: Any = ["lobby"]
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            rooms.register(bad)
        assert (rooms.entries(), links_and_monitors()) == ([], before)

    check()


# -- unregistering


@both
def test_a_process_unregisters_its_own_entries_and_no_others(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        other = await holder_of(rooms, "cellar")
        for key in ("lobby", "attic", *(["lobby"] if keys == "duplicate" else [])):
            rooms.register(key)
        rooms.unregister("lobby")
        rooms.unregister("cellar")
        rooms.unregister("nowhere")
        assert rooms.entries() == [("cellar", other, None), ("attic", self_pid(), None)]
        rooms.unregister("attic")
        assert (rooms.keys(self_pid()), rooms.count()) == ([], 1)

    check()


@in_process
async def test_entries_are_unregistered_by_their_values() -> None:
    rooms = await registry("duplicate")
    for value in (1, 2, 3, 4):
        rooms.register("lobby", value)
    other = await holder_of(rooms, "lobby", 2)
    rooms.unregister("lobby", lambda value: value % 2 == 0)
    assert rooms.lookup("lobby") == [(self_pid(), 1), (self_pid(), 3), (other, 2)]


# -- values


@in_process
async def test_a_process_updates_the_value_of_its_own_unique_key() -> None:
    rooms = await registry("unique")
    rooms.register("lobby", 1)
    assert rooms.update_value("lobby", lambda value: value + 1) == (2, 1)
    assert rooms.lookup("lobby") == [(self_pid(), 2)]


@in_process
async def test_a_value_of_another_or_of_nobody_cannot_be_updated() -> None:
    rooms = await registry("unique")
    other = await holder_of(rooms, "cellar", 1)
    calls: list[Any] = []
    for key in ("cellar", "nowhere"):
        with pytest.raises(UnknownName, match=f"the calling process is not registered as '{key}' in 'rooms'"):
            rooms.update_value(key, calls.append)
    assert (calls, rooms.lookup("cellar")) == ([], [(other, 1)])


@in_process
async def test_a_value_stays_when_the_function_fails() -> None:
    rooms = await registry("unique")
    rooms.register("lobby", 1)
    with pytest.raises(ZeroDivisionError):
        rooms.update_value("lobby", lambda value: value / 0)
    assert rooms.lookup("lobby") == [(self_pid(), 1)]


@in_process
async def test_values_of_duplicate_keys_cannot_be_updated() -> None:
    rooms = await registry("duplicate")
    rooms.register("lobby", 1)
    with pytest.raises(TypeError, match="update_value needs unique keys, and those of the registry 'rooms' are dupl"):
        rooms.update_value("lobby", lambda value: value)


# -- dispatching


@both
def test_dispatch_calls_with_the_entries_of_a_key_in_the_calling_process(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        first = await holder_of(rooms, "lobby", 1)
        others = [await holder_of(rooms, "lobby", value) for value in (2, 3)] if keys == "duplicate" else []
        await holder_of(rooms, "cellar", 4)
        seen: list[Any] = []
        rooms.dispatch("lobby", lambda entries: seen.append((self_pid(), entries)))
        assert seen == [(self_pid(), list(zip([first, *others], [1, 2, 3], strict=False)))]

    check()


@both
def test_dispatch_does_not_call_when_nobody_has_the_key(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        calls: list[Any] = []
        rooms.dispatch("lobby", calls.append)
        exit(await holder_of(rooms, "lobby"), KILL)
        rooms.dispatch("lobby", calls.append)
        assert calls == []

    check()


@in_process
async def test_what_dispatch_calls_may_change_the_registry_and_its_error_is_the_callers() -> None:
    rooms = await registry("duplicate")
    rooms.register("lobby", 1)

    def fails(entries: list[tuple[Pid, Any]]) -> None:
        rooms.unregister("lobby")
        raise ValueError(entries)

    with pytest.raises(ValueError, match=r"\[\(<Pid .*>, 1\)\]"):
        rooms.dispatch("lobby", fails)
    assert rooms.entries() == []


# -- the end of those registered


@both
def test_when_the_down_is_seen_the_key_is_free_and_no_read_shows_the_dead(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)
        other = await holder_of(rooms, "lobby", 1)
        monitor(other)
        exit(other, KILL)  # the registry itself has had no chance to run yet
        assert [type(message) for message in mailbox()] == [Down]
        assert (rooms.lookup("lobby"), rooms.keys(other), rooms.values("lobby", other)) == ([], [], [])
        assert (rooms.entries(), rooms.count()) == ([], 1)
        rooms.register("lobby", 2)
        assert (rooms.lookup("lobby"), rooms.keys(other)) == ([(self_pid(), 2)], [])
        await passed(1)
        assert (rooms.entries(), rooms.count()) == ([("lobby", self_pid(), 2)], 1)

    check()


@both
def test_the_entries_of_the_dead_are_taken_out_however_they_end(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys)

        async def registers(key: Any, error: BaseException | None) -> None:
            rooms.register(key)
            rooms.register((key, 2))
            if error is not None:
                raise error

        for number, error in enumerate([None, ValueError("x"), SystemError("y")]):
            spawn(registers, number, error)
        await passed(1)
        assert (rooms.entries(), rooms.count()) == ([], 0)

    check()


@in_process
async def test_one_that_cleans_up_keeps_its_keys_until_it_is_dead() -> None:
    rooms = await registry("unique")

    async def cleans() -> None:
        rooms.register("lobby")
        try:
            await receive()
        finally:
            await asyncio.sleep(5)

    pid, ref = spawn(cleans, monitor=True)
    await passed(1)
    exit(pid, "stop")
    await passed(1)
    assert rooms.whereis_name("lobby") == pid
    with pytest.raises(AlreadyRegistered):
        rooms.register("lobby")
    await receive(ref)
    rooms.register("lobby")
    assert rooms.lookup("lobby") == [(self_pid(), None)]


@in_process
async def test_one_that_has_unlinked_itself_is_not_found_after_its_end_either() -> None:
    trap_exit(True)
    rooms = await registry("unique")
    pid = obedient()
    await in_(pid, lambda: unlink(rooms.register("lobby")))
    assert await end(pid, "over") == "over"
    assert rooms.lookup("lobby") == []
    rooms.register("lobby")
    assert rooms.entries() == [("lobby", self_pid(), None)]


# -- listeners


@both
def test_listeners_hear_of_each_change_in_order_the_death_of_a_process_too(keys: str) -> None:
    @in_process
    async def check() -> None:
        rooms = await registry(keys, listeners=["listener", "nobody"])
        register("listener", self_pid())
        me = self_pid()
        rooms.register("lobby", 1)
        rooms.unregister("lobby")
        rooms.unregister("lobby")
        other = await holder_of(rooms, "cellar", 2)
        await end(other, KILL)
        rooms.register("cellar", 3)
        await passed(1)
        heard = [
            Registered("rooms", "lobby", me, 1),
            Unregistered("rooms", "lobby", me),
            Registered("rooms", "cellar", other, 2),
            Unregistered("rooms", "cellar", other),
            Registered("rooms", "cellar", me, 3),
        ]
        order = heard if keys == "unique" else [*heard[:3], heard[4], heard[3]]
        assert [message for message in mailbox() if isinstance(message, Registered | Unregistered)] == order
        unregister("listener")
        rooms.register("attic")

    check()


# -- metadata


@in_process
async def test_metadata_is_put_read_and_deleted() -> None:
    rooms = await registry(meta={"colour": "red"})
    rooms.put_meta(("a", 1), None)
    assert [rooms.meta("colour"), rooms.meta(("a", 1), "none"), rooms.meta("size"), rooms.meta("size", 5)] == [
        "red",
        None,
        None,
        5,
    ]
    rooms.put_meta("colour", "blue")
    assert rooms.meta("colour") == "blue"
    rooms.delete_meta("colour")
    rooms.delete_meta("colour")
    assert rooms.meta("colour") is None


# -- bad input


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"keys": "many", "name": "rooms"}, ValueError, "keys is one of unique, duplicate, not 'many'"),
        ({"keys": "unique", "name": ""}, ValueError, "a name has at least one character"),
        ({"keys": "unique", "name": None}, TypeError, "a name is a str, not NoneType"),
        ({"keys": "unique", "name": "rooms", "listeners": "me"}, TypeError, r"a list of names.*: \['me'\]"),
        ({"keys": "unique", "name": "rooms", "listeners": [1]}, TypeError, "a name is a str, not int"),
        ({"keys": "unique"}, TypeError, "name"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(options: Any, error: type[Exception], text: str) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(error, match=text):
            await Registry.start_link(**options)

    check()


@in_process
async def test_everything_but_a_start_needs_a_registry_that_runs() -> None:
    rooms = Registry("rooms")
    me = self_pid()
    for use in (
        lambda: rooms.register("lobby"),
        lambda: rooms.unregister("lobby"),
        lambda: rooms.update_value("lobby", str),
        lambda: rooms.lookup("lobby"),
        lambda: rooms.values("lobby", me),
        lambda: rooms.keys(me),
        rooms.entries,
        rooms.count,
        lambda: rooms.dispatch("lobby", str),
        lambda: rooms.meta("colour"),
        lambda: rooms.put_meta("colour", "red"),
        lambda: rooms.delete_meta("colour"),
        lambda: rooms.register_name("lobby", me),
        lambda: rooms.unregister_name("lobby"),
        lambda: rooms.whereis_name("lobby"),
    ):
        with pytest.raises(UnknownName, match="no registry 'rooms' runs on this node: start it before those who use"):
            use()
    register("rooms", me)
    with pytest.raises(UnknownName, match="no registry 'rooms' runs"):  # of another kind
        rooms.count()


def test_a_registry_is_used_by_processes_only() -> None:
    with pytest.raises(NotInProcess):
        Registry("rooms").lookup("lobby")


def test_an_empty_name_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="a name has at least one character"):
        Registry("")


@in_process
async def test_one_that_was_killed_registers_nothing_that_would_stay() -> None:
    rooms = await registry("duplicate")

    async def goes_on() -> None:
        with suppress(Exit):
            exit(self_pid(), KILL)
        rooms.register("lobby")

    spawn(goes_on)
    await passed(1)
    assert rooms.count() == 0
