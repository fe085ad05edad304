from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.cookies import Cookies
from pydist.core.handshake import Confirm, Decide, Established, Event, Handshake, Named, NameWanted, Refused
from pydist.core.handshake_states import State
from pydist.errors import HandshakeError
from pydist.wire.fields import Home
from pydist.wire.handshake import Flag, Identity, Status

A = Identity("a@h", 1)
B = Identity("b@h", 2)
NONCE_A = b"A" * 32
NONCE_B = b"B" * 32


SECRET = Cookies((b"secret",))


def initiator(
    local: Identity = A, *, cookies: Cookies = SECRET, dialled: str = "b@h", nonce: bytes = NONCE_A
) -> Handshake:
    return Handshake(local, cookies, nonce, 0.0, dialled=dialled)


def acceptor(local: Identity = B, *, cookies: Cookies = SECRET, nonce: bytes = NONCE_B) -> Handshake:
    return Handshake(local, cookies, nonce, 0.0)


def step(sender: Handshake, receiver: Handshake) -> list[Event]:
    return receiver.receive_data(sender.data_to_send(), 0.0)


def to_decision(a: Handshake, b: Handshake) -> list[Event]:
    """Run until the acceptor's driver is asked."""
    assert step(a, b) == []
    assert step(b, a) == []
    return step(a, b)


def decided(status: Status) -> tuple[Handshake, Handshake, list[Event], list[Event]]:
    """Both ends after the decision, with the events that each of them gave for it."""
    a, b = initiator(), acceptor()
    assert to_decision(a, b) == [Decide(A)]
    at_b = b.decide(status, 0.0)
    return a, b, step(b, a), at_b


# The conversation


@pytest.mark.parametrize("status", [Status.OK, Status.OK_SIMULTANEOUS])
def test_two_nodes_with_one_cookie_are_connected(status: Status) -> None:
    a, b, at_a, at_b = decided(status)
    assert (at_a, at_b) == ([Established(B, b"")], [Established(A, b"")])
    assert (a.state, b.state) == (State.UP, State.UP)


def test_a_refused_attempt_is_refused_at_both_ends() -> None:
    a, b, at_a, at_b = decided(Status.NOK)
    assert (at_a, at_b) == ([Refused(B, Status.NOK)], [Refused(A, Status.NOK)])
    assert (a.state, b.state) == (State.REFUSED, State.REFUSED)


def test_an_initiator_that_is_believed_alive_replaces_the_old_connection_when_it_says_so() -> None:
    a, b, at_a, at_b = decided(Status.ALIVE)
    assert (at_a, at_b) == ([Confirm(B)], [])
    assert a.confirm(wanted=True, now=0.0) == [Established(B, b"")]
    assert step(a, b) == [Established(A, b"")]


def test_an_initiator_that_is_believed_alive_may_know_better() -> None:
    a, b, _, _ = decided(Status.ALIVE)
    assert a.confirm(wanted=False, now=0.0) == [Refused(B, Status.ALIVE)]
    assert step(a, b) == [Refused(A, Status.ALIVE)]


def test_the_whole_conversation_works_byte_by_byte() -> None:
    a, b = initiator(), acceptor()
    events: list[Event] = []
    while a.state is not State.UP or b.state is not State.UP:
        for sender, receiver in ((a, b), (b, a)):
            for byte in sender.data_to_send():
                for event in receiver.receive_data(bytes([byte]), 0.0):
                    events.append(event)
                    if isinstance(event, Decide):
                        events += receiver.decide(Status.OK, 0.0)
    assert events == [Decide(A), Established(A, b""), Established(B, b"")]


def test_what_comes_behind_the_last_message_belongs_to_the_connection() -> None:
    a, b = initiator(), acceptor()
    to_decision(a, b)
    b.decide(Status.OK, 0.0)
    assert a.receive_data(b.data_to_send() + b"more", 0.0) == [Established(B, b"more")]

    a, b, _, _ = decided(Status.ALIVE)
    a.confirm(wanted=True, now=0.0)
    assert b.receive_data(a.data_to_send() + b"more", 0.0) == [Established(A, b"more")]


