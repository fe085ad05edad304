from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media import stun

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

# RFC 5769 sections 2.1, 2.2 and 2.3.
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b15126"
    "3b36000600096576746a3a6836765920202000080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
RESPONSE_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)


def test_the_request_of_rfc_5769_is_read_and_found_authentic() -> None:
    message = stun.parse(REQUEST)
    assert (message.kind, message.transaction) == (stun.BINDING_REQUEST, TRANSACTION)
    assert message.attributes[stun.USERNAME] == b"evtj:h6vY"
    assert stun.is_authentic(message, PASSWORD)
    assert not stun.is_authentic(message, b"another password")


@pytest.mark.parametrize(
    ("golden", "mapped"),
    [(RESPONSE_IPV4, ("192.0.2.1", 32853)), (RESPONSE_IPV6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_answers_carry_the_address_of_rfc_5769(golden: bytes, mapped: tuple[str, int]) -> None:
    theirs = stun.parse(golden)
    ours = stun.parse(stun.binding_success(TRANSACTION, mapped, PASSWORD))
    assert stun.is_authentic(theirs, PASSWORD)
    assert stun.is_authentic(ours, PASSWORD)
    assert (ours.kind, ours.transaction) == (theirs.kind, theirs.transaction)
    assert ours.attributes[stun.XOR_MAPPED_ADDRESS] == theirs.attributes[stun.XOR_MAPPED_ADDRESS]


def test_what_follows_the_integrity_attribute_is_not_believed() -> None:
    sealed = stun.seal(bytes.fromhex("000100002112a442") + TRANSACTION, PASSWORD)[:-8]
    smuggled = sealed[:2] + (len(sealed) - 20 + 4).to_bytes(2, "big") + sealed[4:] + bytes.fromhex("00250000")
    message = stun.parse(smuggled)
    assert stun.is_authentic(message, PASSWORD)
    assert stun.USE_CANDIDATE not in message.attributes


def test_a_message_without_integrity_is_not_authentic() -> None:
    assert not stun.is_authentic(stun.parse(bytes.fromhex("000100002112a442") + TRANSACTION), b"")


# Two bytes are left out: they say that a fingerprint follows, and with other ones none does.
@pytest.mark.parametrize("at", [at for at in range(len(REQUEST)) if at not in {100, 101}])
def test_a_damaged_request_is_refused_wherever_the_damage_is(at: int) -> None:
    damaged = REQUEST[:at] + bytes((REQUEST[at] ^ 0x01,)) + REQUEST[at + 1 :]
    with pytest.raises(stun.StunError):
        stun.parse(damaged)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_the_documented_error_only(garbage: bytes) -> None:
    with pytest.raises(stun.StunError):
        stun.parse(garbage)


@given(st.binary(max_size=100).map(lambda body: body + bytes(-len(body) % 4)))
def test_random_attributes_behind_a_true_header_raise_the_documented_error_only(body: bytes) -> None:
    header = bytes.fromhex("0001") + len(body).to_bytes(2, "big") + bytes.fromhex("2112a442") + TRANSACTION
    try:
        stun.parse(header + body)
    except stun.StunError:
        return
