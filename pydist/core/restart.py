"""What a supervisor decides when a child ends: whether to start it again, whom else that concerns, when to give up.

Pure: `now` is an argument, and the answer is a plan that the supervisor performs. Source: OTP's `supervisor.erl`
(`add_restart/1`, `restart/2`) and the Supervision Principles of its manual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

from pydist.terms import NORMAL, Reason, is_shutdown

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]

STRATEGIES: tuple[str, ...] = get_args(Strategy)
RESTARTS: tuple[str, ...] = get_args(Restart)

T = TypeVar("T")


class RestartBudget:
    """At most `intensity` restarts within `period` seconds; one budget for all children of a supervisor.

    Time counts in whole seconds, and a restart exactly `period` seconds ago still counts. With an intensity of 0 the
    first crash is one too many.
    """

    def __init__(self, intensity: int, period: int) -> None:
        if intensity < 0 or period < 1:
            raise ValueError(f"intensity is at least 0 and period at least 1 second, not {intensity} and {period}")
        self.intensity = intensity
        self.period = period
        self.restarts: list[int] = []

    def spend(self, now: float) -> bool:
        """Count a restart at `now` (seconds, monotonic); False if it is one too many."""
        second = int(now)
        self.restarts = [past for past in self.restarts if past >= second - self.period]
        self.restarts.append(second)
        return len(self.restarts) <= self.intensity


def must_restart(restart: Restart, reason: Reason) -> bool:
    """Whether a child of this restart type that ended with `reason` is started again."""
    match restart:
        case "permanent":
            return True
        case "transient":
            return not (reason is NORMAL or is_shutdown(reason))
        case "temporary":
            return False


def affected(strategy: Strategy, children: Sequence[T], index: int) -> list[T]:
    """The children to stop (in reverse) and start again (in order) when the one at `index` is restarted, itself too."""
    match strategy:
        case "one_for_one":
            return [children[index]]
        case "rest_for_one":
            return list(children[index:])
        case "one_for_all":
            return list(children)
