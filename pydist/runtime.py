"""The processes of one node: the table, the names, and where every signal between them goes.

What is for another node goes `outward`; the router of a distributed node puts itself there. Between two local processes
a signal acts in the call that sends it, so that order between a pair is the order of the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from typing import Any, Final, Protocol

from pydist.core.names import Names, check_name
from pydist.core.relations import Target
from pydist.dead_letters import DeadLetters, DeadReason
from pydist.env import real_env
from pydist.errors import NodeStartError, PydistError, UnknownName
from pydist.message_timers import MessageTimers
from pydist.neighbours import Neighbours, NoNeighbours
from pydist.outward import Nowhere, Outward
from pydist.process import Process
from pydist.process_table import ProcessTable
from pydist.remote_spawns import Refused, RemoteSpawns, SpawnReply, Wish, answer_spawn
from pydist.scheduler import Scheduler
from pydist.terms import NOPROC, Alias, AliasEnd, Destination, Pid, Reason, Ref, RegisteredName
from pydist.timers import Timers

LOCAL_NODE: Final = "nonode@nohost"
"""The name of a node that is not distributed."""


class Watch(Protocol):
    """What stands by and has to end with the node."""

    def close(self) -> None:
        """The node has stopped."""
        ...

    def busy_node(self, sender: Process, node: str, /) -> None:
        """A process is held, for too much waits for a node."""
        ...

    def export_refused(self, pid: Pid, export: str, why: str, /) -> None:
        """A process of another node has asked for what is not there for it."""
        ...


def begin(function: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
    """The coroutine of an async function.

    Raises:
        TypeError: not an async function, or the wrong arguments for it.
    """
    refuse_coroutine("a process", function)
    coroutine: object = function(*args)
    if not iscoroutine(coroutine):
        returned = type(coroutine).__name__
        raise TypeError(f"a process runs an async function, `async def`; {function!r} is none, and returned {returned}")
    return coroutine


def refuse_coroutine(what: str, function: object) -> None:
    """Raise TypeError for a function that was called too early."""
    if iscoroutine(function):
        function.close()
        name = function.__qualname__
        raise TypeError(f"{what} is started with the function and its arguments: {name}, ... and not {name}(...)")


class Runtime(ProcessTable[Process]):
    """See the head of this file. One for each node; all its state hangs here."""

    __slots__ = (
        "closed",
        "dead_letters",
        "entropy",
        "loop",
        "message_timers",
        "names",
        "neighbours",
        "outward",
        "published",
        "scheduler",
        "spawns",
        "timers",
        "watch",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, node: str = LOCAL_NODE, creation: int = 1) -> None:
        super().__init__(Process, node, creation)
        self.loop = loop
        self.scheduler = Scheduler(loop)
        self.timers = Timers(loop)
        self.message_timers = MessageTimers(self.timers, self.send_timed)
        self.names: Names[Process] = Names()
        self.published: dict[int, Any] = {}
        """What processes let others read without being asked, by the number of the pid."""
        self.dead_letters = DeadLetters()
        self.spawns = RemoteSpawns(self)
        self.outward: Outward = Nowhere(self.dead_letter)
        self.neighbours: Neighbours = NoNeighbours(node, loop.create_future)
        self.entropy = real_env().entropy
        """Gives that many random bytes; a node puts that of its `env` here."""
        self.closed = False
        """Every process has been killed, and the clean-up of one must not start another."""
        self.watch: Watch | None = None
        """The watchdogs, where somebody has asked for them."""

    # -- processes

    def spawn(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        parent: Pid | None = None,
        name: str | None = None,
    ) -> Process:
        """Make a process that runs `function(*args)`; its first step comes soon.

        Raises:
            NameTaken: the name belongs to another process; nothing is started.
            TypeError: not an async function, or the wrong arguments for it.
            NodeStartError: the node has stopped.
        """
        coroutine = begin(function, args)
        if self.closed:
            coroutine.close()
            raise NodeStartError("no process can be started: the node has stopped")
        process = self.new_process(coroutine, parent)
        if name is not None:
            self._name_new(process, name)
        process.waken()
        return process

    def spawn_on(self, source: Process, node: str, wish: Wish) -> None:
        """Have a process started on `node`, for `source`; a `SpawnReply` comes.

        Raises:
            EncodeError, ConnectionFull, BadNodeName: as `send`; nothing was sent.
        """
        source.mailbox.mark(wish.ref)
        source.open_alias(wish.ref, "reply")
        if node != self.node:
            try:
                self.outward.spawn(source, node, wish)
            except PydistError:
                source.close_alias(wish.ref)
                raise
            return
        try:
            child, starting = self.spawns.start(wish)
        except Refused as refused:
            answer_spawn(source, SpawnReply(wish.ref, None, refused.reason))
            return
        if wish.link:
            self.link(source, child.pid)
        if wish.monitor or starting:
            source.watch(child, child.pid, wish.ref)
        answer_spawn(source, SpawnReply(wish.ref, child.pid, starting=starting))

    def export_refused(self, pid: Pid, export: str, why: str) -> None:
        """Tell who wants to hear that a process of another node has asked for what is not there for it."""
        if self.watch is not None:
            self.watch.export_refused(pid, export, why)

    def _name_new(self, process: Process, name: str) -> None:
        try:
            self.register(name, process)
        except BaseException:
            self.strike(process)
            if process.coroutine is not None:
                process.coroutine.close()
            raise

    def register(self, name: str, process: Process) -> None:
        """Give `process` a name. Raises NameTaken, and TypeError or ValueError for what is no name."""
        self.names.register(name, process)
        process.holding = True

    def name_of(self, process: Process) -> str | None:
        """The name that `process` is registered by."""
        return self.names.name_of(process)

    def forget(self, process: Process) -> None:
        """`process` is dead: free its place, its name, and what it has published."""
        self.strike(process)
        if process.holding:
            self.names.release(process)
            self.published.pop(process.pid.number, None)
            self.message_timers.process_ended(process.pid.number)

    def close(self) -> None:
        """End all processes with the reason `killed`, start no more, and stop the timers."""
        self.closed = True
        for process in list(self.table.values()):
            process.kill()
        self.timers.close()
        if self.watch is not None:
            self.watch.close()
        self.message_timers.close()

    # -- messages

    def send(self, target: Destination, message: Any) -> None:
        """Send; silent when nobody is there.

        Raises:
            UnknownName: `target` is a local name that nobody has.
            EncodeError: it is for another node, and can't cross the wire.
            TypeError: `target` is no destination.
        """
        if isinstance(target, Pid):
            if target.node != self.node:
                self.outward.send(target, message)
                return
            process = self.process(target)
            if process is not None:
                process.deliver(message)
            else:
                self.dead_letter(target, message, self._why_nobody(target))
        elif isinstance(target, Alias):
            self.send_alias(target, message)
        else:
            self._send_name(target, message)

    def would_hold(self, target: Destination) -> bool:
        """Whether who sends to `target` now is held at its next await."""
        if isinstance(target, Alias):
            return not self.is_local(target.pid) and self.outward.would_hold(target.pid)
        address = target if isinstance(target, Pid) else self.address(target)
        process = self.process(address) if isinstance(address, Pid) else self._holder(address)
        return self.outward.would_hold(address) if process is None else process.blocks()

    def send_alias(self, alias: Alias, message: Any) -> None:
        """Send to an alias, as `send` does."""
        process = self.process(alias.pid)
        if process is not None:
            process.deliver_alias(alias.ref, message)
        elif not self.is_local(alias.pid):
            self.outward.send_alias(alias, message)
        else:
            self.dead_letter(alias, message, self._why_nobody(alias.pid))

    def send_timed(self, target: Pid | RegisteredName, message: Any, repeated: bool) -> None:
        """The message of a timer: somebody has asked for it, so a bounded mailbox takes it however full it is, unless
        it comes again and again."""
        process = self.process(target) if isinstance(target, Pid) else self._holder(target)
        if process is None:
            self.send(target, message)
        elif repeated and len(process.mailbox) >= process.mailbox.limit:
            self.dead_letter(target, message, "mailbox_full")
        else:
            process.admit(message)

    def send_urgently(self, target: Alias, message: Any) -> None:
        """Send a message that asks for priority."""
        process = self.process(target.pid)
        if process is not None:
            process.deliver_alias(target.ref, message, True)
        elif not self.is_local(target.pid):
            self.outward.send_alias(target, message, urgent=True)
        else:
            self.send_alias(target, message)

    def _send_name(self, target: str | RegisteredName, message: Any) -> None:
        name, node = self.address(target)
        if node != self.node:
            self.outward.send_name((name, node), message)
            return
        process = self.names.holder(name)
        if process is not None:
            process.deliver(message)
        elif isinstance(target, str):
            raise UnknownName(f"nobody on this node is registered as {name!r}")
        else:
            self.dead_letter(target, message, "unknown_name")

    def dead_letter(self, target: object, message: Any, reason: DeadReason) -> None:
        """Nobody gets `message`."""
        self.dead_letters.add(target, message, reason)

    def _why_nobody(self, pid: Pid) -> DeadReason:
        return "noproc" if pid.creation == self.creation else "incarnation"

    def address(self, target: object) -> RegisteredName:
        """A name with its node. Raises TypeError for what is no address, ValueError for what is no name."""
        match target:
            case str():
                check_name(target)
                return target, self.node
            case (str() as name, str() as node):
                check_name(name)
                return name, node
            case _:
                raise TypeError(f"a destination is a Pid, an Alias, a name or a pair (name, node), not {target!r}")

    # -- links

    def link(self, source: Process, target: Pid) -> None:
        """Link two processes; `source` gets the exit signal `NOPROC` if there is none to link to."""
        if target == source.pid or not source.related().link(target):
            return
        partner = self.process(target)
        if partner is not None:
            partner.related().link_received(source.pid)
        elif self.is_local(target):
            source.receive_exit(target, NOPROC)
        else:
            try:
                self.outward.link(source, target)
            except PydistError:
                source.related().link_broken(target)
                raise

    def unlink(self, source: Process, target: Pid) -> None:
        """Remove the link, if there is one; no exit signal comes by it any more."""
        unlink_id = source.relations.unlink(target) if source.relations is not None else None
        if unlink_id is None:
            return
        source.calm(target)
        if not self.is_local(target):
            self.outward.unlink(source, target, unlink_id)
            return
        partner = self.process(target)
        if partner is not None:
            partner.receive_unlink(source.pid)
        source.related().unlink_acknowledged(target, unlink_id)

    def exit(self, source: Pid, target: Pid, reason: Reason) -> None:
        """Send an exit signal (Erlang's `exit/2`)."""
        process = self.process(target)
        if process is not None:
            process.receive_exit_to(source, reason)
        elif not self.is_local(target):
            self.outward.exit(source, target, reason)

    def send_exit(self, source: Pid, partner: Pid, reason: Reason) -> None:
        """The link from `source`, which has died, to `partner` breaks."""
        process = self.process(partner)
        if process is not None:
            process.receive_exit(source, reason)
        elif not self.is_local(partner):
            self.outward.exit_by_link(source, partner, reason)

    # -- monitors

    def monitor(
        self,
        source: Process,
        target: Pid | str | RegisteredName,
        alias: AliasEnd | None = None,
        priority: bool = False,
    ) -> Ref:
        """Monitor a process, by pid or by name; a `Down` comes at once if there is none.

        With `alias`, the reference is also that of an alias of `source`, which ends as this says; with `priority`, what
        comes by it goes before ordinary messages.
        """
        ref = self.new_ref()
        source.mailbox.mark(ref)
        if alias is not None:
            source.open_alias(ref, alias)
        if priority:
            source.hurry(ref)
        watched = target if type(target) is Pid else self.address(target)
        self._watch(source, watched, ref)
        return ref

    def _watch(self, source: Process, watched: Target, ref: Ref) -> None:
        process = self.process(watched) if type(watched) is Pid else self._holder(watched)
        if process is not None:
            # The process that bears the name now is watched, whoever bears it later.
            source.watch(process, watched, ref)
        else:
            self._monitor_nobody(source, watched, ref)

    def ask(self, source: Process, target: Target, ref: Ref, message: Any) -> None:
        """Monitor `target`, let one message in by the alias of `ref`, which ends both, and send it a request.

        Raises:
            EncodeError, ConnectionFull, BadNodeName: as `send`; nothing was sent, and nothing is monitored.
        """
        source.mailbox.mark(ref)
        source.open_alias(ref, "reply_demonitor")
        if (target.node if isinstance(target, Pid) else target[1]) == self.node:
            self._watch(source, target, ref)
            self.send(target, message)
            return
        source.related().monitors[ref] = target
        try:
            self.outward.ask(source, target, ref, message)
        except PydistError:
            source.related().monitors.pop(ref, None)
            source.close_alias(ref)
            raise

    def _holder(self, address: RegisteredName) -> Process | None:
        return self.names.holder(address[0]) if address[1] == self.node else None

    def _monitor_nobody(self, source: Process, watched: Target, ref: Ref) -> None:
        """Monitor a process of another node, or one that does not exist."""
        source.related().monitors[ref] = watched
        if (watched.node if isinstance(watched, Pid) else watched[1]) == self.node:
            source.receive_down(ref, watched, NOPROC)
            return
        try:
            self.outward.monitor(source, watched, ref)
        except PydistError:
            del source.related().monitors[ref]
            source.close_alias(ref)
            raise

    def send_demonitor(self, source: Pid, target: Target, ref: Ref) -> None:
        """The monitor `ref` of `source` is no longer wanted."""
        process = self.process(target) if type(target) is Pid else None
        if process is not None:
            if process.relations is not None:
                process.relations.watchers.pop(ref, None)
        elif not isinstance(target, Pid) or not self.is_local(target):
            self.outward.demonitor(source, target, ref)

    def send_down(self, source: Target, watcher: Pid, ref: Ref, reason: Reason) -> None:
        """`source`, which `watcher` monitors, has died."""
        process = self.process(watcher)
        if process is not None:
            process.receive_down(ref, source, reason)
        elif not self.is_local(watcher):
            self.outward.down(source, watcher, ref, reason)
