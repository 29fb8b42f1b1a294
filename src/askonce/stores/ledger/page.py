"""What isn't in the file yet: added up in memory as it happens, written together."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.ports import Sums
from askonce.ports.ledger import BOUNDS_S

if TYPE_CHECKING:
    from askonce.ports import Act, Charge, Record

__all__ = ["Line", "Page", "Whose"]

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_SAVED_BY: Final = {
    "exact": "saved_exact_nanousd",
    "joined": "saved_inflight_nanousd",
    "semantic": "saved_semantic_nanousd",
    "semantic-joined": "saved_semantic_nanousd",
}
_ONE_REASON: Final = frozenset({"exact", "joined"})
_BUCKETS: Final = len(BOUNDS_S) + 1


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

    def sums(self) -> Sums:
        """As they are now."""
        return Sums(*(getattr(self, name) for name in Sums._fields))


class _Asked:
    """How often a question was asked in a day."""

    __slots__ = ("last_at", "model", "requests", "saved_nanousd", "text")

    def __init__(self, model: str, text: str | None) -> None:
        self.model = model
        self.text = text
        self.requests = self.saved_nanousd = 0
        self.last_at = 0.0


class _Histogram:
    """Latencies by bucket."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[_bucket(seconds)] += 1
        self.total_s += seconds


class Page:
    """All that happened since the last commit.

    Attributes:
        lines: Sums.
        histograms: By hour, feature, outcome and measure.
        decisions: By hour, feature, mode and reason.
        reasons: By hour, feature, outcome and reason; outcomes that have but one reason are left out.
        questions: By day, tenant, feature and key.
        unsettled: Charges without usage.
        acts: What administrators did.
    """

    def __init__(self) -> None:
        self.lines: dict[Whose, Line] = {}
        self.histograms: dict[tuple[int, str, str, str], _Histogram] = {}
        self.decisions: dict[tuple[int, str, str, str], int] = {}
        self.reasons: dict[tuple[int, str, str, str], int] = {}
        self.questions: dict[tuple[int, str, str, bytes], _Asked] = {}
        self.unsettled: list[Charge] = []
        self.acts: list[Act] = []

    def request(self, record: Record, now: float) -> None:
        """A request has ended."""
        hour, outcome, request = int(now // _HOUR_S), record.outcome, record.request
        name = "refused" if outcome is None else outcome.name
        tenant = record.tenant if request is None else request.caller.account
        line = self.line(Whose(hour, tenant, record.feature, record.model, name))
        line.requests += 1
        if name not in _ONE_REASON:
            why = (hour, record.feature, name, record.code if outcome is None else outcome.reason)
            self.reasons[why] = self.reasons.get(why, 0) + 1
        self._observe((hour, record.feature, name), "duration", record.duration_s)
        if outcome is None:
            return
        self._observe((hour, record.feature, name), "first_byte", record.first_byte_s)
        if record.overhead_s is not None:
            self._observe((hour, record.feature, name), "overhead", record.overhead_s)
        usage = record.usage
        if usage is not None:
            line.input_tokens += usage.prompt_tokens
            line.output_tokens += usage.completion_tokens
            line.cached_tokens += usage.cached_tokens
        saved_by = _SAVED_BY.get(name)
        if saved_by is not None:
            if record.saved_nanousd is None:
                line.unpriced += usage is not None
            else:
                setattr(line, saved_by, getattr(line, saved_by) + record.saved_nanousd)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        hour = int(charge.at // _HOUR_S)
        for share in charge.shares:
            whose = Whose(hour, share.tenant, share.feature, charge.model, share.outcome)
            if charge.usage is not None:
                self.line(whose).spent_nanousd += share.nanousd
        first = charge.shares[0]
        line = self.line(Whose(hour, first.tenant, first.feature, charge.model, first.outcome))
        if charge.usage is None:
            line.unsettled += 1
            line.unsettled_tokens += charge.estimate.prompt_tokens + charge.estimate.completion_tokens
            line.unsettled_nanousd += charge.cost_nanousd or 0
            self.unsettled.append(charge)
            return
        line.calls += charge.part == 0
        line.billed_input_tokens += charge.usage.prompt_tokens
        line.billed_output_tokens += charge.usage.completion_tokens
        line.billed_cached_tokens += charge.usage.cached_tokens
        line.saved_prompt_cache_nanousd += charge.saved_prompt_cache_nanousd
        line.saved_batch_nanousd += charge.saved_batch_nanousd
        line.unpriced += charge.cost_nanousd is None

    def decided(self, feature: str, mode: str, reason: str, now: float) -> None:
        """The semantic tier has decided."""
        key = (int(now // _HOUR_S), feature, mode, reason)
        self.decisions[key] = self.decisions.get(key, 0) + 1

    def line(self, whose: Whose) -> Line:
        """The sums of one kind."""
        line = self.lines.get(whose)
        if line is None:
            line = self.lines[whose] = Line()
        return line

    def _observe(self, kind: tuple[int, str, str], measure: str, seconds: float) -> None:
        key = (*kind, measure)
        histogram = self.histograms.get(key)
        if histogram is None:
            histogram = self.histograms[key] = _Histogram()
        histogram.observe(seconds)


def _bucket(seconds: float) -> int:
    """The place of the first bound that isn't below."""
    if seconds <= BOUNDS_S[0]:
        return 0
    place = int(log2(seconds / BOUNDS_S[0]) * 4)
    place += place < len(BOUNDS_S) and seconds > BOUNDS_S[place]
    return min(place, len(BOUNDS_S))
