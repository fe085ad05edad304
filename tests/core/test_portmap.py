from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from pydist.core.portmap import (
    PACKET_TIMEOUT,
    Killed,
    NameRefused,
    PortMap,
    Refused,
    Registered,
    Rules,
    Stopped,
    Unregistered,
    Visitor,
)
from pydist.core.registrations import REMEMBERED
from pydist.wire.epmd import (
    MAX_REQUEST,
    Alive,
    AliveReply,
    Dump,
    DumpEntry,
    DumpReply,
    Kill,
    Names,
    NamesReply,
    PortInfo,
    PortPlease,
    Question,
    Stop,
    decode_names_reply,
    decode_port_reply,
    encode_dump_reply,
    encode_request,
    take_alive_reply,
)

A = PortInfo("a", 1001, extra=b"mine")
B = PortInfo("b", 1002)
OLD = PortInfo("old", 1003, highest=5, lowest=5)


def _always(number: int) -> Callable[[int], bytes]:
    return number.to_bytes


def _map(entropy: Callable[[int], bytes] = _always(7), **limits: Any) -> PortMap:  # noqa: B008  # pure
    return PortMap(4369, entropy, Rules(**limits))


def _visit(portmap: PortMap, request: Question) -> Visitor:
    visitor = portmap.open(0.0, local=True)
    visitor.receive_data(encode_request(request), 0.0)
    return visitor


def _creation(visitor: Visitor) -> int | None:
    reply = take_alive_reply(visitor.data_to_send())
    assert reply is not None
    return reply.creation


def test_a_node_registers_and_is_found_and_listed() -> None:
    portmap = _map()
    visitor = portmap.open(0.0, local=True)
    assert visitor.receive_data(encode_request(Alive(A)), 0.0) == [Registered(A, 11)]
    assert (take_alive_reply(visitor.data_to_send()), visitor.state) == (AliveReply(11), "registered")
    _visit(portmap, Alive(B))
    asking = _visit(portmap, PortPlease("a"))
    assert (decode_port_reply(asking.data_to_send()), asking.state) == (A, "gone")
    listing = _visit(portmap, Names())
    assert decode_names_reply(listing.data_to_send()) == NamesReply(4369, (("b", 1002), ("a", 1001)))


def test_a_name_that_nobody_has_is_answered_with_no() -> None:
    assert _visit(_map(), PortPlease("a")).data_to_send() == b"\x77\x01"


def test_an_answer_is_given_out_once() -> None:
    visitor = _visit(_map(), Names())
    assert (visitor.data_to_send(), visitor.data_to_send()) == (b"\0\0\x11\x11", b"")


def test_a_name_that_is_taken_is_refused_and_its_owner_stays() -> None:
    portmap = _map()
    _visit(portmap, Alive(A))
    second = portmap.open(0.0, local=True)
    rival = PortInfo("a", 2002)
    assert second.receive_data(encode_request(Alive(rival)), 0.0) == [
        NameRefused(rival, "the name is taken, by a node at port 1001")
    ]
    assert (_creation(second), second.state, portmap.nodes.find("a")) == (None, "gone", A)
    assert second.receive_eof(0.0) == []
    assert portmap.nodes.find("a") == A


def test_the_end_of_the_connection_is_the_end_of_the_registration() -> None:
    portmap = _map()
    visitor = _visit(portmap, Alive(A))
    assert visitor.receive_eof(0.0) == [Unregistered(A)]
    assert visitor.receive_eof(0.0) == []
    assert (portmap.nodes.find("a"), visitor.state) == (None, "gone")
    assert _visit(portmap, Alive(A)).state == "registered"


def test_a_registered_node_that_says_more_is_no_node() -> None:
    portmap = _map()
    visitor = _visit(portmap, Alive(A))
    assert visitor.receive_data(b"x", 0.0) == [Unregistered(A)]
    assert (visitor.receive_data(b"x", 0.0), portmap.nodes.find("a"), visitor.state) == ([], None, "gone")


