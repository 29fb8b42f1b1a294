"""Logs of requests, replayed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.request_log import FeatureLog, read_log, replay
from askonce.evaluation.traffic import Tier
from askonce.evaluation.tuning import recommended
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import Asked, Candidate, Judgement
from askonce.ports import EmbedderState, Embedding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from askonce.matching.vocabulary import Vocabulary


class _ByTopic:
    """Embeds "topic number" texts near their topic's axis."""

    engine = "topics/1"
    dimensions = 8
    detail = ""
    state = EmbedderState.READY

    def start(self) -> None:
        """Nothing to load."""

    async def ready(self) -> bool:
        return True

    async def embed(self, text: str) -> Embedding:
        topic, number = map(int, text.split())
        noise = np.random.default_rng(number).normal(scale=0.03, size=8)
        vector = np.eye(8)[topic] + noise
        return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), None)

    async def close(self) -> None:
        """Nothing to end."""


class _Nearness:
    calibration = Calibration(np.array([30.0]), -24.0)

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),
    ) -> list[Judgement]:
        assert asked.text
        assert vocabulary.texts
        assert not crowd
        return [Judgement("", "", np.array([each.similarity], np.float32)) for each in candidates]


async def test_a_replay_counts_hits_errors_and_what_they_save() -> None:
    """Nearly everything is a right hit here; what audits ask upstream all the same isn't saved."""
    generator = np.random.default_rng(2)
    topics = generator.integers(0, 6, 600)
    texts = [f"{topic} {number}" for number, topic in enumerate(topics)]
    log = FeatureLog("support", texts, [str(topic) for topic in topics], np.full(600, 0.01), 0)
    tier = Tier(_Nearness(), (0.01, 0.05), -1.0, 0)
    result = await replay(log, Embeddings(_ByTopic()), tier)
    strict, loose = result.proposals
    assert result.cost_usd == pytest.approx(6.0)
    assert loose.hit_rate.estimate > 0.7
    assert loose.hit_rate.low < loose.hit_rate.estimate < loose.hit_rate.high
    assert loose.wrong_among_hits.estimate == 0
    assert loose.saving_usd is not None
    assert 0 < loose.saving_usd.estimate < 6.0 * loose.hit_rate.estimate
    assert recommended(result.proposals) == (
        0.01 if strict.hit_rate.estimate >= 0.8 * loose.hit_rate.estimate else 0.05
    )


def test_answers_that_say_the_same_are_the_same(tmp_path: Path) -> None:
    """Case, spacing and a closing mark aside; an intent goes before an answer."""
    rows = [
        {"text": "a", "answer": "Yes,  of course."},
        {"text": "b", "answer": "yes, of course"},
        {"text": "c", "answer": "No!"},
        {"text": "d", "answer": "whatever", "intent": "Refusal", "feature": "other", "cost": 2},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    default, other = read_log(path)
    assert default.answers[0] == default.answers[1] != default.answers[2]
    assert np.isnan(default.costs_usd).all()
    assert (other.feature, other.answers, other.costs_usd.tolist()) == ("other", ["Refusal"], [2.0])
