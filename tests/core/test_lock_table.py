"""Locks at one node: whose they are, and how many one node may have."""

from __future__ import annotations

from pydist.core.lock_table import LockTable
from pydist.terms import Pid

ME, SAME, OTHER = Pid("a@h", 1, 1), Pid("a@h", 2, 1), Pid("b@h", 1, 1)


def test_a_node_holds_so_many_locks_at_most_and_takes_none_from_others() -> None:
    locks = LockTable(limit=2)
    assert [locks.set(resource, "r", ME) for resource in "xyzx"] == [True, True, False, True]
    assert locks.set("z", "r", SAME) is False
    assert locks.set("z", "q", OTHER) is True
    locks.delete("x", "r", ME)
    assert [locks.set("z", "r", ME), locks.set("w", "r", SAME), locks.set("x", "r", ME)] == [False, True, False]
    for holder in (ME, SAME, OTHER):
        locks.ended(holder)
    assert [locks.set(resource, "new", ME) for resource in "xy"] == [True, True]


def test_to_set_a_lock_twice_is_to_have_it_once() -> None:
    locks = LockTable()
    assert [locks.set("x", "r", ME), locks.set("x", "r", ME), locks.set("x", "q", ME)] == [True, True, False]
    locks.delete("x", "r", ME)
    assert locks.holds(ME) is False
