from __future__ import annotations

import re

import pytest

from benchmarks.mesh import table

pytestmark = pytest.mark.real


def test_each_kind_of_work_is_measured_in_each_mesh() -> None:
    head, *lines, memory = table([2, 4], connections=20).splitlines()

    assert head.split()[-3:] == ["2", "4", "growth"]
    assert [re.fullmatch(r"(.{34})( +[\d,]+){2} +[\d.]+", line) is not None for line in lines] == [True] * 2
    assert re.fullmatch(r"an idle connection takes [\d.]+ KiB, of 20 to as many nodes", memory)
