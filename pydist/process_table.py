"""The living processes of one node by their numbers, and the numbers of new ones and of references.

A number is given once in a node's life; the creation tells its lives apart. A pid that this node has made knows its
process itself, while that lives, so the table is asked for pids that have come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydist.speedups import native
from pydist.task_state import TaskState
from pydist.terms import Pid, Ref

P = TypeVar("P", bound=TaskState)


class ProcessTable(Generic[P]):
    """See the head of this file."""

    __slots__ = ("_kind", "_last_pid", "_last_ref", "creation", "node", "table")

    def __init__(self, kind: type[P], node: str, creation: int) -> None:
        self._kind = kind
        self.node = node
        self.creation = creation
        self.table: dict[int, P] = {}
        """The living processes by number."""
        self._last_pid = 0
        self._last_ref = 0

    def new_ref(self) -> Ref:
        """A reference that this node has never given before."""
        self._last_ref += 1
        return Ref(self.node, self._last_ref, self.creation)

    def new_process(self, coroutine: Coroutine[Any, Any, Any], parent: Pid | None) -> P:
        """A process that runs `coroutine`, once it is wakened."""
        self._last_pid += 1
        pid = Pid(self.node, self._last_pid, self.creation)
        process = self._kind(pid, coroutine, self, copy_context(), parent)
        self.table[pid.number] = pid.process = process
        return process

    def strike(self, process: P) -> None:
        """`process` is dead, or was never to live: nobody finds it any more."""
        self.table.pop(process.pid.number, None)
        process.pid.process = None

    def process(self, pid: Pid) -> P | None:
        """The living process of this node that `pid` names; None for the dead, the foreign, and earlier lives."""
        process: P | None = pid.process
        if process is not None and process.home is self:
            return process
        process = self.table.get(pid.number)
        return process if process is not None and process.pid == pid else None

    def is_local(self, pid: Pid) -> bool:
        """Whether `pid` belongs to this node, in this life or an earlier one."""
        return pid.node == self.node


if not TYPE_CHECKING and native is not None:
    ProcessTable = native.ProcessTable