def agreed(at_a: Identity, at_b: Identity) -> tuple[Identity, Identity]:
    """What each of two nodes holds the other for, as the one that dialled sees it first."""
    a, b = initiator(at_a, dialled=at_b.node), acceptor(at_b)
    match to_decision(a, b), b.decide(Status.OK, 0.0), step(b, a):
        case [Decide(initiators)], _, [Established(acceptors, b"")]:
            return acceptors, initiators
        case events:
            raise AssertionError(events)


def test_flags_are_intersected_and_those_that_are_not_known_do_not_matter() -> None:
    newer = Identity("a@h", 1, Flag(1 << 63 | 0b0100_0011), 7)
    other = Identity("b@h", 2, Flag(0b0010_0111))
    assert agreed(newer, other) == (Identity("b@h", 2, Flag(0b0011)), Identity("a@h", 1, Flag(0b0011)))


ALL = ~Flag(0)
OLD_A = Identity("a@h", 1, Flag.SIGNALS, 1)
OLD_B = Identity("b@h", 2, Flag.SIGNALS, 1)


def test_two_nodes_of_version_2_agree_on_it() -> None:
    assert agreed(A, B) == (B, A)
    assert (A.version, B.version) == (2, 2)


def test_a_node_of_version_1_and_one_of_version_2_agree_on_version_1_and_its_flags() -> None:
    assert agreed(A, OLD_B) == (OLD_B, OLD_A)
    assert agreed(OLD_A, B) == (OLD_B, OLD_A)


def test_a_peer_of_version_1_has_no_flags_of_version_2_whatever_it_sets() -> None:
    for liar, honest in ((Identity("a@h", 1, ALL, 1), B), (Identity("a@h", 1, ALL, 1, hidden=True), B)):
        assert agreed(liar, honest)[1] == OLD_A
    assert agreed(A, Identity("b@h", 2, ALL, 1))[0] == OLD_B


def test_each_side_says_of_itself_alone_that_it_is_hidden() -> None:
    hidden_a, hidden_b = Identity("a@h", 1, hidden=True), Identity("b@h", 2, hidden=True)
    assert agreed(hidden_a, B) == (B, hidden_a)
    assert agreed(A, hidden_b) == (hidden_b, A)
    assert agreed(hidden_a, hidden_b) == (hidden_b, hidden_a)


def mac(text: bytes) -> str:
    return hmac.new(b"secret", text, "sha256").hexdigest()


@pytest.mark.parametrize(
    ("version", "proven"),
    [
        (1, "77df927380e742dacb1b6b2c46727cc322d2d9d8d8145de7f53914fcd1baccf2"),
        (2, "a3d481fcfb65394aa627e9bb56881273129c6bb7c15b27079aeebfb7c75e3cc4"),
    ],
)
def test_golden_bytes(version: int, proven: str) -> None:
    flags = {1: Flag.SIGNALS, 2: Flag.SIGNALS | Flag.FRAGMENTS}[version]
    a, b = initiator(Identity("a@h", 1, flags, version)), acceptor(Identity("b@h", 2, flags, version))
    hello = a.data_to_send()
    says = f"{version:02x}{flags:016x}"
    assert hello.hex() == "0037707964697374" + says + "00000001" + "41" * 32 + "03614068"
    b.receive_data(hello, 0.0)
    challenge = b.data_to_send()
    assert challenge.hex() == "003243" + says + "00000002" + "42" * 32 + "03624068"
    a.receive_data(challenge, 0.0)
    proof = a.data_to_send()
    assert proof.hex() == "002150" + mac(b"initiator" + hello + challenge)
    assert proof.hex() == "002150" + proven
    b.receive_data(proof, 0.0)
    b.decide(Status.ALIVE, 0.0)
    status = b.data_to_send()
    assert status.hex() == "00225304" + mac(b"acceptor" + hello + challenge + b"\x04")
    a.receive_data(status, 0.0)
    a.confirm(wanted=True, now=0.0)
    assert a.data_to_send().hex() == "00224101" + mac(b"answer" + hello + challenge + b"\x01")


