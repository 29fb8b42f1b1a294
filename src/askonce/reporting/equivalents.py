"""Suggestions about equivalent answers: what shadow mode has seen, and whether what is served is right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from askonce.ports import MATCH
from askonce.reporting.suggestion import FEWEST, NOTABLE, Suggestion, price
from askonce.reporting.wording import count, dollars, rate, share

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from askonce.reporting.figures import Figures, Tally
    from askonce.reporting.quality import Judged, Quality

__all__ = ["of_audits", "of_matching"]

_FEWEST_AUDITS: Final = 50
"""Audits below which a rate says too little."""
_BATCH_LANE: Final = "batch-lane"
_UNMATCHED: Final = {
    "tools": (
        "they carry tools",
        "`semantic_tools: on` has them looked up too: for tools without side effects.",
    ),
    "turns": (
        "their conversations have more turns than `max_turns`",
        "Raise `max_turns` with care: see audits.",
    ),
    "embedder-busy": ("the embedder's queue was full", "Give `embedder.workers` more threads."),
    "embedder-slow": (
        "the embedder took too long",
        "Give `embedder.workers` more threads, or the machine more cores.",
    ),
    "verifier-busy": ("too many long questions were being judged", "Give the machine more cores."),
}
"""Why misses weren't looked up semantically, and what to do about it."""


def of_matching(figures: Figures, serving: Collection[str]) -> Iterator[Suggestion]:
    """What shadow mode has seen, and where nothing looks."""
    qualities = {one.feature: one for one in figures.qualities or ()}
    kept = figures.terms.where.keys() <= {"feature"}
    for feature, tally in figures.features.items():
        decided = _decided(figures, feature, "shadow")
        if sum(decided.values()) >= FEWEST:
            if feature in serving or _decided(figures, feature, "on"):
                yield _shadowed(feature, sum(decided.values()))
            else:
                yield from _shadow(feature, tally, decided, qualities.get(feature))
        fresh = tally.requests("fresh") - figures.reasons.get((feature, "fresh", _BATCH_LANE), 0)
        if kept and fresh >= FEWEST and not any(key[0] == feature for key in figures.decisions):
            yield Suggestion(
                "semantic-off",
                feature,
                f"{count(fresh)} requests were answered afresh, and nobody looked for equivalent ones.",
                "Set `semantic: shadow`, with an embedder: it looks, has audits made of what it finds, and serves nothing.",
            )
        yield from _unmatched(figures, feature)


def _shadowed(feature: str, looked: int) -> Suggestion:
    return Suggestion(
        "shadowed",
        feature,
        f"{count(looked)} misses were looked up in shadow mode, although equivalent answers may be served: the error "
        "budget was breached, or the configuration was changed.",
        "See `GET /admin/budgets` for since when, and the wrong ones in `GET /admin/audits`.",
    )


def _shadow(
    feature: str, tally: Tally, decided: dict[str, int], quality: Quality | None
) -> Iterator[Suggestion]:
    looked, matches = sum(decided.values()), decided.get(MATCH, 0)
    if matches < NOTABLE * looked:
        return
    worth = price(tally, matches)
    finding = (
        f"{share(matches / looked)} of {count(looked)} misses that shadow mode looked at "
        f"({count(matches)}) have an equivalent neighbour"
    )
    if worth is not None:
        finding += f"; served from it, they would have saved about {dollars(worth)} in this span"
    finding += f". {_judged(quality.shadow if quality is not None else None)}"
    yield Suggestion(
        "semantic-on",
        feature,
        finding,
        _verdict(quality),
        "that the matched requests cost as much as the feature's mean call, and the judged ones are like the others; "
        "what audits will cost isn't taken off",
        worth,
    )


def _judged(judged: Judged | None) -> str:
    if judged is None or not judged.audits:
        return "None of these was audited yet."
    return f"Of these, {_wrong(judged)}."


def _wrong(judged: Judged) -> str:
    return f"{count(judged.wrong)} of {count(judged.audits)} audited turned out wrong: {rate(judged.rate)}"


def _verdict(quality: Quality | None) -> str:
    """What shadow mode's audits allow to say about serving."""
    if quality is None or quality.shadow.audits < _FEWEST_AUDITS:
        return f"Let shadow mode run on: {_FEWEST_AUDITS} audits are the least to judge by."
    if quality.budget is None:
        return "Compare the upper bound with the share of wrong hits that you would allow, then set `semantic: on`."
    budget, shown = quality.shadow.rate, f"the budget of {quality.budget:.2%}"
    if budget.high <= quality.budget:
        return f"Set `semantic: on`: even the upper bound is within {shown}."
    if budget.low > quality.budget:
        return f"Leave it in shadow mode: the lower bound is above {shown}."
    return (
        f"Not shown yet to be within {shown}, which the upper bound exceeds: let shadow mode run on. Turned on, "
        "the gateway serves only what clears the budget's threshold."
    )


def _unmatched(figures: Figures, feature: str) -> Iterator[Suggestion]:
    """Requests that the tier couldn't look at, for a reason that can be changed."""
    both: Counter[str] = Counter()
    for mode in ("shadow", "on"):
        both.update(_decided(figures, feature, mode))
    total = both.total()
    for reason, (cause, advice) in _UNMATCHED.items():
        number = both[reason]
        if number >= FEWEST and number >= NOTABLE * total:
            yield Suggestion(
                f"unmatched-{reason}",
                feature,
                f"{count(number)} of {count(total)} misses ({share(number / total)}) weren't looked up semantically: "
                f"{cause}.",
                advice,
            )


def of_audits(figures: Figures) -> Iterator[Suggestion]:
    """Hits that were served, against the promise."""
    if figures.qualities is None:
        return
    audited = {one.feature for one in figures.qualities if one.hits.audits}
    for feature, tally in figures.features.items():
        served = tally.requests("semantic", "semantic-joined")
        if served >= FEWEST and feature not in audited:
            yield Suggestion(
                "unaudited",
                feature,
                f"None of {count(served)} semantic hits was audited: nobody knows how many are wrong.",
                "Set `audit_share`, and see `askonce_audits_dropped_total` for why audits end without a verdict.",
            )
    for quality in figures.qualities:
        hits, budget = quality.hits, quality.budget
        if budget is None or not hits.audits:
            continue
        if hits.rate.low > budget:
            yield Suggestion(
                "budget-exceeded",
                quality.feature,
                f"Of its semantic hits, {_wrong(hits)}. The lower bound is above the budget of {budget:.2%}.",
                "See `GET /admin/budgets` and the latest wrong ones in `GET /admin/audits`; a stricter "
                "`error_budget` raises the threshold.",
            )


def _decided(figures: Figures, feature: str, mode: str) -> dict[str, int]:
    """A feature's decisions in a mode, by reason."""
    return {key[2]: number for key, number in figures.decisions.items() if key[:2] == (feature, mode)}
