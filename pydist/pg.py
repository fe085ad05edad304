"""Process groups: members come and go, and whoever wants to is told (OTP's `pg`).

    from pydist import pg

    await pg.start_link("chat")                    # a scope, usually as child(pg.Scope, name="chat")
    await pg.join("chat", "room 1", self_pid())
    for pid in pg.get_members("chat", "room 1"):
        send(pid, "hello")

    ref, members = await pg.monitor("chat", "room 1")
    change = await receive(ref)                    # Joined or Left

The contract:

- A scope is a process and a world of its own: groups of one are unknown in another. A group is any hashable value; it
  is there while it has members.
- A process may join a group several times: it is then listed as often, and has to leave as often.
- Who dies, leaves. `get_members` does not show a dead process of this node; those that monitor hear `Left` when the
  scope has noticed.
- `monitor` returns the members and begins to tell of changes in one step: nothing is told twice, and nothing is missed.
- `get_members` reads what the scope publishes, and never waits; what changes something asks the scope, and does.
- Scopes of one name know each other on all nodes that are connected and not hidden. A process joins on its own node,
  and is seen on those that are connected with it; nobody repeats what others have said. After a partition all agree
  again, as soon as they are connected. When a node is lost its members leave, with one `Left` for each group.
- With the scope its groups end. Members are not linked with it: who wants to be in the group after a restart monitors
  the scope, and joins again. Where no scope of the name runs, reading raises `UnknownName`, and the rest `NoProcess`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final, TypeVar

import attrs

from pydist import net_kernel, primitives
from pydist.core.groups import Groups, Joined, Left
from pydist.core.scopes import Change, Discover, Scopes, Word
from pydist.errors import ConnectionFull, EncodeError, NoProcess, UnknownName
from pydist.gen.calls import Caller, call, cast
from pydist.gen.lifecycle import NO_REPLY
from pydist.gen.request_ids import receive_response, send_request
from pydist.gen_server import GenServer
from pydist.mailbox import MISSING
from pydist.message import FromPeer, Request
from pydist.messaging import acting, current, send
from pydist.own_log import log
from pydist.primitives import publish, published, self_pid
from pydist.send_later import send_after
from pydist.terms import NOPROC, Down, NodeDown, NodeUp, Pid, Ref, is_pid

__all__ = [
    "Joined",
    "Left",
    "Scope",
    "demonitor",
    "get_local_members",
    "get_members",
    "join",
    "leave",
    "monitor",
    "monitor_scope",
    "start",
    "start_link",
    "which_groups",
    "which_local_groups",
]

R = TypeVar("R")

_PAUSE: Final = 1.0
"""Seconds after which a node for which too much waited is told again."""


# Only processes of its own node may ask a scope. They show the table that it publishes, the object itself, as a seal:
# what comes from another node can't hold it, whoever it says that it is.


class _Join(Request[None], tag="$pg_join"):
    seal: Any
    group: Any
    pids: list[Pid]


class _Leave(Request[bool], tag="$pg_leave"):
    seal: Any
    group: Any
    pids: list[Pid]


class _Monitor(Request[list[Pid]], tag="$pg_monitor"):
    seal: Any
    group: Any


class _MonitorScope(Request[dict[Any, list[Pid]]], tag="$pg_monitor_scope"):
    seal: Any


class _Demonitor(Request[bool], tag="$pg_demonitor"):
    seal: Any
    ref: Ref


@attrs.frozen
class _Again:
    """It is time to say to a node what could not be said before. No message, so no peer can send one."""

    node: str


class Scope(GenServer):
    """The process of a scope, in a supervisor `child(pg.Scope, name="chat")`. The name is the scope's, on all nodes."""

    async def init(self) -> None:
        self._scopes = Scopes(self_pid())
        self._name = current().registered_name()
        self._monitors: dict[Pid, Ref] = {}
        """Of the members here, and of the scopes of other nodes."""
        self._watches: dict[Ref, Ref] = {}
        """By the ref of a monitor of one that monitors, the ref of the changes it gets."""
        self._watch_monitors: dict[Ref, Ref] = {}
        """The other way round."""
        self._behind: set[str] = set()
        """Nodes for which too much waits: they are told all at once, later."""
        self._reported: set[str] = set()
        """Nodes that have said what they have no right to, since they are connected."""
        publish(self._scopes.groups)
        net_kernel.monitor_nodes(True)
        self._perform(self._scopes.discover(net_kernel.nodes()))

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        if not self._is_sealed(request):
            self._ignore(caller.pid.node, "it asks what only processes of this node may ask")
            return NO_REPLY
        match request:
            case _Join(_, group, pids):
                self._perform(self._scopes.join(group, pids))
                return None
            case _Leave(_, group, pids):
                change = self._scopes.leave(group, pids)
                self._perform(change or Change())
                return change is not None
            case _Monitor(_, group):
                self._watch(caller, group)
                return self._scopes.groups.members(group)
            case _MonitorScope():
                self._watch(caller)
                return self._scopes.groups.all()
            case _Demonitor(_, ref):
                return self._unwatch(ref)
            case _:
                return await super().handle_call(request, caller)

    async def handle_cast(self, message: Any, /) -> None:
        if isinstance(message, _Demonitor) and self._is_sealed(message):
            self._unwatch(message.ref)
        else:
            await super().handle_cast(message)

    def _is_sealed(self, request: Request[Any]) -> bool:
        return getattr(request, "seal", None) is self._scopes.groups

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case FromPeer(node, word):
                if node in net_kernel.nodes():  # not hidden, and not lost meanwhile
                    self._perform(self._scopes.told(node, word), node)
            case NodeUp(node):
                if node in net_kernel.nodes():
                    self._perform(self._scopes.discover([node]))
            case NodeDown(node):  # the monitors tell of the scopes there
                self._reported.discard(node)
            case _Again(node):
                self._catch_up(node)
            case Down():
                self._ended(message)
            case _:
                await super().handle_info(message)

    def _ended(self, down: Down) -> None:
        if down.ref in current().related().monitors:
            return  # somebody has made it up: the monitor has not fired
        if down.ref in self._watches:
            self._unwatch(self._watches[down.ref])
        elif isinstance(down.process, Pid) and self._monitors.get(down.process) == down.ref:
            del self._monitors[down.process]
            self._perform(self._scopes.ended(down.process))

    def _watch(self, caller: Caller, *group: Hashable) -> None:
        """Monitor one that monitors: its end is the end of that. The ref of its request is that of the changes it gets,
        for that it knows even if it is interrupted while it asks."""
        monitor = primitives.monitor(caller.pid)
        self._watches[monitor], self._watch_monitors[caller.ref] = caller.ref, monitor
        self._scopes.groups.watch(caller.ref, caller.pid, *group)

    def _unwatch(self, ref: Ref) -> bool:
        monitor = self._watch_monitors.pop(ref, None)
        if monitor is not None:
            del self._watches[monitor]
            primitives.demonitor(monitor, flush=True)
        return self._scopes.groups.unwatch(ref)

    def _perform(self, change: Change, node: str = "") -> None:
        for pid in change.unwatch:
            primitives.demonitor(self._monitors.pop(pid), flush=True)
        for pid in change.watch:
            self._monitors[pid] = primitives.monitor(pid)
        for watcher, event in change.events:
            send(watcher, event)
        if change.words:
            connected = set(net_kernel.nodes())
            for other, word in change.words:
                if other in connected:  # else it would be dialled, only to hear of what it has forgotten
                    self._say(other, word)
        if change.refused is not None:
            self._ignore(node, change.refused)

    # -- to other nodes

    def _say(self, node: str, word: Word) -> None:
        if self._name is None or (node in self._behind and not isinstance(word, Discover)):
            return
        try:
            send((self._name, node), word)
        except ConnectionFull:
            self._behind.add(node)
            send_after(_PAUSE, self_pid(), _Again(node))
        except EncodeError as error:
            log.error("scope_not_told", scope=self._name, node=node, reason=str(error))

    def _catch_up(self, node: str) -> None:
        self._behind.discard(node)
        if node in self._scopes.peers and node in net_kernel.nodes():
            self._say(node, self._scopes.state())

    def _ignore(self, node: str, why: str) -> None:
        """Tell people of what a peer has no right to say, once for each connection."""
        if node not in self._reported:
            self._reported.add(node)
            log.warning("scope_ignores_peer", scope=self._name, node=node, reason=why)


