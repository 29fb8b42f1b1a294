"""The verifier's last layer: from evidence to a calibrated probability, refitted from a deployment's own labels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Audit

__all__ = ["Calibration", "Evidence", "Label", "Refit", "Source", "label_of", "refit", "sigmoid"]

Evidence: TypeAlias = NDArray[np.float32]
"""What the last layer weighs, (n,); n and the meaning of each place are fixed per verifier."""
_Floats: TypeAlias = NDArray[np.float64]

_LARGEST_LOGIT: Final = 30.0
_LARGEST_WEIGHT: Final = 10.0
"""Inverse propensities are cut here in a refit (not in rates): a little bias for much less noise."""
_RIDGES: Final = (4.0, 30.0, 300.0)
"""Pseudo-labels by which each weight is held to the shipped one, tried in turn."""
_ODDS_RIDGE: Final = 2.0
_BLOCKS: Final = 5
_FEWEST: Final = 60
_MARGIN: Final = 1.64
_STEPS: Final = 12
_LONGEST_STEP: Final = 3.0
_CLOSE: Final = 1e-3
_SMALLEST_SCALE: Final = 1e-9


class Source(StrEnum):
    """Where a label came from."""

    AUDIT = "audit"
    """A share of the served hits, asked upstream in the background; the share is the propensity."""
    SHADOW = "shadow"
    """A would-be hit in shadow mode: the fresh answer was there anyway, propensity 1."""
    MISS = "miss"
    """A request in `on` mode whose best candidate was not served: propensity 1."""


_SOURCES: Final = {"hit": Source.AUDIT, "shadow": Source.SHADOW, "miss": Source.MISS}
"""By the words that audits are kept under (`model.Audit.source`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """What became known of one candidate: whether its answer was right for the asked question.

    Attributes:
        evidence: The verifier's evidence at the time, (n,).
        right: Whether the candidate's answer was right.
        propensity: Probability with which this label was going to be made, in (0, 1]; known, not estimated.
        at: Seconds on the caller's wall clock.
        served: Whether the candidate's answer was served.
        source: Where the label came from.
    """

    evidence: Evidence
    right: bool
    propensity: float
    at: float
    served: bool
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A logistic last layer: probability = sigmoid(weights . evidence + bias).

    Attributes:
        weights: (n,).
        bias: Log odds where all evidence is zero.
    """

    weights: _Floats
    bias: float

    def logits(self, evidence: NDArray[np.floating]) -> _Floats:
        """Log odds of each row of (m, n): (m,), within +-30."""
        raw = np.asarray(evidence, np.float64) @ self.weights + self.bias
        return np.clip(raw, -_LARGEST_LOGIT, _LARGEST_LOGIT)

    def probabilities(self, evidence: NDArray[np.floating]) -> _Floats:
        """Probability that the answer is right, for each row of (m, n): (m,)."""
        return sigmoid(self.logits(evidence))

    def probability(self, evidence: Evidence) -> float:
        """Probability that the answer is right, in (0, 1)."""
        return float(self.probabilities(evidence[None, :])[0])


def label_of(audit: Audit, shipped: Calibration) -> Label | None:
    """A kept audit as a label for a last layer of the shape of `shipped`; None where it says nothing to it.

    Feedback never does: whoever speaks up chose to, so that it has no propensity.
    """
    source, evidence = _SOURCES.get(audit.source), audit.evidence
    if source is None or evidence is None or evidence.shape != shipped.weights.shape:
        return None
    if not (np.isfinite(evidence).all() and 0 < audit.propensity <= 1):
        return None
    served = source is Source.AUDIT
    return Label(evidence, audit.right, audit.propensity, audit.at, served, source)


class Refit(NamedTuple):
    """What a refit came to.

    Attributes:
        calibration: The one to use: the refitted one where it proved better, else the shipped one.
        used: Whether that is the refitted one.
        gain: Log loss saved per held-back label, in nats; negative where the refit was worse.
        held_back: Log odds of each label by a calibration that hasn't seen it, (m,), of the kind that is used.
    """

    calibration: Calibration
    used: bool
    gain: float
    held_back: _Floats


def refit(shipped: Calibration, labels: Sequence[Label], recency: _Floats | None = None) -> Refit:
    """Fits the last layer to a deployment's labels, and uses the result only if it predicts held-back labels better.

    The model is logistic in the shipped log odds (slope and intercept, Platt's scaling) and in the evidence itself,
    the latter under a ridge penalty, so that few labels move the odds and many labels move the weights. Labels are
    cut into five blocks by time; each block is predicted from the other four. The refit is used where its log loss
    on those is lower by more than 1.64 standard errors of the difference. A pure function of some milliseconds to
    tenths of seconds: call it off the event loop.

    Args:
        shipped: The calibration that ships with the verifier.
        labels: In any order. Weighted by inverse propensity, cut at ten.
        recency: How much each label still counts, (m,), in (0, 1]; None: all alike.
    """
    if len(labels) < _FEWEST:
        return _unchanged(shipped, labels, 0.0)
    order = np.argsort([label.at for label in labels], kind="stable")
    recency = np.ones(len(labels)) if recency is None else recency
    data = _Data.of(shipped, [labels[place] for place in order], recency[order])
    blocks = np.arange(len(labels)) * _BLOCKS // len(labels)
    before = _losses(data.shipped, data.right)
    best, best_gain, best_logits = 0.0, -np.inf, data.shipped
    for ridge in _RIDGES:
        logits = np.empty(len(labels))
        for block in range(_BLOCKS):
            held = blocks == block
            logits[held] = data.inputs[held] @ data.solve(~held, ridge)
        saved = before - _losses(logits, data.right)
        gain, error = _mean(saved, data.weights)
        if gain - _MARGIN * error > max(0.0, best_gain):
            best, best_gain, best_logits = ridge, gain - _MARGIN * error, logits
    if best == 0.0:
        return _unchanged(shipped, labels, gain)
    held_back = np.empty(len(labels))
    held_back[order] = np.clip(best_logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    gain, _ = _mean(before - _losses(best_logits, data.right), data.weights)
    fitted = data.folded(shipped, data.solve(np.ones(len(labels), bool), best))
    return Refit(fitted, used=True, gain=gain, held_back=held_back)


def sigmoid(logits: _Floats) -> _Floats:
    """1 / (1 + exp(-x)), elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Labels as arrays: `inputs` are the shipped log odds, 1, and the standardised evidence, (m, n + 2)."""

    inputs: _Floats
    right: _Floats
    weights: _Floats
    centre: _Floats
    scale: _Floats

    @classmethod
    def of(cls, shipped: Calibration, labels: Sequence[Label], recency: _Floats) -> _Data:
        evidence = np.stack([label.evidence for label in labels]).astype(np.float64)
        centre, scale = evidence.mean(0), evidence.std(0)
        scale[scale < _SMALLEST_SCALE] = np.inf  # what never varies gets no say
        inputs = np.column_stack(
            (shipped.logits(evidence), np.ones(len(labels)), (evidence - centre) / scale)
        )
        weights = recency * np.minimum([1.0 / label.propensity for label in labels], _LARGEST_WEIGHT)
        return cls(inputs, np.array([label.right for label in labels], np.float64), weights, centre, scale)

    @property
    def shipped(self) -> _Floats:
        return np.asarray(self.inputs[:, 0])

    def solve(self, use: NDArray[np.bool_], ridge: float) -> _Floats:
        """Weighted ridge logistic regression around the shipped calibration, by Newton's method."""
        inputs, right, weights = self.inputs[use], self.right[use], self.weights[use]
        start = np.zeros(inputs.shape[1])
        start[0] = 1.0
        penalty = np.full(inputs.shape[1], ridge)
        penalty[:2] = _ODDS_RIDGE
        solution = start.copy()
        for _ in range(_STEPS):
            chance = sigmoid(np.clip(inputs @ solution, -_LARGEST_LOGIT, _LARGEST_LOGIT))
            slope = inputs.T @ (weights * (chance - right)) + penalty * (solution - start)
            curvature = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs + np.diag(penalty)
            step = np.linalg.solve(curvature, slope)
            solution = solution - step * min(1.0, _LONGEST_STEP / float(np.abs(step).max()))
            if np.abs(step).max() < _CLOSE:
                break
        return solution

    def folded(self, shipped: Calibration, solution: _Floats) -> Calibration:
        """The solution as weights on the raw evidence."""
        own = solution[2:] / self.scale
        bias = solution[0] * shipped.bias + solution[1] - own @ self.centre
        return Calibration(solution[0] * shipped.weights + own, float(bias))


def _unchanged(shipped: Calibration, labels: Sequence[Label], gain: float) -> Refit:
    rows = np.stack([label.evidence for label in labels]) if labels else np.empty((0, len(shipped.weights)))
    return Refit(shipped, used=False, gain=gain, held_back=shipped.logits(rows))


def _losses(logits: _Floats, right: _Floats) -> _Floats:
    """Log loss of each label, in nats."""
    return np.asarray(np.logaddexp(0.0, np.where(right > 0, -logits, logits)))


def _mean(values: _Floats, weights: _Floats) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    total = weights.sum()
    mean = float(weights @ values / total)
    return mean, float(np.sqrt(weights**2 @ (values - mean) ** 2) / total)
