"""What a child's program writes, cut into lines: its answer to the setup is told apart, a flood is bounded.

A line may be as long as `LINE_LIMIT`; the rest of it is left out. Of more lines than the allowance holds, only their
number is told. The last words are kept, for the error if the program ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, get_args

import attrs

from pydist.core.child_setup import ChildReport, split_report
from pydist.core.log_allowance import LogAllowance
from pydist.core.shown import escaped

Stream: TypeAlias = Literal["stdout", "stderr"]

LINE_LIMIT: Final = 4096
"""Bytes of a line."""
LAST_WORDS: Final = 20
"""Lines of standard error that are kept."""
BURST: Final = 500
PERIOD: Final = 5.0
"""At most `BURST` lines in so many seconds."""


@attrs.frozen
class Line:
    """The child has written a line."""

    stream: Stream
    text: str
    withheld: int = 0
    """How many lines before it were left out, for there were too many."""


class ChildConsole:
    """See the head of this file. `token` is that of the setup."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._lines = {stream: _Lines() for stream in get_args(Stream)}
        self._allowance = LogAllowance(BURST, PERIOD)
        self._last: deque[bytes] = deque(maxlen=LAST_WORDS)
        self._answered = False

    def receive_data(self, stream: Stream, data: bytes, now: float) -> list[Line | ChildReport]:
        """Bytes as they came; nothing at all is the end of the stream."""
        events: list[Line | ChildReport] = []
        for line in self._lines[stream].cut(data):
            events += self._take(stream, line, now)
        return events

    def last_words(self) -> list[str]:
        """The last lines of standard error, the oldest first."""
        return [_text(line) for line in self._last]

    def _take(self, stream: Stream, line: bytes, now: float) -> Iterator[Line | ChildReport]:
        report = None
        if not self._answered and stream == "stdout":
            line, report = split_report(self._token, line)
        if line:
            if stream == "stderr":
                self._last.append(line)
            withheld = self._allowance.take(now)
            if withheld is not None:
                yield Line(stream, _text(line), withheld)
        if report is not None:
            self._answered = True
            yield report


class _Lines:
    """The bytes of one stream."""

    def __init__(self) -> None:
        self._begun = b""
        self._skipping = False
        """The line that has begun is too long, and was given out."""

    def cut(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`, and what is left at the end of the stream; empty ones are left out."""
        *whole, rest = (self._begun + data).split(b"\n") if data else (self._begun, b"")
        self._begun = b""
        for line in whole:
            if not self._skipping and line:
                yield _shortened(line)
            self._skipping = False
        if self._skipping:
            return
        if len(rest) > LINE_LIMIT:
            self._skipping = True
            yield _shortened(rest)
        else:
            self._begun = rest


def _shortened(line: bytes) -> bytes:
    return line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + b"..."


def _text(line: bytes) -> str:
    return escaped(line.decode(errors="backslashreplace").rstrip("\r"))