# Refusals


def refused(act: Callable[[], object], reason: str, *machines: Handshake) -> None:
    with pytest.raises(HandshakeError, match=reason):
        act()
    for machine in machines:
        assert machine.state is State.FAILED
        assert machine.next_timer() is None


def test_a_wrong_cookie_is_refused_before_anything_is_asked() -> None:
    a, b = initiator(cookies=Cookies((b"wrong",))), acceptor()
    step(a, b)
    step(b, a)
    refused(lambda: step(a, b), "the proof is wrong: the peer has another cookie", b)
    assert b.data_to_send() == b""


def test_the_initiator_is_told_what_a_close_after_its_proof_means() -> None:
    a, b = initiator(), acceptor()
    step(a, b)
    step(b, a)
    refused(lambda: a.receive_eof(0.0), "most likely its cookie is another", a)


def test_an_acceptor_that_does_not_know_the_cookie_is_refused() -> None:
    a, b = initiator(), acceptor()
    to_decision(a, b)
    b._cookie = b"wrong"
    b.decide(Status.OK, 0.0)
    refused(lambda: step(b, a), "the proof is wrong", a)


def test_a_node_that_answers_under_another_name_is_refused() -> None:
    a, b = initiator(dialled="c@h"), acceptor()
    step(a, b)
    refused(lambda: step(b, a), "dialled c@h, and b@h answers", a)


def test_a_node_that_dials_itself_is_refused() -> None:
    a, b = initiator(dialled="a@h"), acceptor(A)
    refused(lambda: step(a, b), "calls itself a@h, as we do", b)


def test_our_own_challenge_in_a_mirror_is_refused() -> None:
    a, b = initiator(), acceptor(nonce=NONCE_A)
    step(a, b)
    refused(lambda: step(b, a), "our own challenge comes back", a)


def test_our_own_bytes_in_a_mirror_are_refused() -> None:
    a = initiator()
    refused(lambda: a.receive_data(a.data_to_send(), 0.0), "unexpected in AWAIT_CHALLENGE", a)


def test_the_initiators_proof_does_not_serve_as_the_acceptors() -> None:
    a, b = initiator(), acceptor()
    step(a, b)
    step(b, a)
    proof = a.data_to_send()[3:]
    refused(lambda: a.receive_data(b"\x00\x22S\x01" + proof, 0.0), "the proof is wrong", a)


def test_a_peer_without_a_mandatory_flag_is_refused() -> None:
    a, b = initiator(Identity("a@h", 1, Flag(0))), acceptor()
    refused(lambda: step(a, b), "the peer lacks SIGNALS", b)


def test_a_version_that_is_too_old_is_refused() -> None:
    a, b = initiator(Identity("a@h", 1, version=0)), acceptor()
    refused(lambda: step(a, b), "the peer speaks version 0, we speak 1 to 2", b)


def test_an_answer_in_a_version_that_was_not_offered_is_refused() -> None:
    a, b = initiator(), acceptor()
    step(a, b)
    challenge = bytearray(b.data_to_send())
    challenge[3] = 3
    refused(lambda: a.receive_data(bytes(challenge), 0.0), "the peer speaks version 3", a)


@pytest.mark.parametrize("name", [b"nohost", b"a@", b"@", b"a b@h", b"\xff@h", b""])
def test_a_name_that_is_no_node_name_is_refused(name: bytes) -> None:
    hello = initiator().data_to_send()[2:-4] + bytes((len(name),)) + name
    b = acceptor()
    refused(lambda: b.receive_data(len(hello).to_bytes(2, "big") + hello, 0.0), "no node name", b)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_name_whose_length_lies_is_refused(change: int) -> None:
    hello = bytearray(initiator().data_to_send())
    hello[-4] += change
    b = acceptor()
    refused(lambda: b.receive_data(bytes(hello), 0.0), "the name's length does not fit", b)


