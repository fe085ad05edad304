"""Links and monitors of one process: who must hear of its end, and of whose end it wants to hear.

Rules (Erlang's distribution protocol, "Link Protocol" and MONITOR_P; the same locally and between nodes):

- There is at most one link per pair. Each end keeps the partner and whether the link is *active*; an inactive one
  remembers the id of the UNLINK that was sent, until its acknowledgement comes.
- LINK received creates a link where none is, and is otherwise ignored, even on an inactive one: it was sent before our
  UNLINK arrived there.
- UNLINK received drops an active link and leaves an inactive one; it is always acknowledged.
- An acknowledgement counts only if the link is inactive and the ids are equal. That settles the race of two processes
  that link and unlink at the same time.
- An exit signal by a link that isn't active is dropped.
- Monitors are one-way, independent and stack.

Everything here is a table; the caller sends the signals. All operations are O(1), but for `active_links`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pydist.speedups import native
from pydist.terms import Pid, Ref, RegisteredName

Target: TypeAlias = Pid | RegisteredName

_ACTIVE = 0


class RelationTables:
    """What `Relations` keeps."""

    __slots__ = ("_last_unlink", "links", "monitors", "watchers")

    def __init__(self) -> None:
        self.links: dict[Pid, int] = {}
        """Partner -> 0 while active, else the id of the UNLINK in flight."""
        self.monitors: dict[Ref, Target] = {}
        """What this process monitors."""
        self.watchers: dict[Ref, tuple[Pid, Target]] = {}
        """Who monitors this process, and under which address its DOWN is to name it."""
        self._last_unlink = 0


if not TYPE_CHECKING and native is not None:
    RelationTables = native.RelationTables


class Relations(RelationTables):
    """The tables of one process. Made when it first links or monitors, or is linked to or monitored."""

    __slots__ = ()

    def link(self, partner: Pid) -> bool:
        """Create or reactivate the link; True if a LINK must be sent."""
        if self.links.get(partner) == _ACTIVE:
            return False
        self.links[partner] = _ACTIVE
        return True

    def link_received(self, partner: Pid) -> None:
        """A LINK from `partner`."""
        self.links.setdefault(partner, _ACTIVE)

    def unlink(self, partner: Pid) -> int | None:
        """Deactivate the link; the id of the UNLINK that must be sent, or None if there is no active link."""
        if self.links.get(partner) != _ACTIVE:
            return None
        self._last_unlink += 1
        self.links[partner] = self._last_unlink
        return self._last_unlink

    def unlink_received(self, partner: Pid) -> None:
        """An UNLINK from `partner`; the caller acknowledges it in any case."""
        if self.links.get(partner) == _ACTIVE:
            del self.links[partner]

    def unlink_acknowledged(self, partner: Pid, unlink_id: int) -> None:
        """An UNLINK_ACK from `partner`."""
        if unlink_id != _ACTIVE and self.links.get(partner) == unlink_id:
            del self.links[partner]

    def link_broken(self, partner: Pid) -> bool:
        """An exit signal by the link, or the loss of its connection; True if the link was active: the signal counts."""
        return self.links.pop(partner, None) == _ACTIVE

    def active_links(self) -> list[Pid]:
        """The partners of all active links, oldest first."""
        return [partner for partner, state in self.links.items() if state == _ACTIVE]
