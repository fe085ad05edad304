from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydist.core.peers import Close, Connect, Decision, Down, Drop, Effect, Peers, Undelivered, Up
from pydist.core.redial import Redial
from pydist.errors import ConnectionFull, EncodeError
from pydist.terms import Pid
from pydist.wire.codec import Encoded, Encoder
from pydist.wire.control import Exit, Link, Send, Signal
from pydist.wire.handshake import Status

LINK = Link(Pid("b@h", 1, 1), Pid("a@h", 2, 1))


def table(me: str = "b@h") -> Peers[str]:
    return Peers(me, Redial(lambda: 0.0))


def dialling(me: str = "b@h", node: str = "a@h") -> Peers[str]:
    peers = table(me)
    assert peers.connect(node, 0.0) == [Connect(node, 1)]
    return peers


def test_the_first_signal_asks_for_a_connection_and_the_others_wait_in_order() -> None:
    peers = table()
    first, second = Send(Pid("a@h", 2, 1), [1]), Send(Pid("a@h", 2, 1), (2,))
    assert peers.send("a@h", first, 0.0) == [Connect("a@h", 1)]
    assert peers.send("a@h", LINK, 0.0) == []
    assert peers.send("a@h", second, 0.0) == []
    waiting: list[Signal] = [
        attrs.evolve(first, message=Encoded(b"\x91\x01")),
        LINK,
        attrs.evolve(second, message=Encoded(b"\x92\xc7\x00\x10\x02")),
    ]
    assert peers.connected("a@h", "link", attempt=1) == [Up("a@h", "link", waiting)]
    assert peers.up == {"a@h": "link"}
    assert peers.next_timer() is None


def test_each_node_has_its_own_attempt() -> None:
    peers = table()
    assert [peers.connect(node, 0.0) for node in ("a@h", "c@h", "a@h")] == [
        [Connect("a@h", 1)],
        [Connect("c@h", 2)],
        [],
    ]
    peers.connected("a@h", "link", attempt=1)
    assert peers.connect("a@h", 0.0) == []


def test_what_cannot_be_sent_raises_at_once_and_asks_for_nothing() -> None:
    peers = table()
    with pytest.raises(EncodeError):
        peers.send("a@h", Send(Pid("a@h", 2, 1), object()), 0.0)
    assert peers.next_timer() is None


def test_what_waits_is_limited() -> None:
    peers = Peers[str]("b@h", Redial(lambda: 0.0), waiting_limit=1000)
    peers.send("a@h", Send(Pid("a@h", 2, 1), b"x" * 500), 0.0)
    peers.send("a@h", Send(Pid("a@h", 2, 1), b"x" * 500), 0.0)
    with pytest.raises(ConnectionFull, match="wait for the connection to a@h, the limit is 1000"):
        peers.send("a@h", Send(Pid("a@h", 2, 1), b"x" * 500), 0.0)


def test_only_messages_find_too_much_waiting() -> None:
    peers = Peers[str]("b@h", Redial(lambda: 0.0), waiting_limit=1000)
    peers.send("a@h", Send(Pid("a@h", 2, 1), b"x" * 700), 0.0)
    gone = Exit(Pid("b@h", 1, 1), Pid("a@h", 2, 1), None)
    peers.send("a@h", gone, 0.0)
    peers.send("a@h", LINK, 0.0)
    _, undelivered = peers.failed("a@h", 1, "no route", 0.0)
    assert isinstance(undelivered, Undelivered)
    assert [type(signal) for signal in undelivered.waiting] == [Send, Exit, Link]


@pytest.mark.parametrize("kind", [Send, Exit])
def test_what_is_larger_than_a_message_may_be_raises_at_once_and_asks_for_nothing(kind: type[Send | Exit]) -> None:
    large = bytes(1000)
    signal = Send(LINK.target, large) if kind is Send else Exit(LINK.source, LINK.target, large)
    peers = Peers[str]("b@h", Redial(lambda: 0.0), message_limit=1000)
    with pytest.raises(EncodeError, match=r"a message or reason of 1\d+ bytes is too large to send"):
        peers.send("a@h", signal, 0.0)
    assert peers.next_timer() is None
    assert peers.connect("a@h", 0.0) == [Connect("a@h", 1)]


def test_a_failed_attempt_gives_back_what_waited() -> None:
    peers = dialling()
    peers.send("a@h", LINK, 0.0)
    assert peers.failed("a@h", 1, "no route", 0.0) == [Drop(1), Undelivered("a@h", [LINK], "no route")]
    assert peers.failed("a@h", 1, "again", 0.0) == []
    assert peers.connect("a@h", 0.0) == [Connect("a@h", 2)]