def test_a_hello_that_is_too_short_is_refused() -> None:
    b = acceptor()
    refused(lambda: b.receive_data(b"\x00\x06pydist", 0.0), "too short", b)


@pytest.mark.parametrize(
    "stranger",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET / HTTP/1.1\r\n",
        b"\x00\x15N\x00\x00",  # an Erlang node
        b"\xff" * 50,
        b"\x00\x00",
        b"\x00\x09x",  # not even a whole message
    ],
)
def test_strangers_are_refused_at_their_first_bytes(stranger: bytes) -> None:
    b = acceptor()
    refused(lambda: b.receive_data(stranger, 0.0), "no pydist node|unexpected", b)
    assert b.data_to_send() == b""


@given(st.binary(min_size=3, max_size=100))
def test_random_bytes_never_get_an_answer(data: bytes) -> None:
    b = acceptor()
    try:
        events = b.receive_data(data, 0.0)
    except HandshakeError:
        events = []
    assert (events, b.data_to_send()) == ([], b"")


def converse(a: Handshake, b: Handshake, meddle: Callable[[int, bytes], bytes]) -> list[Event]:
    """Run to the end, with `meddle` on the way."""
    events: list[Event] = []
    for number, (sender, receiver) in enumerate([(a, b), (b, a), (a, b), (b, a)]):
        for event in receiver.receive_data(meddle(number, sender.data_to_send()), 0.0):
            events.append(event)
            if isinstance(event, Decide):
                b.decide(Status.OK, 0.0)
    return events


def flip(data: bytes, bit: int) -> bytes:
    """Flip a bit behind the length, which is framing: a flip there makes the reader wait for more."""
    place = 16 + bit % (8 * len(data) - 16)
    flipped = bytearray(data)
    flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped)


@given(st.integers(0, 3), st.integers(min_value=0))
def test_every_flipped_bit_of_the_conversation_ends_it(turn: int, bit: int) -> None:
    """Names, creations, versions, flags, nonces, direction and decision: all of it is bound to the proofs."""
    a, b = initiator(), acceptor()
    assert len(converse(initiator(), acceptor(), lambda _, data: data)) == 2
    with pytest.raises(HandshakeError):
        converse(a, b, lambda number, data: flip(data, bit) if number == turn else data)
    assert a.state is not State.UP


@given(st.integers(min_value=0))
def test_every_flipped_bit_of_the_answer_ends_it(bit: int) -> None:
    a, b, _, _ = decided(Status.ALIVE)
    a.confirm(wanted=False, now=0.0)
    sent = flip(a.data_to_send(), bit)
    refused(lambda: b.receive_data(sent, 0.0), "proof is wrong|unexpected", b)


# Strangers that have listened


def test_a_replayed_handshake_is_refused_because_each_has_another_challenge() -> None:
    a, b = initiator(), acceptor()
    hello = a.data_to_send()
    b.receive_data(hello, 0.0)
    step(b, a)
    proof = a.data_to_send()
    assert b.receive_data(proof, 0.0) == [Decide(A)]
    again = acceptor(nonce=b"C" * 32)
    again.receive_data(hello, 0.0)
    refused(lambda: again.receive_data(proof, 0.0), "the proof is wrong", again)


def test_a_replayed_answer_is_refused_because_each_has_another_challenge() -> None:
    a, b = initiator(), acceptor()
    step(a, b)
    challenge = b.data_to_send()
    a.receive_data(challenge, 0.0)
    step(a, b)
    b.decide(Status.OK, 0.0)
    status = b.data_to_send()
    again = initiator(nonce=b"C" * 32)
    again.receive_data(challenge, 0.0)
    refused(lambda: again.receive_data(status, 0.0), "the proof is wrong", again)


