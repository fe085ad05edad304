"""A slow model of supervision trees: the rules of OTP's manual, played through on plain objects."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Literal

import attrs

from pydist import AutoShutdown, Restart, Strategy

Why = Literal["crash", "normal", "shutdown"]


@attrs.define(eq=False)
class Being:
    """A worker, or a supervisor if it has `first` children."""

    name: str
    restart: Restart = "permanent"
    significant: bool = False
    parent: Being | None = None
    first: list[Being] | None = None
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period: int = 5
    auto_shutdown: AutoShutdown = "never"

    alive: bool = False
    restarting: bool = False
    life: int = 0
    """Changes whenever it is started or stopped."""
    children: list[Being] = attrs.field(factory=list["Being"])
    restarts: list[int] = attrs.field(factory=list[int])

    def below(self) -> list[Being]:
        """Itself and all that it has ever had under it."""
        return [self, *(each for child in self.first or () for each in child.below())]

    def group(self, child: Being) -> list[Being]:
        match self.strategy:
            case "one_for_one":
                return [child]
            case "rest_for_one":
                return self.children[self.children.index(child) :]
            case "one_for_all":
                return list(self.children)

    def seen(self) -> Any:
        """As `which_children` shows it: a worker as True; None if it does not run."""
        if not self.alive:
            return None
        return True if self.first is None else [(child.name, child.seen()) for child in self.children]


class World:
    """A tree, and what happens to it. Whatever follows from an event has happened when its function returns."""

    def __init__(self, top: Being) -> None:
        self.top = top
        self.now = 0.0
        self.ups: Counter[str] = Counter()
        """How often each worker has come up."""
        self.failures: Counter[str] = Counter()
        """How many of the next starts of a worker fail."""
        self._events: deque[tuple[Being, Being, Why | None, int]] = deque()
        self._start(top)

    def end(self, beings: list[Being], why: Why) -> None:
        """These children of one supervisor end in the same moment."""
        for each in beings:
            self._stop(each)
            assert each.parent is not None
            self._events.append((each.parent, each, why, each.life))
        while self._events:
            supervisor, child, reason, life = self._events.popleft()
            if supervisor.alive and reason is None and child.restarting:
                self._again(supervisor, child)
            elif supervisor.alive and reason is not None and child.life == life:
                self._ended(supervisor, child, reason)

    def _start(self, being: Being) -> bool:
        being.life += 1
        being.restarting = False
        if being.first is None:
            if self.failures[being.name]:
                self.failures[being.name] -= 1
                return False
            self.ups[being.name] += 1
        else:
            being.children, being.restarts = list(being.first), []
            if not all(self._start(child) for child in being.children):
                self._stop(being)
                return False
        being.alive = True
        return True

    def _stop(self, being: Being) -> None:
        being.life += 1
        being.alive = being.restarting = False
        for child in being.children:
            self._stop(child)

    def _ended(self, supervisor: Being, child: Being, why: Why) -> None:
        if child.restart == "permanent" or (child.restart == "transient" and why == "crash"):
            self._again(supervisor, child)
            return
        if child.restart == "temporary":
            supervisor.children.remove(child)
        others = [each for each in supervisor.children if each.significant and self._counts(each)]
        enough = {"never": False, "any_significant": True, "all_significant": not others}
        if child.significant and enough[supervisor.auto_shutdown]:
            self._leave(supervisor)

    def _counts(self, child: Being) -> bool:
        """Whether it has not left, as far as its supervisor knows: that it has ended may be still unread."""
        unread = any(each is child and life == child.life and why for _, each, why, life in self._events)
        return child.alive or child.restarting or unread

    def _again(self, supervisor: Being, child: Being) -> None:
        second = int(self.now)
        supervisor.restarts.append(second)
        if sum(past >= second - supervisor.period for past in supervisor.restarts) > supervisor.intensity:
            self._leave(supervisor)
            return
        group = supervisor.group(child)
        for each in group:
            self._stop(each)
        for each in group:
            if each.restart == "temporary":
                supervisor.children.remove(each)
            elif not self._start(each):
                each.restarting = True
                self._events.append((supervisor, each, None, each.life))
                return

    def _leave(self, supervisor: Being) -> None:
        self._stop(supervisor)
        if supervisor.parent is not None:
            self._events.append((supervisor.parent, supervisor, "shutdown", supervisor.life))
