"""What a behaviour notes of what it does, while it is asked to (the debug options of OTP's `sys`).

A trace, the last events, their number, and functions that look at each. A behaviour that is not asked to only looks
whether it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from pydist.message import Message
from pydist.terms import Pid

LOGGED: Final = 10
"""How many events a log keeps if nobody says otherwise."""


class SysEvent(Message, tag="$sys_event"):
    """One thing that a behaviour has done."""

    kind: str
    """"in" for a message, "out" for a reply; what else a behaviour has to say: "continue", "timeout"."""
    term: Any
    """The message."""
    peer: Pid | None = None
    """Who gets the reply."""


class Statistics(Message, tag="$sys_statistics"):
    """What has been counted."""

    seconds: float
    """Since it was asked for."""
    messages_in: int
    messages_out: int


Hook: TypeAlias = Callable[[Any, SysEvent, str], Any]
"""`hook(state, event, label)` returns its next state, or None when it has seen enough."""


class Debug:
    """The options that are on."""

    __slots__ = ("_counts", "_hooks", "_last", "_since", "tracing")

    def __init__(self) -> None:
        self.tracing = False
        self._last: deque[SysEvent] | None = None
        self._since: float | None = None
        self._counts = {"in": 0, "out": 0}
        self._hooks: dict[Any, tuple[Hook, Any]] = {}

    def active(self) -> bool:
        """Whether any option is on."""
        return self.tracing or self._last is not None or self._since is not None or bool(self._hooks)

    def note(self, event: SysEvent, label: str) -> None:
        """`event` has happened in the behaviour called `label`. A hook that raises is removed."""
        if self._last is not None:
            self._last.append(event)
        if event.kind in self._counts:
            self._counts[event.kind] += 1
        for key, (hook, state) in list(self._hooks.items()):
            after = None
            with suppress(Exception):
                after = hook(state, event, label)
            if after is None:
                self._hooks.pop(key, None)
            else:
                self._hooks[key] = hook, after

    def keep(self, limit: int | None) -> None:
        """Keep the last `limit` events, with those that are kept already; None for none."""
        self._last = None if limit is None else deque(self._last or (), limit)

    def kept(self) -> list[SysEvent]:
        """The events that are kept, oldest first."""
        return list(self._last or ())

    def count(self, now: float | None) -> None:
        """Count from `now` on, unless that is done already; None for no longer."""
        if now is None or self._since is None:
            self._since = now
            self._counts = dict.fromkeys(self._counts, 0)

    def counted(self, now: float) -> Statistics | None:
        """What has been counted by `now`; None if nothing is."""
        return None if self._since is None else Statistics(now - self._since, self._counts["in"], self._counts["out"])

    def install(self, key: Any, hook: Hook, state: Any) -> None:
        """Call `hook` at each event, unless there is one of this key."""
        self._hooks.setdefault(key, (hook, state))

    def remove(self, key: Any) -> None:
        """Call the hook of this key no longer."""
        self._hooks.pop(key, None)
