from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from datasync_core.sync.backoff import Backoff


def test_delays_double_up_to_the_most() -> None:
    backoff = Backoff(0.5, 6.0, lambda: 0.0)
    assert [backoff.next() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 6.0, 6.0]
    assert backoff.attempts == 6


def test_success_begins_anew() -> None:
    backoff = Backoff(0.5, 6.0, lambda: 0.0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5


@given(st.floats(0.001, 10), st.floats(10, 1000), st.integers(0, 2**32))
def test_jitter_takes_up_to_half_and_never_adds(first: float, most: float, seed: int) -> None:
    jittered = Backoff(first, most, random.Random(seed).random)
    bare = Backoff(first, most, lambda: 0.0)
    for _ in range(30):
        delay, full = jittered.next(), bare.next()
        assert full / 2 <= delay <= full <= most


def test_a_hundred_agents_do_not_come_back_together() -> None:
    chance = random.Random(1)
    assert len({Backoff(1.0, 60.0, chance.random).next() for _ in range(100)}) == 100


def test_a_store_that_is_away_for_years_is_still_tried() -> None:
    backoff = Backoff(0.5, 60.0, lambda: 0.0)
    backoff.attempts = 10_000_000
    assert backoff.next() == 60.0
