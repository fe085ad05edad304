from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from examples.sfu.media.keyframes import KeyFrameRequests


def test_a_first_request_goes_out_at_once() -> None:
    assert KeyFrameRequests(0.5).request(10.0)


def test_a_second_request_within_the_interval_is_put_off_to_its_end() -> None:
    requests = KeyFrameRequests(0.5)
    assert requests.request(10.0)
    assert not requests.request(10.1)
    assert requests.next_timer() == 10.5
    assert not requests.handle_timer(10.4)
    assert requests.handle_timer(10.5)
    assert requests.next_timer() is None


def test_a_request_after_the_interval_goes_out_at_once() -> None:
    requests = KeyFrameRequests(0.5)
    assert [requests.request(now) for now in (10.0, 10.5, 10.9, 11.1)] == [True, True, False, True]


@given(st.lists(st.tuples(st.floats(0, 0.3), st.booleans()), max_size=60))
def test_however_many_ask_nobody_is_forgotten_and_the_interval_is_kept(steps: list[tuple[float, bool]]) -> None:
    requests, now, asked = KeyFrameRequests(0.5), 100.0, None
    sent: list[float] = []
    for pause, asks in steps:
        now += pause
        if requests.request(now) if asks else requests.handle_timer(now):
            sent.append(now)
        asked = now if asks else asked
    if requests.next_timer() is not None and requests.handle_timer(now + 0.5):
        sent.append(now + 0.5)
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(sent))
    assert asked is None or sent[-1] >= asked
