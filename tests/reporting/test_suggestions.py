"""Suggestions: made where the numbers carry them, said with their numbers, silent elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from askonce.model import Audit
from askonce.ports import Span, Sums
from askonce.reporting.figures import Figures, draw_up
from askonce.reporting.quality import qualities
from askonce.reporting.suggestions import suggest
from askonce.reporting.terms import Terms
from ledgers import books_of

if TYPE_CHECKING:
    from askonce.reporting.suggestions import Suggestion
    from ledgers import Whose

_HOUR = 480_000
_SPAN = Span(_HOUR, _HOUR + 24)
_FRESH: Whose = (_HOUR, "acme", "support", "m", "fresh")
_CALLS = Sums(requests=1_000, calls=1_000, spent_nanousd=2_000_000_000)
"""A thousand calls at 0.002 dollars."""


def _audit(
    *, right: bool, source: str = "shadow", at_s: float = _HOUR * 3_600.0, propensity: float = 1.0
) -> Audit:
    return Audit(
        feature="support",
        at=at_s,
        question=b"q",
        answer=b"a",
        request_id="r",
        source=source,
        judge="equality",
        right=right,
        propensity=propensity,
        probability=0.99,
        threshold=0.98,
        reason="match",
        evidence=np.zeros(2, np.float32),
        engine="e",
    )


def _figures(matches: int, others: int, audits: list[Audit], budget: float | None = 0.02) -> Figures:
    decisions = {
        (_HOUR, "support", "shadow", "match"): matches,
        (_HOUR, "support", "shadow", "no-neighbour"): others,
    }
    budgets = {} if budget is None else {"support": budget}
    return draw_up(
        books_of({_FRESH: _CALLS}, decisions=decisions), Terms(_SPAN), qualities(audits, budgets, _SPAN)
    )


def _only(figures: Figures) -> Suggestion:
    (one,) = suggest(figures)
    return one


def test_shadow_mode_is_worth_its_matches_at_the_mean_price() -> None:
    """410 of 1,000 misses at 0.002 dollars, none of 500 audited ones wrong: worth 0.82 dollars, and to be turned on."""
    one = _only(_figures(410, 590, [_audit(right=True)] * 500))
    assert (one.code, one.subject, one.worth_nanousd) == ("semantic-on", "support", 820_000_000)
    assert "41.0% of 1,000 misses" in one.finding
    assert "$0.82" in one.finding
    assert "0 of 500 audited turned out wrong" in one.finding
    assert one.advice.startswith("Set `semantic: on`")
    assert one.assumes


@pytest.mark.parametrize(
    ("audits", "budget", "says"),
    [
        ([_audit(right=True)] * 49, 0.02, "50 audits are the least"),
        ([_audit(right=True)] * 60, 0.02, "Not shown yet to be within the budget of 2.00%"),
        ([_audit(right=True)] * 150 + [_audit(right=False)] * 50, 0.02, "Leave it in shadow mode"),
        ([_audit(right=True)] * 500, None, "Compare the upper bound"),
        ([_audit(right=True, source="hit")] * 500, 0.02, "50 audits are the least"),
        ([_audit(right=True, at_s=0.0)] * 500, 0.02, "50 audits are the least"),
    ],
)
def test_nothing_is_turned_on_before_audits_show_that_it_may(
    audits: list[Audit], budget: float | None, says: str
) -> None:
    """Too few, too uncertain, too often wrong, nothing promised; and other audits than this span's shadow ones don't count."""
    assert says in _only(_figures(410, 590, audits, budget)).advice


def test_what_is_on_already_is_not_turned_on() -> None:
    """A feature that serves, but was only shadowed: by the configuration, or by decisions of both modes."""
    figures = _figures(410, 590, [_audit(right=True)] * 500)
    (one,) = suggest(figures, {"support"})
    assert one.code == "shadowed"
    assert "1,000 misses" in one.finding
    both = {**figures.decisions, ("support", "on", "match"): 1}
    assert _only(replace(figures, decisions=both)).code == "shadowed"


def test_few_decisions_and_few_matches_suggest_nothing() -> None:
    """99 misses are too few to speak of, and so is one match in thirty."""
    assert not suggest(_figures(50, 49, []))
    assert not suggest(_figures(33, 967, []))


def test_unpriced_calls_never_add_to_what_a_change_is_worth() -> None:
    """Where half of the calls have no price, the other half's cost is spread over all."""
    sums = _CALLS._replace(calls=2_000, unpriced=1_000)
    figures = draw_up(
        books_of({_FRESH: sums}, decisions={(_HOUR, "support", "shadow", "match"): 400}), Terms(_SPAN), ()
    )
    by_code = {one.code: one for one in suggest(figures)}
    assert by_code["semantic-on"].worth_nanousd == 400_000_000
    assert by_code["unpriced"].subject == "m"
    assert "1,000 requests and calls have no price" in by_code["unpriced"].finding


