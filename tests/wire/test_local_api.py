from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pydist.errors import DecodeError
from pydist.wire.local_api import Caller, Machine, decode_status, decode_whois

PEER: dict[str, Any] = {
    "DNSName": "Beta.tail1234.ts.net.",
    "HostName": "beta",
    "TailscaleIPs": ["100.64.0.3", "fd7a:115c:a1e0::3"],
    "Tags": ["tag:ops"],
    "Online": True,
}
BETA = Machine("beta.tail1234.ts.net", ("100.64.0.3", "fd7a:115c:a1e0::3"), "beta", ("tag:ops",), online=True)
KEYS = ["BackendState", "TailscaleIPs", "Self", "Peer", "Node", "UserProfile", "Hostinfo", "Name", "Tags", "DNSName"]
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Running", "fd7a::1", "tag:x"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


def status(**fields: Any) -> bytes:
    return json.dumps({"BackendState": "Running", **fields}).encode()


def test_a_machine_is_named_in_lower_case_without_the_final_dot() -> None:
    assert decode_status(status(Peer={"nodekey:1": PEER})).peers == (BETA,)
    assert BETA.label == "beta"


def test_a_machine_whose_entry_makes_no_sense_is_left_out_and_the_others_stay() -> None:
    odd: list[Any] = [
        None,
        "x",
        {},
        PEER | {"TailscaleIPs": ["here"]},
        PEER | {"TailscaleIPs": None},
        PEER | {"DNSName": ""},
        PEER | {"Tags": ["tag:a\nb"]},
        PEER | {"Tags": ["tag:x"] * 101},
        PEER | {"DNSName": "x" * 256},
    ]
    peers = {str(number): peer for number, peer in enumerate([*odd, PEER])}
    assert decode_status(status(Peer=peers)).peers == (BETA,)


def test_what_a_machine_calls_itself_can_not_hide_it() -> None:
    [machine] = decode_status(status(Peer={"1": PEER | {"HostName": "\ud800\n"}})).peers
    assert machine.host_name == ""


def test_whois_of_an_untagged_machine_names_its_user() -> None:
    node = {"Name": "beta.tail1234.ts.net.", "Addresses": ["100.64.0.3/32"]}
    body = json.dumps({"Node": node, "UserProfile": {"LoginName": "ann@example.com"}}).encode()
    assert decode_whois(body) == Caller(Machine("beta.tail1234.ts.net", ("100.64.0.3",)), "ann@example.com")


@given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    for decode in (decode_status, decode_whois):
        with suppress(DecodeError):
            decode(body)
