"""In which order applications start: each after all those it needs (OTP's `application:ensure_all_started`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


def check_needs(needs: Mapping[str, Sequence[str]]) -> None:
    """See that applications can be started at all.

    Args:
        needs: for each application, the names of those that have to run before it starts.

    Raises:
        ValueError: one needs another that is not there, or itself by way of others.
    """
    for name, others in needs.items():
        for other in others:
            if other not in needs:
                raise ValueError(f"the application {name!r} needs {other!r}, which is not among {', '.join(needs)}")
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        raise ValueError(f"applications need each other in a ring: {' needs '.join(reversed(ring))}") from None


def start_order(needs: Mapping[str, Sequence[str]], wanted: Iterable[str]) -> list[str]:
    """The applications that have to run for `wanted` to run, themselves too, in an order in which they can start.

    `needs` is one that `check_needs` lets pass, and has all that are wanted.
    """
    needed: dict[str, Sequence[str]] = {}
    waiting = list(wanted)[::-1]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = needs[name]
            waiting += needs[name]
    return list(TopologicalSorter(needed).static_order())
