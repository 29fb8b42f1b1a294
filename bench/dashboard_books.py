"""A month of books as a busy gateway would have written them: for what reading them costs, and for pictures."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import sqlite3
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.observe.clock import SystemClock
from askonce.ports.ledger import BOUNDS_S
from askonce.stores.ledger import SqliteLedger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["fill"]

HOURS: Final = 30 * 24
_SHARES: Final = {
    "exact": 0.30,
    "joined": 0.09,
    "semantic": 0.13,
    "semantic-joined": 0.02,
    "fresh": 0.42,
    "bypass": 0.03,
    "refused": 0.01,
}
_SAVED: Final = {"exact": "saved_exact_nanousd", "joined": "saved_inflight_nanousd", "semantic": "saved_semantic_nanousd",
                 "semantic-joined": "saved_semantic_nanousd"}  # fmt: skip
_MEDIAN_S: Final = {
    "exact": 0.0004,
    "joined": 0.9,
    "semantic": 0.012,
    "semantic-joined": 0.8,
    "fresh": 1.5,
    "bypass": 1.6,
    "refused": 0.002,
}
_COLUMNS: Final = (
    "hour, tenant, feature, model, outcome, requests, input_tokens, output_tokens, calls, billed_input_tokens, "
    "billed_output_tokens, spent_nanousd, saved_exact_nanousd, saved_inflight_nanousd, saved_semantic_nanousd"
)


def fill(
    path: Path, tenants: Sequence[str], features: Sequence[str], models: Sequence[str], per_day: int
) -> int:
    """Writes 30 days of whole hours, up to now; the number of rows. A new file is made, an old one is added to."""
    asyncio.run(_make(path))
    draw = random.Random(1)  # noqa: S311 - made-up traffic
    last = int(time.time() // 3600)
    tilt = {kind: draw.uniform(0.5, 1.5) for kind in itertools.product(features, _SHARES)}
    span = range(last - HOURS, last)
    weights = [1 / (place + 1) ** 0.8 for place in range(len(features))]
    scale = per_day * 30 / sum(map(_busy, span)) / sum(weights)
    rows: list[tuple[object, ...]] = []
    latencies: list[tuple[object, ...]] = []
    for hour in span:
        for feature, weight in zip(features, weights, strict=True):
            for outcome, share in _SHARES.items():
                requests = (
                    scale * _busy(hour) * weight * share * tilt[feature, outcome] * draw.uniform(0.85, 1.15)
                )
                latencies.append((hour, feature, outcome, "duration", requests, _counts(outcome, requests)))
                count = round(requests / len(tenants) / len(models))
                for tenant in tenants:
                    rows += [_row((hour, tenant, feature, model, outcome), count) for model in models]
    with sqlite3.connect(path) as connection:
        insert = f"INSERT OR REPLACE INTO hours ({_COLUMNS}) VALUES ({', '.join('?' * 15)})"  # noqa: S608 - our own
        connection.executemany(insert, rows)
        connection.executemany("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?,?)", latencies)
    connection.close()
    return len(rows)


def _busy(hour: int) -> float:
    """How much goes on in an hour: more by day than by night, less at weekends."""
    return (1 + 0.7 * math.sin((hour % 24 - 9) / 24 * 2 * math.pi)) * (
        0.45 if (hour // 24) % 7 in {2, 3} else 1.0
    )


async def _make(path: Path) -> None:
    ledger = SqliteLedger(path, SystemClock())
    await ledger.start(b"secret")
    await ledger.close()


def _row(whose: tuple[object, ...], count: int) -> tuple[object, ...]:
    outcome, cost = str(whose[4]), count * 1_450_000
    paid = outcome in {"fresh", "bypass"}
    billed = (count, count * 310, count * 85) if paid else (0, 0, 0)
    saved = [cost if _SAVED.get(outcome) == name else 0 for name in dict.fromkeys(_SAVED.values())]
    return (*whose, count, count * 310, count * 85, *billed, cost if paid else 0, *saved)


def _counts(outcome: str, requests: float) -> bytes:
    """A log-normal's histogram."""
    counts = np.zeros(len(BOUNDS_S) + 1, "<u4")
    middle = math.log(_MEDIAN_S[outcome])
    edges = [0.5 * (1 + math.erf((math.log(bound) - middle) / (0.45 * math.sqrt(2)))) for bound in BOUNDS_S]
    shares = np.diff([0.0, *edges, 1.0])
    counts[:] = np.round(shares * requests)
    return counts.tobytes()
