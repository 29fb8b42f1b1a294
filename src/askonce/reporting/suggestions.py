"""What to change, derived from figures: each with its numbers, and with what it assumes.

A suggestion is made only where enough happened to carry it, and is worth only what the books can show. A feature's
savings in shadow mode are its would-be hits at the mean price of its calls, of this span alone: nothing is scaled up.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.reporting.wording import count, dollars, rate, share

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from askonce.reporting.figures import Figures, Tally
    from askonce.reporting.quality import Judged, Quality

__all__ = ["Suggestion", "suggest"]

_FEWEST: Final = 100
"""Requests or decisions below which nothing is said."""
_FEWEST_AUDITS: Final = 50
"""Audits below which a rate says too little."""
_NOTABLE: Final = 0.05
"""A share below that isn't worth a change."""
_MATCH: Final = "match"
_BATCH_LANE: Final = "batch-lane"
_BYPASSED: Final = {
    "high-temperature": (
        "their temperature is above `max_temperature`",
        "Raise `max_temperature` where answers needn't vary; callers may as well send a lower temperature.",
    ),
    "no-store": ("they say `Cache-Control: no-store`", "Drop the header where answers may be kept."),
    "no-tenant": ("they carry no credential that tells whose they are", "Give callers keys."),
    "no-user": (
        "they name no `user`, and the feature's `scope` is `user`",
        "Send `user`, or widen the scope where users may share answers.",
    ),
}
"""Why requests shared nothing, and what to do about it."""
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


class Suggestion(NamedTuple):
    """One thing to change or to look into.

    Attributes:
        code: What kind it is.
        subject: The feature or the model that it is about.
        finding: What the figures show, in a sentence.
        advice: What to do, in a sentence.
        assumes: What has to be true for the finding's estimate to hold; "" where nothing is estimated.
        worth_nanousd: What it would have saved in this span, an estimate; None where that can't be said.
    """

    code: str
    subject: str
    finding: str
    advice: str
    assumes: str = ""
    worth_nanousd: int | None = None


def suggest(figures: Figures, serving: Collection[str] = ()) -> tuple[Suggestion, ...]:
    """Everything that the figures suggest, what is worth most first.

    Args:
        figures: What they are derived from.
        serving: Features that are known to have semantic matching turned on.
    """
    found = [*_matching(figures, serving), *_judging(figures), *_reasons(figures), *_accounting(figures)]
    return tuple(sorted(found, key=lambda one: -(one.worth_nanousd or 0)))


def _matching(figures: Figures, serving: Collection[str]) -> Iterator[Suggestion]:
    """What shadow mode has seen, and where nothing looks."""
    qualities = {one.feature: one for one in figures.qualities or ()}
    kept = figures.terms.where.keys() <= {"feature"}
    for feature, tally in figures.features.items():
        decided = _decided(figures, feature, "shadow")
        if sum(decided.values()) >= _FEWEST:
            if feature in serving or _decided(figures, feature, "on"):
                yield _shadowed(feature, sum(decided.values()))
            else:
                yield from _shadow(feature, tally, decided, qualities.get(feature))
        fresh = tally.requests("fresh") - figures.reasons.get((feature, "fresh", _BATCH_LANE), 0)
        if kept and fresh >= _FEWEST and not any(key[0] == feature for key in figures.decisions):
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
    looked, matches = sum(decided.values()), decided.get(_MATCH, 0)
    if matches < _NOTABLE * looked:
        return
    worth = _price(tally, matches)
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
        if number >= _FEWEST and number >= _NOTABLE * total:
            yield Suggestion(
                f"unmatched-{reason}",
                feature,
                f"{count(number)} of {count(total)} misses ({share(number / total)}) weren't looked up semantically: "
                f"{cause}.",
                advice,
            )


def _judging(figures: Figures) -> Iterator[Suggestion]:
    """Hits that were served, against the promise."""
    if figures.qualities is None:
        return
    audited = {one.feature for one in figures.qualities if one.hits.audits}
    for feature, tally in figures.features.items():
        served = tally.requests("semantic", "semantic-joined")
        if served >= _FEWEST and feature not in audited:
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