def test_a_challenge_that_is_reflected_to_the_node_that_made_it_gets_no_proof_that_serves() -> None:
    """A stranger, asked by b for a proof, lets b dial it, hands b's own challenge back, and b's proof in turn."""
    b = acceptor()
    b.receive_data(initiator().data_to_send(), 0.0)
    challenge = b.data_to_send()
    b_dials = initiator(B, dialled="a@h", nonce=b"C" * 32)
    b_dials.data_to_send()
    refused(lambda: b_dials.receive_data(challenge, 0.0), "dialled a@h, and b@h answers", b_dials)
    renamed = challenge.replace(b"b@h", b"a@h")
    b_dials = initiator(B, dialled="a@h", nonce=b"C" * 32)
    b_dials.data_to_send()
    b_dials.receive_data(renamed, 0.0)
    refused(lambda: step(b_dials, b), "the proof is wrong", b)


def test_who_passes_everything_on_can_change_nothing_and_speaks_for_nobody_else() -> None:
    """Between a and b, and calling itself c to b: a's proof is for what a has said."""
    a, b = initiator(), acceptor()
    b.receive_data(a.data_to_send().replace(b"a@h", b"c@h"), 0.0)
    step(b, a)
    refused(lambda: step(a, b), "the proof is wrong", b)


def test_one_byte_a_second_does_not_keep_a_connection_longer_than_nothing() -> None:
    b, now = acceptor(), 0.0
    for byte in initiator().data_to_send():
        now += 1.0
        if b.next_timer() == now:
            break
        assert b.receive_data(bytes((byte,)), now) == []
    assert now == 5.0
    refused(lambda: b.handle_timer(now), "not done within 5 s, still in AWAIT_HELLO", b)


def test_the_longest_name_is_taken_and_a_longer_one_is_not() -> None:
    name = "a" * 253 + "@h"
    assert agreed(Identity(name, 1), B)[1].node == name
    hello = initiator().data_to_send()[2:-4] + b"\xff" + b"a" * 254 + b"@h"
    b = acceptor()
    refused(lambda: b.receive_data(len(hello).to_bytes(2, "big") + hello, 0.0), "length does not fit", b)


@given(st.integers(0, 2**64 - 1), st.integers(0, 255))
def test_no_flags_and_no_version_are_a_mistake_unless_something_is_missing(flags: int, version: int) -> None:
    hello = bytearray(initiator().data_to_send())
    hello[8] = version
    hello[9:17] = flags.to_bytes(8, "big")
    b = acceptor()
    if version == 0 or not flags & Flag.SIGNALS:
        refused(lambda: b.receive_data(bytes(hello), 0.0), "speaks version 0|lacks SIGNALS", b)
    else:
        assert b.receive_data(bytes(hello), 0.0) == []
        assert b.data_to_send()[3] == min(version, 2)


# Turns and time


def test_bytes_before_their_turn_are_refused() -> None:
    a, b = initiator(), acceptor()
    refused(lambda: b.receive_data(a.data_to_send() + b"x", 0.0), "before its turn", b)

    a, b = initiator(), acceptor()
    step(a, b)
    refused(lambda: a.receive_data(b.data_to_send() + b"x", 0.0), "before its turn", a)

    a, b = initiator(), acceptor()
    step(a, b)
    step(b, a)
    refused(lambda: b.receive_data(a.data_to_send() + b"x", 0.0), "before its turn", b)


def test_bytes_while_the_acceptor_decides_are_refused() -> None:
    a, b = initiator(), acceptor()
    to_decision(a, b)
    refused(lambda: b.receive_data(b"\x00\x01P", 0.0), "unexpected in DECIDING", b)


