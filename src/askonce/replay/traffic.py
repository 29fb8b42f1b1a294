"""A log's requests in columns: keys, questions, prices and times as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from askonce.replay.latency import LatencyModel

__all__ = ["Kind", "Question", "Traffic"]


class Kind(NamedTuple):
    """What all requests of one body, tenant and feature have in common.

    Attributes:
        key: Number of its exact key; -1 where it shares with nobody.
        feature: Number of its feature.
        readable: Whether stored answers may serve it.
        joinable: Whether it may join another's call.
        question: Number of its question; -1 where the semantic tier doesn't apply.
    """

    key: int
    feature: int
    readable: bool
    joinable: bool
    question: int


class Question(NamedTuple):
    """A text within its partition; `key` is the number of the exact key that it belongs to."""

    key: int
    kind: int
    partition: int
    text: str
    turns: int


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """n requests in order of arrival.

    Attributes:
        at: Unix seconds, (n,).
        kind: Index into `kinds`, (n,).
        tenant: Index into `tenants`, (n,).
        model: Index into `models`, (n,).
        duration_s: What an upstream call for it takes, (n,).
        cost_nanousd: What that costs, (n,); -1 where no price is known.
        tokens: Prompt and completion tokens together, (n,).
        answer: What tells answers apart, (n,); -1 where the log has none.
        failed: Whether the log has no answer because of a failure, (n,).
        kinds: See `Kind`.
        questions: See `Question`.
        keys: How many different exact keys there are.
        features: Names.
        tenants: Names.
        models: Names.
        unshared: Why requests share with nobody, by reason code.
        unmatched: Why the semantic tier doesn't apply to requests, by reason code.
        latency: Used where the log has no duration.
        known: Share of requests with `duration`, `usage`, `cost`, `answer` and `tenant` in the log, each in [0, 1]; and of those
            that name no `feature` but one that is played.
    """

    at: NDArray[np.float64]
    kind: NDArray[np.int32]
    tenant: NDArray[np.int32]
    model: NDArray[np.int32]
    duration_s: NDArray[np.float64]
    cost_nanousd: NDArray[np.int64]
    tokens: NDArray[np.float64]
    answer: NDArray[np.int32]
    failed: NDArray[np.bool_]
    kinds: Sequence[Kind]
    questions: Sequence[Question]
    keys: int
    features: Sequence[str]
    tenants: Sequence[str]
    models: Sequence[str]
    unshared: dict[str, int]
    unmatched: dict[str, int]
    latency: LatencyModel
    known: dict[str, float]

    def __len__(self) -> int:
        return len(self.at)
