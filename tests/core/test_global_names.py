"""The server of cluster-wide names as a pure machine: several of them, with connections that come, go and are slow."""

from __future__ import annotations

from collections import deque
from itertools import count, pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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
)
from pydist.core.global_protocol import Ask, Changed, Granted, Greet, Names, Release, is_name, is_sound
from pydist.terms import Atom, Pid


def lesser(_name: Any, here: Pid, there: Pid) -> Pid:
    return min(here, there, key=lambda pid: pid.node)


def greater(_name: Any, here: Pid, there: Pid) -> Pid:
    return max(here, there, key=lambda pid: pid.node)


def cyclic(_name: Any, here: Pid, there: Pid) -> Pid:
    """a beats b, b beats c, c beats a: whoever is second in no order."""
    wins = {("a", "b"): "a", ("b", "c"): "b", ("a", "c"): "c"}
    winner = wins.get((here.node, there.node), here.node)
    return here if here.node == winner else there


def neither(_name: Any, _here: Pid, _there: Pid) -> None:
    return None


class Cluster:
    """Servers, and what is on its way between them. `choose` picks what happens next."""

    def __init__(self, nodes: str) -> None:
        self.servers = {node: GlobalNames(Pid(node, 1, 1)) for node in nodes}
        self.wires: dict[tuple[str, str], deque[Any]] = {}
        """What is under way from one node to another; there where they are connected."""
        self.due: deque[tuple[str, Any]] = deque()
        """Resolvers that run, and pauses."""
        self.answers: dict[int, bool] = {}
        self.numbers = count(10)
        self.resolved: list[tuple[str, Any]] = []

    def connect(self, a: str, b: str) -> None:
        if (a, b) in self.wires:
            return
        self.wires[a, b], self.wires[b, a] = deque(), deque()
        self.perform(a, self.servers[a].node_up(b))
        self.perform(b, self.servers[b].node_up(a))

    def connect_all(self) -> None:
        for a in self.servers:
            for b in self.servers:
                if a < b:
                    self.connect(a, b)

    def cut(self, a: str, b: str) -> None:
        if self.wires.pop((a, b), None) is None:
            return
        del self.wires[b, a]
        for here, there in ((a, b), (b, a)):
            self.perform(here, self.servers[here].down(Pid(there, 1, 1)))
            self.perform(here, self.servers[here].node_down(there))

    def register(self, node: str, name: Any, resolver: Any = lesser, *, force: bool = False) -> tuple[int, Pid]:
        number = next(self.numbers)
        pid = Pid(node, number, 1)
        self.perform(node, self.servers[node].submit(Registration(number, name, pid, resolver, force)))
        return number, pid

    def unregister(self, name: Any, pid: Pid) -> None:
        self.perform(pid.node, self.servers[pid.node].submit(Removal(next(self.numbers), name, pid)))

    def end(self, pid: Pid) -> None:
        self.perform(pid.node, self.servers[pid.node].down(pid))

    def perform(self, node: str, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Send(to, message):
                    self._say(node, to.node, message)
                case SayHello(there):
                    self._say(node, there, Greet(Pid(node, 1, 1)))
                case Answer(request, value):
                    self.answers[request] = value
                case Resolve() | Pause():
                    self.due.append((node, order))
                case _:
                    pass

    def _say(self, node: str, to: str, message: Any) -> None:
        if (node, to) in self.wires:
            self.wires[node, to].append(message)

    def step(self, choose: int) -> bool:
        """Something happens; False if nothing is left to."""
        ready: list[Any] = sorted(wire for wire, waiting in self.wires.items() if waiting)
        if self.due:
            ready.append(None)
        if not ready:
            return False
        wire = ready[choose % len(ready)]
        if wire is None:
            self._work(*self.due.popleft())
        else:
            there = wire[1]
            self.perform(there, self.servers[there].receive(self.wires[wire].popleft(), wire[0]))
        return True

    def _work(self, node: str, order: Any) -> None:
        server = self.servers[node]
        if isinstance(order, Pause):
            self.perform(node, server.go_on(order.turn))
            return
        self.resolved.append((node, order.name))
        winner = order.resolver(order.name, order.here, order.there)
        self.perform(node, server.resolved(order.turn, order.name, winner))

    def settle(self, choices: int = 0) -> None:
        chance = Random(choices)  # noqa: S311  # no secret
        for _ in range(5_000):
            if not self.step(chance.randrange(1000)):
                return
        raise AssertionError("the servers never come to rest")

    def tables(self) -> dict[str, dict[Any, list[Pid]]]:
        return {
            node: {name: server.table.holders(name) for name in server.table.names()}
            for node, server in self.servers.items()
        }


def test_a_name_is_known_everywhere_before_its_registration_is_answered() -> None:
    cluster = Cluster("abc")
    cluster.connect_all()
    cluster.settle()
    number, pid = cluster.register("b", "x")
    while number not in cluster.answers:
        assert cluster.step(0)
    assert cluster.answers[number] is True
    assert cluster.tables() == {key: {"x": [pid]} for key in "abc"}


def test_of_two_that_register_a_name_at_once_one_gets_it() -> None:
    cluster = Cluster("abcde")
    cluster.connect_all()
    cluster.settle()
    numbers = [cluster.register(node, "x")[0] for node in "abcde"]
    cluster.settle(3)
    assert sorted(cluster.answers[number] for number in numbers) == [False, False, False, False, True]
    assert len({str(table) for table in cluster.tables().values()}) == 1


def test_the_lesser_of_two_nodes_decides_and_only_once() -> None:
    cluster = Cluster("ab")
    _, kept = cluster.register("a", "x")
    cluster.register("b", "x")
    cluster.settle()
    cluster.connect("a", "b")
    cluster.settle()
    assert cluster.tables() == {key: {"x": [kept]} for key in "ab"}
    assert cluster.resolved == [("a", "x")]


def test_when_three_parts_heal_at_once_a_cyclic_resolver_still_keeps_one() -> None:
    for choices in range(50):
        cluster = Cluster("abc")
        for node in "abc":
            cluster.register(node, "x", cyclic)
        cluster.connect_all()
        cluster.settle(choices)
        tables = cluster.tables()
        assert tables["a"] == tables["b"] == tables["c"]
        assert len(tables["a"]["x"]) == 1
        assert len(cluster.resolved) == 2


def test_a_clash_may_leave_the_name_to_nobody() -> None:
    cluster = Cluster("ab")
    for node in "ab":
        cluster.register(node, "x", neither)
    cluster.connect_all()
    cluster.settle()
    assert cluster.tables() == {"a": {}, "b": {}}


def test_a_node_that_leaves_in_the_middle_of_a_registration_is_not_waited_for() -> None:
    for steps in range(30):
        cluster = Cluster("abc")
        cluster.connect_all()
        cluster.settle()
        number, pid = cluster.register("b", "x")
        for step in range(steps):
            cluster.step(step)
        cluster.cut("a", "b")
        cluster.cut("a", "c")
        cluster.settle()
        assert cluster.answers[number] is True
        assert cluster.tables() == {"a": {}, "b": {"x": [pid]}, "c": {"x": [pid]}}


def test_where_the_holder_of_the_turn_dies_others_go_on() -> None:
    for steps in range(20):
        cluster = Cluster("abc")
        cluster.connect_all()
        cluster.settle()
        cluster.register("b", "x")
        for step in range(steps):
            cluster.step(step)
        number, pid = cluster.register("c", "y")
        cluster.cut("a", "b")
        cluster.cut("b", "c")
        cluster.settle()
        assert cluster.answers[number] is True
        assert cluster.tables()["a"] == cluster.tables()["c"] == {"y": [pid]}


def test_a_process_has_one_name_and_who_forces_takes_it_from_another() -> None:
    cluster = Cluster("ab")
    cluster.connect_all()
    cluster.settle()
    _, pid = cluster.register("a", "x")
    cluster.settle()
    cluster.perform("a", cluster.servers["a"].submit(Registration(1, "y", pid, lesser, False)))
    _, new = cluster.register("b", "x", force=True)
    cluster.settle()
    assert cluster.answers[1] is False
    assert cluster.tables() == {key: {"x": [new]} for key in "ab"}


def test_in_a_chain_a_name_is_refused_where_the_node_between_knows_it() -> None:
    cluster = Cluster("abc")
    cluster.connect("a", "b")
    cluster.connect("b", "c")
    cluster.settle()
    cluster.register("a", "x")
    cluster.settle()
    number, _ = cluster.register("c", "x")
    cluster.settle()
    assert cluster.answers[number] is False


def test_strangers_and_nonsense_change_nothing() -> None:
    server = GlobalNames(Pid("a", 1, 1))
    stranger = Pid("z", 1, 1)
    for message in (
        Greet(stranger),
        Names(stranger, [("x", stranger)], True),
        Changed(stranger, [("x", stranger, True)]),
        Ask(stranger, 1, ["x"], True),
        Granted(stranger, 1, []),
        Release(stranger, 1, True),
    ):
        assert server.receive(message, "z") == []
    nonsense: list[Any] = [Greet, Names, Changed]
    assert not is_sound(nonsense[0]("z"), "z")
    assert not is_sound(nonsense[1](stranger, [("x", "y")], True), "z")
    assert not is_sound(nonsense[2](stranger, [([], stranger, True)]), "z")
    assert server.table.names() == []


def test_nobody_speaks_for_another_node_or_for_this_one() -> None:
    me, b, x = Pid("a", 1, 1), Pid("b", 1, 1), Pid("b", 2, 1)
    server = GlobalNames(me)
    server.node_up("b")
    server.node_up("c")
    server.receive(Names(b, [("x", x)], True), "b")
    for message in (Names(Pid("b", 9, 1), [], False), Changed(b, [("x", x, False)]), Ask(me, 1, [], True)):
        assert server.receive(message, "c") == []
    assert server.table.find("x") == x


def test_a_node_has_asked_for_one_turn_at_most() -> None:
    b = Pid("b", 1, 1)
    server = GlobalNames(Pid("a", 1, 1))
    server.node_up("b")
    server.receive(Names(b, [], False), "b")
    assert server.receive(Ask(b, 1, ["x"], True), "b") == [Send(b, Granted(Pid("a", 1, 1), 1, []))]
    assert [server.receive(Ask(b, turn, ["x"], True), "b") for turn in (1, 2, 3)] == [[]] * 3
    assert server.receive(Release(b, 1, False), "b") == []


def test_names_are_what_arrives_as_it_was_sent() -> None:
    assert all(map(is_name, ["x", b"x", 1, Atom("x"), ("room", 1), Pid("a", 1, 1)]))
    bad: list[Any] = [[], 1.5, None, ("x", []), {}]
    assert not any(map(is_name, bad))


ACTIONS: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 1000)),
    st.tuples(st.sampled_from(["connect", "cut"]), st.sampled_from(["ab", "ac", "ad", "bc", "bd", "cd"])),
    st.tuples(
        st.sampled_from(["register", "force"]),
        st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.sampled_from([lesser, greater, cyclic, neither])),
    ),
    st.tuples(st.sampled_from(["end", "unregister"]), st.integers(0, 20)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=60), st.integers(0, 1000))
