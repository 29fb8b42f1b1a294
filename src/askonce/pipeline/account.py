"""What is known of one feature's error budget: its labels, its counts, and since when it is breached."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    import asyncio

    from askonce.matching.budget import Budget, Setting
    from askonce.matching.calibration import Label

__all__ = ["Account", "state_name"]

_MOST_LABELS: Final = 10_000
"""Of served hits, and as many of others: of misses there may be hundreds for each audited hit."""


class Account:
    """One feature's.

    Attributes:
        name: The feature's.
        budget: What was promised.
        setting: How it serves.
        requests: Requests that the tier has had business with.
        hits: Those of them that were served from it.
        breached_at: When the budget was found breached (Unix seconds); None while it is kept.
        resumed_at: Audits up to then don't count against the budget any more: somebody has answered for them.
        task: Weighs new labels, while there are any.
        stale: Whether there is something to weigh.
        took_s: How long the last weighing took.
    """

    def __init__(self, name: str, budget: Budget, setting: Setting) -> None:
        self.name = name
        self.budget = budget
        self.setting = setting
        self.requests = 0
        self.hits = 0
        self.breached_at: float | None = None
        self.resumed_at = -math.inf
        self.task: asyncio.Task[None] | None = None
        self.stale = False
        self.took_s = 0.0
        self._of_hits: deque[Label] = deque(maxlen=_MOST_LABELS)
        self._of_others: deque[Label] = deque(maxlen=_MOST_LABELS)
        self._latest = -math.inf

    @property
    def labels(self) -> tuple[Label, ...]:
        """The newest ones of hits and of others, each in the order in which they came."""
        return (*self._of_hits, *self._of_others)

    def add(self, label: Label) -> None:
        """One more label."""
        (self._of_hits if label.served else self._of_others).append(label)
        self._latest = max(self._latest, label.at)

    def set_back(self, now: float) -> None:
        """Nothing happened later than now: what a clock that ran ahead has dated must neither stay new nor exempt."""
        self.resumed_at = min(self.resumed_at, now)
        if self.breached_at is not None:
            self.breached_at = min(self.breached_at, now)
        if self._latest > now:
            self._latest = now
            for labels in (self._of_hits, self._of_others):
                known = [label if label.at <= now else replace(label, at=now) for label in labels]
                labels.clear()
                labels.extend(known)

    def state(self) -> bytes:
        """What outlives a restart beside the labels, which are kept as audits."""
        return orjson.dumps(
            {
                "requests": self.requests,
                "hits": self.hits,
                "breached_at": self.breached_at,
                "resumed_at": self.resumed_at if math.isfinite(self.resumed_at) else None,
                "threshold": self.setting.threshold,
            }
        )

    def restore(self, state: bytes) -> None:
        """Takes up a state; until the labels are weighed anew, the higher threshold counts."""
        known = orjson.loads(state)
        self.requests, self.hits = known["requests"], known["hits"]
        self.breached_at = known["breached_at"]
        self.resumed_at = known["resumed_at"] if known["resumed_at"] is not None else -math.inf
        threshold = max(self.setting.threshold, known["threshold"])
        self.setting = self.setting._replace(threshold=threshold)


def state_name(feature: str) -> str:
    """The name under which a store keeps a feature's state: a JSON object with `requests` and `hits`, among others."""
    return f"budget/{feature}"