def test_the_driver_is_told_when_it_decides_out_of_turn() -> None:
    a, b = initiator(), acceptor()
    refused(lambda: b.decide(Status.OK, 0.0), "no DECISION is due in AWAIT_HELLO", b)
    refused(lambda: a.confirm(wanted=True, now=0.0), "no DECISION is due in AWAIT_CHALLENGE", a)


def test_one_deadline_covers_the_whole() -> None:
    a, b = initiator(), acceptor()
    assert (a.next_timer(), b.next_timer()) == (5.0, 5.0)
    to_decision(a, b)
    a.handle_timer(4.9)
    refused(lambda: a.handle_timer(5.0), "not done within 5 s, still in AWAIT_STATUS", a)
    refused(lambda: b.handle_timer(5.0), "not done within 5 s, still in DECIDING", b)


def test_there_is_no_deadline_once_it_is_over() -> None:
    a, b, _, _ = decided(Status.OK)
    for end in (a, b):
        assert end.next_timer() is None
        end.handle_timer(99.0)
        end.receive_eof(99.0)
        assert end.state is State.UP


def test_a_half_open_connection_is_refused_when_it_closes() -> None:
    b = acceptor()
    refused(lambda: b.receive_eof(0.0), "closed the connection in AWAIT_HELLO", b)


def test_nothing_is_looked_at_after_a_failure() -> None:
    b = acceptor()
    refused(lambda: b.receive_data(b"GET /", 0.0), "no pydist node", b)
    refused(lambda: b.receive_data(initiator().data_to_send(), 0.0), "FAILED|no pydist node", b)


def test_a_whole_nonce_is_needed() -> None:
    with pytest.raises(ValueError, match="32 bytes, this one has 3"):
        Handshake(A, SECRET, b"abc", 0.0)


# Cookies

OLD, NEW = b"old", b"new"
PHASES = {"old": Cookies((OLD,)), "both": Cookies((NEW, OLD)), "new": Cookies((NEW,))}


def connected(mine: Cookies, theirs: Cookies, at_a: Identity = A, at_b: Identity = B) -> bool:
    a, b = initiator(at_a, cookies=mine), acceptor(at_b, cookies=theirs)
    try:
        return len(converse(a, b, lambda _, data: data)) == 2
    except HandshakeError:
        return False


def test_nodes_in_neighbouring_phases_of_a_change_of_cookies_connect_whoever_dials() -> None:
    met = {(mine, theirs) for mine in PHASES for theirs in PHASES if connected(PHASES[mine], PHASES[theirs])}
    assert met == {(mine, theirs) for mine in PHASES for theirs in PHASES} - {("old", "new"), ("new", "old")}


def test_a_node_of_version_1_gets_one_proof_with_the_preferred_cookie() -> None:
    assert connected(Cookies((OLD, NEW)), PHASES["old"], at_b=OLD_B)
    assert not connected(Cookies((NEW, OLD)), PHASES["old"], at_b=OLD_B)
    assert connected(PHASES["old"], Cookies((NEW, OLD)), at_a=OLD_A)


def test_an_answer_must_be_proven_by_the_cookie_that_the_handshake_is_about() -> None:
    a, b = initiator(cookies=PHASES["old"]), acceptor(cookies=PHASES["both"])
    to_decision(a, b)
    b.decide(Status.ALIVE, 0.0)
    step(b, a)
    a._cookie = NEW
    a.confirm(wanted=True, now=0.0)
    refused(lambda: step(a, b), "the proof is wrong", b)


def test_a_node_may_have_another_cookie_with_one_other_node() -> None:
    mine, theirs = Cookies((b"1",), {"b@h": (b"2",)}), Cookies((b"3",), {"a@h": (b"2",)})
    assert connected(mine, theirs)
    assert not connected(mine, Cookies((b"1",)))
    assert not connected(Cookies((b"3",)), theirs)


def test_a_peer_that_lies_about_its_name_lacks_that_nodes_cookie() -> None:
    guarded = Cookies((b"shared",), {"a@h": (b"for a alone",)})
    assert not connected(Cookies((b"shared",)), guarded)
    assert connected(Cookies((b"shared",)), guarded, at_a=Identity("liar@h", 1))


