"""Deadlines of waiting processes, and of messages that wait to be sent, at one loop timer for all of them.

A receive with a timeout is made and met far more often than it expires, so nothing is pushed or cancelled for each.
Everybody who waits has at most one entry in the heap; while that entry fires no later than the deadline it is left
alone, and when it fires too early it is pushed again. A million calls with the same timeout cost a server one entry.
Entries that an earlier deadline or an end has left over are swept out together, so that the heap stays in proportion.
"""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Final, Protocol

_LEFT_OVER: Final = 100
"""Entries that nobody waits for are swept out when there are more than this, and more than of the others."""


class Waiter(Protocol):
    """What a process, or a message that waits, shows to the timers."""

    deadline: float
    """When it wants to be woken, in the loop's time; inf while it waits for nothing."""
    timer: Entry | None

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Entry:
    """One place in the heap."""

    __slots__ = ("number", "waiter", "when")

    def __init__(self, when: float, number: int, waiter: Waiter | None) -> None:
        self.when = when
        self.number = number
        self.waiter = waiter

    def __lt__(self, other: Entry) -> bool:
        return (self.when, self.number) < (other.when, other.number)


class Timers:
    """The heap of one node."""

    __slots__ = ("_closed", "_handle", "_heap", "_left_over", "_loop", "_numbers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[Entry] = []
        self._numbers = count()
        self._left_over = 0
        """How many entries of the heap nobody waits for: replaced by an earlier one, or of a process that has ended."""
        self._handle: asyncio.TimerHandle | None = None
        self._closed = False

    def arm(self, waiter: Waiter, timeout: float) -> None:
        """Have `waiter.expire()` called in `timeout` seconds, unless `waiter.deadline` is set to inf before."""
        self.arm_at(waiter, self._loop.time() + timeout)

    def arm_at(self, waiter: Waiter, when: float) -> None:
        """As `arm`, at a time of the loop's clock. After `close` nothing is armed."""
        if self._closed:
            return
        waiter.deadline = when
        entry = waiter.timer
        if entry is not None:
            if entry.when <= when:
                return
            self._abandon(entry)
        self._push(waiter)

    def left(self, waiter: Waiter) -> float:
        """The seconds until the deadline of `waiter`; 0 if it is over."""
        return max(waiter.deadline - self._loop.time(), 0.0)

    def forget(self, waiter: Waiter) -> None:
        """`waiter` has ended."""
        waiter.deadline = inf
        if waiter.timer is not None:
            self._abandon(waiter.timer)
            waiter.timer = None

    def close(self) -> None:
        """Stop the loop's timer; nothing expires any more."""
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()
        self._heap.clear()

    def _abandon(self, entry: Entry) -> None:
        entry.waiter = None
        self._left_over += 1
        if self._left_over > _LEFT_OVER and self._left_over * 2 > len(self._heap):
            self._heap[:] = [left for left in self._heap if left.waiter is not None]
            heapify(self._heap)
            self._left_over = 0

    def _push(self, waiter: Waiter) -> None:
        waiter.timer = entry = Entry(waiter.deadline, next(self._numbers), waiter)
        heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._schedule()

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._heap[0].when, self._fire) if self._heap else None

    def _fire(self) -> None:
        try:
            self._expire_until(self._loop.time())
        finally:
            self._schedule()

    def _expire_until(self, now: float) -> None:
        heap = self._heap
        while heap and heap[0].when <= now:
            waiter = heappop(heap).waiter
            if waiter is None:
                self._left_over -= 1
                continue
            waiter.timer = None
            if waiter.deadline <= now:
                waiter.expire()
            elif waiter.deadline < inf:
                self._push(waiter)
