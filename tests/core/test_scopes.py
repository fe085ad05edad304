"""Scopes of several nodes, over a network that keeps the order of each pair and loses what is under way when it is cut.

Every node has a mailbox: what comes over a connection, and what it hears of ends and of nodes, in one order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.groups import Joined, Left
from pydist.core.scopes import Change, Discover, Scopes, Share, Sync, Withdraw, Word
from pydist.terms import Pid, Ref

NODES: Final = ("a@h", "b@h", "c@h")
GROUPS: Final = ("red", ("blue", 1))
WATCHER: Final = Pid("w@h", 1, 1)
Content = dict[Any, Counter[Pid]]


@attrs.define(eq=False)
class FakeNode:
    """A node with one scope, and what one that monitors all groups believes."""

    name: str
    creation: int = 1
    numbers: int = 0
    mailbox: deque[tuple[str, Any]] = attrs.field(factory=deque[tuple[str, Any]])
    members: list[Pid] = attrs.field(factory=list[Pid])
    scope: Scopes = attrs.field(init=False)
    pid: Pid = attrs.field(init=False)
    believed: Content = attrs.field(init=False)

    def new_pid(self) -> Pid:
        self.numbers += 1
        return Pid(self.name, self.numbers, self.creation)

    def begin(self) -> None:
        self.pid = self.new_pid()
        self.scope = Scopes(self.pid)
        self.scope.groups.watch(Ref(self.name, 1, 1), WATCHER)
        self.believed = {}
        self.mailbox.clear()

    def content(self) -> Content:
        return {group: Counter(pids) for group, pids in self.scope.groups.all().items()}


class World:
    """All nodes, and the connections between them."""

    def __init__(self) -> None:
        self.nodes = {name: FakeNode(name) for name in NODES}
        self.links: set[frozenset[str]] = set()
        self.lanes: dict[tuple[Pid, str], deque[tuple[str, Any]]] = {}
        """What is under way from a scope to a node. Two scopes that follow each other have no order."""
        self.monitors: set[tuple[Pid, Pid]] = set()
        """Which scope monitors which."""
        for node in self.nodes.values():
            self.start(node)

    def start(self, node: FakeNode) -> None:
        node.begin()
        self.perform(node, node.scope.discover(self.neighbours(node)))

    def neighbours(self, node: FakeNode) -> list[str]:
        return [name for name in NODES if frozenset((name, node.name)) in self.links]

    def perform(self, node: FakeNode, change: Change) -> None:
        assert change.refused is None
        for pid in change.unwatch:
            self.monitors.discard((node.pid, pid))
        for pid in change.watch:
            if pid.node != node.name:
                self.monitors.add((node.pid, pid))
                if self.nodes[pid.node].pid != pid:
                    node.mailbox.append(("down", pid))
        for other, word in change.words:
            if frozenset((other, node.name)) in self.links:
                self.lanes.setdefault((node.pid, other), deque()).append(("word", word))
        for _, event in change.events:
            pids = node.believed.setdefault(event.group, Counter())
            (pids.update if isinstance(event, Joined) else pids.subtract)(event.pids)
            assert min(pids.values()) >= 0
            node.believed[event.group] = +pids
            if not +pids:
                del node.believed[event.group]
        assert node.believed == node.content()

    # -- what may happen

    def join(self, node: FakeNode, number: int) -> None:
        pid = node.members[number % len(node.members)] if node.members and number % 3 else node.new_pid()
        node.members.append(pid)
        self.perform(node, node.scope.join(GROUPS[number % 2], [pid] * (1 + number % 2)))

    def leave(self, node: FakeNode, number: int) -> None:
        if node.members:
            pid = node.members[number % len(node.members)]
            self.perform(node, node.scope.leave(GROUPS[number % 2], [pid]) or Change())

    def die(self, node: FakeNode, number: int) -> None:
        if node.members:
            pid = node.members[number % len(node.members)]
            node.members = [each for each in node.members if each != pid]
            self.perform(node, node.scope.ended(pid))

    def link(self, node: FakeNode, number: int) -> None:
        other = self.nodes[NODES[number % len(NODES)]]
        if other is node or frozenset((node.name, other.name)) in self.links:
            return
        self.links.add(frozenset((node.name, other.name)))
        node.mailbox.append(("up", other.name))
        other.mailbox.append(("up", node.name))

    def link_all(self) -> None:
        for node in self.nodes.values():
            for number in range(len(NODES)):
                self.link(node, number)

    def cut(self, node: FakeNode, number: int) -> None:
        other = self.nodes[NODES[number % len(NODES)]]
        self.links.discard(frozenset((node.name, other.name)))
        for here, there in ((node, other), (other, node)):
            for pid, to in list(self.lanes):
                if (pid.node, to) == (here.name, there.name):
                    del self.lanes[pid, to]
            for monitor, watched in list(self.monitors):
                if (monitor, watched.node) == (here.pid, there.name):
                    self.monitors.discard((monitor, watched))
                    here.mailbox.append(("down", watched))

    def restart(self, node: FakeNode, _number: int) -> None:
        """The scope ends, and is started again."""
        for monitor, watched in list(self.monitors):
            if watched == node.pid:
                self.monitors.discard((monitor, watched))
                self.lanes.setdefault((watched, monitor.node), deque()).append(("down", (monitor, watched)))
        self.monitors = {(monitor, watched) for monitor, watched in self.monitors if monitor != node.pid}
        self.start(node)

    def reboot(self, node: FakeNode, _number: int) -> None:
        """The node ends, and comes in another creation."""
        for number in range(len(NODES)):
            self.cut(node, number)
        node.creation += 1
        node.members = []
        self.start(node)

    def arrive(self, node: FakeNode, number: int) -> None:
        """Something arrives."""
        waiting = [lane for (_, to), lane in self.lanes.items() if to == node.name and lane]
        if waiting:
            kind, what = waiting[number % len(waiting)].popleft()
            if kind == "word" or what[0] == node.pid:
                node.mailbox.append((kind, what if kind == "word" else what[1]))

    def step(self, node: FakeNode, _number: int = 0) -> None:
        """The scope takes a message."""
        if not node.mailbox:
            return
        kind, what = node.mailbox.popleft()
        if kind == "down":
            self.perform(node, node.scope.ended(what))
        elif kind == "word" and what.scope.node in self.neighbours(node):
            self.perform(node, node.scope.told(what.scope.node, what))
        elif kind == "up" and what in self.neighbours(node):
            self.perform(node, node.scope.discover([what]))

    def settle(self) -> None:
        while any(node.mailbox for node in self.nodes.values()) or any(self.lanes.values()):
            for node in self.nodes.values():
                self.arrive(node, 0)
                self.step(node)

    def check(self) -> None:
        """Everybody knows what those have who are connected with him, and nothing else."""
        for node in self.nodes.values():
            expected: Content = {}
            for name in (node.name, *self.neighbours(node)):
                for group, pids in self.nodes[name].scope.groups.local.shares():
                    expected.setdefault(group, Counter()).update(pids)
            assert node.content() == expected


ACTIONS: Final = ("join", "join", "leave", "die", "link", "cut", "restart", "reboot") + ("arrive", "step") * 4
histories = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NODES), st.integers(0, 11)), max_size=80)


@given(histories)
def test_whatever_has_happened_all_who_are_connected_agree_in_the_end(history: list[tuple[str, str, int]]) -> None:
    world = World()
    world.link_all()
    world.settle()
    for action, name, number in history:
        act: Callable[[FakeNode, int], None] = getattr(world, action)
        act(world.nodes[name], number)
    world.settle()
    world.check()
    world.link_all()
    world.settle()
    world.check()


# -- word by word

ME, THERE, LATER = Pid("a@h", 1, 1), Pid("b@h", 1, 7), Pid("b@h", 5, 7)
X, Y = Pid("b@h", 2, 7), Pid("b@h", 3, 7)
WATCH: Final = Ref("a@h", 1, 1)


def met(*shares: tuple[Any, list[Pid]]) -> Scopes:
    scopes = Scopes(ME, limit=3)
    scopes.told("b@h", Sync(THERE, list(shares)))
    scopes.groups.watch(WATCH, WATCHER)
    return scopes


def test_who_is_discovered_tells_all_and_discovers_in_turn_but_once() -> None:
    scopes = Scopes(ME)
    mine = Pid("a@h", 2, 1)
    scopes.join("red", [mine, mine])
    state = ("b@h", Sync(ME, [("red", [mine, mine])]))
    assert scopes.told("b@h", Discover(THERE)) == Change(words=(state, ("b@h", Discover(ME))), watch=(THERE,))
    assert scopes.told("b@h", Discover(THERE)) == Change(words=(state,))


def test_a_sync_replaces_what_was_known_and_tells_of_the_difference_once_for_each_group() -> None:
    scopes = met(("red", [X, X]))
    change = scopes.told("b@h", Sync(THERE, [("red", [X, Y]), ("blue", [Y])]))
    assert [event for _, event in change.events] == [
        Left(WATCH, "red", [X]),
        Joined(WATCH, "red", [Y]),
        Joined(WATCH, "blue", [Y]),
    ]


def test_with_the_scope_of_a_node_its_members_leave_in_one_change_for_each_group() -> None:
    scopes = met(("red", [X, Y]), ("blue", [Y]))
    change = scopes.ended(THERE)
    assert [event for _, event in change.events] == [Left(WATCH, "red", [X, Y]), Left(WATCH, "blue", [Y])]
    assert (scopes.groups.all(), scopes.peers) == ({}, {})


def test_the_last_words_of_a_scope_that_another_has_followed_count_no_more() -> None:
    scopes = met(("red", [X]))
    assert scopes.told("b@h", Discover(LATER)).unwatch == (THERE,)
    assert scopes.told("b@h", Sync(THERE, [("red", [X])])) == Change()
    assert (scopes.groups.all(), scopes.peers) == ({}, {"b@h": LATER})


BAD: Any = [[X]]
MANY: Any = [("red", {X: 1_000_000})]
"""A million memberships in a few bytes, if they were counted as a `Counter` counts."""


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (Sync(Pid("c@h", 1, 1), []), "it speaks for the scope of another node"),
        (Discover(BAD), "it speaks for the scope of another node"),
        (Share(THERE, [("red", [ME])]), "it speaks of processes that are not of its node"),
        (Share(THERE, [("red", [Pid("b@h", 2, 6)])]), "it speaks of processes that are not of its node"),
        (Withdraw(THERE, [("red", BAD)]), "it speaks of processes that are not of its node"),
        (Share(THERE, [(BAD, [X])]), "unhashable type: 'list'"),
        (Share(THERE, BAD), "not enough values to unpack (expected 2, got 1)"),
        (Sync(THERE, MANY), "the members of a group are a list, not a dict"),
        (Share(THERE, [("red", [X] * 3)]), "it has more than 3 memberships"),
        (Sync(THERE, [("red", [X] * 4)]), "it has more than 3 memberships"),
    ],
)
def test_what_a_peer_has_no_right_to_say_is_refused_and_changes_nothing(word: Word, why: str) -> None:
    scopes = met(("red", [X]))
    assert scopes.told("b@h", word) == Change(refused=why)
    assert (scopes.groups.all(), scopes.peers) == ({"red": [X]}, {"b@h": THERE})
