"""Where one upstream's calls leave: its lines by model, its breakers, its budget of retries."""

from __future__ import annotations

import random
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.sending.breaker import BreakerRules, Breakers, BreakerState
from askonce.sending.retries import RetryBudget, RetryRules, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.errors import UpstreamFailure
    from askonce.sending.line import Line

__all__ = ["Outlet"]

_LINES: Final = 256
"""Models whose lines are kept; beyond them the longest unused that is idle is forgotten."""
_RETRIES: Final = RetryRules()
_BREAKER: Final = BreakerRules()


@dataclass(slots=True)
class _Shared:
    """What calls share that failed as one. Of failures, the latest is known: who shares it hears of it at once."""

    failure: weakref.ref[UpstreamFailure]
    pause_s: float | None = None
    paid: bool = False
    counted: bool = False


class Outlet:
    """One upstream as calls leave for it.

    Attributes:
        name: The upstream's.
        rules: How a failed call is sent again.
        keys: How many keys of the gateway's own its calls may go out with.
        breakers: Whether it can be reached, and whether its models answer.
        budget: How many retries may go.
    """

    def __init__(
        self,
        name: str,
        lines: Callable[[str], Line],
        rules: RetryRules = _RETRIES,
        breaker: BreakerRules = _BREAKER,
        keys: int = 1,
    ) -> None:
        """`lines` makes a model's line."""
        self.name = name
        self.rules = rules
        self.keys = keys
        self.breakers = Breakers(breaker)
        self.budget = RetryBudget(self.rules)
        self._make = lines
        self._shared: _Shared | None = None
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._draw = random.Random().random  # noqa: S311 - spreads retries, guards nothing

    def line(self, model: str) -> Line:
        """The line of a model's calls."""
        line = self._lines.get(model)
        if line is None:
            self._forget()
            line = self._lines[model] = self._make(model)
        else:
            self._lines.move_to_end(model)
        return line

    def lines(self) -> Iterator[tuple[str, Line]]:
        """The lines by model."""
        return iter(self._lines.items())

    def unavailable(self, model: str, now: float) -> Refusal | None:
        """What calls to a model are told while a breaker lets none go; None where one may go now."""
        wait_s = self.breakers.wait_s(model, now)
        return self._unavailable(wait_s) if wait_s else None

    def dismiss(self, model: str, now: float) -> None:
        """After a failure: where a breaker is open now, those that wait are told so, as newcomers are."""
        wait_s = self.breakers.wait_s(model, now)
        if not wait_s or not self.breakers.is_open(model):
            return
        whole = self.breakers.upstream.state is BreakerState.OPEN
        for name, line in self._lines.items():
            if whole or name == model:
                line.dismiss(lambda: self._unavailable(wait_s))

    def pause_s(self, failure: UpstreamFailure, retry: int) -> float:
        """Seconds to wait before the `retry`-th retry (from 0) of a failed call.

        Calls that went as one failed as one: their pauses are the same, so that they go as one again.
        """
        shared = self._shared_by(failure)
        if shared.pause_s is None:
            shared.pause_s = full_jitter(self.rules, retry, self._draw)
        return shared.pause_s

    def may_retry(self, failure: UpstreamFailure, now: float) -> bool:
        """Whether the budget allows for another call; one is taken from it for all that failed as one."""
        shared = self._shared_by(failure)
        if not shared.paid:
            shared.paid = self.budget.take(now)
        return shared.paid

    def is_new(self, failure: UpstreamFailure) -> bool:
        """Whether a failed call wasn't counted yet: those that went as one are one call. It is counted now."""
        shared = self._shared_by(failure)
        new, shared.counted = not shared.counted, True
        return new

    def _unavailable(self, wait_s: float) -> Refusal:
        sentence = f"{self.name} has failed too often just now and is left alone for a moment; ask again."
        return Refusal(503, "upstream_unavailable", sentence, retry_after_s=wait_s)

    def _shared_by(self, failure: UpstreamFailure) -> _Shared:
        shared = self._shared
        if shared is None or shared.failure() is not failure:
            shared = self._shared = _Shared(weakref.ref(failure))
        return shared

    def _forget(self) -> None:
        """What a line has learned is lost with it; one that is in use is never forgotten."""
        if len(self._lines) >= _LINES:
            idle = next((model for model, line in self._lines.items() if line.idle), None)
            if idle is not None:
                del self._lines[idle]
