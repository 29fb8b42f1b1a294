"""Proposals as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.evaluation.report import table
from askonce.evaluation.tuning import FEWEST_AUDITS, recommended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.evaluation.request_log import Replay
    from askonce.evaluation.tuning import FeatureAdvice, Proposal, Proposed
    from askonce.matching.bounds import Interval

__all__ = ["advice_json", "advice_text", "replay_json", "replay_text"]

_NOTHING = 2.0


def advice_json(advice: FeatureAdvice, present: Mapping[str, float]) -> dict[str, Any]:
    """A feature's proposals; rates are in [0, 1] with their bounds, null where nothing is known.

    Args:
        advice: The feature's.
        present: Configured budgets by feature; empty where no configuration was given.
    """
    return {
        "audits": advice.audits,
        "audits_left_out": advice.others,
        "days": advice.days,
        "error_budget": present.get(advice.feature),
        "recommended": recommended(advice.proposals),
        "budgets": {f"{each.budget:g}": _proposal_json(each) for each in advice.proposals},
    }


def advice_text(advice: FeatureAdvice, present: Mapping[str, float]) -> Iterator[str]:
    """The same as lines of text."""
    yield f"{advice.feature}: {advice.audits} audits over {advice.days:.1f} days, {advice.others} left out"
    if not advice.proposals:
        yield f"  too few for a proposal: {FEWEST_AUDITS} are needed; shadow mode makes one of each candidate\n"
        return
    rows = [
        [
            "error budget",
            "hits of candidates",
            "hits of requests",
            "wrong among hits",
            "hits a day",
            "USD a day",
        ]
    ]
    rows += [
        [
            f"{each.budget:.2%}",
            _share(each.hit_rate),
            _share(each.hit_rate_of_requests),
            _share(each.wrong_among_hits) if each.hit_rate.estimate else "-",
            _amount(each.hits_per_day, 0),
            _amount(each.saving_usd_per_day, 2),
        ]
        for each in advice.proposals
    ]
    yield from table(rows)
    yield _conclusion(advice.proposals, present.get(advice.feature)) + "\n"


def replay_json(replay: Replay, present: Mapping[str, float]) -> dict[str, Any]:
    """A feature's replayed log; rates are in [0, 1] with their bounds, null where nothing is known."""
    return {
        "questions": replay.questions,
        "repeats": replay.repeats,
        "cost_usd": replay.cost_usd,
        "error_budget": present.get(replay.feature),
        "recommended": recommended(replay.proposals),
        "budgets": {
            f"{each.budget:g}": {
                "hit_rate": _interval(each.hit_rate),
                "wrong_among_hits": _interval(each.wrong_among_hits) if each.hit_rate.estimate else None,
                "saving_usd": _interval(each.saving_usd),
            }
            for each in replay.proposals
        },
    }


def replay_text(replay: Replay, present: Mapping[str, float]) -> Iterator[str]:
    """The same as lines of text."""
    cost = "" if replay.cost_usd is None else f", which cost {replay.cost_usd:,.2f} USD"
    yield (
        f"{replay.feature}: {replay.questions} different texts{cost}; "
        f"{replay.repeats} repeated ones left to the exact tier"
    )
    rows = [["error budget", "hits", "wrong among hits", "USD saved"]]
    rows += [
        [
            f"{each.budget:.2%}",
            _share(each.hit_rate),
            _share(each.wrong_among_hits) if each.hit_rate.estimate else "-",
            _amount(each.saving_usd, 2),
        ]
        for each in replay.proposals
    ]
    yield from table(rows)
    yield _conclusion(replay.proposals, present.get(replay.feature)) + "\n"


def _conclusion(proposals: Sequence[Proposed], present: float | None) -> str:
    best = recommended(proposals)
    now = "" if present is None else f" (now {present:.2%})"
    if best is None:
        return f"  proposal: no budget serves anything yet{now}; leave it in shadow mode"
    return f"  proposal: error_budget: {best:.2%}{now}, the strictest that keeps four fifths of the most hits"


def _proposal_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "threshold": proposal.threshold if proposal.threshold < _NOTHING else None,
        "hit_rate": _interval(proposal.hit_rate),
        "hit_rate_of_requests": _interval(proposal.hit_rate_of_requests),
        "wrong_among_hits": _interval(proposal.wrong_among_hits) if proposal.hit_rate.estimate else None,
        "hits_per_day": _interval(proposal.hits_per_day),
        "saving_usd_per_day": _interval(proposal.saving_usd_per_day),
    }


def _interval(value: Interval | None) -> dict[str, float] | None:
    return None if value is None else value._asdict()


def _share(value: Interval | None) -> str:
    return "-" if value is None else f"{value.estimate:.1%} ({value.low:.1%} to {value.high:.1%})"


def _amount(value: Interval | None, digits: int) -> str:
    if value is None:
        return "-"
    estimate, low, high = (f"{bound:,.{digits}f}" for bound in value)
    return f"{estimate} ({low} to {high})"
