"""Which links and monitors cross the connection to one node: its loss finds them without asking every process.

Links are pairs of a local and a remote pid; a monitor is known by its ref, and by the local process that has it or is
watched by it. All operations are O(1). The tables of the processes themselves (`core/relations.py`) stay the truth.
"""

from __future__ import annotations

import attrs

from pydist.terms import Pid, Ref


@attrs.frozen
class Spawning:
    """A local process has asked for one over there."""

    asker: Pid
    link: bool
    monitor: bool


@attrs.define
class Crossings:
    """What crosses one connection."""

    links: dict[tuple[Pid, Pid], None] = attrs.field(factory=dict[tuple[Pid, Pid], None])
    """(local, remote), oldest first."""
    monitors: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Monitors of local processes on remote ones: who watches."""
    watchers: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Monitors of remote processes on local ones: who is watched."""
    asking: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Requests of local processes to remote ones that are not answered: who asks. Monitors, but for their end."""
    asked: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Requests of remote processes to local ones that are not answered: who is asked."""

    spawning: dict[Ref, Spawning] = attrs.field(factory=dict[Ref, Spawning])
    """Processes that were asked for over there, and of which nothing was heard yet."""

    def add_link(self, local: Pid, remote: Pid) -> None:
        """A link has been set up."""
        self.links[local, remote] = None

    def drop_link(self, local: Pid, remote: Pid) -> None:
        """A link is gone, or was never there."""
        self.links.pop((local, remote), None)

    def has_monitor(self, ref: Ref) -> bool:
        """Whether a local process has this monitor or request still, for all that the other end knows."""
        return ref in self.monitors or ref in self.asking

    def drop_monitor(self, ref: Ref) -> None:
        """A monitor or request of a local process is over."""
        if self.monitors.pop(ref, None) is None:
            self.asking.pop(ref, None)

    def ends_monitor(self, ref: Ref, watcher: Pid) -> bool:
        """The other end says that a monitor or request of `watcher` is over; False if it has none by this reference."""
        return _strike(self.monitors, ref, watcher) or _strike(self.asking, ref, watcher)

    def ends_request(self, ref: Ref, asker: Pid) -> bool:
        """The other end answers a request of `asker`; False if it has none by this reference."""
        return _strike(self.asking, ref, asker)

    def ends_spawning(self, ref: Ref, asker: Pid) -> Spawning | None:
        """The other end says what has come of it; None if this process has asked for none by this reference."""
        spawning = self.spawning.get(ref)
        return self.spawning.pop(ref) if spawning is not None and spawning.asker == asker else None

    def has_watcher(self, ref: Ref) -> bool:
        """Whether a remote process still has this monitor or request, for all that is known here."""
        return ref in self.watchers or ref in self.asked

    def watched(self, ref: Ref) -> Pid | None:
        """Whom a remote process watches or asks by this reference."""
        return self.watchers.get(ref) or self.asked.get(ref)

    def drop_watcher(self, ref: Ref) -> Pid | None:
        """A monitor or request of a remote process is over: whom it watched, if it was there."""
        return self.watchers.pop(ref, None) or self.asked.pop(ref, None)


def _strike(table: dict[Ref, Pid], ref: Ref, pid: Pid) -> bool:
    if table.get(ref) != pid:
        return False
    del table[ref]
    return True
