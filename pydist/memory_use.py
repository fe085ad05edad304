"""About how much memory a process holds: what its frames, its state and its mailbox refer to.

Python does not say what belongs to whom, so this is an estimate: it follows containers of Python's own, messages, and
the attributes of a behaviour, and looks at some thousand objects at most. What is behind other objects is not counted,
and what two processes share counts for both.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from sys import getsizeof
from typing import Any, Final

from pydist.core.shown import kind_of
from pydist.gen.behaviour import Behaviour
from pydist.message import Message
from pydist.process import Process

OBJECTS: Final = 5_000
"""As many objects of a process are looked at."""
SAMPLE: Final = 500
"""Of so many messages the size is looked at; that of the others is taken to be the same."""

_SEQUENCES: Final = frozenset({list, tuple, set, frozenset, deque})


def memory_of(process: Process) -> int:
    """Bytes, about."""
    frames = process.get_stack()
    held = _weigh(chain.from_iterable(frame.f_locals.values() for frame in frames), OBJECTS)
    return getsizeof(process) + sum(map(getsizeof, frames)) + held + _mailbox(process)


def _mailbox(process: Process) -> int:
    messages = process.mailbox.messages()
    looked_at = messages[:SAMPLE]
    if not looked_at:
        return 0
    return _weigh(looked_at, OBJECTS) * len(messages) // len(looked_at)


def _weigh(roots: Iterable[Any], most: int) -> int:
    seen: set[int] = set()
    waiting = list(islice(roots, most))
    total = 0
    while waiting and len(seen) < most:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            total += _size(value)
            waiting.extend(islice(_inside(value), most))
    return total


def _size(value: Any) -> int:
    if isinstance(value, type | AbstractEventLoop):
        return 0  # they are everybody's
    try:
        return getsizeof(value)
    except Exception:  # noqa: BLE001  # a `__sizeof__` of the user's
        return 0


def _inside(value: Any) -> Iterable[Any]:
    """What it refers to, as far as it is followed. By its very type: a subclass may have code of its own."""
    kind = kind_of(value)
    if kind is dict:
        return chain(list(value), list(value.values()))
    if kind in _SEQUENCES:
        return list(value)
    if isinstance(value, Message | Behaviour):
        return list(getattr(value, "__dict__", {}).values())
    return ()