def test_a_request_may_come_byte_by_byte() -> None:
    visitor = _map().open(0.0, local=True)
    wire = encode_request(Alive(A))
    assert [visitor.receive_data(wire[i : i + 1], 0.0) for i in range(len(wire) - 1)] == [[]] * (len(wire) - 1)
    assert visitor.receive_data(wire[-1:], 0.0) == [Registered(A, 11)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", "announces a request of 5635 bytes, where 3057 is the limit"),
        (b"\0\1n\0", "1 bytes after the request"),
        (b"\0\5\x99", "no request that this port mapper knows: begins with b'\\x00\\x05\\x99'"),
    ],
)
def test_a_stranger_is_sent_away_with_one_event(data: bytes, reason: str) -> None:
    visitor = _map().open(0.0, local=True)
    assert (visitor.receive_data(data, 0.0), visitor.state, visitor.data_to_send()) == ([Refused(reason)], "gone", b"")
    assert (visitor.receive_data(data, 0.0), visitor.receive_eof(0.0), visitor.handle_timer(1e9)) == ([], [], [])


def test_a_flood_of_bytes_is_not_kept() -> None:
    visitor = _map().open(0.0, local=True)
    assert visitor.receive_data(b"\x0b\xf1z" + b"a" * 10_000_000, 0.0) == [Refused("1 bytes after the request")]
    assert MAX_REQUEST == 0xBF1
    assert visitor._received == b""


@pytest.mark.parametrize(
    ("sent", "reason"), [(b"", "closed without a request"), (b"\0\5z", "closed within its request")]
)
def test_a_connection_that_ends_before_it_asked_is_one_event(sent: bytes, reason: str) -> None:
    visitor = _map().open(0.0, local=True)
    assert visitor.receive_data(sent, 0.0) == []
    assert (visitor.receive_eof(0.0), visitor.receive_eof(0.0)) == ([Refused(reason)], [])


def test_a_slow_client_is_cut_however_it_drips() -> None:
    visitor = _map().open(100.0, local=True)
    assert visitor.next_timer() == 100.0 + PACKET_TIMEOUT
    visitor.receive_data(b"\0", 0.0)
    assert (visitor.next_timer(), visitor.handle_timer(159.9)) == (160.0, [])
    assert visitor.handle_timer(160.0) == [Refused("no whole request within 60 s")]
    assert visitor.state == "gone"


def test_a_registered_node_may_be_silent_for_ever() -> None:
    visitor = _visit(_map(), Alive(A))
    assert (visitor.next_timer(), visitor.handle_timer(1e9), visitor.state) == (None, [], "registered")


def test_one_who_does_not_take_the_answer_has_a_deadline_too() -> None:
    assert _visit(_map(), Names()).next_timer() == PACKET_TIMEOUT


@pytest.mark.parametrize("request_", [Alive(A), Kill(), Dump(), Stop("a")])
def test_only_this_host_may_register_dump_kill_or_stop(request_: Question) -> None:
    visitor = _map(relaxed=True).open(0.0, local=False)
    [event] = visitor.receive_data(encode_request(request_), 0.0)
    assert isinstance(event, Refused)
    assert "this host" in event.reason
    assert visitor.data_to_send() == b""


def test_another_host_may_look_up() -> None:
    portmap = _map()
    _visit(portmap, Alive(A))
    visitor = portmap.open(0.0, local=False)
    visitor.receive_data(encode_request(PortPlease("a")), 0.0)
    assert decode_port_reply(visitor.data_to_send()) == A


def test_it_is_killed_only_while_no_node_is_registered() -> None:
    portmap = _map()
    node = _visit(portmap, Alive(A))
    visitor = portmap.open(0.0, local=True)
    assert (visitor.receive_data(encode_request(Kill()), 0.0), visitor.data_to_send()) == ([], b"NO")
    node.receive_eof(0.0)
    visitor = portmap.open(0.0, local=True)
    assert (visitor.receive_data(encode_request(Kill()), 0.0), visitor.data_to_send()) == ([Killed()], b"OK")


