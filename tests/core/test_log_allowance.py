from __future__ import annotations

from pydist.core.log_allowance import LogAllowance


def test_a_flood_of_log_lines_is_cut_and_counted() -> None:
    allowance = LogAllowance(burst=2, period=10.0)
    assert [allowance.take(now) for now in (0.0, 1.0, 2.0, 9.9, 10.0, 10.0, 10.0, 20.0)] == [
        *(0, 0, None, None),
        *(2, 0, None),
        1,
    ]
