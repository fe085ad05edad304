"""A behaviour that is debugged: trace, log, statistics, hooks."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import self_pid, send, sys_messages
from pydist.core.debugging import Statistics, SysEvent
from pydist.gen.calls import Call, Cast, call, cast
from tests.behaviours.test_gen_server_continue import Diary, Do
from tests.counter import Add, Counter, Total
from tests.helpers import in_process, passed


def shape(event: SysEvent) -> Any:
    """An event with the message alone, without the envelope."""
    match event.term:
        case Call(_, request):
            return event.kind, request, event.peer
        case Cast(message):
            return event.kind, message, event.peer
        case _:
            return event.kind, event.term, event.peer


@in_process
async def test_a_behaviour_keeps_its_last_events() -> None:
    counter = await Counter.start()
    await sys_messages.log(counter, 4)
    cast(counter, "forgotten")
    cast(counter, "one")
    send(counter, "two")
    await call(counter, Add(3))
    assert [shape(each) for each in await sys_messages.log(counter, "get")] == [
        ("in", "one", None),
        ("in", "two", None),
        ("in", Add(3), None),
        ("out", 3, self_pid()),
    ]


@in_process
async def test_a_log_keeps_ten_events_and_can_be_made_longer_or_turned_off() -> None:
    counter = await Counter.start()
    await sys_messages.log(counter, True)
    for number in range(12):
        send(counter, number)
    kept = await sys_messages.log(counter, "get")
    await sys_messages.log(counter, 11)
    send(counter, 12)
    longer = await sys_messages.log(counter, "get")
    await sys_messages.log(counter, False)
    send(counter, 13)
    off = await sys_messages.log(counter, "get")
    assert [[each.term for each in events] for events in (kept, longer, off)] == [
        list(range(2, 12)),
        list(range(2, 13)),
        [],
    ]


@in_process
async def test_a_log_keeps_at_least_one_event() -> None:
    with pytest.raises(ValueError, match="a log keeps at least one event, not 0: False turns it off"):
        await sys_messages.log(self_pid(), 0)


@in_process
async def test_continuations_and_timeouts_are_events_too() -> None:
    server = await Diary.start([], [])
    await sys_messages.log(server, True)
    send(server, Do(["now"], 1))
    await passed(2)
    kinds = [each.kind for each in await sys_messages.log(server, "get")]
    assert kinds == ["in", "continue", "timeout"]


@in_process
async def test_a_behaviour_counts_its_messages() -> None:
    counter = await Counter.start()
    assert await sys_messages.statistics(counter, "get") is None
    await sys_messages.statistics(counter, True)
    cast(counter, "one")
    await call(counter, Total())
    await passed(3)
    assert await sys_messages.statistics(counter, "get") == Statistics(3, 2, 1)
    await sys_messages.statistics(counter, True)
    assert await sys_messages.statistics(counter, "get") == Statistics(3, 2, 1)
    await sys_messages.statistics(counter, False)
    assert await sys_messages.statistics(counter, "get") is None


def test_a_behaviour_logs_its_events_while_it_is_traced(logs: list[EventDict]) -> None:
    @in_process
    async def check() -> None:
        counter = await Counter.start()
        await sys_messages.trace(counter, True)
        send(counter, "seen")
        await sys_messages.trace(counter, False)
        send(counter, "unseen")
        await call(counter, Total())
        pids.append(counter)

    pids: list[Any] = []
    check()
    assert [line for line in logs if line["event"] == "sys_trace"] == [
        {
            "event": "sys_trace",
            "log_level": "info",
            "server": "Counter",
            "pid": pids[0],
            "kind": "in",
            "term": "seen",
            "peer": None,
        }
    ]


@in_process
async def test_a_hook_sees_each_event_until_it_has_seen_enough() -> None:
    def three(state: Any, event: SysEvent, label: str) -> Any:
        seen.append((state, event.term, label))
        return None if state == 3 else state + 1

    seen: list[Any] = []
    counter = await Counter.start()
    await sys_messages.install(counter, three, 1)
    await sys_messages.install(counter, three, 100)  # it is there already
    for word in "abcde":
        send(counter, word)
    await passed(1)
    assert seen == [(1, "a", "Counter"), (2, "b", "Counter"), (3, "c", "Counter")]


@in_process
async def test_a_hook_that_fails_or_is_removed_is_called_no_longer() -> None:
    def fails(state: Any, event: SysEvent, label: str) -> Any:
        seen.append(("fails", event.term))
        raise ValueError

    def goes_on(state: Any, event: SysEvent, label: str) -> Any:
        seen.append(("goes on", event.term))
        return state

    seen: list[Any] = []
    counter = await Counter.start()
    await sys_messages.install(counter, fails, 1)
    await sys_messages.install(counter, goes_on, 1, key="b")
    send(counter, 1)
    send(counter, 2)
    await sys_messages.remove(counter, "b")
    send(counter, 3)
    await call(counter, Total())
    assert seen == [("fails", 1), ("goes on", 1), ("goes on", 2)]


@in_process
async def test_all_debugging_is_turned_off_together() -> None:
    counter = await Counter.start()
    await sys_messages.log(counter, True)
    await sys_messages.statistics(counter, True)
    await sys_messages.no_debug(counter)
    send(counter, 1)
    assert (await sys_messages.log(counter, "get"), await sys_messages.statistics(counter, "get")) == ([], None)
