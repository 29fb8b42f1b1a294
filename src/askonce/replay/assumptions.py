"""What an estimate rests on, in sentences: in every form of every report."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from askonce.replay.estimate import EXACT_HIT_S, SEMANTIC_HIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.reading import Reading
    from askonce.replay.study import Study

__all__ = ["Circumstances", "assumptions"]


class Circumstances(NamedTuple):
    """How a study came about.

    Attributes:
        configuration: The configuration's file; "" where defaults were taken.
        shadowed: Features that the configuration only shadows.
        unavailable: Why there is no semantic tier; "" where there is.
    """

    configuration: str
    shadowed: Sequence[str]
    unavailable: str


def assumptions(study: Study, reading: Reading, around: Circumstances) -> list[str]:
    """All of them, the weightiest first."""
    return [*_of_log(study, reading), *_of_gateway(study, around), *_of_meaning(study, around)]


def _of_log(study: Study, reading: Reading) -> Iterator[str]:
    known, latency = study.traffic.known, study.traffic.latency
    if reading.bad:
        yield f"{reading.bad:,} lines of the log are no requests that the gateway would take, and count nowhere."
    if known["usage"] < 1:
        yield (
            f"{1 - known['usage']:.1%} of requests have no token counts: prompts are taken as bytes / 4, answers as bytes / 4 "
            "where the log has them, else as long as the others' mean (200 tokens where there is none)."
        )
    yield "Dollars are the price table's (the configuration's first), at list price without provider discounts."
    if known["duration"] < 1:
        pace = f" and {latency.tokens_per_s:.0f} tokens/s" if isfinite(latency.tokens_per_s) else ""
        yield (
            f"{1 - known['duration']:.1%} of requests have no duration: {latency.first_token_s:.2f} s{pace} are taken "
            f"({latency.basis})."
        )
    if known["tenant"] < 1:
        yield f"{1 - known['tenant']:.1%} of requests name no tenant: they are taken as one tenant's, which shares more."


def _of_gateway(study: Study, around: Circumstances) -> Iterator[str]:
    if not around.configuration:
        yield "Policies are the defaults with the semantic tier on; pass yours with -c."
    others = 1 - study.traffic.known["feature"]
    if others and around.configuration:
        yield (
            f"{others:.1%} of requests name a feature that the configuration doesn't have, or not for their tenant: a gateway would "
            "refuse them (403). They are played as if they had named none."
        )
    elif others:
        yield f"{others:.1%} of requests name a feature beyond the first thousand: they are played as one feature's."
    yield (
        "The store is empty at the beginning and big enough for all. Every successful answer may be kept: logs don't have the "
        "Cache-Control of requests and answers, nor whether an answer was cut short."
    )
    yield "No caller leaves early, and no upstream call fails but those that the log says have failed; these cost nothing."
    yield (
        "No limit refuses anybody, and no request waits for a provider's batch. A joined caller's whole call counts as that caller's "
        "saving, as with `cost_policy: leader`."
    )
    yield "Callers ask when they asked then: who is answered sooner may in fact ask more."
    yield (
        f"A stored answer takes {EXACT_HIT_S * 1e3:.0f} ms, an equivalent one {SEMANTIC_HIT_S * 1e3:.0f} ms; queues before "
        "upstreams are not played, so that what shorter queues save comes on top."
    )
    if study.traffic.unshared:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(study.traffic.unshared.items()))
        yield f"Requests that may share with nobody: {reasons}."


def _of_meaning(study: Study, around: Circumstances) -> Iterator[str]:
    if around.unavailable:
        yield f"The semantic tier is not played: {around.unavailable}"
        return
    if around.shadowed:
        yield f"Features in shadow mode are played as if they were on: {', '.join(around.shadowed)}."
    yield (
        "Audits are as many as `audit_share` has made, each at the semantic hits' mean price: where their daily limit or a missing "
        "`api_key` keeps them from being made, nothing is taken off, but nothing is known of wrong hits either."
    )
    yield (
        "Thresholds are those of the shipped calibration for each error budget. A gateway learns from its audits, and its "
        "thresholds move."
    )
    yield (
        "Wrong semantic hits are to be expected up to the error budget"
        + (
            "; whose answers the log has, their share is counted, from above: answers worded differently count as different."
            if study.traffic.known["answer"]
            else ". The log has no answers, so that neither they nor the margin to other answers is known."
        )
    )
    sample = study.sample
    if sample.taken < sample.questions:
        yield (
            f"The semantic tier is played for {sample.taken:,} of {sample.questions:,} different questions, by whole partitions. "
            "For all others no semantic hit is counted; what to expect of them is given apart, with its error."
        )
