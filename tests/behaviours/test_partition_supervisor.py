"""Partitions of one child, and the keys that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pydist import (
    AlreadyStarted,
    ChildInfo,
    DynamicSupervisor,
    Exited,
    GenServer,
    Ignore,
    NoProcess,
    PartitionSupervisor,
    Pid,
    Registry,
    Request,
    StartError,
    Stop,
    Supervisor,
    UnknownName,
    Via,
    call,
    cast,
    child,
    count_children,
    exit,  # noqa: A004  # OTP's name
    is_alive,
    receive,
    self_pid,
    start_child,
    terminate_child,
    trap_exit,
    which_children,
)
from tests.helpers import in_process, passed
from tests.supervised import listed, pid_of


class Who(Request[int]):
    pass


class Numbered(GenServer):
    """Knows its number."""

    async def init(self, number: int = -1) -> None:
        self.number = number

    async def handle_call(self, request: Request[Any], caller: Any, /) -> object:
        return self.number

    async def handle_cast(self, message: Any, /) -> None:
        raise message


def numbered(number: int) -> Any:
    return child(Numbered, number)


ROOMS = PartitionSupervisor("rooms")


def _options(**options: Any) -> dict[str, Any]:
    return {"partitions": 2, "name": "rooms", **options}


# -- starting


@in_process
async def test_each_partition_is_a_child_of_its_own() -> None:
    supervisor = await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    assert (pid_of("rooms"), ROOMS.partitions()) == (supervisor, 3)
    assert await which_children("rooms") == [
        ChildInfo(str(number), ROOMS.whereis_name(number), "worker") for number in range(3)
    ]
    assert await count_children("rooms") == {"specs": 3, "active": 3, "supervisors": 0, "workers": 3}
    assert [await call(ROOMS.via(number), Who()) for number in range(3)] == [0, 1, 2]


@in_process
async def test_all_partitions_are_alike_unless_a_function_makes_them() -> None:
    await PartitionSupervisor.start_link(child(Numbered, 7), partitions=3, name="rooms")
    assert [await call(ROOMS.via(number), Who()) for number in range(3)] == [7, 7, 7]


@in_process
async def test_partitions_may_be_supervisors_and_share_the_children_among_them() -> None:
    await PartitionSupervisor.start_link(child(DynamicSupervisor), partitions=4, name="rooms")
    pids = [await start_child(ROOMS.via(f"user {number}"), child(Numbered, number)) for number in range(100)]
    kept = [each.pid for partition in await which_children("rooms") for each in await which_children(_pid(partition))]
    assert sorted(kept, key=str) == sorted(pids, key=str)
    assert await count_children("rooms") == {"specs": 4, "active": 4, "supervisors": 4, "workers": 0}


def _pid(info: ChildInfo) -> Pid:
    assert info.pid is not None
    return info.pid


@in_process
async def test_it_may_have_a_via_name_and_be_a_child() -> None:
    await Registry.start_link(keys="unique", name="registry")
    via = Registry("registry").via("rooms")
    top = await Supervisor.start_link([child(PartitionSupervisor, numbered, partitions=2, name=via)])
    rooms = PartitionSupervisor(via)
    assert (rooms.partitions(), await call(rooms.via(1), Who())) == (2, 1)
    assert [(each.id, each.kind) for each in await which_children(top)] == [("rooms", "supervisor")]
    assert await count_children(via) == {"specs": 2, "active": 2, "supervisors": 0, "workers": 2}


@in_process
async def test_a_second_one_of_the_same_name_is_not_started() -> None:
    first = await PartitionSupervisor.start_link(numbered, partitions=1, name="rooms")
    with pytest.raises(AlreadyStarted) as caught:
        await PartitionSupervisor.start_link(numbered, partitions=2, name="rooms")
    assert (caught.value.pid, ROOMS.partitions()) == (first, 1)


@pytest.mark.parametrize(
    ("partition", "options", "error", "words"),
    [
        (numbered, _options(partitions=0), ValueError, "partitions is a whole number of partitions from 1, not 0"),
        (numbered, _options(partitions=2.0), TypeError, "partitions is a whole number of partitions from 1, not 2.0"),
        (numbered, _options(intensity=-1), ValueError, "intensity is a whole number of restarts from 0, not -1"),
        (
            Numbered,
            _options(),
            TypeError,
            "a supervisor's children are made by child(...); this one is not: <class 'tes",
        ),
        ("x", _options(), TypeError, "a supervisor's children are made by child(...); this one is not: 'x'"),
        (abs, _options(), TypeError, "a supervisor's children are made by child(...); this one is not: 0"),
        (
            child(Numbered, restart="transient", significant=True),
            _options(),
            ValueError,
            "the child '0' is significant: its supervisor needs auto_shutdown=",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    partition: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    @in_process
    async def check() -> None:
        with pytest.raises(error) as caught:
            await PartitionSupervisor.start_link(partition, **options)
        assert str(caught.value)[: len(words)] == words

    check()


# -- keys


@in_process
async def test_a_key_leads_to_one_partition_and_keys_together_to_all() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=8, name="rooms")
    keys = [*range(100), *(f"user {number}" for number in range(100)), (1, "a"), 2.5, None, self_pid()]
    first = [await call(ROOMS.via(key), Who()) for key in keys]
    assert [await call(ROOMS.via(key), Who()) for key in reversed(keys)] == first[::-1]
    assert set(first[100:200]) == set(range(8))


@in_process
async def test_an_integer_leads_to_the_partition_of_its_remainder() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    assert [await call(ROOMS.via(key), Who()) for key in (0, 1, 2, 3, 301, -1, -2)] == [0, 1, 2, 0, 1, 1, 2]


@in_process
async def test_a_key_that_has_no_hash_is_refused() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    wrong: Any = []
    with pytest.raises(TypeError, match="unhashable"):
        await call(ROOMS.via(wrong), Who())


@in_process
async def test_a_key_leads_to_its_partition_again_when_that_was_restarted() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    before = [ROOMS.whereis_name(number) for number in range(3)]
    cast(ROOMS.via(1), ValueError("bad"))
    await passed(1)
    after = [ROOMS.whereis_name(number) for number in range(3)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert await call(ROOMS.via(1), Who()) == 1


@in_process
async def test_a_partition_that_does_not_run_is_no_process() -> None:
    def with_gap(number: int) -> Any:
        return child(_Ignores if number == 1 else Numbered, number)

    await PartitionSupervisor.start_link(with_gap, partitions=2, name="rooms")
    await terminate_child("rooms", "0")
    for key in (0, 1):
        with pytest.raises(NoProcess, match="there is no process"):
            await call(ROOMS.via(key), Who())
        cast(ROOMS.via(key), "into the void")


class _Ignores(GenServer):
    async def init(self, number: int) -> None:
        raise Ignore


@in_process
async def test_nobody_takes_a_partitions_place_by_its_name() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    with pytest.raises(StartError) as caught:
        await Numbered.start(name=Via(_Free(), 5))
    assert "a partition supervisor starts its partitions itself" in caught.value.reason.message


class _Free:
    """The rooms, as if nobody was there: so that the start gets as far as registering."""

    def whereis_name(self, key: Any) -> None:
        return None

    def register_name(self, key: Any, pid: Pid) -> bool:
        return ROOMS.register_name(key, pid)

    def unregister_name(self, key: Any) -> None:
        return ROOMS.unregister_name(key)


# -- one that does not run


@pytest.mark.parametrize("name", ["unknown", Via(PartitionSupervisor("unknown too"), 5)])
def test_one_that_does_not_run_is_no_process_and_has_no_partitions(name: Any) -> None:
    @in_process
    async def check() -> None:
        rooms = PartitionSupervisor(name)
        with pytest.raises(UnknownName, match=r"no partition supervisor .*unknown.* runs on this node"):
            rooms.partitions()
        with pytest.raises(UnknownName):
            await rooms.resize(1)
        for ask in (count_children(name), which_children(name), call(rooms.via(0), Who())):
            with pytest.raises(NoProcess):
                await ask

    check()


@in_process
async def test_another_process_that_has_published_something_is_none() -> None:
    await Registry.start_link(keys="unique", name="rooms")
    assert ROOMS.whereis_name(0) is None


@in_process
async def test_when_it_ends_its_partitions_have_stopped_and_its_name_is_free() -> None:
    trap_exit(True)
    supervisor = await PartitionSupervisor.start_link(numbered, partitions=3, name="rooms")
    pids = [ROOMS.whereis_name(number) for number in range(3)]
    exit(supervisor, "enough")
    assert await receive() == Exited(supervisor, "enough")
    assert [is_alive(pid) for pid in pids if pid is not None] == [False] * 3
    assert ROOMS.whereis_name(0) is None


# -- another number of partitions


SIZES = [*range(8, -1, -1), *range(9), 3, 7, 1, 8, 0, 5, 2, 6, 4]


@in_process
async def test_fewer_partitions_may_be_used_and_more_again() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=8, name="rooms")
    before = 8
    for size in SIZES:
        assert await ROOMS.resize(size) == before
        before = size
        assert ROOMS.partitions() == size
        assert await count_children("rooms") == {"specs": 8, "active": size, "supervisors": 0, "workers": 8}
        found = [await call(ROOMS.via(key), Who()) for key in range(8) if size]
        assert found == [key % size for key in range(8) if size]


@in_process
async def test_with_no_partition_no_key_leads_anywhere() -> None:
    await PartitionSupervisor.start_link(numbered, partitions=2, name="rooms")
    await ROOMS.resize(0)
    with pytest.raises(NoProcess):
        await call(ROOMS.via(0), Who())


@pytest.mark.parametrize(
    ("size", "error", "words"),
    [
        (9, ValueError, "'rooms' was started with 8 partitions and can't have 9"),
        (-1, ValueError, "partitions is a whole number of partitions from 0, not -1"),
        (True, TypeError, "partitions is a whole number of partitions from 0, not True"),
    ],
)
def test_a_number_of_partitions_it_can_not_have_is_refused(size: Any, error: type[Exception], words: str) -> None:
    @in_process
    async def check() -> None:
        await PartitionSupervisor.start_link(numbered, partitions=8, name="rooms")
        with pytest.raises(error) as caught:
            await ROOMS.resize(size)
        assert (str(caught.value), ROOMS.partitions()) == (words, 8)

    check()


@in_process
async def test_a_partition_that_does_not_start_again_is_an_error_and_those_before_it_are_used() -> None:
    starts: list[int] = []

    class Fails(Numbered):
        async def init(self, number: int = -1) -> None:
            starts.append(number)
            if starts.count(2) == 2:
                raise Stop("no")
            await super().init(number)

    make: Callable[[int], Any] = lambda number: child(Fails, number)  # noqa: E731  # a name for its type
    await PartitionSupervisor.start_link(make, partitions=4, name="rooms")
    await ROOMS.resize(1)
    with pytest.raises(StartError, match="the partition 2 did not start: 'no'"):
        await ROOMS.resize(4)
    assert ROOMS.partitions() == 2
    assert await listed("rooms") == [("0", True), ("1", True), ("2", False), ("3", False)]
