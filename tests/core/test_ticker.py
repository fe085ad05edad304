from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pydist.core.ticker import Due, Ticker


def told(ticker: Ticker, until: float = math.inf) -> Iterator[tuple[float, Due]]:
    """What is due, and when, as long as nothing is heard; up to the end of the peer."""
    due = Due.NOTHING
    while due is not Due.DOWN and ticker.next_timer() <= until:
        now = ticker.next_timer()
        due = ticker.handle_timer(now)
        yield now, due


def hear(ticker: Ticker, now: float) -> None:
    ticker.heard, ticker.heard_at = True, now


def test_a_tick_is_due_each_interval_in_which_nothing_was_written() -> None:
    ticker = Ticker(100.0)
    assert (ticker.next_timer(), ticker.handle_timer(114.9)) == (115.0, Due.NOTHING)
    assert ticker.handle_timer(115.0) is Due.TICK
    ticker.spoke = True
    assert ticker.handle_timer(130.0) is Due.NOTHING
    assert ticker.handle_timer(145.0) is Due.TICK


def test_a_silent_peer_is_suspect_and_then_down_after_the_whole_net_ticktime() -> None:
    assert list(told(Ticker(0.0))) == [
        (15.0, Due.TICK),
        (30.0, Due.TICK),
        (45.0, Due.TICK),
        (45.0, Due.SUSPECT),
        (60.0, Due.DOWN),
    ]


@pytest.mark.parametrize("last_heard", [0.1, 7.0, 14.9])
def test_a_peer_is_noticed_missing_within_a_quarter_of_the_net_ticktime(last_heard: float) -> None:
    """A peer that ticks each interval stops some time after it was last heard: from 45 to 75 s, as OTP has it."""
    ticker = Ticker(0.0)
    hear(ticker, last_heard)
    *_, (now, due) = told(ticker)
    assert due is Due.DOWN
    assert 45.0 < now - last_heard < 75.0


SETTINGS = st.tuples(st.floats(0.1, 1000.0), st.integers(4, 1000))


@given(SETTINGS, st.lists(st.floats(0.0, 0.99), max_size=30), st.floats(0.0, 1.0), st.integers(0, 30))
@example((60.0, 4), [0.0, 0.99], 0.5, 1)
def test_with_every_setting_and_any_traffic_the_dead_are_noticed_within_an_interval_and_nobody_else(
    settings: tuple[float, int], traffic: list[float], phase: float, ticks: int
) -> None:
    """The peer writes at some times, ticks as its own intervals end (`phase`: where they begin), and stops then."""
    net_ticktime, intensity = settings
    interval = net_ticktime / intensity
    ticker = Ticker(0.0, net_ticktime=net_ticktime, intensity=intensity)
    end = (len(traffic) + ticks) * interval
    last = 0.0
    peer = Ticker(-phase * interval, net_ticktime=net_ticktime, intensity=intensity)
    words = sorted((number + share) * interval for number, share in enumerate(traffic))
    while peer.next_timer() < end:
        tick_at = peer.next_timer()
        while words and words[0] <= tick_at:
            last = words.pop(0)
            assert all(due in {Due.TICK, Due.NOTHING} for _, due in told(ticker, last))
            hear(ticker, last)
            peer.spoke = True
        hear(peer, tick_at)
        if peer.handle_timer(tick_at) is Due.TICK:
            last = tick_at
            assert all(due in {Due.TICK, Due.NOTHING} for _, due in told(ticker, last))
            hear(ticker, last)
    *_, (_, before), (now, due) = told(ticker)
    assert due is Due.DOWN
    assert before in {Due.TICK, Due.SUSPECT}
    slack = net_ticktime * 1e-9
    assert net_ticktime - slack < now - last < net_ticktime + interval + slack
    quarter = net_ticktime / 4
    assert net_ticktime - quarter < now - last < net_ticktime + quarter + slack


def test_whatever_arrives_counts() -> None:
    ticker = Ticker(0.0)
    for interval in range(1, 100):
        if interval % 3 == 0:
            hear(ticker, interval * 15.0 - 1.0)
        assert ticker.handle_timer(interval * 15.0) is not Due.DOWN


# Suspicion


def test_a_silence_brings_one_suspicion_and_a_word_ends_it() -> None:
    ticker = Ticker(0.0, suspect_after=31.0)
    assert [due for _, due in told(ticker, 50.0)] == [Due.TICK, Due.TICK, Due.SUSPECT, Due.TICK]
    assert ticker.suspected
    hear(ticker, 50.0)
    ticker.suspected = False
    assert list(told(ticker, 81.0)) == [(60.0, Due.TICK), (75.0, Due.TICK), (81.0, Due.SUSPECT)]


def test_suspicion_comes_to_the_second_it_was_set_to() -> None:
    ticker = Ticker(0.0, suspect_after=30.5)
    hear(ticker, 7.25)
    assert (37.75, Due.SUSPECT) in list(told(ticker))


@pytest.mark.parametrize(("intensity", "seconds"), [(4, 45.0), (6, 30.0), (60, 30.0)])
def test_by_default_a_peer_is_suspect_after_half_the_time_and_at_least_three_intervals(
    intensity: int, seconds: float
) -> None:
    assert [now for now, due in told(Ticker(0.0, intensity=intensity)) if due is Due.SUSPECT] == [seconds]


# A program that stood still


def test_a_node_that_stood_still_does_not_take_its_peers_for_dead_nor_suspects_them() -> None:
    ticker = Ticker(0.0)
    assert ticker.handle_timer(3600.0) is Due.TICK
    assert ticker.next_timer() == 3615.0
    assert [due for _, due in told(ticker, 3629.9)] == [Due.TICK]
    assert not ticker.suspected


@pytest.mark.parametrize(
    "wrong",
    [
        {"intensity": 3},
        {"intensity": 1001},
        {"intensity": 4.5},
        {"net_ticktime": 0.0},
        {"net_ticktime": 0.09},
        {"net_ticktime": -1.0},
        {"net_ticktime": math.nan},
        {"net_ticktime": math.inf},
        {"net_ticktime": "60"},
        {"net_ticktime": True},
        {"suspect_after": 30.0},
        {"suspect_after": 60.0},
        {"suspect_after": "half"},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"net_tickintensity is|net_ticktime is|suspect_after is"):
        Ticker(0.0, **wrong)
