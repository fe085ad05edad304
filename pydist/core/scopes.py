"""What the scopes of one name on several nodes say to each other, and what each of them makes of it (OTP's `pg`).

Whoever hears of a node, or comes into being, says `Discover`. Who is discovered answers with `Sync`, all that it has on
its own node, monitors the other, and discovers it in turn. From then on each tells the other by `Share` and `Withdraw`
what changes there. When the other scope ends, or its node is lost, its members are forgotten.

A scope speaks for its own node alone, and repeats nothing of what it was told: there is no full mesh by way of others.
All that one scope sends another arrives in order, or the connection is lost, and `Sync` begins anew; so both agree in
the end. Two scopes that follow each other on one node have no order between them: the one that was started later has
the greater number, and what comes of the earlier counts no more.

What a peer says is not believed where it speaks of processes of others: that is ignored, and `Change.refused` says why.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from pydist.core.groups import Events, Groups
from pydist.core.members import Shares
from pydist.message import PeerMessage
from pydist.terms import Pid, is_pid

MEMBERS_LIMIT: Final = 1_000_000
"""So many memberships of one other node are kept."""


class Discover(PeerMessage, tag="$pg_discover"):
    """Here is a scope: what have you?"""

    scope: Pid


class Sync(PeerMessage, tag="$pg_sync"):
    """All members on the sender's node."""

    scope: Pid
    shares: Shares


class Share(PeerMessage, tag="$pg_share"):
    """These have joined on the sender's node."""

    scope: Pid
    shares: Shares


class Withdraw(PeerMessage, tag="$pg_withdraw"):
    """These have left on the sender's node."""

    scope: Pid
    shares: Shares


Word: TypeAlias = Discover | Sync | Share | Withdraw


@attrs.frozen
class Change:
    """What the process of the scope has to do after a change."""

    events: Events = ()
    """Whom of those that monitor to send what, in this order."""
    words: tuple[tuple[str, Word], ...] = ()
    """What to say to the scope of which node, in this order; nothing to one that is not connected any more."""
    watch: tuple[Pid, ...] = ()
    """Members of this node, or scopes of others: their end must be noticed."""
    unwatch: tuple[Pid, ...] = ()
    """Of no interest any more."""
    refused: str | None = None
    """Why what a peer has said was ignored; None for what is as it should be, and for what has only come too late."""


class Scopes:
    """The scope whose process is `me`. Nodes that it talks with are those that are connected and not hidden."""

    def __init__(self, me: Pid, limit: int = MEMBERS_LIMIT) -> None:
        self.groups = Groups()
        self.peers: dict[str, Pid] = {}
        """The scopes of other nodes that are known."""
        self._me = me
        self._limit = limit

    def discover(self, nodes: Iterable[str]) -> Change:
        """These nodes are connected."""
        return Change(words=tuple((node, Discover(self._me)) for node in nodes))

    def state(self) -> Sync:
        """What others have to know."""
        return Sync(self._me, self.groups.local.shares())

    # -- what happens on this node

    def join(self, group: Hashable, pids: Sequence[Pid]) -> Change:
        """Each of `pids` joins, as often as it stands there."""
        if not pids:
            return Change()
        new = tuple(pid for pid in dict.fromkeys(pids) if pid not in self.groups.local)
        return Change(self.groups.join(group, pids), self._to_all(Share(self._me, [(group, pids)])), watch=new)

    def leave(self, group: Hashable, pids: Iterable[Pid]) -> Change | None:
        """Each of `pids` leaves once for each time it stands there and is a member; None if nobody was."""
        left, events = self.groups.leave(group, pids)
        if not left:
            return None
        gone = tuple(pid for pid in dict.fromkeys(left) if pid not in self.groups.local)
        return Change(events, self._to_all(Withdraw(self._me, [(group, left)])), unwatch=gone)

    def ended(self, pid: Pid) -> Change:
        """A member of this node has died, or a scope of another, or its node is lost."""
        if self.peers.get(pid.node) == pid:
            del self.peers[pid.node]
            return Change(self.groups.lost(pid.node))
        left, events = self.groups.ended(pid)
        return Change(events, self._to_all(Withdraw(self._me, left)) if left else ())

    def _to_all(self, word: Word) -> tuple[tuple[str, Word], ...]:
        return tuple((node, word) for node in self.peers)

    # -- what other scopes say

    def told(self, node: str, word: PeerMessage) -> Change:
        """The scope of a node has said something."""
        refused = self._refused(node, word)
        if refused is not None:
            return Change(refused=refused)
        said = cast("Word", word)
        known = self.peers.get(node)
        if known is not None and said.scope.number < known.number:
            return Change()  # the last words of a scope that another has followed
        if isinstance(said, Discover):
            return self._discovered(node, said.scope)
        if isinstance(said, Sync):
            met = self._meet(node, said.scope)
            return attrs.evolve(met, events=met.events + self.groups.replace(node, said.shares))
        if known != said.scope:
            return Change()  # it will be told all, as soon as it has discovered this one
        change = self.groups.joined if isinstance(said, Share) else self.groups.left
        return Change(change(node, said.shares))

    def _discovered(self, node: str, scope: Pid) -> Change:
        news = self.peers.get(node) != scope
        words: list[tuple[str, Word]] = [(node, self.state())]
        if news:
            words.append((node, Discover(self._me)))
        return attrs.evolve(self._meet(node, scope), words=tuple(words))

    def _meet(self, node: str, scope: Pid) -> Change:
        """From now on it is the scope of the node, with no members yet if it was another before."""
        known = self.peers.get(node)
        if known == scope:
            return Change()
        self.peers[node] = scope
        return Change(self.groups.lost(node), watch=(scope,), unwatch=() if known is None else (known,))

    def _refused(self, node: str, word: PeerMessage) -> str | None:
        if not isinstance(word, Discover | Sync | Share | Withdraw):
            return f"{type(word).__qualname__} is no word of a scope"
        scope: object = word.scope
        if not is_pid(scope) or scope.node != node:
            return "it speaks for the scope of another node"
        if isinstance(word, Discover):
            return None
        try:
            size = _check(scope, word.shares)
        except (TypeError, ValueError, RecursionError) as error:
            return str(error)
        before = self.groups.size_of(node) if isinstance(word, Share) else 0
        return f"it has more than {self._limit} memberships" if before + size > self._limit else None


def _check(scope: Pid, shares: Any) -> int:
    """How many memberships are in it. Raises TypeError, ValueError and RecursionError for what a scope may
    not say."""
    size = 0
    for group, pids in shares:
        hash(group)
        if not isinstance(pids, list | tuple):  # of a dict its values would count
            raise TypeError(f"the members of a group are a list, not a {type(pids).__qualname__}")
        for pid in cast("list[object] | tuple[object, ...]", pids):
            if not is_pid(pid) or (pid.node, pid.creation) != (scope.node, scope.creation):
                raise ValueError("it speaks of processes that are not of its node")
            size += 1
    return size