def test_under_relaxed_command_check_it_is_killed_whoever_is_registered() -> None:
    portmap = _map(relaxed=True)
    _visit(portmap, Alive(A))
    visitor = portmap.open(0.0, local=True)
    assert (visitor.receive_data(encode_request(Kill()), 0.0), visitor.data_to_send()) == ([Killed()], b"OK")


def test_no_name_is_taken_from_its_node_unless_that_is_allowed() -> None:
    portmap = _map()
    node, visitor = _visit(portmap, Alive(A)), portmap.open(0.0, local=True)
    [event] = visitor.receive_data(encode_request(Stop("a")), 0.0)
    assert event == Refused("a name is taken from its node only under -relaxed_command_check")
    assert (visitor.data_to_send(), node.state, portmap.nodes.find("a")) == (b"", "registered", A)


def test_under_relaxed_command_check_a_name_may_be_taken_from_its_node() -> None:
    portmap = _map(relaxed=True)
    node, visitor = _visit(portmap, Alive(A)), portmap.open(0.0, local=True)
    unregistered, stopped = visitor.receive_data(encode_request(Stop("a")), 0.0)
    assert isinstance(stopped, Stopped)
    assert (unregistered, stopped.visitor, visitor.data_to_send()) == (Unregistered(A), node, b"STOPPED")
    assert (node.state, portmap.nodes.find("a"), node.receive_eof(0.0)) == ("gone", None, [])
    assert _visit(portmap, Stop("a")).data_to_send() == b"NOEXIST"
    assert _visit(portmap, Alive(A)).state == "registered"


def test_a_dump_lists_the_nodes_that_are_here_newest_first_and_those_that_have_gone() -> None:
    portmap = _map(remembered=2)
    for descriptor, node in enumerate([A, B, OLD, A]):
        visitor = portmap.open(0.0, local=True, descriptor=descriptor)
        visitor.receive_data(encode_request(Alive(node)), 0.0)
        if descriptor < 2:
            visitor.receive_eof(0.0)
    here = (DumpEntry("a", 1001, 3), DumpEntry("old", 1003, 2))
    assert _visit(portmap, Dump()).data_to_send() == encode_dump_reply(
        DumpReply(4369, here, (DumpEntry("b", 1002, 1),))
    )


@pytest.mark.parametrize(("version", "answer"), [(5, "79 01 0063"), (6, "76 01 00000063")])
def test_a_name_that_nobody_may_have_is_answered_with_no(version: int, answer: str) -> None:
    visitor = _map().open(0.0, local=True)
    wire = encode_request(Alive(PortInfo("a b", 1, highest=version)))
    assert visitor.receive_data(wire, 0.0) == [Refused("a name with a space or a control character: 'a b'")]
    assert (visitor.data_to_send(), visitor.state) == (bytes.fromhex(answer), "gone")


def test_an_answer_that_nobody_takes_counts_as_a_connection_that_waits() -> None:
    portmap = _map(max_waiting=1)
    idle = _visit(portmap, Names())
    portmap.open(1.0, local=True)
    assert portmap.crowded_out() is idle


def test_the_limits_follow_from_how_many_files_may_be_open() -> None:
    assert Rules().within(1024) == Rules(max_waiting=256, max_names=704)
    assert Rules(relaxed=True).within(65_536) == Rules(max_waiting=1024, max_names=64_448, relaxed=True)
    assert Rules().within(64).max_names == 1


def test_there_are_at_most_so_many_names() -> None:
    portmap = _map(max_names=1)
    _visit(portmap, Alive(A))
    second = portmap.open(0.0, local=True)
    assert second.receive_data(encode_request(Alive(B)), 0.0) == [
        NameRefused(B, "1 nodes are registered, which is the limit")
    ]
    assert _creation(second) is None


