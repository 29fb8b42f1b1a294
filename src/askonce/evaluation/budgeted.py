"""The gateway's semantic tier in small, for streams: evidence, calibration, budget, audits, classes and records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from askonce.evaluation.streams import play
from askonce.matching.budget import NEVER, Budget, Traffic, audit_share, settle
from askonce.matching.calibration import Calibration, Label, Source, refit
from askonce.matching.neighbourhood import Near, Neighbourhood, Record, neighbourhood

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.streams import Stream
    from askonce.matching.budget import Setting
    from askonce.matching.calibration import Evidence

__all__ = ["BudgetedPolicy", "Eyes", "Known", "NeighbourEyes", "Rules", "train"]

_NEAREST: Final = 10
_FIRST_SETTLE: Final = 50
_GROWTH: Final = 1.12
"""Settle again when there are this many times as many labels."""
_SECONDS: Final = 600.0
"""Between two questions."""
_EVEN: Final = 0.5
_OPINIONS: Final = 2
_TRAINING_AUDITS: Final = 0.3
_LABELLED: Final = 3
_ROUNDS: Final = 2
_TRAINING_THRESHOLDS: Final = (NEVER, 0.98, 0.95, 0.9)
_UNHEARD: Final = Record()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a policy is told.

    Attributes:
        calibration: The shipped last layer, over `Neighbourhood`.
        budget: None for a fixed threshold.
        threshold: Where there is no budget: serve from this probability on.
        judge_error: Share of verdicts that come out wrong.
        seed: Of audits and of the judge's errors.
        audits: Share of hits to audit in the long run.
        labelled: Candidates to label of each question that is asked afresh: more than the best one to train on.
    """

    calibration: Calibration
    budget: Budget | None
    threshold: float = NEVER
    judge_error: float = 0.0
    seed: int = 0
    audits: float = 0.02
    labelled: int = 1


class Known(NamedTuple):
    """A stored question near the asked one: its place in the stream, its answer's class and what audits said of that."""

    place: int
    similarity: float
    answer: int
    record: Record


class Eyes(Protocol):
    """What looks at questions: where the evidence comes from."""

    def weigh(self, place: int, near: Sequence[Known]) -> list[Evidence | None]:
        """The evidence on each of the nearest stored questions, nearest first; None for one that may not answer.

        Args:
            place: The asked question's place in the stream.
            near: At least one.
        """
        ...

    def bar(self, place: int, threshold: float) -> float:
        """What the probability has to reach for this question."""
        ...

    def stored(self, place: int) -> None:
        """A question was asked afresh, and is stored."""
        ...


class NeighbourEyes:
    """Neighbours' similarities, votes and records alone; `Neighbourhood` is the evidence."""

    def weigh(self, place: int, near: Sequence[Known]) -> list[Evidence | None]:  # noqa: ARG002 - whatever is asked
        """See `Eyes.weigh`."""
        nears = [Near(one.similarity, 0.0, one.answer.to_bytes(4, "big"), one.record) for one in near]
        return list(np.array(neighbourhood(nears), np.float32))

    def bar(self, place: int, threshold: float) -> float:  # noqa: ARG002 - whatever is asked
        """The same for all."""
        return threshold

    def stored(self, place: int) -> None:
        """Nothing is kept."""


class _Best(NamedTuple):
    """The best candidate: its answer's class, its evidence and its probability."""

    answer: int
    evidence: Evidence
    probability: float


