"""What the store tests put in: small answers with made-up texts, and a clock that stands still."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from askonce.model import Answer, Audit, Entry, Link, Question, Tokens, Usage, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FakeClock", "audit", "entry", "key", "link", "question", "tokens", "unit"]


class FakeClock:
    """A wall clock that moves when told."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


def key(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def entry(
    name: object,
    *,
    at: float = 1_000_000.0,
    ttl_s: float = 100.0,
    tags: tuple[str, ...] = (),
    cost: int | None = 1_000_000,
    size: int = 100,
    text: str = "",
) -> Entry:
    fields = f'"text":"{text or name}"'.encode().ljust(size, b" ")
    answer = Answer(fields, b'{"total_tokens":3}', "model-2026", "chatcmpl-", Usage(1, 2, 0), cost)
    return Entry(key(name), answer, at, at + ttl_s, "acme", "support", "model", tags)


def link(name: object, target: object, *, at: float = 1_000_000.0, ttl_s: float = 100.0) -> Link:
    return Link(key(name), key(target), 0.97, at + ttl_s)


def unit(seed: int, dimensions: int = 8) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    unit_vector: Vector = vector / np.linalg.norm(vector)
    return unit_vector


def tokens(count: int, seed: int = 0, width: int = 64) -> Tokens:
    dice = np.random.default_rng(seed)
    ids = dice.integers(0, 30_522, count, dtype=np.uint16)
    return Tokens(ids, dice.integers(-127, 128, (count, width), dtype=np.int8))


def question(
    name: object,
    partition: object = "p",
    vector: Vector | None = None,
    *,
    tokens: Tokens | None = None,
    answer: object = None,
) -> Question:
    answered = key(name if answer is None else answer)
    return Question(key(name), key(partition), f"What is {name}?", "engine-1", vector, tokens, answered)


def audit(number: int, feature: str = "support", *, evidence: Sequence[float] | None = (0.5, -2.0)) -> Audit:
    return Audit(
        feature=feature,
        at=1_000_000.0 + number,
        question=key(f"q{number}"),
        answer=key(f"a{number}"),
        request_id=f"request-{number}",
        source="shadow",
        judge="equality",
        right=number % 3 > 0,
        propensity=0.02,
        probability=0.9 + number / 1e6,
        threshold=0.97,
        reason="low-confidence",
        evidence=None if evidence is None else np.array(evidence, dtype=np.float32),
        engine="engine-1",
    )