def test_an_attempt_that_takes_too_long_is_given_up() -> None:
    peers = dialling()
    assert (peers.next_timer(), peers.handle_timer(6.9)) == (7.0, [])
    assert peers.handle_timer(7.0) == [Drop(1), Undelivered("a@h", [], "no connection within 7 s")]
    assert peers.connected("a@h", "late", attempt=1) == [Close("late", "this attempt was given up")]
    assert peers.up == {}


# Accepting


def test_a_stranger_to_the_table_is_welcome() -> None:
    peers = table()
    assert peers.decide("a@h") == Decision(Status.OK)
    assert peers.connected("a@h", "theirs") == [Up("a@h", "theirs", [])]


def test_of_two_attempts_that_of_the_greater_name_survives_here() -> None:
    peers = dialling(me="b@h", node="a@h")
    assert peers.decide("a@h") == Decision(Status.NOK)
    assert peers.connected("a@h", "ours", attempt=1) == [Up("a@h", "ours", [])]


def test_of_two_attempts_that_of_the_greater_name_survives_there() -> None:
    peers = dialling(me="b@h", node="c@h")
    peers.send("c@h", LINK, 0.0)
    assert peers.decide("c@h") == Decision(Status.OK_SIMULTANEOUS, None, (Drop(1),))
    assert peers.connected("c@h", "theirs") == [Up("c@h", "theirs", [LINK])]
    assert peers.failed("c@h", 1, "dropped", 0.0) == []


def test_names_are_compared_as_they_are_written() -> None:
    assert dialling(me="b@h", node="B@h").decide("B@h").status is Status.NOK
    assert dialling(me="b@10.0.0.2", node="b@10.0.0.10").decide("b@10.0.0.10").status is Status.NOK


def test_who_is_refused_waits_to_be_replaced_and_fails_nobody() -> None:
    peers = dialling(me="b@h", node="c@h")
    assert peers.refused("c@h", 1) == []
    assert peers.send("c@h", LINK, 1.0) == []
    assert peers.decide("c@h") == Decision(Status.OK)
    assert peers.connected("c@h", "theirs") == [Up("c@h", "theirs", [LINK])]


def test_who_waits_to_be_replaced_does_not_wait_for_ever() -> None:
    peers = dialling(me="b@h", node="c@h")
    peers.send("c@h", LINK, 0.0)
    peers.refused("c@h", 1)
    assert peers.next_timer() == 7.0
    assert peers.handle_timer(7.0) == [Undelivered("c@h", [LINK], "no connection within 7 s")]


# Alive


def test_a_peer_that_dials_again_replaces_the_old_connection_which_is_torn_down_first() -> None:
    peers = table()
    peers.connected("a@h", "old")
    decision = peers.decide("a@h")
    assert decision == Decision(Status.ALIVE, "old")
    assert peers.up == {"a@h": "old"}
    assert peers.connected("a@h", "new", replaces=decision.replaces) == [
        Close("old", "replaced by the peer"),
        Down("a@h", "old", "replaced by the peer"),
        Up("a@h", "new", []),
    ]
    assert peers.disconnected("a@h", "old", "closed", 0.0) == []
    assert peers.up == {"a@h": "new"}


def test_a_connection_newer_than_the_question_is_not_replaced() -> None:
    peers = table()
    peers.connected("a@h", "old")
    decision = peers.decide("a@h")
    peers.disconnected("a@h", "old", "lost", 0.0)
    peers.connect("a@h", 0.0)
    peers.connected("a@h", "newer", attempt=1)
    assert peers.connected("a@h", "late", replaces=decision.replaces) == [
        Close("late", "a newer connection is there already")
    ]
    assert peers.up == {"a@h": "newer"}


def test_an_answer_that_comes_while_we_dial_again_takes_the_place_of_our_attempt() -> None:
    peers = table()
    peers.connected("a@h", "old")
    decision = peers.decide("a@h")
    peers.disconnected("a@h", "old", "lost", 0.0)
    peers.send("a@h", LINK, 0.0)
    assert peers.connected("a@h", "theirs", replaces=decision.replaces) == [Drop(1), Up("a@h", "theirs", [LINK])]


def test_only_an_attempt_that_still_counts_is_confirmed() -> None:
    peers = dialling()
    assert [peers.confirm("a@h", attempt) for attempt in (1, 2, None)] == [True, False, False]
    peers.refused("a@h", 1)
    assert [peers.confirm("a@h", attempt) for attempt in (1, None)] == [False, False]


def test_a_lost_connection_goes_down_once() -> None:
    peers = table()
    peers.connected("a@h", "link")
    assert peers.disconnected("a@h", "link", "closed", 0.0) == [Down("a@h", "link", "closed")]
    assert peers.disconnected("a@h", "link", "closed", 0.0) == []
    assert peers.up == {}


# Many at once


