"""The verifier's last layer: from evidence to a probability that holds across kinds of traffic.

Fitted on two kinds of labels. Streams of CLINC150's and BANKING77's training questions, played as the gateway serves
them, say what neighbours and their answers are worth. Single pairs (synthetic ones, edits, written questions) say what the
aligner's log odds are worth where nothing else is known. Each source has the same weight, so that none decides for
the others. Signals and the crowd get no weight here, but for the one that says that the words are the same: what they
mean changes from one kind of traffic to another, and even their sign does. A deployment's own labels may give them one.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scripts.verifier_texts import QUESTIONS, Pair, edited_pairs, grouped_pairs, labelled_pairs, read, written

from askonce.embedders.minilm import FOLDER
from askonce.embedders.onnx import OnnxModel, Projection, read_manifest
from askonce.errors import EmbedderUnavailable
from askonce.evaluation.budgeted import BudgetedPolicy, Rules
from askonce.evaluation.questions import embeddable, vectors_of
from askonce.evaluation.streams import Stream, play
from askonce.evaluation.tier import WordEyes
from askonce.matching.budget import NEVER
from askonce.matching.calibration import Calibration, Label, Source, refit
from askonce.matching.verifier import EVIDENCE, TokenVerifier
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from askonce.evaluation.questions import Embeddable
    from askonce.matching.aligner import Aligner

__all__ = ["last_layer"]

SEED: Final = 12
SAME_WORDS: Final = 3.0
"""Log odds for the same words but for case, punctuation and politeness, where no guard objects: of such pairs in the
training data (PAWS-Wiki's and the synthetic ones) 5,499 of 5,520 have the same answer."""
CLOSENESS: Final = 0.5
"""The aligner's log odds gain by this much of the closeness: similarity is a voice of its own, but a layer that is left
to choose plays similarities off against each other."""
WEIGHED: Final = (
    "pair_logit",
    "pair_margin",
    "margin",
    "mean_margin",
    "vote",
    "share",
    "unanimous",
    "scarce",
    "right",
    "wrong",
    "suspect",
)
"""Evidence with a weight; the closeness goes with the first two."""
THRESHOLDS: Final = (NEVER, 0.97, 0.9)
STREAM_LENGTH: Final = 2_500
PAIRS: Final = 3_000
ROUNDS: Final = 2
LABELLED: Final = 3
AUDITS: Final = 0.3
MOST_WEIGHT: Final = 10.0


def last_layer(data: Path, aligner: Aligner) -> dict[str, NDArray[Any]]:
    """Arrays of the packaged file beside the aligner's: `evidence`, `weights`, `bias`."""
    rng = random.Random(SEED)  # noqa: S311 - a training run, not a secret
    read_by = _Reader(aligner)
    pairs = {
        "synthetic": labelled_pairs(data, "synthetic", "test"),
        "edits": edited_pairs(written(data, rng), rng),
        "questions": grouped_pairs(QUESTIONS, apart=True),
    }
    fixed = {
        name: read_by.pair_labels(rng.sample(some, min(PAIRS, len(some))), rng)
        for name, some in pairs.items()
    }
    streams = {
        name: read_by.streams(read(data / "intents" / f"{name}_train.jsonl"), rng)
        for name in ("clinc150", "banking77")
    }
    weights = np.zeros(len(EVIDENCE))
    weights[EVIDENCE.index("pair_logit")] = weights[EVIDENCE.index("closeness")] = 1.0
    calibration = Calibration(weights, -3.0)
    for _ in range(ROUNDS):
        sources = dict(fixed)
        for name, played in streams.items():
            sources[name] = stream_labels(TokenVerifier(aligner, calibration), played)
        calibration = fitted(sources)
    for name in (*WEIGHED, "closeness"):
        print(f"{name:12} {calibration.weights[EVIDENCE.index(name)]:7.3f}")
    return {
        "evidence": np.array(EVIDENCE),
        "weights": calibration.weights,
        "bias": np.array(calibration.bias),
    }


class _Reader:
    """Texts as the gateway's embedder gives them."""

    def __init__(self, aligner: Aligner) -> None:
        self._model = OnnxModel(FOLDER, read_manifest(FOLDER), Projection(aligner.project, "training"))
        self._verifier = TokenVerifier(aligner, Calibration(np.zeros(len(EVIDENCE)), 0.0))

    def pair_labels(self, pairs: Sequence[Pair], rng: random.Random) -> list[Label]:
        """Labels of candidates that stand alone."""
        labels = []
        nothing = Vocabulary()
        for pair in pairs:
            one, other = self._question(pair.one), self._question(pair.other)
            if one is None or other is None:
                continue
            (judged,) = self._verifier.judge(one.asked(), [other.candidate(one, b"stored")], nothing)
            if not judged.veto:
                labels.append(_label(judged.evidence, rng.random() < pair.same))
        return labels

    def streams(
        self, rows: Sequence[dict[str, Any]], rng: random.Random
    ) -> list[tuple[list[Embeddable], Stream]]:
        """A stream of questions for each threshold."""
        made = []
        for _ in THRESHOLDS:
            drawn = [(self._question(row["t"]), row["c"]) for row in rng.sample(rows, STREAM_LENGTH)]
            known = [(question, intent) for question, intent in drawn if question is not None]
            questions = [question for question, _ in known]
            answers = np.unique([intent for _, intent in known], return_inverse=True)[1].astype(np.int64)
            vectors = vectors_of(questions)
            made.append((questions, Stream(vectors @ vectors.T, answers)))
        return made

    def _question(self, text: str) -> Embeddable | None:
        try:
            return embeddable(text, self._model.embed(text))
        except EmbedderUnavailable:
            return None


def stream_labels(verifier: TokenVerifier, streams: Sequence[tuple[list[Embeddable], Stream]]) -> list[Label]:
    """What streams teach at thresholds from one that serves nothing on: what is stored depends on what was served."""
    labels: list[Label] = []
    for number, (threshold, (questions, stream)) in enumerate(zip(THRESHOLDS, streams, strict=True)):
        rules = Rules(verifier.calibration, None, threshold, seed=number, audits=AUDITS, labelled=LABELLED)
        policy = BudgetedPolicy(rules, len(questions), WordEyes(questions, verifier, strict=False))
        print(threshold, play(stream, policy), flush=True)
        labels += [_label(label.evidence, label.right, 1.0 / label.propensity) for label in policy.labels]
    return labels


def _label(evidence: NDArray[np.float32], right: bool, weight: float = 1.0) -> Label:  # noqa: FBT001 - a label's own
    """A label over what is weighed."""
    weighed = evidence[[EVIDENCE.index(name) for name in WEIGHED]]
    weighed[:2] += CLOSENESS * evidence[EVIDENCE.index("closeness")]
    return Label(weighed, right, 1.0 / min(weight, MOST_WEIGHT), 0.0, served=False, source=Source.MISS)


def fitted(sources: dict[str, list[Label]]) -> Calibration:
    """A logistic layer over all labels, each source with the same weight."""
    totals = {name: sum(1 / label.propensity for label in labels) for name, labels in sources.items()}
    most = max(totals.values())
    rng = random.Random(SEED)  # noqa: S311 - a training run, not a secret
    labels = [
        Label(
            label.evidence,
            label.right,
            label.propensity / min(MOST_WEIGHT, most / totals[name]),
            rng.random(),
            label.served,
            label.source,
        )
        for name, some in sources.items()
        for label in some
    ]
    print(
        {
            name: (len(some), round(np.mean([each.right for each in some]), 3))
            for name, some in sources.items()
        }
    )
    layer = refit(Calibration(np.zeros(len(WEIGHED)), 0.0), labels).calibration
    weights = np.zeros(len(EVIDENCE))
    weights[[EVIDENCE.index(name) for name in WEIGHED]] = layer.weights
    weights[EVIDENCE.index("signal_same")] = SAME_WORDS
    weights[EVIDENCE.index("closeness")] = CLOSENESS * layer.weights[:2].sum()
    return Calibration(weights, layer.bias)
