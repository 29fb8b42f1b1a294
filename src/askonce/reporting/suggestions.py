"""What to change, derived from figures: each with its numbers, and with what it assumes.

A suggestion is made only where enough happened to carry it, and is worth only what the books can show. A feature's
savings in shadow mode are its would-be hits at the mean price of its calls, of this span alone: nothing is scaled up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.reporting.equivalents import of_audits, of_matching
from askonce.reporting.suggestion import FEWEST, NOTABLE, Suggestion, price
from askonce.reporting.wording import count, dollars, share

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from askonce.reporting.figures import Figures

__all__ = ["Suggestion", "suggest"]

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


def suggest(figures: Figures, serving: Collection[str] = ()) -> tuple[Suggestion, ...]:
    """Everything that the figures suggest, what is worth most first.

    Args:
        figures: What they are derived from.
        serving: Features that are known to have semantic matching turned on.
    """
    found = [*of_matching(figures, serving), *of_audits(figures), *_reasons(figures), *_accounting(figures)]
    return tuple(sorted(found, key=lambda one: -(one.worth_nanousd or 0)))


def _reasons(figures: Figures) -> Iterator[Suggestion]:
    """Requests that were kept from sharing, or refused."""
    for feature, tally in figures.features.items():
        fresh, again = tally.requests("fresh"), figures.repeats.get(feature, 0)
        if again >= FEWEST and again >= NOTABLE * fresh:
            yield _expired(feature, again, fresh, price(tally, again))
    for (feature, outcome, reason), number in sorted(figures.reasons.items()):
        total = figures.features[feature].sums.requests if feature in figures.features else 0
        if number < FEWEST or number < NOTABLE * total:
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
        if lost.calls >= FEWEST and lost.spent_nanousd >= NOTABLE * spent:
            yield Suggestion(
                "abandoned",
                feature,
                f"{dollars(lost.spent_nanousd)} of {dollars(spent)} went to {count(lost.calls)} calls whose callers had "
                "all left before the end.",
                "A shorter `linger` ends such calls sooner; `linger: finish` keeps their answers for whoever asks next.",
            )
        unsettled = tally.sums.unsettled
        calls = unsettled + tally.sums.calls
        if unsettled >= FEWEST and unsettled >= NOTABLE * calls:
            yield Suggestion(
                "unsettled",
                feature,
                f"{count(unsettled)} of {count(calls)} calls ({share(unsettled / calls)}) were cut off before the "
                f"upstream said what they took: about {dollars(tally.sums.unsettled_nanousd)}, which is in no other "
                "amount.",
                "Where callers leave early, `linger: finish` lets calls end, be kept and be accounted for.",
            )