def crowded() -> Peers[str]:
    """Two are dialled, and two wait."""
    peers = Peers[str]("b@h", Redial(lambda: 0.0), dial_limit=2, line_limit=2)
    dialled = [peers.connect(node, 0.0) for node in ("c@h", "d@h", "e@h")]
    assert [*dialled, peers.send("f@h", LINK, 1.0)] == [[Connect("c@h", 1)], [Connect("d@h", 2)], [], []]
    return peers


def test_so_many_are_dialled_at_a_time_and_the_others_wait_in_line() -> None:
    peers = crowded()
    assert peers.connected("c@h", "link", attempt=1) == [Up("c@h", "link", []), Connect("e@h", 3)]
    assert peers.failed("d@h", 2, "no route", 2.0) == [
        Drop(2),
        Undelivered("d@h", [], "no route"),
        Connect("f@h", 4),
    ]
    assert peers.connected("f@h", "link", attempt=4) == [Up("f@h", "link", [LINK])]


def test_who_yields_or_is_given_up_makes_place_for_the_next() -> None:
    peers = crowded()
    assert peers.decide("c@h") == Decision(Status.OK_SIMULTANEOUS, None, (Drop(1), Connect("e@h", 3)))
    assert peers.refused("d@h", 2) == [Connect("f@h", 4)]
    peers = crowded()
    assert peers.disconnect("c@h", "enough", 0.0) == [Drop(1), Undelivered("c@h", [], "enough"), Connect("e@h", 3)]


def test_who_is_in_line_may_dial_us_and_leaves_it() -> None:
    peers = crowded()
    assert peers.decide("e@h") == Decision(Status.OK)
    assert peers.connected("e@h", "theirs") == [Up("e@h", "theirs", [])]
    assert peers.connected("c@h", "ours", attempt=1) == [Up("c@h", "ours", []), Connect("f@h", 3)]


def test_there_is_no_place_in_line_for_more_and_the_reason_says_so() -> None:
    peers = crowded()
    text = "2 nodes wait to be dialled: there is no place for one more"
    assert peers.send("g@h", LINK, 1.0) == [Undelivered("g@h", [LINK], text, tried=False)]
    assert peers.connect("h@h", 1.0) == [Undelivered("h@h", [], text, tried=False)]
    assert peers.pending == ["c@h", "d@h", "e@h", "f@h"]


def test_nobody_waits_in_line_for_ever() -> None:
    peers = crowded()
    text = "no connection within 7 s"
    assert peers.handle_timer(7.0) == [
        *(Drop(1), Undelivered("c@h", [], text)),
        *(Drop(2), Undelivered("d@h", [], text)),
        Undelivered("e@h", [], text),
        Connect("f@h", 3),
    ]
    assert peers.handle_timer(8.0) == [Drop(3), Undelivered("f@h", [LINK], text)]


def test_a_node_to_keep_that_finds_no_place_in_line_is_dialled_after_a_pause() -> None:
    peers = Peers[str]("b@h", Redial(lambda: 0.0, keep=["a@h"]), dial_limit=1, line_limit=1)
    peers.connect("c@h", 0.0)
    peers.connect("d@h", 0.0)
    assert [type(effect) for effect in peers.handle_timer(0.0)] == [Undelivered]
    assert peers.next_timer() == 0.25


# Two tables, and everything that can happen between them in any order


class Wire:
    """One attempt: who dialled whom, and how far its handshake is."""

    def __init__(self, dialler: str, acceptor: str, attempt: int) -> None:
        self.dialler, self.acceptor, self.attempt = dialler, acceptor, attempt
        self.steps: list[tuple[str, Any]] = [("hello", None)]
        self.replaces: Wire | None = None
        self.closed = set[str]()

    def __repr__(self) -> str:
        return f"{self.dialler}->{self.acceptor}#{self.attempt}"