class BudgetedPolicy:
    """A cache for one partition. A class is numbered by the stored question whose answer stands for it.

    Args:
        rules: What it is told.
        length: Of the stream.
        eyes: What looks at the questions; None for their neighbours alone.

    Attributes:
        rules: What it was told.
        labels: What it learned.
        setting: How it serves, once there are labels.
        breaches: How often the budget was found breached.
    """

    def __init__(self, rules: Rules, length: int, eyes: Eyes | None = None) -> None:
        self.rules = rules
        self._eyes = NeighbourEyes() if eyes is None else eyes
        self.labels: list[Label] = []
        self.setting: Setting | None = None
        self.breaches = 0
        self._random = np.random.default_rng(rules.seed)
        self._places = np.empty(length, np.int64)
        self._classes = np.empty(length, np.int64)
        self._answers = np.empty(length, np.int64)
        self._records: dict[int, Record] = {}
        self._stored = 0
        self._requests = 0
        self._hits = 0
        self._settle_at = 0
        self._calibration = self.rules.calibration
        self._threshold = self.rules.threshold
        self._breached_at: float | None = None

    def answer(self, place: int, similarities: NDArray[np.float32], fresh: Callable[[], int]) -> int | None:
        """See `streams.Policy.answer`."""
        self._requests += 1
        ranked = self._ranked(self._nearest(similarities), similarities)
        bar = self._eyes.bar(place, self._threshold) if ranked else self._threshold
        served = ranked[0] if ranked and ranked[0].probability >= bar else None
        propensity = 1.0
        if served is not None:
            propensity = audit_share(self.rules.audits, self._hits)
            self._hits += 1
        if served is None or self._random.random() < propensity:
            self._learn(place, fresh(), ranked, propensity, served)
            self._settle(place)
        return None if served is None else int(self._answers[served.answer])

    def _nearest(self, similarities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Rows of the nearest stored questions, nearest first."""
        near = similarities[self._places[: self._stored]]
        rows = (
            np.argpartition(-near, _NEAREST)[:_NEAREST]
            if self._stored > _NEAREST
            else np.arange(self._stored)
        )
        return rows[np.argsort(-near[rows], kind="stable")]

    def _ranked(self, rows: NDArray[np.int64], similarities: NDArray[np.float32]) -> list[_Best]:
        """The best candidate of each class, most probable first."""
        if not len(rows):
            return []
        places, classes = self._places[rows], self._classes[rows].tolist()
        near = [
            Known(place, similarity, answer, self._records.get(answer, _UNHEARD))
            for place, similarity, answer in zip(
                places.tolist(), similarities[places].tolist(), classes, strict=True
            )
        ]
        weighed = zip(classes, self._eyes.weigh(len(similarities), near), strict=True)
        able = [(answer, evidence) for answer, evidence in weighed if evidence is not None]
        if not able:
            return []
        chances = self._calibration.probabilities(np.stack([evidence for _, evidence in able]))
        ranked: dict[int, _Best] = {}
        for rank in np.argsort(-chances, kind="stable").tolist():
            answer, evidence = able[rank]
            ranked.setdefault(answer, _Best(answer, evidence, float(chances[rank])))
        return list(ranked.values())

    def _judge(self, truth: int, candidate: _Best) -> bool:
        """Whether the fresh answer is the candidate's, by a judge who errs at times: surprises need a second opinion."""
        same = bool(self._answers[candidate.answer] == truth)
        expected = candidate.probability >= _EVEN
        for _ in range(_OPINIONS):
            if (same != (self._random.random() < self.rules.judge_error)) == expected:
                return expected
        return not expected

    def _learn(
        self, place: int, truth: int, ranked: list[_Best], propensity: float, served: _Best | None
    ) -> None:
        """Labels the best candidates by a fresh answer, and stores that under the class that it turned out to have."""
        verdicts = [self._judge(truth, candidate) for candidate in ranked]
        for candidate, right in list(zip(ranked, verdicts, strict=True))[: self.rules.labelled]:
            source = Source.MISS if served is None else Source.AUDIT
            at = place * _SECONDS
            self.labels.append(Label(candidate.evidence, right, propensity, at, candidate is served, source))
        for candidate, right in zip(ranked, verdicts, strict=True):
            record = self._records.get(candidate.answer, _UNHEARD)
            self._records[candidate.answer] = record.after(right=right, probability=candidate.probability)
        self._store(
            place, truth, next((one.answer for one, same in zip(ranked, verdicts, strict=True) if same), None)
        )

    def _store(self, place: int, truth: int, joined: int | None) -> None:
        """Keeps a fresh answer, under the class that it was found to belong to, else under its own."""
        row = self._stored
        self._places[row], self._answers[row] = place, truth
        self._classes[row] = row if joined is None else joined
        self._stored += 1
        self._eyes.stored(place)

    def _settle(self, place: int) -> None:
        if self.rules.budget is None or len(self.labels) < self._settle_at:
            return
        self._settle_at = max(_FIRST_SETTLE, int(_GROWTH * len(self.labels)))
        now = place * _SECONDS
        setting = settle(
            self.rules.calibration,
            self.labels,
            self.rules.budget,
            traffic=Traffic(self._requests, self._hits),
            now=now,
            breached_at=self._breached_at,
        )
        if setting.breached and self._breached_at is None:
            self._breached_at = now
            self.breaches += 1
        elif not setting.breached:
            self._breached_at = None
        self.setting, self._calibration, self._threshold = setting, setting.calibration, setting.threshold


def train(streams: Sequence[Stream]) -> Calibration:
    """The last layer for `Neighbourhood`, from streams of another data set than it will serve.

    The first round follows the vote alone; the second is played by its result, at thresholds from one that serves
    hardly anything on, since what is stored depends on what was served.
    """
    width = len(Neighbourhood._fields)
    weights = np.zeros(width)
    weights[Neighbourhood._fields.index("vote")] = 1.0
    calibration = Calibration(weights, 0.0)
    for _ in range(_ROUNDS):
        labels: list[Label] = []
        for number, stream in enumerate(streams):
            threshold = _TRAINING_THRESHOLDS[number % len(_TRAINING_THRESHOLDS)]
            rules = Rules(
                calibration, None, threshold, seed=number, audits=_TRAINING_AUDITS, labelled=_LABELLED
            )
            policy = BudgetedPolicy(rules, len(stream.answers))
            play(stream, policy)
            labels.extend(policy.labels)
        calibration = refit(Calibration(np.zeros(width), 0.0), labels).calibration
    return calibration
