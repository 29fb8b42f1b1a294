"""What is asked of whatever keeps the books: what was spent and saved, by hour, and who did what to the gateway."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askonce.model import Json
    from askonce.ports.observers import Charge, Record

__all__ = ["BOUNDS_S", "Act", "Books", "CallEntry", "Latency", "Ledger", "Span", "Sums", "TopQuestion"]

_T = TypeVar("_T")
BOUNDS_S: Final = tuple(0.00005 * 2 ** (step / 4) for step in range(95))
"""Upper bounds of latencies' buckets in seconds, 19 % apart: 50 microseconds to about ten minutes; one more has no bound."""


class Span(NamedTuple):
    """Hours since 1970 (UTC), `until_hour` not included."""

    since_hour: int
    until_hour: int


class Sums(NamedTuple):
    """What was added up. Money is in nano-dollars.

    Attributes:
        requests: Requests that ended, refused ones included.
        input_tokens: Tokens of the answers that callers got; those of a shared answer count for each.
        output_tokens: The same.
        cached_tokens: Those of `input_tokens` that came from the provider's prompt cache.
        calls: Upstream calls that are accounted for.
        billed_input_tokens: Tokens of upstream calls, as the upstreams said.
        billed_output_tokens: The same.
        billed_cached_tokens: Those of `billed_input_tokens` that came from the provider's prompt cache.
        spent_nanousd: What the calls cost, where the price is known.
        saved_exact_nanousd: Not spent, because the answer was stored.
        saved_inflight_nanousd: Not spent, because an identical request was being answered.
        saved_semantic_nanousd: Not spent, because an equivalent request was answered.
        saved_prompt_cache_nanousd: What providers' prompt caches took off.
        saved_batch_nanousd: What providers' batch prices took off.
        unpriced: Answers and calls whose price or tokens aren't known: they count nowhere as money.
        unsettled: Calls whose tokens the upstream didn't get to say.
        unsettled_tokens: What those may have taken, an estimate; not in the billed tokens.
        unsettled_nanousd: What those may have cost, an estimate; not in what was spent.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    calls: int = 0
    billed_input_tokens: int = 0
    billed_output_tokens: int = 0
    billed_cached_tokens: int = 0
    spent_nanousd: int = 0
    saved_exact_nanousd: int = 0
    saved_inflight_nanousd: int = 0
    saved_semantic_nanousd: int = 0
    saved_prompt_cache_nanousd: int = 0
    saved_batch_nanousd: int = 0
    unpriced: int = 0
    unsettled: int = 0
    unsettled_tokens: int = 0
    unsettled_nanousd: int = 0

    @property
    def saved_nanousd(self) -> int:
        """All savings; what audits cost isn't taken off (it is spent under the outcome `audit`)."""
        return (
            self.saved_exact_nanousd
            + self.saved_inflight_nanousd
            + self.saved_semantic_nanousd
            + self.saved_prompt_cache_nanousd
            + self.saved_batch_nanousd
        )


class Latency(NamedTuple):
    """A histogram of seconds: counts by bucket (`BOUNDS_S`, and one without bound), and their sum."""

    counts: Sequence[int]
    total_s: float

    def quantile(self, share: float) -> float:
        """Seconds that a share of the observations didn't exceed, within a bucket's width; NaN without any."""
        cumulated = list(accumulate(self.counts))
        if not cumulated or not cumulated[-1]:
            return math.nan
        place = bisect_left(cumulated, share * cumulated[-1])
        return BOUNDS_S[min(place, len(BOUNDS_S) - 1)]


class TopQuestion(NamedTuple):
    """A question that was asked again and again; `text` is None where the feature's policy doesn't keep it."""

    tenant: str
    feature: str
    model: str
    key: bytes
    text: str | None
    requests: int
    saved_nanousd: int
    last_at: float


class Act(NamedTuple):
    """What an administrator did: `actor` tells keys apart without being one; `detail` holds no prompt."""

    at: float
    actor: str
    action: str
    detail: Json


class CallEntry(NamedTuple):
    """One upstream call, or one request's part of it.

    Attributes:
        call: Its id, as sent to the upstream (`X-Client-Request-Id`).
        part: Which of the requests that went with it.
        at: Unix seconds at which it ended; at which it began, where the gateway ended first.
        tenant: The account whose tokens they are.
        feature: The feature.
        upstream: Who was asked.
        model: The upstream's own name of the model.
        outcome: How its caller was answered.
        input_tokens: As the upstream said; an estimate where it didn't (`settled`).
        output_tokens: The same.
        cached_tokens: The same.
        nanousd: What they cost; None where the price isn't known.
        settled: Whether the upstream said what it took.
    """

    call: str
    part: int
    at: float
    tenant: str
    feature: str
    upstream: str
    model: str
    outcome: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    nanousd: int | None
    settled: bool


class Books(Protocol):
    """The ledger, read: blocking, for the thread that has the file open."""

    def sums(
        self,
        span: Span,
        by: Sequence[str],
        where: Mapping[str, str] | None = None,
        count: int = -1,
    ) -> dict[tuple[str | int, ...], Sums]:
        """Sums by any of `hour`, `day` (since 1970), `tenant`, `feature`, `model`, `outcome`, where columns are equal.

        In that order; the first so many, all with -1.
        """
        ...

    def latencies(
        self, span: Span, by: Sequence[str], measure: str = "duration"
    ) -> dict[tuple[str | int, ...], Latency]:
        """Latencies by any of `hour`, `day`, `feature`, `outcome`: `duration`, `first_byte` or `overhead`."""
        ...

    def decisions(self, span: Span) -> dict[tuple[str, str, str], int]:
        """How often the semantic tier decided what: by feature, mode and reason code."""
        ...

    def reasons(self, span: Span) -> dict[tuple[str, str, str], int]:
        """Why requests were not answered from the store or by joining: by feature, outcome and reason code.

        Outcomes are `fresh`, `bypass`, `semantic`, `semantic-joined` and `refused` (the error's code).
        """
        ...

    def questions(self, span: Span, count: int, where: Mapping[str, str] | None = None) -> list[TopQuestion]:
        """The questions that saved most, whole days."""
        ...

    def repeats(self, span: Span, where: Mapping[str, str] | None = None) -> dict[str, int]:
        """Fresh answers to questions that had one earlier in the span, by feature, whole days.

        At least so many: of a day's questions only those are kept that saved most, and none where nothing may be kept.
        """
        ...

    def covered(self) -> Span | None:
        """From the first hour that anything is written of to the last; None where nothing is."""
        ...

    def calls(self, span: Span, count: int, *, settled: bool | None = None) -> list[CallEntry]:
        """Single calls of a span, newest first; those that are settled or not, where that is said."""
        ...

    def acts(self, count: int) -> list[Act]:
        """What administrators did, newest first."""
        ...


class Ledger(Protocol):
    """Keeps the books. Its observing side (`ports.Observer`) never waits and never raises."""

    def request(self, record: Record) -> None:
        """A request has ended."""
        ...

    def begun(self, charge: Charge) -> None:
        """An upstream call is about to go out: what it counts as should nothing more be heard of it."""
        ...

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        ...

    def acted(self, act: Act) -> None:
        """An administrator has done something."""
        ...

    async def read(self, work: Callable[[Books], _T]) -> _T:
        """Reads the books as of now, in their thread. Raises OSError where they can't be read."""
        ...
