from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.wire.assembly import RESERVED, Assembly, PureAssembly

kinds = pytest.mark.parametrize("kind", [Assembly, PureAssembly])


@kinds
@given(pieces=st.lists(st.binary(max_size=100)))
def test_what_came_in_pieces_is_whole_in_the_end(kind: type[PureAssembly], pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assembly = kind(len(data))
    left: list[int] = []
    for piece in pieces:
        assembly.add(memoryview(bytearray(piece)))
        left.append(assembly.missing)
    assert (assembly.whole(), left) == (data, [len(b"".join(pieces[number + 1 :])) for number in range(len(pieces))])


@kinds
def test_what_is_large_grows_in_few_steps_and_is_never_larger_than_it_will_be(kind: type[PureAssembly]) -> None:
    size = 5 * RESERVED + 1
    assembly, piece, rooms = kind(size), bytes(RESERVED), set[int]()
    for _ in range(5):
        assembly.add(piece)
        rooms.add(assembly.room)
    assembly.add(b"x")
    assert (assembly.whole(), max(rooms) <= size) == (5 * piece + b"x", True)


@kinds
def test_more_than_was_announced_and_less_are_refused(kind: type[PureAssembly]) -> None:
    assembly = kind(3)
    assembly.add(b"ab")
    with pytest.raises(ValueError, match=r"^2 bytes more make more than 3$"):
        assembly.add(b"cd")
    with pytest.raises(ValueError, match=r"^1 of 3 bytes are missing$"):
        assembly.whole()


@kinds
def test_nothing_is_announced_and_whole(kind: type[PureAssembly]) -> None:
    assert kind(0).whole() == b""
