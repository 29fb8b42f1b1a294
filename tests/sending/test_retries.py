"""How long a retry waits, and how many of them go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from askonce.sending.retries import RetryBudget, RetryRules, full_jitter


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_are_spread_over_all_of_their_bound(retry: int, drawn: float) -> None:
    """Uniform from nothing to base · 2^n, and never beyond the cap, however many retries there were."""
    rules = RetryRules(base_s=0.5, cap_s=8)
    bound = min(8.0, 0.5 * 2.0 ** min(retry, 1_000))
    assert full_jitter(rules, retry, lambda: drawn) == drawn * bound


@given(
    st.floats(0, 1),
    st.integers(0, 20),
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["request", "retry", "retry"])), max_size=300),
)
def test_retries_never_exceed_their_share_and_a_floor(
    share: float, floor: int, history: list[tuple[float, str]]
) -> None:
    """In t seconds with n requests: at most floor · (1 + t / 60) + share · n."""
    budget = RetryBudget(RetryRules(share=share, floor=floor))
    now, requests, retries = 0.0, 0, 0
    for seconds, what in history:
        now += seconds
        if what == "request":
            requests += 1
            budget.deposit()
        else:
            retries += budget.take(now)
        assert retries <= floor * (1 + now / 60) + share * requests + 1e-6


def test_quiet_callers_always_have_a_few_retries() -> None:
    """The floor comes back within a minute, without any traffic."""
    budget = RetryBudget(RetryRules(share=0, floor=6))
    assert sum(budget.take(0.0) for _ in range(50)) == 6
    assert not budget.take(9.0)
    assert budget.take(11.0)
    assert sum(budget.take(500.0) for _ in range(50)) == 6


def test_a_share_alone_is_enough() -> None:
    """Without a floor one request in five is sent again."""
    budget = RetryBudget(RetryRules(share=0.2, floor=0))
    granted = 0
    for _ in range(100):
        budget.deposit()
        granted += budget.take(0.0)
    assert granted in {19, 20}
