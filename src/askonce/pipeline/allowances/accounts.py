"""Everybody's allowances, found by who asks what; those that say nothing any more are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from askonce.pipeline.allowances.allowance import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.model import Request
    from askonce.pipeline.allowances.allowance import Rules, Whose
    from askonce.pipeline.allowances.meters import Moment
    from askonce.pipeline.allowances.rulebook import Rulebook

__all__ = ["Accounts"]

_FEW: Final = 1_024
_LOOKED_AT: Final = 2
"""Allowances that each new one has looked at: so those that nobody uses go, and nobody waits for a sweep."""


class Accounts:
    """All allowances. Anybody can present any number of credentials: what counts for none of them is not kept.

    Attributes:
        rules: Who is held to what.
        complete: Whether what the books say has been taken up, so that whoever is new has spent nothing before.
    """

    def __init__(self, rules: Rulebook, moment: Callable[[], Moment]) -> None:
        self.rules = rules
        self.complete = False
        self._moment = moment
        self._table: OrderedDict[Whose, Allowance] = OrderedDict()
        self._memo: dict[tuple[str, str], tuple[Allowance, ...]] = {}

    def __iter__(self) -> Iterator[Allowance]:
        """All that there are now, whatever becomes of them meanwhile."""
        return iter(list(self._table.values()))

    def replace(self, rules: Rulebook) -> None:
        """Other limits from now on; what was counted goes on counting."""
        self.rules = rules
        self.complete = False
        self._memo.clear()
        known, self._table = self._table, OrderedDict()
        for whose, allowance in known.items():
            found = rules.rules_of(whose)
            if found is not None:
                allowance.change(found, self._moment())
                self._table[whose] = allowance

    def of_request(self, request: Request) -> tuple[Allowance, ...]:
        """What a request is held to. Remembered by the caller's identity: to tell its account takes longer."""
        caller, feature = request.caller, request.policy.feature
        key = (caller.tenant or "", feature)
        found = self._memo.get(key)
        if found is None:
            found = self.of(caller.account, feature)
            if len(self._memo) >= _FEW:
                self._memo.clear()
            self._memo[key] = found
        return found

    def of(self, account: str, feature: str) -> tuple[Allowance, ...]:
        """What an account's requests of a feature are held to. Names under one credential share its limits."""
        tenant = account.partition("/")[0]
        return tuple(self._allowance(whose, rules) for whose, rules in self.rules.of(tenant, feature))

    def named(self) -> list[Allowance]:
        """Those of everybody whom the configuration names."""
        return [self._allowance(whose, rules) for whose, rules in self.rules.named()]

    def _allowance(self, whose: Whose, rules: Rules) -> Allowance:
        allowance = self._table.get(whose)
        if allowance is None:
            if len(self._table) >= _FEW:
                self._forget_some()
            allowance = self._table[whose] = Allowance(whose, rules, self._moment())
            if self.complete:
                allowance.complete()
        return allowance

    def _forget_some(self) -> None:
        now = self._moment()
        for _ in range(_LOOKED_AT):
            whose, allowance = self._table.popitem(last=False)
            if allowance.idle(now):
                self._memo.clear()
            else:
                self._table[whose] = allowance