class World:
    """Two nodes; `run` lets one thing happen that may happen next."""

    def __init__(self) -> None:
        self.peers = {name: Peers[Wire](name, Redial(lambda: 0.0)) for name in ("a@h", "b@h")}
        self.wires: list[Wire] = []
        self.told: dict[str, list[str]] = {"a@h": [], "b@h": []}

    def connect(self, me: str) -> None:
        self.perform(me, self.peers[me].connect(other(me), 0.0))

    def perform(self, me: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Connect(node, attempt):
                    self.wires.append(Wire(me, node, attempt))
                case Drop(attempt):
                    for wire in self.wires:
                        if (wire.dialler, wire.attempt) == (me, attempt):
                            wire.closed.add(me)
                case Close():
                    effect.link.closed.add(me)
                case Up():
                    self.told[me].append("up")
                case Down():
                    self.told[me].append("down")
                case Undelivered():
                    pass

    def run(self, wire: Wire) -> None:
        """The next step of one wire: of its handshake, or that an end learns of the other end's close."""
        if wire.steps:
            self.shake(wire, *wire.steps.pop(0))
        elif wire.closed:
            for me in {wire.dialler, wire.acceptor} - wire.closed:
                self.lose(me, wire)
            self.wires.remove(wire)

    def lose(self, me: str, wire: Wire) -> None:
        wire.closed.add(me)
        self.perform(me, self.peers[me].disconnected(other(me), wire, "lost", 0.0))
        if me == wire.dialler:
            self.perform(me, self.peers[me].failed(other(me), wire.attempt, "lost", 0.0))

    def shake(self, wire: Wire, step: str, value: Any) -> None:
        me = wire.dialler if step == "status" else wire.acceptor
        table, peer = self.peers[me], other(me)
        if me in wire.closed:
            return
        match step, value:
            case "hello", _:
                decision = table.decide(peer)
                self.perform(me, decision.effects)
                wire.replaces = decision.replaces
                if decision.status in {Status.OK, Status.OK_SIMULTANEOUS}:
                    self.perform(me, table.connected(peer, wire))
                elif decision.status is Status.NOK:
                    wire.closed.add(me)
                wire.steps.append(("status", decision.status))
            case "status", Status.NOK:
                wire.closed.add(me)
                self.perform(me, table.refused(peer, wire.attempt))
            case "status", Status.ALIVE:
                wanted = table.confirm(peer, wire.attempt)
                if wanted:
                    self.perform(me, table.connected(peer, wire, attempt=wire.attempt))
                else:
                    wire.closed.add(me)
                wire.steps.append(("answer", wanted))
            case "status", _:
                self.perform(me, table.connected(peer, wire, attempt=wire.attempt))
            case "answer", True:
                self.perform(me, table.connected(peer, wire, replaces=wire.replaces))
            case _:
                wire.closed.add(me)

    def check(self) -> None:
        for me in self.peers:
            mine = self.peers[me].up.get(other(me))
            live = [w for w in self.wires if w is mine and me not in w.closed]
            assert (mine is None) == (not live), f"{me} believes in {mine}, which is closed"
            turns = self.told[me]
            assert turns == (["up", "down"] * len(turns))[: len(turns)], f"{me} was told {turns}"


def other(me: str) -> str:
    return "b@h" if me == "a@h" else "a@h"


@settings(max_examples=300)
@given(st.lists(st.integers(0, 9), max_size=80))
def test_there_are_never_two_connections_and_all_ends_agree_when_it_is_quiet(choices: list[int]) -> None:
    world = World()
    for choice in choices:
        match choice:
            case 0:
                world.connect("a@h")
            case 1:
                world.connect("b@h")
            case 2 if world.wires:
                # A wire that breaks is noticed at either end in its own time.
                wire = world.wires[len(world.told["a@h"]) % len(world.wires)]
                world.lose(wire.dialler, wire)
            case _ if world.wires:
                world.run(world.wires[choice % len(world.wires)])
            case _:
                pass
        world.check()
    while busy := [wire for wire in world.wires if wire.steps or wire.closed]:
        world.run(busy[0])
        world.check()
    assert world.peers["a@h"].up.get("b@h") is world.peers["b@h"].up.get("a@h")
    assert len(world.wires) <= 1


@settings(max_examples=300)
@given(st.lists(st.integers(0, 9), max_size=40))
def test_without_a_loss_nobody_goes_down_and_both_come_up(choices: list[int]) -> None:
    world = World()
    world.connect("a@h")
    for choice in choices:
        if choice < 2:
            world.connect("ab"[choice] + "@h")
        elif world.wires:
            world.run(world.wires[choice % len(world.wires)])
    while busy := [wire for wire in world.wires if wire.steps or wire.closed]:
        world.run(busy[-1])
    assert world.told == {"a@h": ["up"], "b@h": ["up"]}
    assert world.peers["a@h"].up == {"b@h": world.wires[0]}
    assert world.peers["b@h"].up == {"a@h": world.wires[0]}


def test_two_nodes_that_dial_at_once_end_up_with_the_attempt_of_the_greater() -> None:
    world = World()
    world.connect("a@h")
    world.connect("b@h")
    first, second = world.wires
    for wire in (first, second, first, second, first, second):
        world.run(wire)
    assert world.peers["a@h"].up == {"b@h": second}
    assert world.peers["b@h"].up == {"a@h": second}
    assert world.told == {"a@h": ["up"], "b@h": ["up"]}


def test_a_waiting_message_is_what_it_was_when_it_was_sent() -> None:
    peers, message = table(), [1]
    peers.send("a@h", Send(Pid("a@h", 2, 1), message), 0.0)
    message.append(2)
    match peers.connected("a@h", "link", attempt=1):
        case [Up(_, _, [Send(_, Encoded(data))])]:
            assert data == Encoder().encode([1])
        case effects:
            pytest.fail(repr(effects))