async def start_link(scope: str) -> Pid:
    """Start a scope, linked to the caller (OTP's `pg:start_link/1`).

    Raises:
        AlreadyStarted: the name belongs to a living process.
    """
    return await Scope.start_link(name=scope)


async def start(scope: str) -> Pid:
    """As `start_link`, without a link."""
    return await Scope.start(name=scope)


# -- joining


async def join(scope: str, group: Hashable, pids: Pid | Iterable[Pid]) -> None:
    """Let processes of this node join a group, which comes into being with its first member (OTP's `pg:join/3`).

    Args:
        scope: the name of a scope that runs here.
        group: any hashable value; on a node that has a name, one that can cross to others.
        pids: one, or several; each joins as often as it stands there.

    Raises:
        EncodeError: other nodes could not be told of the group.
        NoProcess: no scope of this name runs.
        TypeError: no pids, or a group that can't be hashed.
        ValueError: a process of another node: it has to join there.
    """
    hash(group)
    _, runtime = acting()
    runtime.outward.check(group)
    await call(scope, _Join(_seal(scope), group, _local(pids)), None)


async def leave(scope: str, group: Hashable, pids: Pid | Iterable[Pid]) -> bool:
    """Let processes of this node leave a group, once for each time they stand there (OTP's `pg:leave/3`).

    Returns:
        False if none of them was a member, and nothing has changed (OTP's `not_joined`).

    Raises:
        as `join`.
    """
    hash(group)
    return await call(scope, _Leave(_seal(scope), group, _local(pids)), None)


