"""The process of a registry, and the table that it publishes; `Registry` in registry.py is how both are used."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydist.core.entries import Entries, Entry
from pydist.gen_server import GenServer
from pydist.message import Message
from pydist.messaging import acting, send
from pydist.primitives import publish, trap_exit, whereis
from pydist.process import Process
from pydist.terms import Exited, Pid

Keys: TypeAlias = Literal["unique", "duplicate"]


class Registered(Message, tag="$registered"):
    """To the listeners of a registry: `pid` has registered."""

    registry: str
    key: Any
    pid: Pid
    value: Any


class Unregistered(Message, tag="$unregistered"):
    """To the listeners of a registry: an entry of `pid` is gone; it has unregistered, or died."""

    registry: str
    key: Any
    pid: Pid


class Table:
    """What a registry publishes. Changed by whoever registers: no process is stopped between two awaits."""

    def __init__(self, keys: Keys, name: str, listeners: Sequence[str], meta: Mapping[Any, Any]) -> None:
        process, self.runtime = acting()
        self.owner = process.pid
        self.name = name
        self.entries: Entries[Pid] = Entries(self._lives, unique=keys == "unique")
        self.listeners = listeners
        self.meta = dict(meta)
        self.linked_before: set[Pid] = set()
        """Whose link is not ours to remove: the one who started the registry, for example."""

    def __repr__(self) -> str:
        return f"<Table {self.name!r} with {len(self.entries)} entries>"

    def _lives(self, pid: Pid) -> bool:
        return self.runtime.process(pid) is not None

    def add(self, process: Process, key: Hashable, value: Any) -> None:
        process.related()  # one that was killed has none: an entry of it would stay
        self.tell_removed(self.entries.add(key, process.pid, value))
        if self.entries.count_of(process.pid) == 1:
            self._link(process)
        self.tell(Registered(self.name, key, process.pid, value))

    def _link(self, process: Process) -> None:
        if self.owner in process.related().links:
            self.linked_before.add(process.pid)
        self.runtime.link(process, self.owner)

    def remove(self, process: Process, key: Hashable, where: Callable[[Any], object]) -> None:
        removed = self.entries.remove(key, process.pid, where)
        if removed and not self.entries.count_of(process.pid):
            self._unlink(process)
        self.tell_removed(removed)

    def _unlink(self, process: Process) -> None:
        if process.pid in self.linked_before:
            self.linked_before.discard(process.pid)
        else:
            self.runtime.unlink(process, self.owner)

    def remove_all(self, pid: Pid) -> None:
        self.linked_before.discard(pid)
        self.tell_removed(self.entries.remove_all(pid))

    def tell_removed(self, entries: list[Entry[Pid]]) -> None:
        for entry in entries:
            self.tell(Unregistered(self.name, entry.key, entry.holder))

    def tell(self, event: Message) -> None:
        for name in self.listeners:
            listener = whereis(name)
            if listener is not None:
                send(listener, event)


class Keeper(GenServer):
    """The process of a registry: it owns the table, and sees the end of those in it."""

    async def init(self, keys: Keys, name: str, listeners: Sequence[str], meta: Mapping[Any, Any]) -> None:
        trap_exit(True)
        self._table = Table(keys, name, listeners, meta)
        publish(self._table)

    async def handle_info(self, message: Any, /) -> None:
        if isinstance(message, Exited):
            self._table.remove_all(message.pid)
        else:
            await super().handle_info(message)
