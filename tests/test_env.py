from __future__ import annotations

from pydist.env import Env, real_env


def test_the_real_clock_never_goes_back() -> None:
    clock = real_env().clock
    times = [clock() for _ in range(100)]
    assert times == sorted(times)


def test_real_entropy_has_the_length_that_was_asked_for_and_does_not_repeat() -> None:
    env = real_env()
    first, second = env.entropy(32), env.entropy(32)
    assert (len(first), len(second)) == (32, 32)
    assert first != second


def test_a_test_chooses_its_own_clock_and_entropy() -> None:
    env = Env(clock=lambda: 5.0, entropy=bytes)
    assert (env.clock(), env.entropy(3)) == (5.0, b"\0\0\0")
