"""The aligner of `askonce.matching.aligner` in torch, to be trained: the same arithmetic, batched over pairs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from askonce.matching.aligner import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DIMENSIONS", "Batch", "Network", "Side"]

DIMENSIONS: Final = 384
_WIDTH: Final = 64
_HIDDEN: Final = 96
_SIZE: Final = 48
_LAST: Final = 64
_NOWHERE: Final = -1e4


class Side(NamedTuple):
    """One text of each pair: ids and ranks (k, n), states (k, n, 384), which tokens are real (k, n)."""

    ids: Tensor
    ranks: Tensor
    states: Tensor
    real: Tensor


class Batch(NamedTuple):
    """Pairs: both sides, and their cosines (k,)."""

    one: Side
    other: Side
    similarities: Tensor


class Network(nn.Module):  # type: ignore[misc] # torch isn't a dependency of the project
    """Log odds that both texts of a pair have the same answer."""

    def __init__(self, closeness: float, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(DIMENSIONS, _WIDTH, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(math.log(10.0)))
        self.sharing = nn.Parameter(torch.tensor(0.3))
        self.compare = nn.Linear(4 * _WIDTH + FEATURES, _HIDDEN)
        self.condense = nn.Linear(_HIDDEN, _SIZE)
        self.attend = nn.Linear(_SIZE, 1, bias=False)
        self.pool = nn.Linear(4 * _SIZE + 3, _LAST)
        self.odds = nn.Linear(_LAST, 1)
        self.closeness = nn.Parameter(torch.tensor(math.log(math.expm1(closeness))))
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        """(k,)."""
        one, other = self._unit(batch.one), self._unit(batch.other)
        alike = one.states @ other.states.transpose(1, 2)
        equal = one.ids[:, :, None] == other.ids[:, None, :]
        equal &= one.real[:, :, None] & other.real[:, None, :]
        left = self._pool(one, other, alike, equal)
        right = self._pool(other, one, alike.transpose(1, 2), equal.transpose(1, 2))
        lengths = torch.stack([one.real.sum(1), other.real.sum(1)]).float()
        few, many = lengths.amin(0), lengths.amax(0)
        sizes = torch.stack([batch.similarities * 4 - 3, few / many, few.log() - 2], dim=1)
        last = functional.relu(self.pool(torch.cat([left + right, (left - right).abs(), sizes], dim=1)))
        near = -torch.log((1 - batch.similarities).clamp(min=1e-3)) - 2
        odds: Tensor = self.odds(self.dropout(last)).squeeze(1) + functional.softplus(self.closeness) * near
        return odds

    def _unit(self, side: Side) -> Side:
        states = functional.normalize(self.projection(side.states), dim=-1) * side.real[:, :, None]
        return side._replace(states=states)

    def _pool(self, own: Side, other: Side, alike: Tensor, equal: Tensor) -> Tensor:
        pull = (alike + self.sharing * equal) * self.sharpness.exp()
        weights = pull.masked_fill(~other.real[:, None, :], _NOWHERE).softmax(-1)
        counterpart = weights @ other.states
        difference, product = (own.states - counterpart).abs(), own.states * counterpart
        scalars = _scalars(own, other, alike.masked_fill(~other.real[:, None, :], -1.0).amax(2), weights)
        scalars = torch.cat([equal.any(2)[:, :, None], scalars, product.sum(2)[:, :, None]], dim=2)
        compared = torch.cat([own.states, counterpart, difference, product, scalars], dim=2)
        hidden = self.dropout(functional.relu(self.compare(compared)))
        condensed = functional.relu(self.condense(hidden))
        attention = self.attend(condensed).squeeze(2).masked_fill(~own.real, _NOWHERE).softmax(1)
        mean = (condensed * attention[:, :, None]).sum(1)
        return torch.cat([mean, condensed.masked_fill(~own.real[:, :, None], 0.0).amax(1)], dim=1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trained arrays under the names of `Aligner`'s attributes."""
        tensors = {
            "projection": self.projection.weight.T,
            "sharpness": self.sharpness.exp(),
            "sharing": self.sharing,
            "compare_weight": self.compare.weight.T,
            "compare_bias": self.compare.bias,
            "condense_weight": self.condense.weight.T,
            "condense_bias": self.condense.bias,
            "attend_weight": self.attend.weight[0],
            "pool_weight": self.pool.weight.T,
            "pool_bias": self.pool.bias,
            "odds_weight": self.odds.weight[0],
            "odds_bias": self.odds.bias[0],
            "closeness_weight": functional.softplus(self.closeness),
        }
        return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _scalars(own: Side, other: Side, best: Tensor, weights: Tensor) -> Tensor:
    """What `askonce.matching.aligner` calls the scalars of a token, but for the first and the last: (k, n, 8)."""
    own_places, other_places = (torch.arange(side.ids.shape[1]).float() for side in (own, other))
    own_lengths, other_lengths = (side.real.sum(1, keepdim=True).float() for side in (own, other))
    displaced = weights @ other_places / other_lengths - own_places / own_lengths
    agreed = (weights[:, :-1, :-1] * weights[:, 1:, 1:]).sum(2) * own.real[:, 1:]
    return torch.stack(
        [
            own.ranks,
            best,
            displaced,
            displaced.abs(),
            (weights * other.ranks[:, None, :]).sum(2),
            (weights * weights).sum(2),
            functional.pad(agreed, (0, 1)),
            functional.pad(agreed, (1, 0)),
        ],
        dim=2,
    )
