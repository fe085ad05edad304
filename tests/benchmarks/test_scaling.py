from __future__ import annotations

import re

import pytest

from benchmarks.scaling import table

pytestmark = pytest.mark.real


def test_each_kind_of_work_is_measured_at_each_size() -> None:
    head, *lines, memory = table([2, 100]).splitlines()

    assert head.split()[-3:] == ["2", "100", "growth"]
    assert [re.fullmatch(r"(.{34})( +[\d,]+){2} +[\d.]+", line) is not None for line in lines] == [True] * 4
    assert memory.startswith("100 idle processes take 0.")
