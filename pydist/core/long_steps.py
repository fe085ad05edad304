"""Which step of a process takes long, decided from looks that are taken at intervals.

A step is told from another by who runs and by how many steps have begun, so nothing is to be done when one begins or
ends, and one that is shorter than the interval may never be seen. What a look finds has run since the look that first
found it, at least. One thing keeps looks from being taken: code that holds Python's global lock, as a large
`json.loads` does. A look that comes late was held up by what it finds, so that has run since the look was due.
"""

from __future__ import annotations

from typing import Final

LOOKS: Final = 4
"""How often to look within the shortest limit: a step is found out when it is longer than that by a quarter."""


class LongSteps:
    """What the looks have found."""

    __slots__ = ("_runs", "_since", "_steps", "number")

    def __init__(self) -> None:
        self._runs: object = None
        self._steps = -1
        self._since = 0.0
        self.number = 0
        """Distinguishes the step that was found last from those before."""

    def look(self, now: float, due: float, runs: object, steps: int) -> float:
        """Take a look.

        Args:
            now: when, in seconds.
            due: when the look was to be taken.
            runs: who runs, or None.
            steps: how many steps have begun so far.

        Returns:
            Seconds that the step has run at least; 0 where nobody runs.
        """
        if runs is not self._runs or steps != self._steps:
            self._runs, self._steps = runs, steps
            self._since = min(now, due)
            self.number += 1
        return 0.0 if runs is None else now - self._since
