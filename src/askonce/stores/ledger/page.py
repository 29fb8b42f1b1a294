"""What isn't in the file yet: added up in memory as it happens, written together."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from askonce.ports.ledger import BOUNDS_S
from askonce.stores.ledger.kinds import OTHER, Kinds, Line, Whose
from askonce.stores.ledger.questions import Asked, asked_of

if TYPE_CHECKING:
    from askonce.model import Request
    from askonce.ports import Act, Charge, Record

__all__ = ["Page"]

_HOUR_S: Final = 3_600
_HOURS_A_DAY: Final = 24
_SAVED_BY: Final = {
    "fresh": "saved_inflight_nanousd",
    "bypass": "saved_inflight_nanousd",
    "exact": "saved_exact_nanousd",
    "joined": "saved_inflight_nanousd",
    "semantic": "saved_semantic_nanousd",
    "semantic-joined": "saved_semantic_nanousd",
}
"""What each outcome saves by; whoever asked, by what those pay who joined it, where costs are split."""
_ASKED: Final = frozenset({"fresh", "bypass"})
_ONE_REASON: Final = frozenset({"exact", "joined"})
_BUCKETS: Final = len(BOUNDS_S) + 1
_MOST_REASONS: Final = 5_000
_MOST_CHARGES: Final = 100_000
_MOST_ACTS: Final = 10_000
_MOST_QUESTIONS: Final = 20_000


class _Histogram:
    """Latencies by bucket."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.total_s = 0.0

    def observe(self, seconds: float) -> int:
        """Counts it, and says in which bucket."""
        bucket = bisect_left(BOUNDS_S, seconds)
        self.counts[bucket] += 1
        self.total_s += seconds
        return bucket

    def add(self, other: _Histogram) -> None:
        self.counts = [one + another for one, another in zip(self.counts, other.counts, strict=True)]
        self.total_s += other.total_s


class _Place:
    """Where requests of one kind are counted: found once in a page's life, not for each of them."""

    __slots__ = ("duration", "first_byte", "line", "overhead", "questions", "saved_by", "shared", "tenant")

    def __init__(self, line: Line, tenant: str, outcome: str, histograms: tuple[_Histogram, ...]) -> None:
        self.line = line
        self.tenant = tenant
        self.saved_by = _SAVED_BY.get(outcome)
        self.shared = self.saved_by is not None and outcome not in _ASKED
        self.duration, self.first_byte, self.overhead = histograms
        self.questions: dict[bytes, Asked] = {}

    def answered(self, record: Record) -> None:
        """Counts an answer's times, its tokens and what it saved."""
        bucket = self.first_byte.observe(record.first_byte_s)
        overhead, overhead_s = self.overhead, record.overhead_s
        if overhead_s == record.first_byte_s:  # a stored answer's: no need to look twice
            overhead.counts[bucket] += 1
            overhead.total_s += overhead_s
        elif overhead_s is not None:
            overhead.observe(overhead_s)
        line, usage, saved = self.line, record.usage, record.saved_nanousd
        if usage is None:
            return
        line.input_tokens += usage.prompt_tokens
        line.output_tokens += usage.completion_tokens
        line.cached_tokens += usage.cached_tokens
        saved_by = self.saved_by
        if saved and saved_by is not None:
            setattr(line, saved_by, getattr(line, saved_by) + saved)
        elif saved is None and self.shared:
            line.unpriced += 1


