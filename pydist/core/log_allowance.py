"""How much of the log strangers may fill."""

from __future__ import annotations


class LogAllowance:
    """At most `burst` lines in any `period` seconds, so that a flood of strangers does not fill the log."""

    def __init__(self, burst: int = 20, period: float = 10.0) -> None:
        self._burst = burst
        self._period = period
        self._since = float("-inf")
        self._given = 0
        self._withheld = 0

    def take(self, now: float) -> int | None:
        """None where the line is to be withheld, else how many were withheld since the last one."""
        if now - self._since >= self._period:
            self._since, self._given = now, 0
        if self._given >= self._burst:
            self._withheld += 1
            return None
        self._given += 1
        withheld, self._withheld = self._withheld, 0
        return withheld


def withheld_field(withheld: int) -> dict[str, int]:
    """What the next line says of those before it that `take` did not allow: nothing where there were none."""
    return {"lines_withheld": withheld} if withheld else {}
