"""Fitting and asking the network: texts with their states, batches of pairs, the optimiser."""

from __future__ import annotations

import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from scripts.verifier_network import DIMENSIONS, Batch, Network, Side
from scripts.verifier_texts import Pair, Text, embedded

from askonce.matching.aligner import rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["TEXTS", "embed_all", "fit", "score"]

BATCH: Final = 64
RATE: Final = 2e-3
DECAY: Final = 1e-4
BUCKET: Final = 50
"""Batches among which texts are sorted by length."""

TEXTS: dict[str, Text] = {}
"""Shared with the processes that are forked off."""


def embed_all(texts: Sequence[str]) -> None:
    """Fills the table with what it lacks, in two processes."""
    texts = [text for text in texts if text not in TEXTS]
    with ProcessPoolExecutor(2, get_context("fork")) as processes:
        for part in processes.map(_embed_part, [texts[0::2], texts[1::2]]):
            TEXTS.update(part)
    print(f"{len(TEXTS)} texts embedded", flush=True)


def _embed_part(texts: Sequence[str]) -> dict[str, Text]:
    return dict(embedded(texts))


def fit(
    network: Network,
    pairs: Sequence[Pair],
    loss: Callable[[Tensor, list[int]], Tensor],
    epochs: int,
    *,
    seed: int,
    rate: float = RATE,
) -> None:
    """AdamW with a one-cycle rate over batches of similar length; `loss` takes log odds and the pairs' places."""
    rng = random.Random(seed)  # noqa: S311 - a training run, not a secret
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
    steps = epochs * (len(pairs) // BATCH + len(pairs) // (BUCKET * BATCH) + 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    network.train()
    for epoch in range(epochs):
        began, total, batches = time.monotonic(), 0.0, batches_of(pairs, rng)
        for places in batches:
            value = loss(network(batch_of([pairs[place] for place in places])), places)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(value.detach())
        print(
            f"seed {seed} epoch {epoch}: {total / len(batches):.4f}, {time.monotonic() - began:.0f} s",
            flush=True,
        )


def batches_of(pairs: Sequence[Pair], rng: random.Random) -> list[list[int]]:
    """Places of pairs in a random order, pairs of similar length together."""
    order = list(range(len(pairs)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), BUCKET * BATCH):
        part = sorted(order[start : start + BUCKET * BATCH], key=lambda place: _length(pairs[place]))
        batches += [part[at : at + BATCH] for at in range(0, len(part), BATCH)]
    rng.shuffle(batches)
    return batches


def _length(pair: Pair) -> int:
    return len(TEXTS[pair.one].ids) + len(TEXTS[pair.other].ids)


def batch_of(pairs: Sequence[Pair]) -> Batch:
    """The pairs' tensors."""
    ones, others = [TEXTS[pair.one] for pair in pairs], [TEXTS[pair.other] for pair in pairs]
    similarities = [float(one.vector @ other.vector) for one, other in zip(ones, others, strict=True)]
    return Batch(side_of(ones), side_of(others), torch.tensor(similarities))


def side_of(texts: Sequence[Text]) -> Side:
    """Texts padded to the longest."""
    longest = max(len(text.ids) for text in texts)
    ids = np.zeros((len(texts), longest), np.int64)
    states = np.zeros((len(texts), longest, DIMENSIONS), np.float32)
    for place, text in enumerate(texts):
        ids[place, : len(text.ids)] = text.ids
        states[place, : len(text.ids)] = text.states
    real = np.arange(longest) < np.array([len(text.ids) for text in texts])[:, None]
    ranks = np.where(real, rank_of(ids), 0).astype(np.float32)
    return Side(*(torch.from_numpy(array) for array in (ids, ranks, states, real)))


def score(network: Network, pairs: Sequence[Pair]) -> NDArray[np.float32]:
    """Log odds of each pair, (n,)."""
    network.eval()
    odds = np.zeros(len(pairs), np.float32)
    order = sorted(range(len(pairs)), key=lambda place: _length(pairs[place]))
    with torch.no_grad():
        for start in range(0, len(order), 4 * BATCH):
            places = order[start : start + 4 * BATCH]
            odds[places] = network(batch_of([pairs[place] for place in places])).numpy()
    return odds
