"""The clock and the entropy of a node: the two things about the world that a test or a simulator wants to choose."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import attrs


@attrs.frozen
class Env:
    """Where time and chance come from.

    `clock()` gives seconds that never go back; only differences mean anything. `entropy(n)` gives `n` bytes that nobody
    can foretell.
    """

    clock: Callable[[], float]
    entropy: Callable[[int], bytes]


def real_env() -> Env:
    """The monotonic clock and the entropy of this machine."""
    return Env(clock=time.monotonic, entropy=os.urandom)
