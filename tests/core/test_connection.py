from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.connection import Connection
from pydist.errors import DecodeError, EncodeError, FrameTooLarge, TickTimeout, WireError
from pydist.terms import Pid
from pydist.wire.control import Exit, Incoming, Link, Messages, Send
from pydist.wire.framing import TICK
from pydist.wire.handshake import Flag, Identity

A = Identity("a@h", 1)
B = Identity("b@h", 2)


def pair() -> tuple[Connection, Connection]:
    return Connection(A, B, 0.0), Connection(B, A, 0.0)


def exchange(sender: Connection, receiver: Connection, now: float = 0.0) -> list[Incoming]:
    return receiver.receive_data(sender.data_to_send(), now)


def test_signals_cross_in_the_order_of_the_calls() -> None:
    a, b = pair()
    link = Link(A.home.pid(1), B.home.pid(2))
    gone = Exit(A.home.pid(1), B.home.pid(2), "bye")
    a.send(link)
    a.send_message(2, "last words")
    a.send(Send(B.home.pid(2), "the very last"))
    a.send(gone)
    assert exchange(a, b) == [link, Messages(2, ["last words", "the very last"]), gone]


@given(st.lists(st.integers(1, 30)))
def test_signals_come_out_when_they_are_whole_however_the_bytes_are_cut(sizes: list[int]) -> None:
    a, b = pair()
    data = b""
    for number in range(5):
        a.send_message(number, "x" * number)
        data += a.data_to_send()
    received: list[Incoming] = []
    for size in [*sizes, len(data)]:
        received += b.receive_data(data[:size], 0.0)
        data = data[size:]
    assert received == [Messages(number, ["x" * number]) for number in range(5)]


def test_pids_of_another_node_or_an_older_incarnation_are_not_reached() -> None:
    a, _ = pair()
    assert [a.reaches(pid) for pid in (Pid("b@h", 5, 2), Pid("b@h", 5, 1), Pid("c@h", 5, 2))] == [True, False, False]


def test_a_frame_over_the_limit_is_refused_when_it_is_announced() -> None:
    _, b = pair()
    with pytest.raises(FrameTooLarge, match="announces 16777215 bytes, the limit is 1048576"):
        b.receive_data(b"\0\xff\xff\xff", 0.0)


def test_garbage_in_a_frame_is_a_wire_error() -> None:
    _, b = pair()
    with pytest.raises(DecodeError):
        b.receive_data(b"\0\0\0\1\xc1", 0.0)


def test_an_encode_error_is_the_senders_and_the_connection_goes_on() -> None:
    a, b = pair()
    with pytest.raises(EncodeError):
        a.send_message(1, object())
    a.send_message(1, "fine")
    assert exchange(a, b) == [Messages(1, ["fine"])]


def test_pending_counts_what_waits() -> None:
    a, _ = pair()
    assert a.pending == 0
    a.send_message(1, b"x" * 100)
    assert a.pending >= 100
    a.data_to_send()
    assert a.pending == 0


def test_output_can_be_taken_frame_by_frame() -> None:
    a, b = pair()
    for _ in range(4):
        a.send_message(1, b"x" * 1_000_000)
    received: list[Incoming] = []
    takes = 0
    while a.pending:
        received += b.receive_data(a.data_to_send(1), 0.0)
        takes += 1
    assert takes == 4 * 16
    assert received == [Messages(1, [b"x" * 1_000_000])] * 4


def test_two_idle_ends_keep_each_other_alive_with_ticks() -> None:
    a, b = pair()
    for _ in range(20):
        now = a.next_timer()
        for end in (a, b):
            end.handle_timer(now)
        assert (a.data_to_send(), exchange(b, a, now)) == (TICK, [])
        b.receive_data(TICK, now)


def test_no_tick_is_sent_when_something_was_written_or_waits() -> None:
    a, _ = pair()
    a.send_message(1, 1)
    a.data_to_send()
    a.handle_timer(15.0)
    assert a.pending == 0
    a.send_message(1, 2)
    waiting = a.pending
    a.handle_timer(30.0)
    assert a.pending == waiting


def test_no_tick_is_sent_while_the_transport_has_not_written_what_it_holds() -> None:
    a, _ = pair()
    a.handle_timer(15.0, unwritten=1)
    assert a.pending == 0
    a.handle_timer(30.0, unwritten=0)
    assert a.data_to_send() == TICK


def test_a_peer_that_says_nothing_is_given_up() -> None:
    a, _ = pair()
    told = [a.handle_timer(a.next_timer()) for _ in range(4)]
    assert told == [False, False, False, True]
    with pytest.raises(TickTimeout, match="nothing heard for 60 s"):
        a.handle_timer(a.next_timer())


def test_a_close_between_frames_is_in_order_and_one_inside_a_frame_is_not() -> None:
    a, b = pair()
    b.receive_eof(0.0)
    a.send_message(1, "half")
    b.receive_data(a.data_to_send()[:-1], 0.0)
    with pytest.raises(WireError, match="middle of a message"):
        b.receive_eof(0.0)


@pytest.mark.parametrize("theirs", [Flag.SIGNALS | Flag.FRAGMENTS, Flag.SIGNALS | Flag.FRAGMENTS | Flag.COMPRESSION])
@pytest.mark.parametrize("message", ["x" * 1_000_000, b"x" * 1_000_000], ids=["str", "bytes"])
def test_what_is_large_is_compressed_for_a_peer_that_takes_that(theirs: Flag, message: str | bytes) -> None:
    a, b = Connection(A, Identity("b@h", 2, theirs), 0.0, compress=True), Connection(B, A, 0.0)
    a.send_message(1, message)
    data = a.data_to_send()
    assert (len(data) < 10_000) is (Flag.COMPRESSION in theirs)
    assert b.receive_data(data, 0.0) == [Messages(1, [message])]
