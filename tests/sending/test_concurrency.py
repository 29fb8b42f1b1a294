"""The limit on calls at a time: when it rises, when it falls, and what it doesn't care about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from askonce.sending.concurrency import ConcurrencyLimit
from askonce.sending.limits import Limits


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fast", "slow", "overloaded", "refused"]), st.floats(0, 5), st.integers(1, 600)
        ),
        max_size=200,
    ),
    st.integers(1, 50),
    st.integers(1, 50),
    st.sampled_from([None, 1.0]),
)
def test_it_never_leaves_its_bounds(
    events: list[tuple[str, float, int]], least: int, most: int, target: float | None
) -> None:
    """Whatever comes, the limit stays between the declared bounds (the upper one where they contradict)."""
    limit, now = ConcurrencyLimit(Limits(most, least, target)), 0.0
    for kind, elapsed, in_use in events:
        sent, now = now, now + elapsed
        match kind:
            case "fast":
                limit.latency(0.1, sent, in_use, now)
            case "slow":
                limit.latency(9.0, sent, in_use, now)
            case "overloaded":
                limit.overloaded(sent, in_use, now)
            case _:
                limit.refused(sent, in_use, now)
        assert min(least, most) <= limit.value <= most


def test_without_a_target_only_overload_shrinks_it() -> None:
    """Answers of any length leave the limit alone where no target is set."""
    limit = ConcurrencyLimit(Limits(max_concurrency=100))
    for second in range(1_000):
        limit.latency(3_600.0, second, 100, second)
    assert limit.value == 100


def test_it_falls_once_per_round_trip_and_from_what_was_in_use() -> None:
    """A hundred failures of calls sent together count as one sign, and unused room goes at once."""
    limit = ConcurrencyLimit(Limits(max_concurrency=512))
    for _ in range(100):
        limit.overloaded(sent_at=1.0, in_use=40, now=2.0)
    assert limit.value == 28
    limit.overloaded(sent_at=2.5, in_use=28, now=3.0)
    assert limit.value == 19


def test_a_bad_answer_on_a_quiet_day_leaves_room_for_the_next_burst() -> None:
    """With hardly anything in use, overload lowers the limit by its factor, and a 429 says nothing of it."""
    limit = ConcurrencyLimit(Limits(max_concurrency=512, min_concurrency=4))
    limit.overloaded(sent_at=1.0, in_use=1, now=2.0)
    assert limit.value == 358
    limit.refused(sent_at=3.0, in_use=2, now=4.0)
    assert limit.value == 358


def test_it_rises_only_while_it_is_reached() -> None:
    """Good answers below the limit prove nothing about more."""
    limit = ConcurrencyLimit(Limits(max_concurrency=512))
    limit.overloaded(sent_at=0.0, in_use=20, now=1.0)
    fallen = limit.value
    for _ in range(200):
        limit.latency(0.1, 2.0, fallen // 2, 3.0)
    assert limit.value == fallen
    for _ in range(fallen):
        limit.latency(0.1, 4.0, fallen, 5.0)
    assert limit.value == fallen + 1


def test_one_slow_answer_decides_nothing_but_most_of_a_round_do() -> None:
    """The target is for most answers: outliers don't count, a slow upstream does."""
    limit = ConcurrencyLimit(Limits(max_concurrency=64, target_latency_s=1.0))
    begun = limit.value
    for number in range(begun):
        limit.latency(5.0 if number == 3 else 0.5, 1.0, 3, 2.0)
    assert limit.value == begun
    for _ in range(begun):
        limit.latency(5.0, 3.0, begun, 4.0)
    assert limit.value < begun


def test_a_refusal_without_a_reason_counts_only_above_what_went_well() -> None:
    """429 at a concurrency that was fine a moment ago is about rates, not about calls at a time."""
    limit = ConcurrencyLimit(Limits(max_concurrency=100))
    limit.latency(0.1, 1.0, 30, 1.5)
    limit.refused(sent_at=2.0, in_use=20, now=2.1)
    assert limit.value == 100
    limit.latency(0.1, 3.0, 10, 3.5)
    limit.refused(sent_at=4.0, in_use=20, now=4.1)
    assert limit.value == 18
