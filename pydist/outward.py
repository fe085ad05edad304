"""Where signals for other nodes go: the shape of it, and what a node does that has no name and so reaches none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pydist.core.relations import Target
from pydist.dead_letters import DeadReason
from pydist.neighbours import ALONE
from pydist.process import Process
from pydist.remote_spawns import SpawnReply, Wish, answer_spawn
from pydist.terms import NOCONNECTION, Alias, NodeName, Pid, Reason, Ref, RegisteredName


class Outward(Protocol):
    """Where signals for other nodes go. Nothing here waits, and what can't be delivered is answered as OTP does:
    messages silently, links and monitors with `NOCONNECTION`."""

    def send(self, target: Pid, message: Any, /) -> None: ...
    def send_name(self, target: RegisteredName, message: Any, /) -> None: ...
    def send_alias(self, target: Alias, message: Any, /, *, urgent: bool = False) -> None: ...
    def link(self, source: Process, target: Pid, /) -> None: ...
    def unlink(self, source: Process, target: Pid, unlink_id: int, /) -> None: ...
    def monitor(self, source: Process, target: Target, ref: Ref, /) -> None: ...
    def demonitor(self, source: Pid, target: Target, ref: Ref, /) -> None: ...
    def ask(self, source: Process, target: Target, ref: Ref, message: Any, /) -> None: ...
    def spawn(self, source: Process, node: str, wish: Wish, /) -> None: ...
    def exit(self, source: Pid, target: Pid, reason: Reason, /) -> None: ...
    def exit_by_link(self, source: Pid, target: Pid, reason: Reason, /) -> None: ...
    def down(self, source: Target, watcher: Pid, ref: Ref, reason: Reason, /) -> None: ...
    def check(self, value: Any, /) -> None: ...
    def trouble(self, node: str, /) -> str | None: ...
    def would_hold(self, target: Target, /) -> bool: ...
    def watched_from(self, node: str, ref: Ref, /) -> bool: ...


class Nowhere:
    """The outward side of a node that is not distributed: no other node can be reached."""

    def __init__(self, dead_letter: Callable[[object, Any, DeadReason], None]) -> None:
        self._dead_letter = dead_letter

    def unlink(self, source: Process, target: Pid, unlink_id: int) -> None: ...
    def demonitor(self, source: Pid, target: Target, ref: Ref) -> None: ...
    def exit(self, source: Pid, target: Pid, reason: Reason) -> None: ...
    def exit_by_link(self, source: Pid, target: Pid, reason: Reason) -> None: ...
    def down(self, source: Target, watcher: Pid, ref: Ref, reason: Reason) -> None: ...
    def check(self, value: Any) -> None: ...

    def send(self, target: Pid, message: Any) -> None:
        self._dead_letter(target, message, "noconnection")

    def send_name(self, target: RegisteredName, message: Any) -> None:
        NodeName.parse(target[1])
        self._dead_letter(target, message, "noconnection")

    def send_alias(self, target: Alias, message: Any, *, urgent: bool = False) -> None:  # noqa: ARG002  # of the shape
        self._dead_letter(target, message, "noconnection")

    def trouble(self, node: str) -> str | None:  # noqa: ARG002  # the same for each
        return ALONE

    def watched_from(self, node: str, ref: Ref) -> bool:  # noqa: ARG002  # the same for each
        return False

    def would_hold(self, target: Target) -> bool:  # noqa: ARG002  # the same for each
        return False

    def link(self, source: Process, target: Pid) -> None:
        source.receive_exit(target, NOCONNECTION)

    def monitor(self, source: Process, target: Target, ref: Ref) -> None:
        source.receive_down(ref, target, NOCONNECTION)

    def ask(self, source: Process, target: Target, ref: Ref, message: Any) -> None:
        self.monitor(source, target, ref)
        self._dead_letter(target, message, "noconnection")

    def spawn(self, source: Process, node: str, wish: Wish) -> None:
        NodeName.parse(node)
        answer_spawn(source, SpawnReply(wish.ref, None, NOCONNECTION))
