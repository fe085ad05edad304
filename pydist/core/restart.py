"""What a supervisor decides when a child ends: whether to start it again, whom else that concerns, when to give up.

Pure: `now` is an argument, and the answer is a `Plan` that the supervisor performs. Source: OTP's `supervisor.erl`
(`do_restart/3`, `restart/2`, `do_auto_shutdown/2`, `add_restart/1`, `shutdown/1`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import dropwhile
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, get_args

import attrs

from pydist.terms import KILLED, SHUTDOWN, Reason, is_silent

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Shutdown: TypeAlias = float | Literal["brutal_kill"] | None
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]

STRATEGIES: tuple[str, ...] = get_args(Strategy)
RESTARTS: tuple[str, ...] = get_args(Restart)
AUTO_SHUTDOWNS: tuple[str, ...] = get_args(AutoShutdown)


class Member(Protocol):
    """What a decision needs to know of a child."""

    @property
    def restart(self) -> Restart:
        """Its restart type."""
        ...

    @property
    def significant(self) -> bool:
        """Whether its leaving can end the supervisor."""
        ...

    @property
    def running(self) -> bool:
        """It has a process, or is being restarted."""
        ...


C = TypeVar("C", bound=Member)


@attrs.frozen
class Plan(Generic[C]):
    """What is to be done about the end of a child, in the order of the fields."""

    report: bool = False
    """The end was not expected."""
    stop: tuple[C, ...] = ()
    """Stop these, one after the other."""
    drop: tuple[C, ...] = ()
    """These are children no longer."""
    end: Literal["intensity", "auto_shutdown"] | None = None
    """The supervisor itself ends, with `SHUTDOWN`, and this is why."""
    start: tuple[C, ...] = ()
    """Start these, one after the other, until one fails: that one is tried again."""


class RestartBudget:
    """At most `intensity` restarts within `period` seconds; one budget for all children of a supervisor.

    Time counts in whole seconds, and a restart exactly `period` seconds ago still counts. With an intensity of 0 the
    first crash is one too many.
    """

    def __init__(self, intensity: int, period: int) -> None:
        check_whole("intensity", intensity, 0, "restarts")
        check_whole("period", period, 1, "seconds")
        self.intensity = intensity
        self.period = period
        self.restarts: deque[int] = deque()

    def spend(self, now: float) -> bool:
        """Count a restart at `now` (seconds, monotonic); False if it is one too many."""
        second = int(now)
        while self.restarts and self.restarts[0] < second - self.period:
            self.restarts.popleft()
        self.restarts.append(second)
        return len(self.restarts) <= self.intensity


def check_whole(name: str, value: object, least: int, unit: str) -> None:
    """Raise TypeError or ValueError, with the name, if a number is no whole one from `least`."""
    rule = f"{name} is a whole number of {unit} from {least}, not {value!r}"
    if type(value) is not int:
        raise TypeError(rule)
    if value < least:
        raise ValueError(rule)


class RestartPolicy:
    """How one supervisor decides. All it remembers are its latest restarts.

    A child that has been stopped, or has left for good, stays known unless it is temporary, and can be started again;
    with `keep=False` it does not.
    """

    def __init__(
        self, strategy: Strategy, budget: RestartBudget, auto_shutdown: AutoShutdown = "never", *, keep: bool = True
    ) -> None:
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}{_instead(strategy)}")
        if auto_shutdown not in AUTO_SHUTDOWNS:
            raise ValueError(f"auto_shutdown is one of {', '.join(AUTO_SHUTDOWNS)}, not {auto_shutdown!r}")
        self.strategy: Strategy = strategy
        self.budget = budget
        self.auto_shutdown: AutoShutdown = auto_shutdown
        self.keep = keep

    def forgets(self, child: Member) -> bool:
        """Whether `child`, when it does not run, is a child no longer."""
        return child.restart == "temporary" or not self.keep

    def ended(self, child: C, reason: Reason, children: Iterable[C], now: float) -> Plan[C]:
        """`child`, one of `children` in the order of their start, has ended by itself."""
        report = child.restart == "permanent" or not is_silent(reason)
        if must_restart(child.restart, reason):
            return attrs.evolve(self.again(child, children, now), report=report)
        end = self._left(child, children)
        return Plan(report=report, drop=(child,) if self.forgets(child) else (), end="auto_shutdown" if end else None)

    def again(self, child: C, children: Iterable[C], now: float) -> Plan[C]:
        """`child` is to be started again: it has ended, or its last restart has failed."""
        if not self.budget.spend(now):
            return Plan(end="intensity")
        concerned = affected(self.strategy, children, child)
        others = tuple(each for each in reversed(concerned) if each is not child)
        temporary = tuple(each for each in concerned if each.restart == "temporary")
        return Plan(stop=others, drop=temporary, start=tuple(each for each in concerned if each.restart != "temporary"))

    def _left(self, child: C, children: Iterable[C]) -> bool:
        """Whether the supervisor ends now that `child` has left for good."""
        if self.auto_shutdown == "never" or not child.significant:
            return False
        return self.auto_shutdown == "any_significant" or not any(
            each.significant and each.running for each in children if each is not child
        )


def _instead(strategy: object) -> str:
    return ": in pydist that is a DynamicSupervisor" if strategy == "simple_one_for_one" else ""


def must_restart(restart: Restart, reason: Reason) -> bool:
    """Whether a child of this restart type that ended with `reason` is started again."""
    match restart:
        case "permanent":
            return True
        case "transient":
            return not is_silent(reason)
        case "temporary":
            return False


def affected(strategy: Strategy, children: Iterable[C], child: C) -> tuple[C, ...]:
    """Those of `children` that are stopped (in reverse) and started (in order) with `child`, itself among them."""
    match strategy:
        case "one_for_one":
            return (child,)
        case "rest_for_one":
            return tuple(dropwhile(lambda each: each is not child, children))
        case "one_for_all":
            return tuple(children)


def stopped_as_asked(restart: Restart, shutdown: Shutdown, reason: Reason) -> bool:
    """Whether a child that its supervisor has stopped ended as it should."""
    asked = KILLED if shutdown == "brutal_kill" else SHUTDOWN
    return reason is asked or (restart != "permanent" and is_silent(reason))