def _reasons(figures: Figures) -> Iterator[Suggestion]:
    """Requests that were kept from sharing, or refused."""
    for feature, tally in figures.features.items():
        fresh, again = tally.requests("fresh"), figures.repeats.get(feature, 0)
        if again >= _FEWEST and again >= _NOTABLE * fresh:
            yield _expired(feature, again, fresh, _price(tally, again))
    for (feature, outcome, reason), number in sorted(figures.reasons.items()):
        total = figures.features[feature].sums.requests if feature in figures.features else 0
        if number < _FEWEST or number < _NOTABLE * total:
            continue
        of_all = (
            f"{count(number)} of {count(total)} requests ({share(number / total)})"
            if total
            else count(number)
        )
        if outcome == "bypass" and reason in _BYPASSED:
            cause, advice = _BYPASSED[reason]
            yield Suggestion(f"bypass-{reason}", feature, f"{of_all} bypassed every cache: {cause}.", advice)
        elif outcome == "refused":
            yield Suggestion(
                f"refused-{reason}",
                feature,
                f"{of_all} were refused with `{reason}`.",
                "Find out who sends them: logs have the request ids, metrics the tenants.",
            )
        elif outcome == "fresh" and reason == "no-cache":
            yield Suggestion(
                "no-cache",
                feature,
                f"{of_all} asked for a fresh answer with `Cache-Control: no-cache`.",
                "Drop the header where a stored answer would do; `max-age` allows young ones.",
            )


def _expired(feature: str, again: int, fresh: int, worth: int | None) -> Suggestion:
    cost = (
        ""
        if worth is None
        else f"; kept longer, the earlier ones would have saved up to {dollars(worth)} in this span"
    )
    return Suggestion(
        "ttl",
        feature,
        f"At least {count(again)} of {count(fresh)} fresh answers ({share(again / fresh)}) were to questions that had been "
        f"answered earlier in this span{cost}.",
        "Raise `ttl` where answers stay right for longer.",
        "that the earlier answers had expired, rather than been evicted, forgotten, or not fit to be kept, and that the "
        "repeated requests cost as much as the feature's mean call",
        worth,
    )


def _accounting(figures: Figures) -> Iterator[Suggestion]:
    """What the books don't know."""
    for model, number in figures.unpriced.items():
        yield Suggestion(
            "unpriced",
            model,
            f"{count(number)} requests and calls have no price: they are in no amount of this report.",
            f"Add `{model}` to `prices`.",
        )
    for feature, tally in figures.features.items():
        lost, spent = tally.of("abandoned"), tally.sums.spent_nanousd
        if lost.calls >= _FEWEST and lost.spent_nanousd >= _NOTABLE * spent:
            yield Suggestion(
                "abandoned",
                feature,
                f"{dollars(lost.spent_nanousd)} of {dollars(spent)} went to {count(lost.calls)} calls whose callers had "
                "all left before the end.",
                "A shorter `linger` ends such calls sooner; `linger: finish` keeps their answers for whoever asks next.",
            )
        unsettled = tally.sums.unsettled
        calls = unsettled + tally.sums.calls
        if unsettled >= _FEWEST and unsettled >= _NOTABLE * calls:
            yield Suggestion(
                "unsettled",
                feature,
                f"{count(unsettled)} of {count(calls)} calls ({share(unsettled / calls)}) were cut off before the "
                f"upstream said what they took: about {dollars(tally.sums.unsettled_nanousd)}, which is in no other "
                "amount.",
                "Where callers leave early, `linger: finish` lets calls end, be kept and be accounted for.",
            )


def _decided(figures: Figures, feature: str, mode: str) -> dict[str, int]:
    """A feature's decisions in a mode, by reason."""
    return {key[2]: number for key, number in figures.decisions.items() if key[:2] == (feature, mode)}


def _price(tally: Tally, requests: int) -> int | None:
    """What so many requests cost at the mean of the feature's calls, unpriced ones at nothing; None without any."""
    asked = [tally.of(outcome) for outcome in ("fresh", "joined")]
    calls, spent = sum(one.calls for one in asked), sum(one.spent_nanousd for one in asked)
    return requests * spent // calls if calls and spent else None
