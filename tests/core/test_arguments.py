from __future__ import annotations

import argparse
import re

import pytest

from pydist.core.arguments import seconds


def test_a_number_of_seconds_is_taken() -> None:
    assert [seconds("0.5"), seconds("10"), seconds("1e3")] == [0.5, 10.0, 1000.0]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_what_is_no_number_of_seconds_above_0_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(f"{text!r} is no number of seconds above 0")):
        seconds(text)
