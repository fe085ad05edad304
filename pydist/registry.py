"""`Registry`: processes of this node under any keys, with a value for each (Elixir's `Registry`).

    await Registry.start_link(keys="unique", name="rooms")
    rooms = Registry("rooms")
    rooms.register("lobby", {"topic": "all"})          # the calling process is the lobby now
    assert rooms.lookup("lobby") == [(self_pid(), {"topic": "all"})]

With `keys="unique"` a key has one process at most, with "duplicate" any number: that is a table of subscribers, and
`dispatch` reaches them. `Registry("rooms")` is no more than the name; make it wherever it is needed.

The contract:

- Reading and registering send no message and never wait: they work on the table itself, which belongs to the process
  that `start_link` starts.
- A key is free, and no read shows its holder any more, before anybody sees that the holder is dead. One that still
  cleans up keeps its keys, as it keeps its name.
- Registering links the process with the registry. When the registry ends, its entries are gone, and the processes that
  were registered get the exit signal: none goes on in the belief that it can be found. Supervise the registry before
  those who use it, with "rest_for_one". Where no registry of the name runs, everything here raises `UnknownName`.
- Keys are compared as in a dict: 1, 1.0 and True are one key. (In Elixir they are not.)

There are no partitions: one Python process has no use for them, and `dispatch` runs in the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, get_args

import attrs

from pydist.core.entries import Entries
from pydist.core.names import check_name
from pydist.errors import AlreadyRegistered, UnknownName
from pydist.gen.addresses import Via
from pydist.messaging import acting
from pydist.primitives import published, self_pid
from pydist.registry_keeper import Keeper, Keys, Table
from pydist.terms import Pid


def _any(_value: object) -> bool:
    return True


@attrs.frozen
class Registry:
    """A registry of this node, by its name; see the head of this file.

    Every method but `start_link` raises `UnknownName` when no registry of this name runs on this node.
    """

    name: str

    def __attrs_post_init__(self) -> None:
        check_name(self.name)

    @classmethod
    async def start_link(
        cls,
        *,
        keys: Keys,
        name: str,
        listeners: Sequence[str] = (),
        meta: Mapping[Any, Any] | None = None,
    ) -> Pid:
        """Start a registry linked to the caller. In a supervisor: `child(Registry, keys="unique", name="rooms")`.

        Args:
            keys: "unique", one process for a key, or "duplicate", any number.
            name: of the registry, on this node.
            listeners: names of processes that get `Registered` and `Unregistered` for each change, in the order of the
                changes; one that does not run at the time misses them.
            meta: what `meta` gives from the start.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            TypeError, ValueError: an argument makes no sense.
        """
        if keys not in get_args(Keys):
            raise ValueError(f"keys is one of {', '.join(get_args(Keys))}, not {keys!r}")
        if isinstance(listeners, str):
            raise TypeError(f"listeners is a list of names; this is a single one: [{listeners!r}]")
        for each in (name, *listeners):
            check_name(each)
        return await Keeper.start_link(keys, name, tuple(listeners), meta or {}, name=name)

    # -- entries of the calling process

    def register(self, key: Hashable, value: Any = None) -> Pid:
        """Register the calling process under `key` (Elixir's `register/3`).

        With duplicate keys it may be registered under one key several times.

        Returns:
            The pid of the registry, to which the calling process is linked now.

        Raises:
            AlreadyRegistered: keys are unique, and a living process has this one; its `pid` says which.
            TypeError: the key can't be hashed.
        """
        table = self._table()
        process, _ = acting()
        table.add(process, key, value)
        return table.owner

    def unregister(self, key: Hashable, where: Callable[[Any], object] = _any) -> None:
        """Take the entries of the calling process under `key` out (Elixir's `unregister/2`, `unregister_match/4`).

        Silent if there is none. With its last entry gone, the process is no longer linked with the registry, unless it
        was before.

        Args:
            key: what it is registered under.
            where: given a value, whether that entry goes; all by default.
        """
        process, _ = acting()
        self._table().remove(process, key, where)

    def update_value(self, key: Hashable, function: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Replace the value of the calling process under `key` by `function(value)` (Elixir's `update_value/3`).

        Returns:
            The new value and the old one.

        Raises:
            UnknownName: the calling process does not have the key.
            TypeError: keys are not unique.
        """
        entries = self._unique("update_value").held(key, self_pid())
        if not entries:
            raise UnknownName(f"the calling process is not registered as {key!r} in {self.name!r}")
        old, new = entries[0].value, function(entries[0].value)
        entries[0].value = new
        return new, old

    # -- reading

    def lookup(self, key: Hashable) -> list[tuple[Pid, Any]]:
        """The processes under `key`, each with its value, oldest entry first (Elixir's `lookup/2`)."""
        return [(entry.holder, entry.value) for entry in self._table().entries.at(key)]

    def values(self, key: Hashable, pid: Pid) -> list[Any]:
        """The values of `pid` under `key` (Elixir's `values/3`)."""
        entries = self._table().entries
        return [entry.value for entry in entries.held(key, pid) if entries.alive(pid)]

    def keys(self, pid: Pid) -> list[Any]:
        """The keys of `pid`, once for each entry (Elixir's `keys/2`)."""
        entries = self._table().entries
        return [entry.key for entry in entries.of(pid) if entries.alive(pid)]

    def entries(self) -> list[tuple[Any, Pid, Any]]:
        """All entries, as `(key, pid, value)` (what Elixir's `select/2` is for: a comprehension is the pattern)."""
        return [(entry.key, entry.holder, entry.value) for entry in self._table().entries.all()]

    def count(self) -> int:
        """How many entries there are (Elixir's `count/1`). Those of a process that has just died may be among them."""
        return len(self._table().entries)

    def dispatch(self, key: Hashable, function: Callable[[list[tuple[Pid, Any]]], object]) -> None:
        """Call `function` with the processes under `key` and their values (Elixir's `dispatch/3`).

        It runs here and now, in the calling process, and what it raises is raised here. Not called if there are none.
        """
        entries = self.lookup(key)
        if entries:
            function(entries)

    # -- metadata

    def meta(self, key: Hashable, default: Any = None) -> Any:
        """What was last put under `key` by `put_meta` or at the start; `default` if nothing was."""
        return self._table().meta.get(key, default)

    def put_meta(self, key: Hashable, value: Any) -> None:
        """Keep a value with the registry, as long as it runs: one that is restarted has what it was started with."""
        self._table().meta[key] = value

    def delete_meta(self, key: Hashable) -> None:
        """Drop a value; silent if there is none."""
        self._table().meta.pop(key, None)

    # -- names of servers

    def via(self, key: Hashable, value: Any = None) -> Via:
        """The name `key` of this registry, for a server to start under and to be called by.

        Where it is called by, the value may be left out.
        """
        return Via(self if value is None else _WithValue(self, value), key)

    def register_name(self, key: Hashable, pid: Pid) -> bool:
        """Part of a via name: give `key` to `pid`, unless another has it.

        Raises:
            TypeError: keys are not unique.
            ValueError: no such process on this node.
        """
        return self._register_name(key, pid, None)

    def _register_name(self, key: Hashable, pid: Pid, value: Any) -> bool:
        self._unique("a via name")
        table = self._table()
        process = table.runtime.process(pid)
        if process is None:
            raise ValueError(f"{pid} is no living process of this node: only such can be registered")
        try:
            table.add(process, key, value)
        except AlreadyRegistered:
            return False
        return True

    def unregister_name(self, key: Hashable) -> None:
        """Part of a via name: free `key`, if the calling process has it."""
        self.unregister(key)

    def whereis_name(self, key: Hashable) -> Pid | None:
        """Part of a via name: who has `key`, or None.

        Raises:
            TypeError: keys are not unique.
        """
        return self._unique("a via name").holder(key)

    # -- the table

    def _table(self) -> Table:
        table = published(self.name)
        if isinstance(table, Table):
            return table
        raise UnknownName(
            f"no registry {self.name!r} runs on this node: start it before those who use it, "
            f"with Registry.start_link(keys=..., name={self.name!r}) or as a child of their supervisor"
        )

    def _unique(self, use: str) -> Entries[Pid]:
        entries = self._table().entries
        if not entries.unique:
            raise TypeError(f"{use} needs unique keys, and those of the registry {self.name!r} are duplicate")
        return entries


@attrs.frozen
class _WithValue:
    """The registry as a via name sees it whose server is registered with a value."""

    registry: Registry
    value: Any

    def register_name(self, key: Hashable, pid: Pid) -> bool:
        return self.registry._register_name(key, pid, self.value)

    def unregister_name(self, key: Hashable) -> None:
        self.registry.unregister_name(key)

    def whereis_name(self, key: Hashable) -> Pid | None:
        return self.registry.whereis_name(key)