def test_after_any_history_all_come_to_rest_with_one_holder_of_each_name(
    actions: list[tuple[str, Any]], choices: int
) -> None:
    cluster = Cluster("abcd")
    registered: list[tuple[Any, Pid]] = []
    numbers: list[int] = []
    dead: set[Pid] = set()
    for kind, what in actions:
        match kind:
            case "step":
                cluster.step(what)
            case "connect":
                cluster.connect(*what)
            case "cut":
                cluster.cut(*what)
            case "register" | "force":
                node, name, resolver = what
                number, pid = cluster.register(node, name, resolver, force=kind == "force")
                numbers.append(number)
                registered.append((name, pid))
            case _ if registered:
                position: int = what % len(registered)
                name, pid = registered[position]
                if kind == "end" and cluster.servers[pid.node].table.name_of(pid) is not None:
                    dead.add(pid)
                    cluster.end(pid)
                elif kind == "unregister":
                    cluster.unregister(name, pid)
            case _:
                pass
    cluster.connect_all()
    cluster.settle(choices)
    tables = list(cluster.tables().values())
    assert all(one == other for one, other in pairwise(tables)), "all know the same"
    assert all(len(holders) == 1 for holders in tables[0].values()), "each name has one holder"
    assert not dead & {pid for holders in tables[0].values() for pid in holders}, "the dead have no names"
    assert set(numbers) <= cluster.answers.keys(), "everybody was answered"
