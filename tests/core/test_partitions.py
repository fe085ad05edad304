from __future__ import annotations

from collections import deque
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pydist.core.partitions import REMEMBERED, Part, Partitions, Tell
from pydist.wire.control import Lost

LOSS = Lost("a", 1, 1, "b", 1)


def node(me: str, *members: str) -> Partitions:
    table = Partitions(me, 1)
    for member in members:
        table.joined(member, 1)
    return table


def test_who_loses_a_member_tells_all_others() -> None:
    table = node("a", "b", "c", "d")
    assert table.lost("b") == [Tell("c", LOSS), Tell("d", LOSS)]
    assert table.lost("b") == []
    assert table.lost("c") == [Tell("d", Lost("a", 1, 2, "c", 1))]


def test_who_hears_of_a_loss_tells_the_others_and_parts_from_the_lost_once() -> None:
    table = node("c", "a", "b", "d")
    part = Part("b", "to prevent overlapping partitions: a has lost b")
    assert table.told(LOSS) == [Tell("d", LOSS), part]
    assert table.told(LOSS) == []
    assert table.lost("b") == []
    assert table.members == ["a", "d"]


def test_who_is_the_lost_one_parts_from_who_has_lost_it() -> None:
    table = node("b", "a", "c")
    assert table.told(LOSS) == [Tell("c", LOSS), Part("a", "to prevent overlapping partitions: a has lost b")]


def test_who_is_left_reports_no_loss() -> None:
    table = node("b", "a", "c")
    table.left("c")
    assert (table.lost("c"), table.told(Lost("a", 1, 1, "c", 1))) == ([], [])


def test_a_loss_of_an_earlier_life_is_told_on_and_parts_from_nobody() -> None:
    table = node("c", "a", "d", "b")
    table.left("b")
    table.joined("b", 2)
    assert table.told(LOSS) == [Tell("d", LOSS)]
    again = Partitions("b", 2)
    again.joined("a", 1)
    assert again.told(LOSS) == []
    assert (table.members, again.members) == (["a", "d", "b"], ["a"])


def test_where_there_is_no_triangle_nobody_parts() -> None:
    hub = node("hub", "a", "b")
    [told] = hub.lost("a")
    assert isinstance(told, Tell)
    assert node("b", "hub").told(told.loss) == []


def test_who_has_come_back_may_be_lost_again() -> None:
    table = node("c", "a", "b")
    table.told(LOSS)
    table.joined("b", 1)
    assert table.told(LOSS) == []
    assert table.members == ["a", "b"]
    assert [type(order) for order in table.told(Lost("a", 1, 2, "b", 1))] == [Part]
    table.joined("b", 1)
    table.joined("a", 2)
    assert [type(order) for order in table.told(Lost("a", 2, 1, "b", 1))] == [Part]


def test_a_loss_that_nobody_known_tells_of_means_nothing() -> None:
    table = node("c", "a", "b", "d")
    assert table.told(Lost("nobody", 1, 1, "b", 1)) == []
    assert table.told(Lost("a", 2, 1, "b", 1)) == []
    assert table.told(Lost("a", 1, 1, "nobody", 1)) == []
    assert table.members == ["a", "b", "d"]


def test_who_was_a_member_may_still_be_the_one_who_has_lost_another() -> None:
    table = node("c", "a", "b")
    table.lost("a")
    assert [type(order) for order in table.told(LOSS)] == [Part]


def test_losses_of_those_who_have_parted_are_told_on_once_whatever_their_numbers() -> None:
    table = node("c", "a", "b", "d")
    table.told(LOSS)
    assert [table.told(Lost("a", 1, number, "b", 1)) for number in range(2, 1000)] == [[]] * 998


def test_a_number_that_is_much_too_high_hides_no_later_loss() -> None:
    table = node("c", "a", "b")
    table.told(Lost("a", 1, 2**64 - 1, "b", 1))
    table.joined("b", 1)
    assert [type(order) for order in table.told(LOSS)] == [Part]


