"""What each error budget would have come to on a log of requests: the log replayed through the tier, feature by feature."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from askonce.evaluation.baselines import play_together
from askonce.evaluation.questions import vectors_of
from askonce.evaluation.sets import BadFile, rows_of
from askonce.matching.bounds import Interval, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from askonce.evaluation.embeddings import Embeddings
    from askonce.evaluation.sets import Row
    from askonce.evaluation.streams import Policy
    from askonce.evaluation.traffic import Tier

__all__ = ["FeatureLog", "Replay", "Replayed", "read_log", "replay"]

_ENDING = " .!"


class FeatureLog(NamedTuple):
    """A feature's requests in order of arrival.

    Attributes:
        feature: Its name.
        texts: What was asked, each text once: n of them.
        answers: What tells right answers apart, n of them.
        costs_usd: What each answer cost, NaN where the log doesn't say, (n,).
        repeats: Requests left out because the same text came before: the exact tier answers those.
    """

    feature: str
    texts: Sequence[str]
    answers: Sequence[str]
    costs_usd: NDArray[np.float64]
    repeats: int


class Replayed(NamedTuple):
    """What a budget came to.

    Attributes:
        budget: Largest share of wrong hits.
        hit_rate: Semantic hits among the different texts.
        wrong_among_hits: Wrong ones among those; from 0 to 1 where there was no hit.
        saving_usd: What the hits would have cost, less those that were asked upstream all the same, for audits; None
            where the log gives no costs.
    """

    budget: float
    hit_rate: Interval
    wrong_among_hits: Interval
    saving_usd: Interval | None


class Replay(NamedTuple):
    """A feature's log at each budget; `cost_usd` is what all its different texts cost, None where nothing is known."""

    feature: str
    questions: int
    repeats: int
    cost_usd: float | None
    proposals: Sequence[Replayed]


def read_log(path: Path) -> list[FeatureLog]:
    """A log's features by name: JSON lines with `text`, `intent` or `answer`, and maybe `feature` and `cost` (USD).

    Answers count as the same where they are equal but for case, spacing and a closing mark; intents where they are equal.

    Raises:
        BadFile: With the line that is wrong, or where the file has no request.
    """
    rows: defaultdict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for number, row in rows_of(path):
        feature = row.get("feature", "default")
        text, answer, cost = row.get("text"), _answer(row), row.get("cost")
        if not isinstance(feature, str) or not isinstance(text, str):
            raise BadFile(path, number, '"text" must be a text, and "feature" one where it is given')
        if answer is None:
            raise BadFile(path, number, 'needs "answer" or "intent", a text')
        if cost is not None and (
            isinstance(cost, bool) or not isinstance(cost, int | float) or not cost >= 0
        ):
            raise BadFile(path, number, '"cost" must be a number of US dollars')
        rows[feature].append((text, answer, float("nan") if cost is None else float(cost)))
    if not rows:
        raise BadFile(path, None, "has no request")
    return [_log(feature, rows[feature]) for feature in sorted(rows)]


async def replay(
    log: FeatureLog,
    embeddings: Embeddings,
    tier: Tier,
    advance: Callable[[int], None] = lambda _: None,
    confidence: float = 0.95,
) -> Replay:
    """Plays a feature's log at each budget of the tier, every time from an empty store.

    Args:
        log: The feature's.
        embeddings: Of one embedder.
        tier: askonce under test.
        advance: Told how many requests were played since it was last told.
        confidence: Of each bound.

    Raises:
        EmbedderUnavailable: The embedder can't load.
    """
    questions = await embeddings.questions(log.texts)
    _, answers = np.unique(np.array(log.answers), return_inverse=True)
    witnesses = [_Witness(tier.policy(questions, budget), answers) for budget in tier.budgets]
    play_together(vectors_of(questions), answers.astype(np.int64), witnesses, advance)
    known = ~np.isnan(log.costs_usd)
    mean = float(log.costs_usd[known].mean()) if known.any() else None
    total = None if mean is None else mean * len(log.texts)
    proposals = [
        _replayed(budget, witness, mean, confidence)
        for budget, witness in zip(tier.budgets, witnesses, strict=True)
    ]
    return Replay(log.feature, len(log.texts), log.repeats, total, proposals)


class _Witness:
    """Notes what became of each request."""

    def __init__(self, policy: Policy, answers: NDArray[np.intp]) -> None:
        self._policy = policy
        self._right = answers
        self.hits = np.zeros(len(answers), np.bool_)
        self.wrong = np.zeros(len(answers), np.bool_)
        self.audited = np.zeros(len(answers), np.bool_)

    def answer(self, place: int, similarities: NDArray[np.float32], fresh: Callable[[], int]) -> int | None:
        """See `streams.Policy.answer`."""

        def noted() -> int:
            self.audited[place] = True
            return fresh()

        served = self._policy.answer(place, similarities, noted)
        self.hits[place] = served is not None
        self.wrong[place] = served is not None and served != self._right[place]
        return served


def _replayed(budget: float, witness: _Witness, mean_usd: float | None, confidence: float) -> Replayed:
    level = np.ones(len(witness.hits))
    hits = witness.hits
    saved = (hits & ~witness.audited).astype(np.float64)
    saving = None
    if mean_usd is not None:
        factor = mean_usd * len(hits)
        saving = Interval(*(bound * factor for bound in interval(saved, level, level, confidence)))
    return Replayed(
        budget,
        interval(hits.astype(np.float64), level, level, confidence),
        interval(witness.wrong[hits].astype(np.float64), level[hits], level[hits], confidence),
        saving,
    )


def _answer(row: Row) -> str | None:
    """What tells right answers apart; None where the row doesn't say."""
    intent, answer = row.get("intent"), row.get("answer")
    if isinstance(intent, str):
        return intent
    return " ".join(answer.casefold().split()).rstrip(_ENDING) if isinstance(answer, str) else None


def _log(feature: str, rows: Sequence[tuple[str, str, float]]) -> FeatureLog:
    first: dict[str, tuple[str, float]] = {}
    for text, answer, cost in rows:
        first.setdefault(text, (answer, cost))
    answers = [answer for answer, _ in first.values()]
    costs = np.array([cost for _, cost in first.values()])
    return FeatureLog(feature, list(first), answers, costs, len(rows) - len(first))