def test_without_a_cookie_for_each_other_no_two_nodes_connect() -> None:
    a, b = initiator(cookies=Cookies(())), acceptor()
    step(a, b)
    refused(lambda: step(b, a), "this node has no cookie for b@h", a)
    a, b = initiator(), acceptor(cookies=Cookies(()))
    step(a, b)
    step(b, a)
    refused(lambda: step(a, b), "the proof is wrong", b)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 63, 65, 96])
def test_proofs_of_a_wrong_size_are_refused(size: int) -> None:
    a, b = initiator(), acceptor()
    step(a, b)
    step(b, a)
    message = b"P" + bytes(size)
    refused(lambda: b.receive_data(len(message).to_bytes(2, "big") + message, 0.0), f"no proof has {size} bytes", b)


# Names that the acceptor gives

NAMELESS = Identity("@h", 0)


def test_a_node_without_a_name_gets_one_and_a_creation() -> None:
    a, b = initiator(NAMELESS), acceptor()
    assert to_decision(a, b) == [NameWanted(NAMELESS)]
    named = Named(Home("x@h", 7))
    assert b.give_name("x", 7, 0.0) == [named]
    assert step(b, a) == [named]
    assert (a.state, b.state) == (State.NAMED, State.NAMED)
    assert (a.next_timer(), b.next_timer()) == (None, None)


def test_golden_bytes_of_a_given_name() -> None:
    a, b = initiator(NAMELESS), acceptor()
    hello = a.data_to_send()
    assert hello.endswith(b"\x00\x00\x00\x00" + NONCE_A + b"\x02@h")
    b.receive_data(hello, 0.0)
    challenge = b.data_to_send()
    a.receive_data(challenge, 0.0)
    step(a, b)
    b.give_name("x", 7, 0.0)
    given = b"\x05\x00\x00\x00\x07x"
    assert b.data_to_send().hex() == "0027" + (b"S" + given).hex() + mac(b"acceptor" + hello + challenge + given)


@given(st.integers(min_value=0))
def test_every_flipped_bit_of_a_given_name_ends_it(bit: int) -> None:
    a, b = initiator(NAMELESS), acceptor()
    to_decision(a, b)
    b.give_name("x", 7, 0.0)
    sent = flip(b.data_to_send(), bit)
    refused(lambda: a.receive_data(sent, 0.0), "proof is wrong|unexpected|no decision", a)


@pytest.mark.parametrize("local", [OLD_B, Identity("b@h", 2, Flag.SIGNALS)])
def test_a_node_that_gives_no_names_refuses_who_has_none(local: Identity) -> None:
    a, b = initiator(NAMELESS), acceptor(local)
    refused(lambda: step(a, b), "no node name: @h, and no way to give it one", b)


def test_only_who_has_no_name_is_given_one_and_who_has_none_must_be() -> None:
    a, b = initiator(), acceptor()
    to_decision(a, b)
    b.give_name("x", 7, 0.0)
    refused(lambda: step(b, a), "the peer answers NAMED to a node that calls itself a@h", a)
    a, b = initiator(NAMELESS), acceptor()
    to_decision(a, b)
    b.decide(Status.OK, 0.0)
    refused(lambda: step(b, a), "the peer answers OK to a node that calls itself @h", a)


def test_a_node_that_answers_must_have_a_name() -> None:
    a, b = initiator(), acceptor(Identity("@h", 0))
    step(a, b)
    refused(lambda: step(b, a), "dialled b@h, and @h answers", a)


@pytest.mark.parametrize("short", ["", "a b", "a@b", "a" * 254])
def test_a_name_that_is_none_is_not_given(short: str) -> None:
    a, b = initiator(NAMELESS), acceptor()
    to_decision(a, b)
    refused(lambda: b.give_name(short, 7, 0.0), "no node name", b)
