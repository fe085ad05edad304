"""The C twin of the hot path, `pydist._native`, or None: where it was not compiled, or PYDIST_PURE is set.

What it replaces stands in Python beside its place: the file that defines a name picks the twin at its end. Both obey
the same tests; see docs/adr/0006.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

VERSION: Final = 16
"""That of the twin which fits; see `module.c`."""


def _twin() -> Any:
    try:
        twin = import_module("pydist._native")
    except ImportError:
        return None
    return twin if twin.VERSION == VERSION else None


native: Final[Any] = _twin()
