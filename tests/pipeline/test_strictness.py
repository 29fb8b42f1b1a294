"""When the threshold is tightened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.pipeline.strictness import CONVERSATION, SHORT, adjustments, clears, tightened


@pytest.mark.parametrize(
    ("text", "turns", "expected"),
    [
        ("How do I change the channel of my router?", 1, []),
        ("How do I change the channel of my router?", 3, [CONVERSATION, CONVERSATION]),
        ("What is love?", 1, [SHORT]),
        ("Why?", 2, [SHORT, CONVERSATION]),
    ],
)
def test_short_questions_and_conversations_are_judged_strictly(
    text: str, turns: int, expected: list[object]
) -> None:
    """Few words with subject matter, and every earlier turn."""
    assert adjustments(text, turns) == expected


@given(st.floats(0, 2), st.integers(0, 4), st.integers(0, 4))
def test_more_reasons_never_lower_the_threshold(threshold: float, short: int, turns: int) -> None:
    """Each adjustment halves the accepted risk; a threshold that nothing reaches stays one."""
    one = tightened(threshold, [SHORT] * short)
    both = tightened(threshold, [SHORT] * short + [CONVERSATION] * turns)
    assert threshold <= one <= both
    assert both <= max(threshold, 1.0)
    if threshold < 1 and short:
        assert 1 - one == pytest.approx((1 - threshold) * 0.5**short)


@given(
    st.floats(0, 1),
    st.sampled_from([0.0, 0.5, 0.9, 0.99, 2.0]),
    st.sampled_from(["Why?", "How do I change the channel of my router?"]),
    st.integers(0, 5),
)
def test_a_bar_is_cleared_where_the_tightened_threshold_is_reached(
    probability: float, threshold: float, text: str, turns: int
) -> None:
    """Looking at the words only where they decide comes to the same as always looking."""
    told = clears(probability, threshold, text, turns)
    assert told == (probability >= tightened(threshold, adjustments(text, turns)))