def test_what_is_remembered_is_bounded() -> None:
    table = node("c", "a")
    for number in range(REMEMBERED + 10):
        table.joined(f"n{number}", 1)
        table.told(Lost("a", 1, 1, f"n{number}", 1))
    assert (len(table._told), len(table._known)) == (REMEMBERED, REMEMBERED)


# A whole cluster, whose connections break in any order while the word of it is under way


class Cluster:
    """Full mesh of so many nodes. Each connection has two directions, and keeps the order in each."""

    def __init__(self, size: int) -> None:
        names = [f"n{number}" for number in range(size)]
        self.nodes = {me: node(me, *(name for name in names if name != me)) for me in names}
        self.up = {frozenset(pair) for pair in combinations(names, 2)}
        """The connections that both ends hold for good; one that an end has closed is not among them."""
        self.roads: dict[tuple[str, str], deque[Lost | str]] = {}
        for a, b in combinations(names, 2):
            self.roads[a, b], self.roads[b, a] = deque(), deque()

    def cut(self, a: str, b: str) -> None:
        """What is under way is lost; each end notices in its own time."""
        for here, there in ((a, b), (b, a)):
            if (here, there) in self.roads:
                self.roads[here, there] = deque(["end"])
        self.up.discard(frozenset((a, b)))

    def step(self, choice: int) -> bool:
        """One word arrives, whichever; False when all is quiet."""
        busy = sorted(road for road, words in self.roads.items() if words)
        if not busy:
            return False
        there, here = busy[choice % len(busy)]
        word = self.roads[there, here].popleft()
        table = self.nodes[here]
        if word == "end":
            del self.roads[there, here]
            self.perform(here, table.lost(there))
        elif isinstance(word, str):
            table.left(there)
        else:
            self.perform(here, table.told(word))
        return True

    def perform(self, me: str, orders: list[Tell | Part]) -> None:
        for order in orders:
            road = self.roads.get((me, order.member))
            if isinstance(order, Part):
                self.close(me, order)
            elif road is not None and "end" not in road:
                road.append(order.loss)

    def close(self, me: str, order: Part) -> None:
        there = order.member
        road = self.roads.get((me, there))
        if road is not None and "end" not in road:
            road.extend(["leave", "end"])
        self.roads.pop((there, me), None)
        self.up.discard(frozenset((me, there)))

    def parts(self) -> list[set[str]]:
        """What hangs together."""
        rest, found = set(self.nodes), list[set[str]]()
        while rest:
            part, edge = set[str](), {min(rest)}
            while edge:
                part |= edge
                edge = {other for pair in self.up if pair & edge for other in pair} - part
            found.append(part)
            rest -= part
        return found


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 7), st.lists(st.integers(0, 1000), max_size=150), st.integers(0, 1000))
def test_whatever_breaks_the_connected_are_connected_with_each_other_when_it_is_quiet(
    size: int, choices: list[int], rest: int
) -> None:
    cluster = Cluster(size)
    for first, second in pairwise(choices):
        if first % 10 == 0 and cluster.up:
            pairs = sorted(sorted(pair) for pair in cluster.up)
            cluster.cut(*pairs[second % len(pairs)])
        else:
            cluster.step(first)
    while cluster.step(rest):
        rest = rest * 31 % 1009
    for part in cluster.parts():
        assert {frozenset(pair) for pair in combinations(part, 2)} <= cluster.up
    for name, table in cluster.nodes.items():
        assert set(table.members) == {other for pair in cluster.up if name in pair for other in pair} - {name}


@given(st.integers(3, 8), st.integers(0, 1000))
def test_when_a_node_dies_the_others_stay_whole(size: int, rest: int) -> None:
    cluster = Cluster(size)
    for number in range(1, size):
        cluster.cut("n0", f"n{number}")
    while cluster.step(rest):
        rest = rest * 31 % 1009
    assert cluster.parts() == [{"n0"}, {f"n{number}" for number in range(1, size)}]
