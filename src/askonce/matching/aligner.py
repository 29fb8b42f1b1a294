"""What the tokens of two questions say of each other: a decomposable-attention model over frozen token states.

Each token of one question is softly aligned with the tokens of the other, each way; what a token and its counterpart
have in common, and whether their neighbours are each other's counterparts too, becomes a vector; the vectors of a
question are pooled, and the two pools give the log odds that both questions have the same answer (after Parikh et
al. 2016, arXiv 1606.01933; order enters through the alignment's displacement and the neighbours' agreement). The
embedder stays as it is: nothing here needs a second run of it.

Trained by `scripts/train_verifier.py`, whose `Network` is the same arithmetic in torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Tokens

__all__ = ["FEATURES", "Aligner", "closeness", "rank_of"]

_Array = NDArray[np.float32]

_SCALE: Final = np.float32(127.0)
_SHORTEST: Final = 1e-6
_NOWHERE: Final = np.float32(-1e4)
_SPECIAL_IDS: Final = 990
"""Ids below stand for marks and rare letters; beyond, the vocabulary goes from the most frequent word to the rarest."""
_NEAREST: Final = 1e-3
_USUAL_CLOSENESS: Final = 2.0
_WIDTH: Final = 64
"""Of a token's kept state."""
FEATURES: Final = 10
"""Scalars of a token beside the four vectors: see `_tokens`."""


def closeness(similarity: _Array) -> _Array:
    """-log(1 - cosine), the scale on which high similarities are told apart; at most 6.9."""
    closeness: _Array = -np.log(np.maximum(np.float32(1.0) - similarity, np.float32(_NEAREST)))
    return closeness


def rank_of(ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """How rare a token is, 0 to about 1, from its place in the vocabulary."""
    ranks: NDArray[np.float64] = np.log(np.maximum(ids - _SPECIAL_IDS, 1)) / 10
    return ranks


@dataclass(frozen=True, slots=True, eq=False)
class Aligner:
    """The trained model; all arrays are float32, linear layers as (in, out).

    Attributes:
        projection: (384, width): from the embedder's token states to the aligned space.
        sharpness: () of the soft alignment.
        sharing: () by which equal tokens attract each other more.
        compare_weight: (4 * width + 10, hidden).
        compare_bias: (hidden,).
        condense_weight: (hidden, size).
        condense_bias: (size,).
        attend_weight: (size,): which tokens count in the mean.
        pool_weight: (4 * size + 3, last).
        pool_bias: (last,).
        odds_weight: (last,).
        odds_bias: ().
        closeness_weight: ().
    """

    projection: _Array
    sharpness: _Array
    sharing: _Array
    compare_weight: _Array
    compare_bias: _Array
    condense_weight: _Array
    condense_bias: _Array
    attend_weight: _Array
    pool_weight: _Array
    pool_bias: _Array
    odds_weight: _Array
    odds_bias: _Array
    closeness_weight: _Array

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.floating]]) -> Aligner:
        """From arrays by name. Raises KeyError where one is missing."""
        return cls(*(np.array(arrays[field.name], np.float32, order="C") for field in fields(cls)))

    def project(self, states: _Array) -> NDArray[np.int8]:
        """Token states (n, 384) as they are kept: unit vectors (n, width), 127 standing for 1.0."""
        projected = states @ self.projection
        length = np.sqrt((projected * projected).sum(1, keepdims=True))
        kept: NDArray[np.int8] = np.rint(_SCALE * projected / np.maximum(length, _SHORTEST)).astype(np.int8)
        return kept

    def logits(self, asked: Tokens, stored: Sequence[Tokens], similarities: _Array) -> _Array:
        """Log odds that the answer of each stored question is right for the asked one, (k,); not yet calibrated.

        0 where one of the two has no tokens.

        Symmetric in its two questions.

        Args:
            asked: The asked question's tokens.
            stored: Each stored question's.
            similarities: Cosines to the asked question, (k,).
        """
        one, other = _padded([asked] * len(stored)), _padded(stored)
        alike = np.matmul(one.states, other.states.transpose(0, 2, 1))
        equal = (one.ids[:, :, None] == other.ids[:, None, :]) & one.real[:, :, None] & other.real[:, None, :]
        pools = [
            self._pool(one, other, alike, equal),
            self._pool(other, one, alike.transpose(0, 2, 1), equal.transpose(0, 2, 1)),
        ]
        few, many = np.minimum(one.lengths, other.lengths), np.maximum(one.lengths, other.lengths)
        sizes = np.stack([similarities * 4 - 3, few / many, np.log(few) - 2], axis=1)
        pooled = np.concatenate([pools[0] + pools[1], np.abs(pools[0] - pools[1]), sizes], axis=1)
        last = np.maximum(pooled @ self.pool_weight + self.pool_bias, 0)
        near = self.closeness_weight * (closeness(similarities) - np.float32(_USUAL_CLOSENESS))
        logits: _Array = last @ self.odds_weight + self.odds_bias + near
        return np.where(one.real[:, 0] & other.real[:, 0], logits, np.float32(0))

    def _pool(self, own: _Padded, other: _Padded, alike: _Array, equal: NDArray[np.bool_]) -> _Array:
        """What one question's tokens come to: (k, 2 * size), their weighted mean and their maximum."""
        pull = np.where(other.real[:, None, :], (alike + self.sharing * equal) * self.sharpness, _NOWHERE)
        weights = np.exp(pull - pull.max(2, keepdims=True))
        weights /= weights.sum(2, keepdims=True)
        counterpart = np.matmul(weights, other.states)
        scalars = _tokens(own, other, _Aligned(alike, equal, weights, counterpart))
        compared = np.concatenate(
            [own.states, counterpart, np.abs(own.states - counterpart), own.states * counterpart, scalars],
            axis=2,
        )
        hidden = np.maximum(compared @ self.compare_weight + self.compare_bias, 0)
        condensed = np.maximum(hidden @ self.condense_weight + self.condense_bias, 0)
        attention = np.where(own.real, condensed @ self.attend_weight, _NOWHERE)
        attention = np.exp(attention - attention.max(1, keepdims=True))
        attention /= attention.sum(1, keepdims=True)
        mean = np.matmul(attention[:, None, :], condensed)[:, 0]
        return np.concatenate([mean, (condensed * own.real[:, :, None]).max(1)], axis=1)


