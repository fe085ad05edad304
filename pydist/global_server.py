"""The process that keeps the names of the cluster on one node (OTP's `global_name_server`); global_names.py uses it.

core/global_names.py decides. Here messages are taken to it, and its orders are performed; each resolver runs in a
process of its own, so that the server answers meanwhile.
"""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import Any, Final

import attrs

from pydist.boot import at_boot
from pydist.core.global_names import (
    Answer,
    GlobalNames,
    Order,
    Pause,
    Registration,
    Removal,
    Resolve,
    SayHello,
    Send,
    Unwatch,
    Watch,
)
from pydist.core.global_protocol import (
    Ask,
    Changed,
    Granted,
    Greet,
    Names,
    Refused,
    Release,
    Released,
    is_name,
)
from pydist.core.lock_table import LockTable, pause
from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.errors import ConnectionFull
from pydist.gen.calls import Caller, reply
from pydist.gen.lifecycle import NO_REPLY
from pydist.gen_server import GenServer
from pydist.global_resolvers import RESOLVERS
from pydist.message import FromPeer, Message, Request
from pydist.messaging import acting, current, send
from pydist.net_kernel import disconnect, monitor_nodes, nodes
from pydist.own_log import log
from pydist.primitives import async_dist, demonitor, monitor, publish, self_pid, spawn
from pydist.send_later import send_after
from pydist.supervision.children import child
from pydist.supervisor import Supervisor
from pydist.terms import Down, NodeDown, NodeUp, Pid, Ref, is_pid

SERVER: Final = "global_name_server"

RESOLVE_TIME: Final = 5.0
"""Seconds a resolver has, before nobody keeps the name."""

_TELLS: Final = (Ask, Changed, Granted, Greet, Names, Refused, Release, Released)


class Register(Request["str | bool"], tag="$global_register"):
    """To the server of the node of `pid`. The reply is a text if the request makes no sense."""

    name: Any
    pid: Pid
    resolver: Any
    """A function on the same node; from elsewhere the name of one of pydist's own."""
    force: bool = False


class Unregister(Request[bool], tag="$global_unregister"):
    """To the server of the node of `pid`."""

    name: Any
    pid: Pid


class Sync(Request[None], tag="$global_sync"):
    pass


class SetLock(Request[bool], tag="$global_set_lock"):
    resource: Any
    requester: Any


class DelLock(Request[bool], tag="$global_del_lock"):
    resource: Any
    requester: Any


@attrs.frozen
class _GoOn:  # this, and the next one, are no messages that a peer could send
    turn: int


@attrs.frozen
class _Resolved:
    turn: int
    name: Any
    winner: Pid | None


