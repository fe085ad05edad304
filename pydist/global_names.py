"""Names and locks of the whole cluster (OTP's `global`).

    from pydist import global_names

    if await global_names.register_name("bank", self_pid()):    # on all nodes that are connected, or on none
        ...
    send(global_names.whereis_name("bank"), Deposit(10))

    await Bank.start_link(name=Via(global_names, "bank"))       # one in the cluster; others get `AlreadyStarted`
    await call(Via(global_names, "bank"), Balance())

The contract:

- A server runs on every node that has a name, from its start; there is nothing to be done for it. Hidden nodes take no
  part, but have names and locks of their own. So has a node without a name, whose server starts with the first use.
- A name has one process, and a process one name. Names are strings, bytes, integers, atoms, pids and tuples of them.
- `register_name` returns True when all nodes that are connected with that of the process know the name; if one of them
  knows another holder, none learns of this one. Nodes take turns at that, in an order without deadlocks. A node that is
  lost meanwhile, with the process or without, is not waited for.
- `whereis_name` reads a table of this node, and never waits. It shows no process of this node that is dead; one of
  another node until word of its end, or of the loss of its node, has come.
- A name is free when its process ends or its node is lost. Who registers it after its `Down` finds it free, anywhere.
- When nodes meet and both have a name, the resolver decides which process keeps it. It runs once, on the node with the
  lesser name of the two, as it was given there. One that raises, takes more than 5 seconds, or returns neither of the
  two processes nor None counts as None: neither keeps it.
- Names are known to the nodes that are connected with the node of their process. pydist makes no full mesh: connect all
  with all, as `keep_connected` does, if all shall know all names.
- The names of a node end with its server, should that crash; it is started anew, with none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar, cast

from pydist.core.global_protocol import is_name
from pydist.core.lock_table import pause
from pydist.core.name_table import NameTable
from pydist.errors import AlreadyStarted, NodeDisconnected, NoProcess, UnknownName
from pydist.gen.calls import call
from pydist.gen.multi_call import multi_call
from pydist.global_resolvers import (
    RESOLVERS,
    NameConflict,
    Resolver,
    none,
    notify_all_name,
    random_exit_name,
    random_notify_name,
)
from pydist.global_server import SERVER, DelLock, GlobalServer, Register, SetLock, Sync, Unregister, chance
from pydist.messaging import acting
from pydist.messaging import send as send_to
from pydist.net_kernel import nodes
from pydist.primitives import (
    check_pid,
    node_name,
    published,
    whereis,
)
from pydist.runtime import LOCAL_NODE
from pydist.terms import Pid

__all__ = [
    "NameConflict",
    "Resolver",
    "del_lock",
    "none",
    "notify_all_name",
    "random_exit_name",
    "random_notify_name",
    "re_register_name",
    "register_name",
    "registered_names",
    "send",
    "set_lock",
    "sync",
    "trans",
    "unregister_name",
    "whereis_name",
]

T = TypeVar("T")

LockId: TypeAlias = tuple[Any, Any]
"""A resource, and who wants it: all processes that name the same requester share a lock."""


# -- names


async def register_name(name: Any, pid: Pid, resolve: Resolver = random_exit_name, /) -> bool:
    """Give a name to a process, on all nodes or on none (OTP's `global:register_name/3`).

    Args:
        name: see the head of this file.
        pid: a living process of this node, or of one that is connected.
        resolve: decides, if this name should be found twice when nodes meet; a function, async or not. For a process of
            another node it is one of this module's, as a function stays on its node.

    Returns:
        False if somebody has the name, or the process has one.

    Raises:
        ValueError: no such process, or a resolver that is not there.
        TypeError: it is no name, no pid, or no function.
        NodeDisconnected, NoProcess: its node can't be reached, or takes no part.
    """
    return await _register(name, pid, resolve, force=False)


async def re_register_name(name: Any, pid: Pid, resolve: Resolver = random_exit_name, /) -> bool:
    """As `register_name`, and whoever has the name loses it, without being told (`global:re_register_name/3`).

    Returns:
        False if the process has another name.
    """
    return await _register(name, pid, resolve, force=True)


async def _register(name: Any, pid: Pid, resolve: Resolver, *, force: bool) -> bool:
    _check_name(name)
    check_pid("register_name", pid)
    await _ensure_server()
    answer = await call((SERVER, pid.node), Register(name, pid, _for_node(pid.node, resolve), force), None)
    if answer in (True, False):
        return answer is True
    raise ValueError(f"{answer}: only such can be registered")


def _for_node(node: str, resolve: Any) -> Any:
    if not callable(resolve):
        raise TypeError(f"a resolver is a function of a name and two pids, not {resolve!r}")
    if node == node_name():
        return resolve
    for name, function in RESOLVERS.items():
        if function is resolve:
            return name
    raise ValueError(f"{resolve!r} stays on this node, and the process is on {node}: register it there")


async def unregister_name(name: Any, /) -> None:
    """Free a name on all nodes; nothing if nobody has it (OTP's `global:unregister_name/1`).

    Raises:
        TypeError: it is no name.
    """
    pid = whereis_name(name)
    if pid is None:
        return
    try:
        await call((SERVER, pid.node), Unregister(name, pid), None)
    except (NodeDisconnected, NoProcess):
        return  # and with its node its names have gone


def whereis_name(name: Any, /) -> Pid | None:
    """Who has the name, as far as this node knows, or None; never waits (OTP's `global:whereis_name/1`).

    Raises:
        TypeError: it is no name.
    """
    _check_name(name)
    _, runtime = acting()
    table = _table()
    pid = None if table is None else table.find(name)
    if pid is None or (runtime.is_local(pid) and runtime.process(pid) is None):
        return None
    return pid


def registered_names() -> list[Any]:
    """All names that this node knows (OTP's `global:registered_names/0`)."""
    table = _table()
    return [] if table is None else table.names()


def send(name: Any, message: Any) -> Pid:
    """Send to whoever has the name (OTP's `global:send/2`).

    Returns:
        Who that was.

    Raises:
        UnknownName: nobody, as far as this node knows.
        TypeError: it is no name.
        EncodeError, ConnectionFull: as `pydist.send`.
    """
    pid = whereis_name(name)
    if pid is None:
        raise UnknownName(f"nobody in the cluster is registered as {name!r}, as far as this node knows")
    send_to(pid, message)
    return pid


async def sync() -> None:
    """Wait until this node knows the names of all nodes that are connected, and no clash with them is left (OTP's
    `global:sync/0`)."""
    await _ensure_server()
    await call(SERVER, Sync(), None)


def _table() -> NameTable | None:
    table = published(SERVER)
    return table if isinstance(table, NameTable) else None


def _check_name(name: object) -> None:
    if not is_name(name):
        raise TypeError(
            f"a name in the cluster is a string, bytes, an integer, an atom, a pid or a tuple of such, not {name!r}"
        )


async def _ensure_server() -> None:
    """On a node without a name nobody else waits for it; on others it runs from the start."""
    if node_name() == LOCAL_NODE and whereis(SERVER) is None:
        try:
            await GlobalServer.start(False, name=SERVER)
        except AlreadyStarted:
            return


# -- locks


async def set_lock(lock: LockId, on: Iterable[str] | None = None, retries: int | None = None) -> bool:
    """Set a lock on several nodes, or on none of them (OTP's `global:set_lock/3`).

    It belongs to the calling process, and is free when that ends, or the connection with it is lost. To set it twice is
    to have it once.

    Args:
        lock: the resource, and the requester; both as a name is.
        on: the nodes; this one and all that it is connected with by default. Those that can't be reached don't count.
        retries: how often to try again, after pauses that chance makes shorter and each try longer, up to 8 seconds;
            None for as long as it takes.

    Returns:
        False if another requester has it on one of the nodes.

    Raises:
        TypeError: no such lock, or `on` is a single name.
    """
    _check_lock(lock, on)
    await _ensure_server()
    attempt = 0
    wanted = _all_nodes() if on is None else sorted(set(on))
    while not await _set_on(lock, wanted):
        if retries is not None and attempt >= retries:
            return False
        attempt += 1
        await asyncio.sleep(pause(attempt, chance()))
    return True


async def del_lock(lock: LockId, on: Iterable[str] | None = None) -> None:
    """Give a lock back on several nodes; nothing where the caller does not hold it (OTP's `global:del_lock/2`).

    Args:
        lock: as for `set_lock`.
        on: as there.

    Raises:
        TypeError: as `set_lock`.
    """
    _check_lock(lock, on)
    await _ensure_server()
    await multi_call(SERVER, DelLock(*lock), _all_nodes() if on is None else on)


async def trans(
    lock: LockId,
    function: Callable[[], Awaitable[T]],
    on: Iterable[str] | None = None,
    retries: int | None = None,
) -> T | None:
    """Call an async function while the lock is held (OTP's `global:trans/4`).

    Args:
        lock: as for `set_lock`.
        function: is not called if the lock can't be had.
        on: as for `set_lock`.
        retries: as for `set_lock`.

    Returns:
        What it returns; None (OTP: `aborted`) if the lock could not be had.
    """
    wanted = _all_nodes() if on is None else list(on)
    if not await set_lock(lock, wanted, retries):
        return None
    try:
        return await function()
    finally:
        await del_lock(lock, wanted)


async def _set_on(lock: LockId, wanted: list[str]) -> bool:
    """The least node first: who is refused there disturbs nobody else."""
    try:
        for some in (wanted[:1], wanted[1:]):
            replies, _ = await multi_call(SERVER, SetLock(*lock), some)
            if not all(replies.values()):
                await del_lock(lock, wanted)
                return False
    except BaseException:
        await del_lock(lock, wanted)
        raise
    return True


def _all_nodes() -> list[str]:
    return sorted([node_name(), *nodes()])


def _check_lock(lock: Any, on: object) -> None:
    if not (is_name(lock) and type(lock) is tuple and len(cast("tuple[object, ...]", lock)) == 2):
        raise TypeError(f"a lock is a pair of a resource and a requester, each as a name is, not {lock!r}")
    if isinstance(on, str):
        raise TypeError(f"on= takes a list of nodes; this is a single one: write [{on!r}]")
