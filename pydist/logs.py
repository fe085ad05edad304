"""How pydist's log is written: to people on a terminal, as JSON lines otherwise.

pydist logs through structlog. Whoever has configured structlog keeps what they have; `pydist.run` calls
`configure_logging` where nobody has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any, Final, Literal, TextIO, TypeAlias, get_args

import structlog
from structlog.typing import EventDict, Processor

from pydist.core.log_json import render_json
from pydist.core.log_text import render_text

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
Format: TypeAlias = Literal["auto", "text", "json"]

_LEVELS: Final = {name: 10 * number for number, name in enumerate(get_args(Level), 1)}


def configure_logging(level: Level = "info", *, format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002  # the plain word
    """Write the log of this program as pydist does: one setting of structlog for all of it.

    On a terminal, reports stand on several lines, with colours unless the environment has NO_COLOR. Elsewhere each
    event is one line of JSON. Either way values are cut to a bound, and control characters in them are escaped. A
    stream that can't be written to is no error: the program goes on without its log.

    Args:
        level: the least that is written. Progress reports are of the level "debug".
        format: "text" or "json"; "auto" looks whether the stream is a terminal.
        stream: where to; standard error by default.

    Raises:
        ValueError: no such level or format.
    """
    if level not in _LEVELS:
        raise ValueError(f"level is one of {', '.join(_LEVELS)}, not {level!r}")
    if format not in get_args(Format):
        raise ValueError(f"format is one of {', '.join(get_args(Format))}, not {format!r}")
    sink = _Sink(stream)
    text = format == "text" or (format == "auto" and sink.is_terminal())
    structlog.configure(
        processors=_text(colour=sink.wants_colour()) if text else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )


@contextmanager
def default_logging() -> Generator[None]:
    """`configure_logging()` for as long as the block runs, unless structlog is configured already, or meanwhile."""
    if structlog.is_configured():
        yield
        return
    configure_logging()
    ours = structlog.get_config()["processors"]
    try:
        yield
    finally:
        if structlog.get_config()["processors"] is ours:
            structlog.reset_defaults()


def _text(*, colour: bool) -> list[Processor]:
    return [
        *_fields(structlog.processors.TimeStamper("%Y-%m-%d %H:%M:%S.%f", utc=False)),
        lambda _logger, _method, event: render_text(event, colour=colour),
    ]


def _json() -> list[Processor]:
    return [*_fields(structlog.processors.TimeStamper("iso")), lambda _logger, _method, event: render_json(event)]


def _fields(stamp: Callable[[Any, str, EventDict], EventDict]) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


class _Sink:
    """Where lines go; they may come from several threads."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = RLock()  # what is written to may log, and so may what is collected meanwhile

    @property
    def stream(self) -> TextIO | None:
        """Asked for each line: standard error may be redirected. None where a program has none."""
        return sys.stderr if self._stream is None else self._stream

    def is_terminal(self) -> bool:
        """Whether people read it."""
        return self.stream is not None and self.stream.isatty()

    def wants_colour(self) -> bool:
        """See no-color.org."""
        return self.is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def msg(self, line: str) -> None:
        """Write a line. Whoever logs goes on, whatever becomes of it."""
        stream = self.stream
        if stream is not None:
            with self._lock, suppress(OSError, ValueError):  # ValueError: it is closed
                stream.write(f"{line}\n")
                stream.flush()

    debug = info = warning = error = critical = exception = log = msg