class Page:
    """All that happened since the last commit; bounded, whatever happens and however long it can't be written.

    Attributes:
        lines: Sums of requests, and of calls beyond those in `charges`.
        charges: What upstream calls came to, one by one, so that none is added twice.
        histograms: By hour, feature, outcome and measure.
        decisions: By hour, feature, mode and reason.
        reasons: By hour, feature, outcome and reason; outcomes that have but one reason are left out.
        questions: By day, tenant, feature and exact key.
        acts: What administrators did.
    """

    def __init__(self, kinds: Kinds) -> None:
        self.lines: dict[Whose, Line] = {}
        self.charges: list[Charge] = []
        self.histograms: dict[tuple[int, str, str, str], _Histogram] = {}
        self.decisions: dict[tuple[int, str, str, str], int] = {}
        self.reasons: dict[tuple[int, str, str, str], int] = {}
        self.questions: dict[tuple[int, str, str, bytes], Asked] = {}
        self.acts: list[Act] = []
        self._kinds = kinds
        self._hour = -1
        self._places: dict[tuple[str | None, str, str, str, str], _Place] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing happened."""
        told = (
            self.lines,
            self.charges,
            self.histograms,
            self.decisions,
            self.reasons,
            self.questions,
            self.acts,
        )
        return not any(told)

    def leave_questions_to(self, later: Page) -> None:
        """Has the next page count questions on: each row costs more than its request did, and few are new."""
        self.questions, later.questions = later.questions, self.questions

    def request(self, record: Record, now: float) -> None:
        """A request has ended."""
        hour, outcome, request = int(now // _HOUR_S), record.outcome, record.request
        if hour != self._hour:
            self._hour = hour
            self._places.clear()
        name = "refused" if outcome is None else outcome.name
        tenant, label, model = None, record.account or record.tenant, record.upstream_model or record.model
        if request is not None:
            caller = request.caller
            tenant, label, model = caller.tenant, caller.label, request.ask.route.model
        key = (tenant, label, record.feature, model, name)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._find(key, record)
        place.line.requests += 1
        place.duration.observe(record.duration_s)
        if name not in _ONE_REASON:
            self._count_reason(hour, record.feature, name, record.code if outcome is None else outcome.reason)
        if outcome is None:
            return
        place.answered(record)
        if request is not None:
            self._ask(place, record, request, now)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for. Beyond those that can be kept one by one, calls are only added up."""
        if len(self.charges) < _MOST_CHARGES:
            self.charges.append(charge)
        else:
            self.add_up(charge)

    def add_up(self, charge: Charge) -> None:
        """Adds a call to the sums, by who pays for it."""
        hour = int(charge.at // _HOUR_S)
        usage, first = charge.usage, charge.shares[0]
        line = self.line(Whose(hour, first.tenant, first.feature, charge.model, first.outcome))
        if usage is None:
            line.unsettled += charge.part == 0
            line.unsettled_tokens += charge.estimate.prompt_tokens + charge.estimate.completion_tokens
            line.unsettled_nanousd += charge.cost_nanousd or 0
            return
        line.calls += charge.part == 0
        line.billed_input_tokens += usage.prompt_tokens
        line.billed_output_tokens += usage.completion_tokens
        line.billed_cached_tokens += usage.cached_tokens
        line.saved_prompt_cache_nanousd += charge.saved_prompt_cache_nanousd
        line.saved_batch_nanousd += charge.saved_batch_nanousd
        line.unpriced += charge.cost_nanousd is None
        for share in charge.shares:
            whose = Whose(hour, share.tenant, share.feature, charge.model, share.outcome)
            self.line(whose).spent_nanousd += share.nanousd

    def decided(self, feature: str, mode: str, reason: str, now: float) -> None:
        """The semantic tier has decided."""
        key = (int(now // _HOUR_S), feature, mode, reason)
        self.decisions[key] = self.decisions.get(key, 0) + 1

    def acted(self, act: Act) -> None:
        """An administrator has done something."""
        if len(self.acts) < _MOST_ACTS:
            self.acts.append(act)

    def line(self, whose: Whose) -> Line:
        """The sums of one kind, or of all that are beyond what is told apart in an hour."""
        line = self.lines.get(whose)
        if line is None:
            whose = self._kinds.place(whose)
            line = self.lines.setdefault(whose, Line())
        return line

    def add(self, later: Page) -> None:
        """Takes up what happened since, where this page couldn't be written."""
        for whose, line in later.lines.items():
            self.line(whose).add(line)
        for charge in later.charges:
            self.charged(charge)
        for key, histogram in later.histograms.items():
            self._histogram(key).add(histogram)
        for mine, theirs in ((self.decisions, later.decisions), (self.reasons, later.reasons)):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        for question, asked in later.questions.items():
            known = self.questions.get(question)
            if known is not None:
                known.add(asked)
            elif len(self.questions) < _MOST_QUESTIONS:
                self.questions[question] = asked
        for act in later.acts:
            self.acted(act)
        self._places.clear()

    def _find(self, key: tuple[str | None, str, str, str, str], record: Record) -> _Place:
        _, label, feature, model, name = key
        tenant = label if record.request is None else record.request.caller.account
        line = self.line(Whose(self._hour, tenant, feature, model, name))
        measures = ("duration", "first_byte", "overhead")
        histograms = tuple(self._histogram((self._hour, feature, name, measure)) for measure in measures)
        return _Place(line, tenant, name, histograms)

    def _ask(self, place: _Place, record: Record, request: Request, now: float) -> None:
        """Counts a question, where the policy lets anything be kept of it."""
        key = asked_of(record)
        if key is None:
            return
        asked = place.questions.get(key)
        if asked is None:
            whose = (self._hour // _HOURS_A_DAY, place.tenant, record.feature, key)
            asked = self.questions.get(whose)
            if asked is None:
                if len(self.questions) >= _MOST_QUESTIONS:
                    return
                asked = self.questions[whose] = Asked.of(request)
            place.questions[key] = asked
        asked.ask(record, now)

    def _count_reason(self, hour: int, feature: str, outcome: str, reason: str) -> None:
        key = (hour, feature, outcome, reason)
        if key not in self.reasons and len(self.reasons) >= _MOST_REASONS:  # an upstream's own error codes
            key = (hour, feature, outcome, OTHER)
        self.reasons[key] = self.reasons.get(key, 0) + 1

    def _histogram(self, key: tuple[int, str, str, str]) -> _Histogram:
        histogram = self.histograms.get(key)
        if histogram is None:
            histogram = self.histograms[key] = _Histogram()
        return histogram