def test_where_nobody_looks_shadow_mode_is_suggested() -> None:
    """A feature with many fresh answers and not one decision; not where a tenant alone is looked at."""
    books = books_of({_FRESH: _CALLS})
    assert _only(draw_up(books, Terms(_SPAN))).code == "semantic-off"
    assert not suggest(draw_up(books, Terms(_SPAN, where={"tenant": "acme"})))
    jobs = books_of({_FRESH: _CALLS}, reasons={(_HOUR, "support", "fresh", "batch-lane"): 950})
    assert not suggest(draw_up(jobs, Terms(_SPAN)))
    few = books_of({_FRESH: _CALLS._replace(requests=99)})
    assert not suggest(draw_up(few, Terms(_SPAN)))


def test_reasons_that_can_be_changed_are_told() -> None:
    """Requests that bypass every cache, that are refused, that are left out of matching; reasons nobody can change aren't."""
    books = books_of(
        {_FRESH: _CALLS},
        decisions={
            (_HOUR, "support", "shadow", "tools"): 300,
            (_HOUR, "support", "on", "tools"): 100,
            (_HOUR, "support", "shadow", "no-neighbour"): 400,
        },
        reasons={
            (_HOUR, "support", "bypass", "high-temperature"): 200,
            (_HOUR, "support", "bypass", "no-user"): 49,
            (_HOUR, "support", "fresh", "miss"): 600,
            (_HOUR, "support", "refused", "rate_limited"): 100,
        },
    )
    found = {one.code: one.finding for one in suggest(draw_up(books, Terms(_SPAN)))}
    assert found.keys() == {"bypass-high-temperature", "refused-rate_limited", "unmatched-tools", "shadowed"}
    assert "200 of 1,000 requests (20.0%) bypassed every cache" in found["bypass-high-temperature"]
    assert "400 of 800 misses (50.0%)" in found["unmatched-tools"]


def test_calls_cut_off_and_calls_for_nobody_are_told() -> None:
    """With what they may have cost, and what they did."""
    rows: dict[Whose, Sums] = {
        (_HOUR, "acme", "support", "m", "abandoned"): Sums(
            calls=200, spent_nanousd=10**9, unsettled=150, unsettled_nanousd=3 * 10**8
        ),
        (_HOUR, "acme", "support", "m", "fresh"): Sums(requests=50, calls=50, spent_nanousd=10**9),
    }
    found = {one.code: one.finding for one in suggest(draw_up(books_of(rows), Terms(_SPAN)))}
    assert found.keys() == {"abandoned", "unsettled"}
    assert "$1.00 of $2.00 went to 200 calls" in found["abandoned"]
    assert "150 of 400 calls (37.5%)" in found["unsettled"]


def test_a_budget_that_is_surely_exceeded_is_told() -> None:
    """With hits' own audits, weighted by how they were drawn; one wrong hit of seven is no proof."""
    books = books_of({_FRESH: Sums(requests=50)})
    bad = [_audit(right=number % 4 > 0, source="hit") for number in range(200)]
    figures = draw_up(books, Terms(_SPAN), qualities(bad, {"support": 0.02}, _SPAN))
    assert _only(figures).code == "budget-exceeded"
    assert figures.qualities is not None
    assert figures.qualities[0].hits.wrong == 50
    doubtful = qualities(bad[1:8], {"support": 0.02}, _SPAN)
    assert not suggest(replace(figures, qualities=doubtful))


def test_questions_answered_afresh_again_and_again_suggest_a_longer_ttl() -> None:
    """With how many at least and what they cost at most; an assumption says what else may be behind it."""
    figures = replace(_figures(0, 50, []), repeats={"support": 300})
    one = _only(figures)
    assert (one.code, one.worth_nanousd) == ("ttl", 600_000_000)
    assert "At least 300 of 1,000 fresh answers (30.0%)" in one.finding
    assert "evicted" in one.assumes
    assert not suggest(replace(figures, repeats={"support": 49}))


def test_hits_that_nobody_audits_are_told() -> None:
    """Where audits were read at all; not for a handful of hits."""
    rows: dict[Whose, Sums] = {(_HOUR, "acme", "support", "m", "semantic"): Sums(requests=100)}
    figures = draw_up(books_of(rows), Terms(_SPAN), ())
    assert _only(figures).code == "unaudited"
    assert not suggest(replace(figures, qualities=None))
    assert not suggest(draw_up(books_of({_FRESH: Sums(requests=99)}), Terms(_SPAN), ()))


def test_audits_count_for_the_hits_that_they_stand_for() -> None:
    """Ten wrong ones of a full audit beside ninety right ones of one in ten are ten of 910 hits, not a tenth."""
    audits = [_audit(right=False, source="hit")] * 10 + [
        _audit(right=True, source="hit", propensity=0.1)
    ] * 90
    (quality,) = qualities(audits, {}, _SPAN)
    assert quality.hits.rate.estimate == pytest.approx(10 / 910)
    assert quality.hits.rate.low < 10 / 910 < quality.hits.rate.high
    assert quality.shadow.audits == 0
