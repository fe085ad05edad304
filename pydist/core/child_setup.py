"""What the starter of a child node tells it, as the first line that the child's program reads, and what that answers.

The line holds the cookie. It goes through a pipe, since command lines and environments can be read by others. The
answer is a line of the child's standard output, told from what the child itself prints by a token of the setup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

VERSION: Final = 1
SETUP_LIMIT: Final = 1024 * 1024
"""Bytes of a setup. What is larger belongs into a file, or a message."""
REASON_LIMIT: Final = 2000
"""Characters of the reason why a child has not come up: the answer has to go through a pipe in one piece."""


@attrs.frozen(kw_only=True)
class ChildSetup:
    """All that the program of a child node has to know."""

    token: str
    """Marks its answer."""
    node: str
    starter: str
    """The node to connect to before the child counts as up."""
    cookie: str = attrs.field(repr=False)
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Of the node, by keyword."""
    run: str | None = None
    """The main function, as module:name."""
    args: Sequence[Any] = attrs.field(factory=list[Any])
    applications: Sequence[str] = attrs.field(factory=list[str])
    """Their classes, as module:name."""
    modules: Sequence[str] = attrs.field(factory=list[str])
    """What else is imported before the node starts."""
    path: Sequence[str] = attrs.field(factory=list[str])
    """Where modules are looked for, too."""
    env: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """For the environment, once the interpreter runs."""
    cpus: Sequence[int] | None = None
    """The processors that it may use; None for all."""
    grace: float = 4.0
    """Seconds to stop in order, from the end of its standard input on."""

    def line(self) -> bytes:
        """As it is written. Raises TypeError or ValueError for what JSON can't hold, or is too much."""
        text = json.dumps({"version": VERSION, **attrs.asdict(self)}, allow_nan=False)
        if len(text) >= SETUP_LIMIT:
            raise ValueError(f"a child node is told {len(text)} bytes, more than the {SETUP_LIMIT} it takes")
        return text.encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> ChildSetup:
        """What `line` has written. Raises ValueError."""
        fields: Any = json.loads(line)
        if not isinstance(fields, dict):
            raise ValueError("a setup is a JSON object")  # noqa: TRY004  # what is wrong is the text
        known = cast("dict[str, Any]", fields)
        if known.pop("version", None) != VERSION:
            raise ValueError(f"the two are not of the same version of pydist: this one takes setups of {VERSION}")
        try:
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"the two are not of the same version of pydist: {error}") from error


@attrs.frozen
class Up:
    """The child node is up, and connected with its starter."""

    os_pid: int


@attrs.frozen
class NotUp:
    """The child node does not come up."""

    reason: str


ChildReport: TypeAlias = Up | NotUp


def _mark(token: str) -> bytes:
    return f"\x1epydist-child-{token} ".encode()


def report_line(token: str, report: ChildReport) -> bytes:
    """The answer as it is written: short enough that a pipe takes it in one piece."""
    content: dict[str, Any] = (
        {"up": report.os_pid} if isinstance(report, Up) else {"not_up": report.reason[:REASON_LIMIT]}
    )
    return _mark(token) + json.dumps(content).encode() + b"\n"


def split_report(token: str, line: bytes) -> tuple[bytes, ChildReport | None]:
    """What of a line is the child's own output, and the answer if it holds that."""
    own, mark, text = line.partition(_mark(token))
    if not mark:
        return line, None
    try:
        content: Any = json.loads(text)
    except ValueError:
        return line, None
    match content:
        case {"up": int() as os_pid}:
            return own, Up(os_pid)
        case {"not_up": str() as reason}:
            return own, NotUp(reason)
        case _:
            return line, None
