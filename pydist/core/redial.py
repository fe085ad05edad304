"""Whether and when a node may be dialled: back-off after failures, `auto_connect`, and nodes that stay connected.

A node that could not be reached is not dialled again at once by whoever sends to it next: the first pause is about a
quarter of a second, each one twice as long as the one before, up to ten seconds. Each is shortened by chance, by up to
half, so that nodes which lost each other at once do not come back at once. A connection ends the pause, whoever has
dialled; so does a call of `connect`. OTP dials at each send, and knows `dist_auto_connect` (kernel_app).

All tables are bounded: what is forgotten is dialled as if it had never been heard of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

AutoConnect: TypeAlias = Literal["always", "once", "never"]

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0
REMEMBERED: Final = 1000
"""Nodes that could not be reached; and as many that were lost."""


@attrs.frozen
class _Failure:
    text: str
    pause: float
    until: float


class Redial:
    """The memory of one node. Times are in seconds; `chance()` gives numbers from 0 to 1.

    Args:
        auto_connect: "always"; "once": not a second time after the connection was lost; "never".
        keep: nodes that are dialled again and again until they are connected, whatever `auto_connect` says.
    """

    def __init__(
        self, chance: Callable[[], float], *, auto_connect: AutoConnect = "always", keep: Iterable[str] = ()
    ) -> None:
        if auto_connect not in get_args(AutoConnect):
            raise ValueError(f"auto_connect is one of {', '.join(get_args(AutoConnect))}, not {auto_connect!r}")
        self._chance = chance
        self._auto_connect = auto_connect
        self._keep = dict.fromkeys(keep, 0.0)
        self._always = frozenset(self._keep)
        self._due = dict(self._keep)
        """When those of `keep` are to be dialled that are not connected."""
        self._failures: dict[str, _Failure] = {}
        self._lost: dict[str, None] = {}

    # -- what happens

    def failed(self, node: str, text: str, now: float) -> None:
        """It could not be reached."""
        last = self._failures.pop(node, None)
        fresh = last is None or now > last.until + 2 * LONGEST_PAUSE
        pause = FIRST_PAUSE if fresh or last is None else min(2 * last.pause, LONGEST_PAUSE)
        until = now + self._jittered(pause)
        _keep_last(self._failures, node, _Failure(text, pause, until))
        if node in self._due:
            self._due[node] = until

    def reached(self, node: str) -> None:
        """It is connected."""
        for table in (self._failures, self._lost, self._due):
            table.pop(node, None)

    def lost(self, node: str, now: float) -> None:
        """It was connected, and is no longer."""
        self._lost.pop(node, None)
        _keep_last(self._lost, node, None)
        if node in self._keep:
            self._due[node] = now + self._jittered(FIRST_PAUSE)

    def left(self, node: str) -> None:
        """It was disconnected on purpose: it is not kept until it is connected again."""
        self._due.pop(node, None)

    def keep(self, node: str, now: float, *, connected: bool) -> None:
        """From now on it is to stay connected."""
        if node not in self._keep:
            self._keep[node] = now
            if not connected:
                self._due[node] = now

    def forget(self, node: str) -> None:
        """It is no longer to be kept, unless it was so from the beginning."""
        if node not in self._always:
            self._keep.pop(node, None)
            self._due.pop(node, None)

    # -- what follows from it

    def trouble(self, node: str) -> str | None:
        """Why it could not be reached; None if it was, or nobody has tried."""
        failure = self._failures.get(node)
        return None if failure is None else failure.text

    def refusal(self, node: str, now: float) -> str | None:
        """Why a signal is no reason to dial it now; None if it is."""
        if self._auto_connect == "never":
            return "this node connects to others only when it is told to (auto_connect='never')"
        if self._auto_connect == "once" and node in self._lost:
            return "the connection was lost, and this node connects by itself only once (auto_connect='once')"
        failure = self._failures.get(node)
        return failure.text if failure is not None and now < failure.until else None

    def next_dial(self, busy: Collection[str]) -> float | None:
        """When `due` is to be asked; `busy` are the nodes that are being dialled."""
        return min((when for node, when in self._due.items() if node not in busy), default=None)

    def due(self, now: float, busy: Collection[str]) -> list[str]:
        """Which of the nodes to keep are to be dialled now."""
        return [node for node, when in self._due.items() if when <= now and node not in busy]

    def known(self) -> list[str]:
        """The nodes of which anything is remembered."""
        return list({**self._failures, **self._lost, **self._due})

    def _jittered(self, pause: float) -> float:
        return pause * (1 - self._chance() / 2)


def _keep_last(table: dict[str, Any], node: str, value: object) -> None:
    if len(table) >= REMEMBERED:
        del table[next(iter(table))]
    table[node] = value
