"""Looking into a running behaviour, and holding it (OTP's `sys`).

    await sys_messages.suspend("counter")
    print(await sys_messages.get_state("counter"))
    await sys_messages.resume("counter")

Every generic behaviour, a supervisor too, answers these between two messages, on this node and on others. One that is
suspended takes system messages only, and what else comes waits in order; but an exit signal, or the end of its parent,
ends it still.

Those that come from another node are done only where this node exports "$sys" to it, as it does unless it was given
lists of `exports`; else `NotExported` is raised there.

Every function here raises what `call` does, and `CallingSelf` for a behaviour that asks itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from pydist.core.debugging import LOGGED, Hook, Statistics, SysEvent
from pydist.errors import CallTimeout, EncodeError, NotExported
from pydist.exports import SYSTEM
from pydist.gen.addresses import Server, locate
from pydist.gen.calls import DEFAULT_TIMEOUT, Caller, calling_self, failed_call, is_self, nobody, node_of
from pydist.gen.request_ids import begin_request, receive_response
from pydist.gen.sys_requests import (
    Count,
    Counted,
    Failed,
    GetState,
    GetStatus,
    Install,
    Keep,
    Kept,
    NoDebug,
    Remove,
    ReplaceState,
    Resume,
    Status,
    Suspend,
    System,
    Terminate,
    Trace,
)
from pydist.message import Request
from pydist.messaging import acting, receive
from pydist.primitives import demonitor, monitor
from pydist.remote_spawns import NOT_EXPORTED
from pydist.terms import NORMAL, Atom, Down, Reason, Ref

R = TypeVar("R")


def _to_send(caller: Caller, request: Any) -> System:
    return System(caller, request, True)


async def _ask(server: Server, request: Request[R], timeout: float | None) -> R:
    process, runtime = acting()
    target = locate(server)
    if target is not None and is_self(process, runtime, target):
        raise calling_self(server, request)
    answer = await receive_response(begin_request(_to_send, server, request, timeout), timeout)
    if isinstance(answer, Failed):
        if target is not None and answer.reason == (NOT_EXPORTED, SYSTEM):
            raise NotExported(SYSTEM, node_of(target))
        raise failed_call(answer.reason, server, request)
    return answer


async def get_state(server: Server, timeout: float | None = DEFAULT_TIMEOUT) -> Any:
    """The state of a behaviour: of a `GenServer` its attributes, by name (`sys:get_state/2`).

    On the same node the values are the very objects, so that it can be looked at while the behaviour is suspended, and
    is out of date at once while it is not. For debugging: programs ask by `call`.

    Raises:
        CallError: it can't be had, `("callback_failed", Crash)`, or can't cross the wire.
    """
    return await _ask(server, GetState(), timeout)


async def replace_state(server: Server, function: Callable[[Any], Any], timeout: float | None = DEFAULT_TIMEOUT) -> Any:
    """Put `function(state)` in the place of a behaviour's state; the new state (`sys:replace_state/3`).

    It runs in the behaviour's process, and should be quick. On this node only: a function does not cross the wire.

    Raises:
        CallError: `function` has raised, or its result is no such state: `("callback_failed", Crash)`. The state is
            what it was.
        EncodeError: the behaviour is on another node.
    """
    return await _local("replace_state", server, ReplaceState(function), timeout)


async def _local(what: str, server: Server, request: Request[R], timeout: float | None) -> R:
    try:
        return await _ask(server, request, timeout)
    except EncodeError as error:
        raise EncodeError(f"{what} works within a node only: a function can't be sent to {server!r}") from error


async def get_status(server: Server, timeout: float | None = DEFAULT_TIMEOUT) -> Status:
    """What a behaviour is, and how it is (`sys:get_status/2`)."""
    return await _ask(server, GetStatus(), timeout)


async def suspend(server: Server, timeout: float | None = DEFAULT_TIMEOUT) -> None:
    """Have a behaviour take system messages only, until `resume` (`sys:suspend/2`)."""
    await _ask(server, Suspend(), timeout)


async def resume(server: Server, timeout: float | None = DEFAULT_TIMEOUT) -> None:
    """Have a behaviour go on; nothing if it is not suspended (`sys:resume/2`)."""
    await _ask(server, Resume(), timeout)


async def stop(server: Server, reason: Reason = NORMAL, timeout: float | None = None) -> None:
    """Have a behaviour end with `reason`, and wait for it (`gen_server:stop/3`, `proc_lib:stop/3`).

    It handles what was sent before, and then runs `terminate`, whether it traps exits or not.

    Args:
        server: a pid, a name on this node, `(name, node)`, or a `Via`.
        reason: that of its end.
        timeout: seconds to wait, None for as long as it takes. It ends all the same when they have passed.

    Raises:
        CallTimeout: it has not ended in time.
        NoProcess: there is no such process.
        CallError: it has ended with another reason.
    """
    request = Terminate(reason)
    target = locate(server)
    if target is None:
        raise nobody(server, request)
    ended_by = await _ended(server, monitor(target), request, timeout)
    if ended_by is not reason and ended_by != reason:
        raise failed_call(ended_by, server, request)


async def _ended(server: Server, ref: Ref, request: Terminate, timeout: float | None) -> Reason:
    _, runtime = acting()
    began = runtime.loop.time()
    try:
        await _ask(server, request, timeout)
        left = None if timeout is None else max(0.0, began + timeout - runtime.loop.time())
        down: Down = await receive(ref, left)
    except TimeoutError:
        text = f"{server!r} has not ended within {timeout} s; it will when it comes to it"
        raise CallTimeout(Atom("timeout"), server, request, text) from None
    finally:
        demonitor(ref, flush=True)
    return down.reason


# -- debugging


async def trace(server: Server, flag: bool, timeout: float | None = DEFAULT_TIMEOUT) -> None:
    """Have a behaviour log each event as it happens, as `sys_trace`, or no longer (`sys:trace/3`)."""
    await _ask(server, Trace(flag), timeout)


@overload
async def log(server: Server, flag: Literal["get"], timeout: float | None = ...) -> list[SysEvent]: ...
@overload
async def log(server: Server, flag: bool | int, timeout: float | None = ...) -> None: ...
async def log(
    server: Server, flag: bool | int | Literal["get"], timeout: float | None = DEFAULT_TIMEOUT
) -> list[SysEvent] | None:
    """Have a behaviour keep its last events, or show them (`sys:log/3`).

    Args:
        server: a pid, a name on this node, `(name, node)`, or a `Via`.
        flag: how many it is to keep; True for 10, False for no longer; "get" for what it has kept, oldest first.
        timeout: seconds to wait for the answer, None for ever.
    """
    if flag == "get":
        return await _ask(server, Kept(), timeout)
    if flag is not False and flag < 1:
        raise ValueError(f"a log keeps at least one event, not {flag}: False turns it off")
    limits = {True: LOGGED, False: None}
    await _ask(server, Keep(limits[flag] if isinstance(flag, bool) else flag), timeout)
    return None


@overload
async def statistics(server: Server, flag: Literal["get"], timeout: float | None = ...) -> Statistics | None: ...
@overload
async def statistics(server: Server, flag: bool, timeout: float | None = ...) -> None: ...
async def statistics(
    server: Server, flag: bool | Literal["get"], timeout: float | None = DEFAULT_TIMEOUT
) -> Statistics | None:
    """Have a behaviour count its messages, or show what it has counted (`sys:statistics/3`).

    Args:
        server: a pid, a name on this node, `(name, node)`, or a `Via`.
        flag: True to begin, False to end; "get" for what was counted, or None if nothing is.
        timeout: seconds to wait for the answer, None for ever.
    """
    if flag == "get":
        return await _ask(server, Counted(), timeout)
    await _ask(server, Count(flag), timeout)
    return None


async def install(
    server: Server, hook: Hook, state: Any, key: Any = None, timeout: float | None = DEFAULT_TIMEOUT
) -> None:
    """Have a behaviour call `hook(state, event, label)` at each event, in its own process (`sys:install/3`).

    On this node only: a function does not cross the wire.

    Args:
        server: a pid, a name on this node, or a `Via`.
        hook: returns the state it gets next time, or None when it is to be called no longer. One that raises is
            called no longer, either.
        state: what it gets the first time.
        key: by which `remove` knows it; the hook itself by default. Nothing happens if the key is there already.
        timeout: seconds to wait for the answer, None for ever.
    """
    await _local("install", server, Install(hook if key is None else key, hook, state), timeout)


async def remove(server: Server, key: Any, timeout: float | None = DEFAULT_TIMEOUT) -> None:
    """Have a behaviour no longer call the hook of this key (`sys:remove/3`)."""
    await _ask(server, Remove(key), timeout)


async def no_debug(server: Server, timeout: float | None = DEFAULT_TIMEOUT) -> None:
    """Turn off trace, log, statistics and hooks (`sys:no_debug/2`)."""
    await _ask(server, NoDebug(), timeout)
