"""The cases: their names, their units, and how often each does its work.

Both systems do a case equally often. The counts make the slower of the two run for half a second to two seconds on a
machine of 2023; the warm-up before each does a tenth of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

NANOSECONDS: Final = 1e9
MEGABYTE: Final = 1e6
MEBIBYTE: Final = 1024 * 1024
QUICK_SHARE: Final = 20
"""`--quick` does one part in this many."""


def per_second(count: int, nanoseconds: int) -> float:
    return count / nanoseconds * NANOSECONDS


def microseconds_each(count: int, nanoseconds: int) -> float:
    return nanoseconds / count / 1000


def bytes_each(count: int, all_bytes: int) -> float:
    return all_bytes / count


def megabytes_per_second(mebibytes: int, nanoseconds: int) -> float:
    return per_second(mebibytes, nanoseconds) * MEBIBYTE / MEGABYTE


@attrs.frozen
class Case:
    """One thing that is measured."""

    name: str
    unit: str
    count: int
    figure: Callable[[int, int], float]
    """From the count and the amount that was measured (nanoseconds, or bytes) to the figure in `unit`."""

    @property
    def two_nodes(self) -> bool:
        return self.name.startswith("remote_")

    def times(self, *, quick: bool) -> int:
        """How often the work is done; never so seldom that 50 callers have nothing to do."""
        return max(50, self.count // QUICK_SHARE) if quick else self.count


CASES: Final = (
    Case("local_pingpong_per_s", "round trips/s", 700_000, per_second),
    Case("local_oneway_per_s", "messages/s", 2_000_000, per_second),
    Case("local_call_per_s", "calls/s", 300_000, per_second),
    Case("spawn_per_s", "processes/s", 300_000, per_second),
    Case("spawn_monitor_exit_per_s", "processes/s", 200_000, per_second),
    Case("process_bytes", "bytes/process", 50_000, bytes_each),
    Case("remote_rtt_us", "us", 10_000, microseconds_each),
    Case("remote_call_us", "us", 10_000, microseconds_each),
    Case("remote_rpc_us", "us", 5_000, microseconds_each),
    Case("remote_oneway_int_per_s", "messages/s", 300_000, per_second),
    Case("remote_oneway_map_per_s", "messages/s", 250_000, per_second),
    Case("remote_oneway_message_per_s", "messages/s", 250_000, per_second),
    Case("remote_oneway_1k_per_s", "messages/s", 150_000, per_second),
    Case("remote_1m_MB_per_s", "MB/s", 1_000, megabytes_per_second),
    Case("remote_call_50_per_s", "calls/s", 50_000, per_second),
)


class UnknownCase(ValueError):
    """The operator asked for a case that does not exist."""


def cases_named(names: str | None) -> list[Case]:
    """The cases of a list like `spawn_per_s,process_bytes`, in the order of the table; all of them for None.

    Raises:
        UnknownCase: a name that no case has.
    """
    if names is None:
        return list(CASES)
    wanted = [name.strip() for name in names.split(",")]
    known = {case.name for case in CASES}
    for name in wanted:
        if name not in known:
            raise UnknownCase(f"there is no case {name!r}; the cases are {', '.join(sorted(known))}")
    return [case for case in CASES if case.name in wanted]
