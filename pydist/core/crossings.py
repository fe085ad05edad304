"""Which links and monitors cross the connection to one node: its loss finds them without asking every process.

Links are pairs of a local and a remote pid; a monitor is known by its ref, and by the local process that has it or is
watched by it. All operations are O(1). The tables of the processes themselves (`core/relations.py`) stay the truth.
"""

from __future__ import annotations

import attrs

from pydist.terms import Pid, Ref


@attrs.define
class Crossings:
    """What crosses one connection."""

    links: dict[tuple[Pid, Pid], None] = attrs.field(factory=dict[tuple[Pid, Pid], None])
    """(local, remote), oldest first."""
    monitors: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Monitors of local processes on remote ones: who watches."""
    watchers: dict[Ref, Pid] = attrs.field(factory=dict[Ref, Pid])
    """Monitors of remote processes on local ones: who is watched."""

    def add_link(self, local: Pid, remote: Pid) -> None:
        """A link has been set up."""
        self.links[local, remote] = None

    def drop_link(self, local: Pid, remote: Pid) -> None:
        """A link is gone, or was never there."""
        self.links.pop((local, remote), None)