class GlobalServer(GenServer):
    """See the head of this file."""

    async def init(self, visible: bool) -> None:
        """Greet those that are there, if this node is one that others see."""
        async_dist(True)  # one node that takes no more must not hold the names of all others up
        self._names = GlobalNames(self_pid())
        self._locks = LockTable()
        self._allowance = LogAllowance()
        self._watched: dict[Pid, Ref] = {}
        """Whom the names and the locks want to be watched."""
        self._greeted: dict[Ref, str] = {}
        self._resolving: dict[Ref, Resolve] = {}
        publish(self._names.table)
        if visible:
            monitor_nodes(True)
            for node in nodes():
                self._perform(self._names.node_up(node, greet=True))

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Requests of processes, here and on other nodes."""
        match request:
            case Register():
                return self._register(request, caller)
            case Unregister(name, pid) if is_name(name) and is_pid(pid):
                self._perform(self._names.submit(Removal(caller, name, pid)))
            case Sync():
                self._perform(self._names.sync(caller))
            case SetLock(resource, requester) if is_name(resource) and is_name(requester):
                return self._set_lock(resource, requester, caller.pid)
            case DelLock(resource, requester) if is_name(resource) and is_name(requester):
                self._locks.delete(resource, requester, caller.pid)
                self._watch_no_more(caller.pid)
                return True
            case _:  # of a peer it may be anything, and must not end the names of all
                self._ignore("global_unknown_request", request=request, pid=caller.pid)
        return NO_REPLY

    async def handle_cast(self, message: Any, /) -> None:
        """Nothing is cast to it; of a peer it may be anything."""
        self._ignore("global_unknown_message", message=message)

    async def handle_info(self, message: Any, /) -> None:
        """What other servers say, and what happens to nodes and processes. A peer may make up a `Down`, or that a node
        has come or gone; what is so, is looked up."""
        match message:
            case Down(Ref() as ref):
                if ref not in current().related().monitors:
                    self._down(message, ref)
            case NodeUp(str(node)):
                if node in nodes():
                    self._perform(self._names.node_up(node))
            case NodeDown(str(node)):
                if node not in nodes():
                    self._perform(self._names.node_down(node))
            case _GoOn(turn):
                self._perform(self._names.go_on(turn))
            case _Resolved(turn, name, winner):
                self._perform(self._names.resolved(turn, name, winner))
            case FromPeer(node, word) if isinstance(word, _TELLS):
                self._perform(self._names.receive(word, node))
            case _:
                self._ignore("global_unknown_message", message=message)

    def _ignore(self, event: str, **fields: Any) -> None:
        """Write down what a peer has sent that makes no sense, but not as often as it likes."""
        _, runtime = acting()
        withheld = self._allowance.take(runtime.loop.time())
        if withheld is not None:
            log.warning(event, **fields, **withheld_field(withheld))

    def _register(self, request: Register, caller: Caller) -> object:
        pid: object = request.pid
        if not (is_name(request.name) and is_pid(pid)):
            return "it is no name, or no pid"
        _, runtime = acting()
        process = runtime.process(pid)
        if process is None or process.dying:
            return f"{pid} is no living process of {runtime.node}"
        resolver = request.resolver
        if isinstance(resolver, str):
            resolver = RESOLVERS.get(resolver)
        if not callable(resolver):
            return "there is no such resolver on the node of the process"
        self._perform(self._names.submit(Registration(caller, request.name, pid, resolver, request.force is True)))
        return NO_REPLY

    def _set_lock(self, resource: Any, requester: Any, pid: Pid) -> object:
        if pid.node != self_pid().node and pid.node not in nodes("connected"):
            return NO_REPLY  # to watch it would be to dial whatever a peer names
        done = self._locks.set(resource, requester, pid)
        if done:
            self._watch(pid)
        return done

    # -- who is watched

    def _watch(self, pid: Pid) -> None:
        if pid not in self._watched:
            self._watched[pid] = monitor(pid)

    def _watch_no_more(self, pid: Pid) -> None:
        named = self._names.table.name_of(pid) is not None
        if not named and not self._locks.holds(pid) and pid in self._watched:
            demonitor(self._watched.pop(pid), flush=True)

    def _down(self, down: Down, ref: Ref) -> None:
        pid = down.process
        if ref in self._greeted:
            self._perform(self._names.absent(self._greeted.pop(ref)))
        elif ref in self._resolving:
            self._give_up(self._resolving.pop(ref))
        elif is_pid(pid) and self._watched.get(pid) == ref:
            del self._watched[pid]
            self._locks.ended(pid)
            self._perform(self._names.down(pid))

    # -- orders

    def _perform(self, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Send(to, message):
                    self._send(to, message)
                case SayHello(node):
                    self._greeted[monitor((SERVER, node))] = node
                    send((SERVER, node), Greet(self_pid()))
                case Watch(pid):
                    self._watch(pid)
                    self._greeted_well(pid)
                case Unwatch(pid):
                    self._watch_no_more(pid)
                case Answer(caller, value):
                    reply(caller, value)
                case Resolve():
                    _, ref = spawn(_resolve, self_pid(), order, monitor=True)
                    self._resolving[ref] = order
                case Pause(turn, attempt):
                    send_after(pause(attempt, chance()), self_pid(), _GoOn(turn))

    def _send(self, to: Pid, message: Message) -> None:
        try:
            send((SERVER, to.node), message)  # to the name: so it is told from whom it comes
        except ConnectionFull:  # it would miss a change: both begin anew
            disconnect(to.node)

    def _greeted_well(self, server: Pid) -> None:
        for ref, node in list(self._greeted.items()):
            if node == server.node:
                del self._greeted[ref]
                demonitor(ref, flush=True)

    def _give_up(self, order: Resolve) -> None:
        """The resolver has ended; it has said who keeps the name, or it has failed."""
        self._perform(self._names.resolved(order.turn, order.name, None))


def chance() -> float:
    """A number from 0 to 1, of the entropy of this node."""
    _, runtime = acting()
    return int.from_bytes(runtime.entropy(4)) / (1 << 32)


async def _resolve(server: Pid, order: Resolve) -> None:
    winner: Any = None
    try:
        async with asyncio.timeout(RESOLVE_TIME):
            result: Any = order.resolver(order.name, order.here, order.there)
            winner = await result if isawaitable(result) else result
    except Exception as error:  # noqa: BLE001  # whatever it raises, the name must not wait for it
        log.error("global_resolver_failed", name=order.name, error=repr(error))
    if winner not in (None, order.here, order.there):
        log.error("global_resolver_failed", name=order.name, error=f"it has returned {winner!r}")
        winner = None
    send(server, _Resolved(order.turn, order.name, winner))


@at_boot
async def start(visible: bool) -> None:
    """Start the server of this node under a supervisor of its own."""
    await Supervisor.start([child(GlobalServer, visible, name=SERVER)])