class _Padded(NamedTuple):
    """k token lists of up to n tokens: ids and ranks (k, n), states (k, n, width), which are real (k, n), lengths (k,)."""

    ids: NDArray[np.int64]
    ranks: _Array
    states: _Array
    real: NDArray[np.bool_]
    lengths: _Array


def _padded(many: Sequence[Tokens]) -> _Padded:
    lengths = [len(tokens.ids) for tokens in many]
    longest, width = max(1, *lengths), _WIDTH
    ids = np.zeros((len(many), longest), np.int64)
    states = np.zeros((len(many), longest, width), np.float32)
    for place, tokens in enumerate(many):
        ids[place, : lengths[place]] = tokens.ids
        states[place, : lengths[place]] = tokens.states.reshape(-1, width)
    states /= np.maximum(np.sqrt((states * states).sum(2, keepdims=True)), _SHORTEST)
    real = np.arange(longest) < np.array(lengths)[:, None]
    ranks = np.where(real, rank_of(ids), 0).astype(np.float32)
    return _Padded(ids, ranks, states, real, np.maximum(np.array(lengths, np.float32), 1))


class _Aligned(NamedTuple):
    """Each own token against the others: likeness, equality and weights (k, n, m), counterparts (k, n, width)."""

    alike: _Array
    equal: NDArray[np.bool_]
    weights: _Array
    counterpart: _Array


def _tokens(own: _Padded, other: _Padded, aligned: _Aligned) -> _Array:
    """Scalars of each token, (k, n, 10).

    Whether the other question has the same token; its word's rank; the highest likeness; how far the counterpart is
    displaced, signed and absolute, as a share of the text; the counterpart's rank; how concentrated the alignment
    is; whether the next and the previous token are aligned with the counterpart's next and previous; the likeness to
    the counterpart.
    """
    weights = aligned.weights
    best = np.where(other.real[:, None, :], aligned.alike, -1).max(2)
    place = np.matmul(weights, np.arange(weights.shape[2], dtype=np.float32))
    displaced = place / other.lengths[:, None] - np.arange(weights.shape[1]) / own.lengths[:, None]
    following = np.zeros_like(best)
    preceding = np.zeros_like(best)
    agreed = (weights[:, :-1, :-1] * weights[:, 1:, 1:]).sum(2) * own.real[:, 1:]
    following[:, :-1], preceding[:, 1:] = agreed, agreed
    scalars: _Array = np.stack(
        [
            aligned.equal.any(2),
            own.ranks,
            best,
            displaced,
            np.abs(displaced),
            np.matmul(weights, other.ranks[:, :, None])[:, :, 0],
            (weights * weights).sum(2),
            following,
            preceding,
            (own.states * aligned.counterpart).sum(2),
        ],
        axis=2,
        dtype=np.float32,
    )
    return scalars
