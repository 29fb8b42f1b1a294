"""What calls cost, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Usage
from askonce.pipeline.prices import Price, Prices

TOKENS = st.integers(0, 10**7)
CENTS = st.integers(0, 100_000)


@pytest.mark.parametrize(
    ("model", "input_usd"),
    [
        ("gpt-4o-mini", 1),
        ("gpt-4o", 2),
        ("gpt-4o-2024-08-06", 2),
        ("gpt-x", 3),
        ("gpt-4o-2024-8-6", 3),
        ("llama", None),
    ],
)
def test_the_first_pattern_counts_and_snapshots_cost_as_their_model(
    model: str, input_usd: int | None
) -> None:
    """In the table's order; a dated snapshot without a price of its own has its model's; others have none."""
    prices = Prices(
        {"gpt-4o-mini": Price.per_million(1, 0), "gpt-4o": Price.per_million(2, 0), "gpt-?": Price.per_million(3, 0),
         "gpt-4o-2024-8-*": Price.per_million(3, 0)}
    )  # fmt: skip
    price = prices.of(model)
    assert price == (None if input_usd is None else Price.per_million(input_usd, 0))
    assert prices.of(model) is price


def test_unknown_prices_are_unknown_not_free() -> None:
    """None, never 0."""
    assert Prices({}).cost_nanousd("m", Usage(1, 1)) is None


@given(CENTS, CENTS, CENTS, TOKENS, TOKENS, TOKENS)
def test_costs_are_exact_to_half_a_nanodollar(
    input_cents: int, output_cents: int, cached_cents: int, prompt: int, completion: int, cached: int
) -> None:
    """Against fractions; cached tokens are part of the prompt's, and at their own price."""
    cached = min(cached, prompt)
    price = Price.per_million(input_cents / 100, output_cents / 100, cached_cents / 100)
    cost = Prices({"*": price}).cost_nanousd("m", Usage(prompt, completion, cached))
    cents = (prompt - cached) * input_cents + cached * cached_cents + completion * output_cents
    exact = Fraction(cents, 100 * 10**6) * 10**9
    assert cost is not None
    assert abs(cost - exact) <= Fraction(1, 2)


def test_a_share_of_a_price_is_rounded_once() -> None:
    """Half of 0.5 nano-dollars is nothing, though all of it is rounded to one."""
    prices = Prices({"*": Price(500, 0, 0)})
    assert prices.cost_nanousd("m", Usage(1, 0)) == 1
    assert prices.cost_nanousd("m", Usage(1, 0), 500_000) == 0
    assert prices.cost_nanousd("m", Usage(2_001, 0), 500_000) == 500


def test_more_cached_tokens_than_there_are_never_pay_back() -> None:
    """A server that counts cached tokens apart gives no negative cost."""
    prices = Prices({"*": Price.per_million(10, 10, 1)})
    assert (
        prices.cost_nanousd("m", Usage(100, 0, 5_000))
        == prices.cost_nanousd("m", Usage(100, 0, 100))
        == 100_000
    )


def test_cached_input_costs_as_much_as_any_where_not_said() -> None:
    """No discount is assumed."""
    assert (
        Price.per_million(2.5, 10)
        == Price.per_million(2.5, 10, 2.5)
        == Price(2_500_000, 10_000_000, 2_500_000)
    )


def test_names_that_callers_make_up_take_no_lasting_memory() -> None:
    """The memo is bounded."""
    prices = Prices({})
    for number in range(3_000):
        prices.of(str(number))
    assert len(prices._memo) <= 1_001
