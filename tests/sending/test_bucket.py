"""Token buckets: what leaves one, in any stretch of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.sending.bucket import Bucket, per_minute

Steps = list[tuple[float, float]]

STEPS = st.lists(st.tuples(st.floats(0, 30), st.floats(0.01, 1)), min_size=1, max_size=40)


def taken(bucket: Bucket, steps: Steps, *, scale: float) -> Steps:
    """Takes amounts as early as the bucket lets them: (time, amount)."""
    now, log = 100.0, []
    for pause, share in steps:
        now += pause
        amount = share * scale
        now += bucket.wait_s(amount, now)
        bucket.take(amount, now)
        log.append((now, amount))
    return log


def most_in(log: Steps, span: float) -> float:
    return max(sum(amount for at, amount in log if start <= at < start + span) for start, _ in log)


@given(rate=st.floats(0.01, 1_000), capacity=st.floats(0.1, 1_000), steps=STEPS, span=st.floats(0.01, 300))
def test_no_stretch_of_time_sees_more_than_capacity_and_rate_allow(
    rate: float, capacity: float, steps: Steps, span: float
) -> None:
    """In any T seconds at most `capacity + rate * T` leaves."""
    log = taken(Bucket(rate, capacity), steps, scale=capacity)
    assert most_in(log, span) <= (capacity + rate * span) * (1 + 1e-4)


@given(
    limit=st.integers(1, 10_000),
    burst_share=st.floats(0, 0.5),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 7.0, 30.0]), min_size=1, max_size=200),
)
def test_no_minute_sees_more_calls_than_its_limit(
    limit: int, burst_share: float, pauses: list[float]
) -> None:
    """What is declared per minute is kept to in every minute, wherever it begins, and all of it can be used."""
    bucket = per_minute(limit, burst_share, 1.0)
    log = taken(bucket, [(pause, 1.0) for pause in pauses], scale=1.0)
    assert most_in(log, 59.999) <= limit
    assert bucket.rate * 60 >= limit * (1 - burst_share) * (1 - 1e-9)


def test_what_is_larger_than_the_bucket_waits_for_all_of_it_and_leaves_a_debt() -> None:
    """A call that costs more than fits goes once the bucket is full, and those after it pay."""
    bucket = Bucket(rate=1, capacity=10)
    assert bucket.wait_s(25, 0) == 0
    bucket.take(25, 0)
    assert bucket.level(0) == -15
    assert bucket.wait_s(1, 0) == pytest.approx(16)
    assert bucket.wait_s(1_000, 0) == pytest.approx(25)


def test_time_that_runs_backwards_gives_nothing() -> None:
    """A clock that jumps back fills no bucket, neither then nor when it has caught up."""
    bucket = Bucket(rate=1, capacity=10)
    bucket.take(10, 100)
    assert bucket.level(50) == 0
    assert bucket.level(100) == 0
    assert bucket.level(101) == pytest.approx(1)


def test_an_estimate_is_corrected_both_ways() -> None:
    """What was estimated too high comes back, what was estimated too low is taken."""
    bucket = Bucket(rate=1, capacity=100)
    bucket.take(60, 0)
    bucket.take(-40, 0)
    assert bucket.level(0) == 80
    bucket.take(-40, 0)
    assert bucket.level(0) == 100
    bucket.take(130, 0)
    assert bucket.level(0) == -30
