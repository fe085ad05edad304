"""The fields of signals as they come from a peer, checked: numbers, names, and what they belong to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import attrs

from pydist.errors import BadNodeName, DecodeError
from pydist.terms import NAME_LIMIT, NodeName, Pid, Ref


@attrs.frozen
class Home:
    """The node that a bare number belongs to."""

    node: str
    creation: int

    def pid(self, number: object) -> Pid:
        """The pid with this number.

        Raises:
            DecodeError: not a 64-bit number.
        """
        return Pid(self.node, number_field(number), self.creation)

    def ref(self, number: object) -> Ref:
        """The ref with this number; raises as `pid`."""
        return Ref(self.node, number_field(number), self.creation)

    def address(self, value: object) -> Pid | str:
        """The pid with this number, or the name; raises as `pid`."""
        return name_field(value) if type(value) is str else self.pid(value)


def shown_field(value: object) -> str:
    """What a peer sent where a number or name belongs; written out only if short, and sure to have a text.

    Python writes no integer of thousands of digits, and no list in a list a thousand times.
    """
    if type(value) is int:
        return str(value) if value.bit_length() <= 128 else "(a huge int)"
    short = isinstance(value, str | bytes) and len(value) <= 100
    return repr(value) if short or isinstance(value, bool | float | None) else f"(a {type(value).__name__})"


def number_field(value: object) -> int:
    """The number of a process, a ref, or an unlink.

    Raises:
        DecodeError: not one of 64 bits.
    """
    if type(value) is int and 0 <= value < 1 << 64:
        return value
    raise DecodeError(f"a process or ref number is from 0 to 2**64-1, this is {shown_field(value)}")


def name_field(value: object) -> str:
    """A registered name; raises as `number_field`."""
    if type(value) is str and len(value) <= NAME_LIMIT:
        return value
    raise DecodeError(f"a registered name is a string of at most {NAME_LIMIT} characters, this is {shown_field(value)}")


def node_field(value: object) -> str:
    """The name of a node; raises as `number_field`."""
    if type(value) is str:
        with suppress(BadNodeName):
            return str(NodeName.parse(value))
    raise DecodeError(f"the name of a node is name@host, this is {shown_field(value)}")


def run_field(value: object) -> list[Any]:
    """The messages of a run; raises as `number_field`."""
    if type(value) is list:
        return cast("list[object]", value)
    raise DecodeError("a run of messages is an array")


def args_field(value: Any) -> Any:
    """The arguments of a process that is to be started, a tuple; raises as `number_field`."""
    if isinstance(value, tuple):
        return cast("Any", value)
    raise DecodeError(f"arguments are a tuple, this is {shown_field(value)}")


def export_field(value: object) -> str:
    """The name of an export; raises as `number_field`."""
    if type(value) is str and len(value) <= NAME_LIMIT:
        return value
    raise DecodeError(f"an export is a string of at most {NAME_LIMIT} characters, this is {shown_field(value)}")


def term_field(value: Any) -> Any:
    """A message or a reason: anything."""
    return value
