"""What an upstream call costs: tokens times a dated table's prices, exactly, in integers of nano-dollars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from askonce.model import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Price", "Prices"]


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars per token; a dollar per million tokens is 1,000,000 of them, so every list price is an integer."""

    input_picousd: int
    output_picousd: int
    cached_input_picousd: int

    @classmethod
    def per_million(cls, input_usd: float, output_usd: float, cached_input_usd: float | None = None) -> Price:
        """From list prices in dollars per million tokens; cached input costs as much as any where not given."""
        cached = input_usd if cached_input_usd is None else cached_input_usd
        return cls(round(input_usd * 1_000_000), round(output_usd * 1_000_000), round(cached * 1_000_000))


_MILLION: Final = 1_000_000
_SNAPSHOT: Final = re.compile(r"-20\d\d-\d\d-\d\d$")
"""The date that providers append to a model's name for one of its snapshots."""


class Prices:
    """Prices by model pattern (`*`, `?`): the first that matches counts.

    Attributes:
        as_of: The date of the packaged table, which stands behind whatever the configuration says.
    """

    def __init__(self, by_pattern: Mapping[str, Price], as_of: str = "") -> None:
        self.as_of = as_of
        self._by_pattern = dict(by_pattern)
        self._memo: dict[str, Price | None] = {}

    @property
    def names(self) -> frozenset[str]:
        """Models that have a price by their own name rather than by a pattern."""
        return frozenset(pattern for pattern in self._by_pattern if not set(pattern) & set("*?["))

    def replacing(self, by_pattern: Mapping[str, Price]) -> Callable[[], None]:
        """What puts another table in place."""
        table = dict(by_pattern)

        def commit() -> None:
            self._by_pattern = table
            self._memo.clear()

        return commit

    def of(self, model: str) -> Price | None:
        """The model's price; None where nobody told it."""
        if model not in self._memo:
            if len(self._memo) > 1_000:  # noqa: PLR2004 - callers choose the names
                self._memo.clear()
            self._memo[model] = self._find(model) or self._find(_SNAPSHOT.sub("", model))
        return self._memo[model]

    def _find(self, model: str) -> Price | None:
        found = (price for pattern, price in self._by_pattern.items() if fnmatchcase(model, pattern))
        return next(found, None)

    def cost_nanousd(self, model: str, usage: Usage, price_millionths: int = _MILLION) -> int | None:
        """What a call of that many tokens costs, at that share of the price; None where the price isn't known."""
        price = self.of(model)
        if price is None:
            return None
        cached_tokens = min(usage.cached_tokens, usage.prompt_tokens)
        picousd = (
            (usage.prompt_tokens - cached_tokens) * price.input_picousd
            + cached_tokens * price.cached_input_picousd
            + usage.completion_tokens * price.output_picousd
        )
        return (picousd * price_millionths + 500 * _MILLION) // (1_000 * _MILLION)

    def saved_by_prompt_cache_nanousd(self, model: str, usage: Usage) -> int:
        """What a call would have cost more without the provider's prompt cache; 0 where the price isn't known."""
        if not usage.cached_tokens:
            return 0
        cost = self.cost_nanousd(model, usage)
        full = self.cost_nanousd(model, Usage(usage.prompt_tokens, usage.completion_tokens))
        return 0 if cost is None or full is None else full - cost
