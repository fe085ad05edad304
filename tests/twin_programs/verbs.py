"""What the processes of a random program can do."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    Alias,
    Down,
    Exited,
    Ref,
    alias,
    bound_mailbox,
    call,
    cancel_timer,
    demonitor,
    is_alive,
    link,
    make_ref,
    monitor,
    read_timer,
    receive,
    register,
    self_pid,
    send,
    send_after,
    send_interval,
    start_timer,
    trap_exit,
    unalias,
    unlink,
    unregister,
    whereis,
)
from pydist import exit as send_exit
from pydist.messaging import acting, current
from pydist.process import Process
from pydist.task_state import REDUCTIONS
from tests.counter import Add, Die, Later, Total, Wait
from tests.helpers import plain
from tests.twin_programs.world import NAMES, Actor, Verb

REASONS: Final = (NORMAL, KILL, SHUTDOWN, "boom", "boom")
CROWD: Final = 40
"""How many actors a program has at most."""


def tell(actor: Actor) -> None:
    send(actor.somebody(), actor.something())


def tell_by_name(actor: Actor) -> None:
    send(actor.random.choice(NAMES), actor.something())


def tell_by_alias(actor: Actor) -> None:
    if actor.world.aliases:
        target = actor.random.choice(actor.world.aliases[-5:])
        send(target, actor.something(), priority=actor.random.random() < 0.5)


def flood(actor: Actor) -> None:
    """More than one may take in a turn, for oneself or another."""
    target = actor.random.choice((self_pid(), actor.somebody()))
    if actor.random.randrange(4) == 0:
        for number in range(REDUCTIONS + actor.random.randrange(100)):
            send(target, number)


def is_no_text(message: object) -> bool:
    return not isinstance(message, str)


async def drain(actor: Actor) -> str:
    taken: list[object] = []
    pattern = actor.random.choice((None, int, is_no_text))
    try:
        while True:
            taken.append(await receive(pattern, 0))
    except TimeoutError:
        return f"{len(taken)} {shown(taken[-3:])}"


async def serve(actor: Actor) -> int:
    """Take whatever comes for a while."""
    served = 0
    try:
        async with asyncio.timeout(actor.seconds()):
            while True:
                await receive()
                served += 1
                if served % 100 == 0:
                    actor.world.write(actor.number, "serves", current().reductions)
    except TimeoutError:
        return served


async def take(actor: Actor) -> str:
    return shown(await receive(actor.pattern(), actor.random.choice((0, 0.5, 1.0, 3.0, 30.0))))


async def take_within(actor: Actor) -> str:
    """A receive that asyncio takes back."""
    async with asyncio.timeout(actor.seconds()):
        return shown(await receive(actor.pattern(), actor.random.choice((None, actor.seconds()))))


async def answer(actor: Actor) -> str:
    """What is awaited by a fresh reference, of which many others know nothing."""
    ref = make_ref()
    send_after(actor.seconds(), self_pid(), (ref, "answer"))
    return shown(await receive(ref, actor.seconds()))


async def rest(actor: Actor) -> None:
    await asyncio.sleep(actor.random.choice((0, 0, actor.seconds())))


async def rest_in_tasks(actor: Actor) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(asyncio.sleep(actor.seconds()))


async def ask(actor: Actor) -> str:
    by = actor.random.randrange(9)
    asked: Any = actor.random.choice((Add(by), Total(), Wait(actor.seconds()), Later(), Die("died"), Add(by), Total()))
    return shown(await call(actor.random.choice(actor.world.servers), asked, actor.seconds()))


def watch(actor: Actor) -> object:
    target = actor.random.choice((actor.somebody(), actor.somebody(), *NAMES))
    until = actor.random.choice((None, None, "explicit_unalias", "demonitor", "reply_demonitor"))
    untyped: Any = monitor
    watched = cast("Ref | tuple[Ref, Alias]", untyped(target, alias=until, priority=actor.random.random() < 0.3))
    if isinstance(watched, tuple):
        actor.world.aliases.append(watched[1])
    ref = watched[0] if isinstance(watched, tuple) else watched
    actor.refs.append(ref)
    return ref


def unwatch(actor: Actor) -> bool:
    return demonitor(actor.some_ref(), flush=actor.random.random() < 0.5)


def open_alias(actor: Actor) -> None:
    made = alias(reply=actor.random.random() < 0.3, priority=actor.random.random() < 0.5)
    actor.world.aliases.append(made)
    actor.refs.append(made.ref)


def close_alias(actor: Actor) -> bool:
    return bool(actor.world.aliases) and unalias(actor.random.choice(actor.world.aliases))


def bind(actor: Actor) -> None:
    link(actor.somebody(), priority=actor.random.random() < 0.3)


def unbind(actor: Actor) -> None:
    unlink(actor.somebody())


def signal(actor: Actor) -> None:
    send_exit(actor.random.choice((self_pid(), actor.somebody(), actor.somebody())), actor.random.choice(REASONS))


def fall(actor: Actor) -> None:
    if actor.random.randrange(3) == 0:
        raise AssertionError("fell")


def trap(actor: Actor) -> bool:
    return trap_exit(actor.random.random() < 0.6)


def take_name(actor: Actor) -> None:
    register(actor.random.choice(NAMES), actor.somebody())


def drop_name(actor: Actor) -> None:
    unregister(actor.random.choice(NAMES))


def look(actor: Actor) -> str:
    pid = actor.somebody()
    process = acting()[1].process(pid)
    return f"{whereis(actor.random.choice(NAMES))} {is_alive(pid)} {pid} {process and portrait(process)}"


def set_timer(actor: Actor) -> None:
    start = actor.random.choice((send_after, start_timer, send_interval))
    actor.timers.append(start(actor.seconds(), actor.random.choice((self_pid(), actor.somebody(), *NAMES)), "tick"))


def stop_timer(actor: Actor) -> object:
    return (read_timer, cancel_timer)[actor.random.randrange(2)](actor.timers[-1])


def bound(actor: Actor) -> None:
    policies: tuple[Any, ...] = ("drop_newest", "drop_oldest", "drop_oldest", "exit", "block", "block")
    bound_mailbox(actor.random.choice((None, 1, 5)), actor.random.choice(policies))


def bear(actor: Actor) -> object:
    if len(actor.world.pids) >= CROWD:
        return None
    how = {"link": actor.random.random() < 0.4, "monitor": actor.random.random() < 0.6}
    return actor.world.add(**how, name=actor.random.choice((None, None, None, *NAMES)))


VERBS: Final[tuple[Verb, ...]] = (
    *(tell, tell, tell, tell_by_name, tell_by_alias, tell_by_alias, tell_by_alias),
    *(take, take, take, take_within, drain, serve, answer, rest, rest, rest_in_tasks),
    *(watch, watch, unwatch, open_alias, close_alias, bind, bind, unbind, ask, ask),
    *(signal, fall, trap, trap, take_name, drop_name, look, set_timer, stop_timer, bound, bear, bear, flood),
)


def portrait(process: Process) -> str:
    """What a process holds."""
    tables = process.relations
    related = tables and (tables.links, tables.monitors, tables.watchers)
    urgent = process.urgent and sorted(map(repr, process.urgent))
    return f"{process.trapping} {process.dying} {related} {process.aliases} {urgent} {process.waits()}"


def shown(value: object) -> str:
    """A message or a reply, without what is another text in each twin: a traceback."""
    if isinstance(value, Down | Exited):
        return f"{type(value).__name__}({plain(value.reason)})"
    return repr(value)
