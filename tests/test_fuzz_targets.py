"""What `python -m fuzz` tries for hours, for a moment: any bytes, and bytes that are nearly right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import TARGETS
from pydist.wire.epmd import Alive, Kill, Names, PortInfo, PortPlease, encode_request

_msgpack: Any = msgpack  # it has no annotations
OPS: Final = (1, 2, 3, 10, 11, 12, 13, 14, 20, 21, 22, 23, 30, 40, 41, 42, 50, 51, 99)


def cuts(sizes: list[int]) -> bytes:
    """What makes a target cut the bytes behind it."""
    return bytes([len(sizes), *sizes])


def signal(op: int, fields: list[Any]) -> list[Any]:
    return [op, *fields]


def pack(term: Any) -> bytes:
    data: bytes = _msgpack.packb(term)
    return data


def framed(kind: int, frame: bytes) -> bytes:
    """With a head of 4 bytes, whose first may be a kind."""
    return bytes([kind]) + len(frame).to_bytes(3, "big") + frame


def begin(stream: int, size: int, piece: bytes) -> bytes:
    return framed(1, bytes([stream]) + size.to_bytes(8, "big") + piece)


def go_on(stream: int, piece: bytes) -> bytes:
    return framed(2, bytes([stream]) + piece)


def joined(parts: list[bytes]) -> bytes:
    return b"".join(parts)


heads: Final = st.builds(cuts, st.lists(st.integers(0, 40), max_size=15))
extensions: Final[st.SearchStrategy[Any]] = st.builds(msgpack.ExtType, st.integers(0, 20), st.binary(max_size=20))
leaves: Final = st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5) | extensions
terms: Final[st.SearchStrategy[Any]] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(leaves, inner, max_size=3), max_leaves=15
)
signals: Final = st.builds(
    signal, st.sampled_from(OPS), st.lists(st.integers(0, 2**64 - 1) | st.text(max_size=5) | terms, max_size=5)
)
frames: Final = st.builds(pack, st.lists(signals, max_size=4))
requests: Final = st.sampled_from(
    [
        encode_request(request)
        for request in (Alive(PortInfo("n", 1, 77, 0, 6, 5, b"x")), PortPlease("n"), Names(), Kill())
    ]
)


def behind_heads(parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(bytes.__add__, heads, st.builds(joined, st.lists(parts, max_size=4)))


streams: Final = st.integers(0, 2)
bodies: Final = st.builds(begin, streams, st.integers(0, 200), st.binary(max_size=50)) | st.builds(
    go_on, streams, st.binary(max_size=50)
)
fields: Final = st.sampled_from(
    ["BackendState", "TailscaleIPs", "Self", "Peer", "Node", "UserProfile", "Hostinfo", "Name", "Tags", "DNSName"]
)
texts: Final = st.sampled_from(["Running", "fd7a::1", "100.64.0.1/32", "tag:x", "beta.ts.net."]) | st.text(max_size=3)
statuses: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=6),
    max_leaves=20,
)

LIKELY: Final[dict[str, st.SearchStrategy[bytes]]] = {
    "framing": behind_heads(st.builds(framed, st.just(0), frames)),
    "fragments": behind_heads(bodies | st.builds(framed, st.integers(0, 3), frames)),
    "terms": st.builds(pack, terms),
    "signals": frames,
    "twins": st.builds(pack, terms) | frames,
    "connection": behind_heads(st.builds(framed, st.integers(0, 3), frames) | bodies),
    "port_mapper": behind_heads(requests | st.binary(max_size=5)),
    "tailscaled": statuses.map(lambda status: json.dumps(status).encode()),
}
"""What comes nearer to being right than any bytes do."""


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@given(st.binary(max_size=300))
def test_any_bytes_give_only_documented_errors(target: Callable[[bytes], None], data: bytes) -> None:
    target(data)


@pytest.mark.parametrize("name", LIKELY)
@given(st.data())
def test_bytes_that_are_nearly_right_give_only_documented_errors(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(LIKELY[name]))