def test_the_longest_waiting_connection_makes_room_when_too_many_wait() -> None:
    portmap = _map(max_waiting=2)
    first, second = portmap.open(0.0, local=True), portmap.open(1.0, local=True)
    assert portmap.crowded_out() is None
    third = portmap.open(2.0, local=True)
    assert portmap.crowded_out() is first
    assert first.refuse("too many") == [Refused("too many")]
    assert portmap.crowded_out() is None
    second.receive_data(encode_request(Alive(A)), 0.0)
    third.receive_eof(0.0)
    third.closed()
    assert portmap._waiting == {}


def test_a_node_of_today_gets_a_wide_creation_and_an_old_one_1_to_3() -> None:
    portmap = _map(_always(0xFFFF_FFFF))
    wide, old = _visit(portmap, Alive(A)), _visit(portmap, Alive(OLD))
    assert take_alive_reply(wide.data_to_send()) == AliveReply(0xFFFF_FFFF % (2**32 - 4) + 4)
    assert take_alive_reply(old.data_to_send()) == AliveReply(1, wide=False)


@given(st.integers(0, 2**32 - 1), st.sampled_from([A, OLD]))
def test_a_creation_is_never_0_and_never_the_last_one_whatever_the_entropy(draw: int, node: PortInfo) -> None:
    portmap = _map(_always(draw))
    creations: list[int | None] = []
    for _ in range(4):
        visitor = _visit(portmap, Alive(node))
        creations.append(_creation(visitor))
        visitor.receive_eof(0.0)
    assert 0 not in creations
    assert None not in creations
    assert all(before != after for before, after in pairwise(creations))
    assert all((creation in {1, 2, 3}) == (node is OLD) for creation in creations)


def test_names_that_have_gone_are_not_remembered_without_limit() -> None:
    portmap = _map()
    for number in range(REMEMBERED + 10):
        _visit(portmap, Alive(PortInfo(f"n{number}", 1))).receive_eof(0.0)
    assert len(portmap.nodes._gone) == REMEMBERED


class _PortMapAgainstDict(RuleBasedStateMachine):
    """The map and a plain dict of who holds which name agree, whatever comes and goes."""

    visitors: Bundle[Visitor] = Bundle("visitors")

    def __init__(self) -> None:
        super().__init__()
        numbers = count(1)
        self.portmap = PortMap(1, lambda size: next(numbers).to_bytes(size))
        self.holders: dict[str, tuple[Visitor, PortInfo]] = {}

    @rule(target=visitors)
    def open(self) -> Visitor:
        return self.portmap.open(0.0, local=True)

    @rule(visitor=visitors, name=st.sampled_from("abc"), port=st.integers(1, 9))
    def ask(self, visitor: Visitor, name: str, port: int) -> None:
        node = PortInfo(name, port)
        before = visitor.state
        visitor.receive_data(encode_request(Alive(node)), 0.0)
        if before == "asking" and name not in self.holders:
            self.holders[name] = (visitor, node)
        elif before == "registered":
            self._forget(visitor)

    @rule(visitor=visitors)
    def end(self, visitor: Visitor) -> None:
        visitor.receive_eof(0.0)
        self._forget(visitor)

    @invariant()
    def same(self) -> None:
        expected = tuple((node.name, node.port) for _, node in reversed(self.holders.values()))
        assert self.portmap.nodes.names(1) == NamesReply(1, expected)
        assert all(holder.state == "registered" for holder, _ in self.holders.values())

    def _forget(self, visitor: Visitor) -> None:
        self.holders = {name: held for name, held in self.holders.items() if held[0] is not visitor}


TestPortMapAgainstDict = _PortMapAgainstDict.TestCase


# Any bytes, in any pieces.


def _body(kind: int, rest: bytes) -> bytes:
    return bytes([kind]) + rest