def _local(pids: Pid | Iterable[Pid]) -> list[Pid]:
    _, runtime = acting()
    checked: list[Any] = [pids] if isinstance(pids, Pid) else list(pids)
    for pid in checked:
        if not is_pid(pid):
            raise TypeError(f"members of a group are pids, not {pid!r}")
        if not runtime.is_local(pid):
            raise ValueError(f"{pid} lives on another node: a process joins and leaves on its own")
    return checked


# -- reading


def get_members(scope: str, group: Hashable) -> list[Pid]:
    """The members of a group on all nodes, each as often as it has joined; empty if there is no such group
    (OTP's `pg:get_members/2`).

    Raises:
        UnknownName: no scope of this name runs.
    """
    groups = _read(scope)
    return _living(groups.local.of(group)) + groups.remote_members(group)


def get_local_members(scope: str, group: Hashable) -> list[Pid]:
    """The members of a group on this node (OTP's `pg:get_local_members/2`). Raises as `get_members`."""
    return _living(_read(scope).local.of(group))


def _living(pids: list[Pid]) -> list[Pid]:
    _, runtime = acting()
    return [pid for pid in pids if runtime.process(pid) is not None]


def which_groups(scope: str) -> list[Any]:
    """All groups that have members on any node (OTP's `pg:which_groups/1`); one whose last member has just died may be
    among them.

    Raises:
        UnknownName: no scope of this name runs.
    """
    return _read(scope).groups()


def which_local_groups(scope: str) -> list[Any]:
    """The groups that have members on this node (OTP's `pg:which_local_groups/1`). Raises as `which_groups`."""
    return _read(scope).local.groups()


def _read(scope: str) -> Groups:
    groups = published(scope)
    if isinstance(groups, Groups):
        return groups
    raise UnknownName(_missing(scope))


def _seal(scope: str) -> Groups:
    """What a scope knows the processes of its node by. Raises NoProcess."""
    groups = published(scope)
    if isinstance(groups, Groups):
        return groups
    raise NoProcess(NOPROC, scope, None, _missing(scope))


def _missing(scope: str) -> str:
    return (
        f"no scope {scope!r} runs on this node: start it before those who use it, with pg.start_link({scope!r}) "
        f"or as child(pg.Scope, name={scope!r}) of their supervisor"
    )


# -- monitoring


async def monitor(scope: str, group: Hashable) -> tuple[Ref, list[Pid]]:
    """Get a `Joined` or `Left` for each change of a group from now on (OTP's `pg:monitor/2`).

    Monitors stack: each tells of every change.

    Returns:
        The ref that the changes carry, and the members now. The group need not exist.

    Raises:
        NoProcess: no scope of this name runs.
        TypeError: a group that can't be hashed.
    """
    hash(group)
    return await _watch(scope, _Monitor(_seal(scope), group))


async def monitor_scope(scope: str) -> tuple[Ref, dict[Any, list[Pid]]]:
    """Get a `Joined` or `Left` for each change of any group from now on (OTP's `pg:monitor_scope/1`).

    Returns:
        The ref that the changes carry, and the members of all groups now.

    Raises:
        NoProcess: no scope of this name runs.
    """
    return await _watch(scope, _MonitorScope(_seal(scope)))


async def _watch(scope: str, request: Request[R]) -> tuple[Ref, R]:
    asked = send_request(scope, request)
    try:
        return asked.ref, await receive_response(asked, None)
    except BaseException:
        cast(scope, _Demonitor(published(scope), asked.ref))  # nobody will know the ref
        _flush_changes(asked.ref)
        raise


async def demonitor(scope: str, ref: Ref) -> bool:
    """Get no more changes with this ref; those that are in the mailbox are taken out (OTP's `pg:demonitor/2`).

    Returns:
        False if nobody monitors with this ref.

    Raises:
        NoProcess: no scope of this name runs.
    """
    known = await call(scope, _Demonitor(_seal(scope), ref), None)
    if known:
        _flush_changes(ref)
    return known


def _flush_changes(ref: Ref) -> None:
    process, _ = acting()
    while process.mailbox.flush(lambda message: _is_change(message, ref)) is not MISSING:
        pass


def _is_change(message: object, ref: Ref) -> bool:
    return isinstance(message, Joined | Left) and message.ref == ref
