"""pydist's own log: structlog's, with one promise more. Whatever the log does, who writes to it goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import structlog

_log = structlog.get_logger("pydist")


class _OwnLog:
    """The levels that pydist writes at."""

    def debug(self, event: str, **facts: Any) -> None:
        """Something has happened that few want to know."""
        with suppress(Exception):
            _log.debug(event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        """Something has happened."""
        with suppress(Exception):
            _log.info(event, **facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Something is not as it should be."""
        with suppress(Exception):
            _log.warning(event, **facts)

    def error(self, event: str, **facts: Any) -> None:
        """Something has failed."""
        with suppress(Exception):
            _log.error(event, **facts)


log: Final = _OwnLog()
