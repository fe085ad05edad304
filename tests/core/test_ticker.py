from __future__ import annotations

import math

import pytest

from pydist.core.ticker import Due, Ticker


def test_a_tick_is_due_each_interval_in_which_nothing_was_written() -> None:
    ticker = Ticker(100.0)
    assert (ticker.next_timer(), ticker.handle_timer(114.9)) == (115.0, Due.NOTHING)
    assert ticker.handle_timer(115.0) is Due.TICK
    ticker.spoke = True
    assert ticker.handle_timer(130.0) is Due.NOTHING
    assert ticker.handle_timer(145.0) is Due.TICK


def test_a_silent_peer_is_down_after_the_whole_net_ticktime() -> None:
    ticker = Ticker(0.0)
    assert [ticker.handle_timer(time) for time in (15.0, 30.0, 45.0)] == [Due.TICK] * 3
    assert ticker.handle_timer(60.0) is Due.DOWN


@pytest.mark.parametrize("last_heard", [0.1, 7.0, 14.9])
def test_a_peer_is_noticed_missing_within_a_quarter_of_the_net_ticktime(last_heard: float) -> None:
    """A peer that ticks each interval stops some time after it was last heard: from 45 to 75 s, as OTP has it."""
    ticker, now = Ticker(0.0), 0.0
    ticker.heard = True
    due = Due.NOTHING
    while due is not Due.DOWN:
        now = ticker.next_timer()
        due = ticker.handle_timer(now)
    assert 45.0 < now - last_heard < 75.0


def test_whatever_arrives_counts() -> None:
    ticker = Ticker(0.0)
    for interval in range(1, 100):
        ticker.heard = interval % 3 == 0
        assert ticker.handle_timer(interval * 15.0) is not Due.DOWN


def test_a_node_that_stood_still_does_not_take_its_peers_for_dead() -> None:
    ticker = Ticker(0.0)
    assert ticker.handle_timer(3600.0) is Due.TICK
    assert ticker.next_timer() == 3615.0


@pytest.mark.parametrize(("net_ticktime", "intensity"), [(60.0, 3), (60.0, 1001), (0.0, 4), (-1.0, 4), (math.nan, 4)])
def test_settings_that_make_no_sense_are_refused(net_ticktime: float, intensity: int) -> None:
    with pytest.raises(ValueError, match=r"intensity|net_ticktime"):
        Ticker(0.0, net_ticktime=net_ticktime, intensity=intensity)
