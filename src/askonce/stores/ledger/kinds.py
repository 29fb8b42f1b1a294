"""What sums are kept by, and how many kinds an hour may have."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from askonce.ports import Sums

__all__ = ["OTHER", "Kinds", "Line", "Whose"]

OTHER: Final = "(other)"
"""The model, or the tenant, of all that is beyond what is told apart."""
_MOST_KINDS: Final = 10_000
_HOURS: Final = 4
"""Of which the kinds are remembered: what is told is minutes late at most, unless the clock leaps."""
_LARGEST: Final = 2**63 - 1


class Whose(NamedTuple):
    """What sums are kept by; `hour` counts from 1970."""

    hour: int
    tenant: str
    feature: str
    model: str
    outcome: str


class Line:
    """Sums that grow: the fields of `ports.Sums`."""

    __slots__ = Sums._fields

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    calls: int
    billed_input_tokens: int
    billed_output_tokens: int
    billed_cached_tokens: int
    spent_nanousd: int
    saved_exact_nanousd: int
    saved_inflight_nanousd: int
    saved_semantic_nanousd: int
    saved_prompt_cache_nanousd: int
    saved_batch_nanousd: int
    unpriced: int
    unsettled: int
    unsettled_tokens: int
    unsettled_nanousd: int

    def __init__(self) -> None:
        for name in Sums._fields:
            setattr(self, name, 0)

    def add(self, other: Line) -> None:
        """Adds other sums to these."""
        for name in Sums._fields:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def sums(self) -> Sums:
        """As they are now, as far as the file's integers go."""
        return Sums(*(min(getattr(self, name), _LARGEST) for name in Sums._fields))


class Kinds:
    """Bounds the kinds of an hour: callers choose models' names, and pass-through callers are tenants of their own.

    Beyond `most` kinds in an hour what is new is counted under the model `(other)`, and beyond twice as many under
    the tenant `(other)` too: features and outcomes are few.
    """

    def __init__(self, most: int = _MOST_KINDS) -> None:
        self._most = most
        self._known: OrderedDict[int, set[Whose]] = OrderedDict()

    def place(self, whose: Whose) -> Whose:
        """The kind under which something is counted."""
        known = self._known.get(whose.hour)
        if known is None:
            known = self._known[whose.hour] = set()
            if len(self._known) > _HOURS:
                self._known.popitem(last=False)
        of_model = whose._replace(model=OTHER)
        for kind, most in ((whose, self._most), (of_model, 2 * self._most)):
            if kind in known or len(known) < most:
                known.add(kind)
                return kind
        return of_model._replace(tenant=OTHER)