def _alive_body(version: int, name_size: int, name: bytes, extra_size: int, rest: bytes) -> bytes:
    """A registration whose lengths may lie."""
    head = b"x\x04\xd2M\0" + version.to_bytes(2) + b"\0\5" + name_size.to_bytes(2)
    return head + name + extra_size.to_bytes(2) + rest


def _packed(body: bytes, size: int | None) -> bytes:
    return (len(body) if size is None else size).to_bytes(2) + body


QUESTIONS: list[Question] = [Alive(A), Alive(B), Alive(OLD), PortPlease("a"), Names(), Dump(), Kill(), Stop("b")]
NUMBERS = st.sampled_from([0, 1, 2, 13, 255, 256, 1020, 1021, 3057, 3058, 0xFFFF]) | st.integers(0, 12)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.builds(_body, st.sampled_from(b"xznkdsq\0"), st.binary(max_size=40)),
    st.builds(
        _alive_body,
        st.sampled_from([0, 5, 6, 0xFFFF]),
        NUMBERS,
        st.binary(max_size=12) | st.text(max_size=6).map(str.encode),
        NUMBERS,
        st.binary(max_size=12),
    ),
)
WIRES = st.one_of(
    st.binary(max_size=60),
    st.builds(_packed, BODIES, st.none() | NUMBERS),
    st.sampled_from([encode_request(question) for question in QUESTIONS]),
)


def _pieces(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[begin:end] for begin, end in pairwise(places)]


@given(
    st.lists(st.tuples(WIRES, st.lists(st.integers(0, 100), max_size=4), st.booleans(), st.booleans()), max_size=8),
    st.booleans(),
)
def test_whatever_bytes_come_in_whatever_pieces_the_table_is_right_and_nothing_grows(
    visits: list[tuple[bytes, list[int], bool, bool]], relaxed: bool
) -> None:
    portmap = _map(relaxed=relaxed, remembered=3)
    honest = _visit(portmap, Alive(PortInfo("honest", 1)))
    visitors = [honest]
    for wire, cuts, local, ends in visits:
        visitor = portmap.open(0.0, local=local)
        visitors.append(visitor)
        for piece in _pieces(wire, cuts):
            visitor.receive_data(piece, 0.0)
            assert len(visitor._received) <= MAX_REQUEST + 3
        if ends:
            visitor.receive_eof(0.0)
        if visitor.state == "gone":
            assert visitor._received == b""
            assert visitor.receive_data(wire, 0.0) == []
            visitor.closed()
    registered = [visitor for visitor in visitors if visitor.state == "registered"]
    assert len(portmap.nodes) == len(portmap._holders) == len(registered)
    assert portmap.nodes.find("honest") == PortInfo("honest", 1)
    assert set(portmap._waiting) == {visitor for visitor in visitors if visitor.state == "asking"}
    assert len(portmap.nodes._gone) <= 3
    for visitor in visitors:
        visitor.handle_timer(PACKET_TIMEOUT)
        visitor.receive_eof(PACKET_TIMEOUT)
        visitor.closed()
    assert (len(portmap.nodes), portmap._holders, portmap._waiting) == (0, {}, {})
    assert all(visitor.state == "gone" for visitor in visitors)


@given(WIRES, st.lists(st.integers(0, 100), max_size=6))
def test_the_pieces_in_which_a_request_comes_make_no_difference(wire: bytes, cuts: list[int]) -> None:
    whole, cut = _map().open(0.0, local=True), _map().open(0.0, local=True)
    whole.receive_data(wire, 0.0)
    for piece in _pieces(wire, cuts):
        cut.receive_data(piece, 0.0)
    if whole.request is not None and len(wire) == 2 + int.from_bytes(wire[:2]):
        assert (cut.request, cut.state, cut.data_to_send()) == (whole.request, whole.state, whole.data_to_send())
    else:
        assert cut.state == whole.state
