"""Measures the semantic tier's judgement: how often it shares an answer, and how often wrongly, beside plain cosine.

    python bench/semantic.py [--data DIR] [--pairs N] [--questions N] [--embeddings FILE] [--json FILE]

Pairs: of labelled pairs, which are shared. Stream: test questions against all training questions of one partition,
five nearest; a hit is wrong where the intent differs (a lower bound: one intent holds several questions).
Both are compared with a cosine threshold set, with hindsight, to share exactly as often.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from askonce.embedders.minilm import MiniLMEmbedder
from askonce.matching.lexical import Candidate, LexicalVerifier
from askonce.matching.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Vector
    from askonce.ports import Embedder

PAIR_SETS = (("paws_wiki", "test"), ("synthetic", "test"), ("qqp_40k", "test"), ("sick", ""), ("stsb", ""))
STREAMS = ("banking77", "clinc150")
THRESHOLDS = (0.80, 0.85, 0.90, 0.95)
NEAREST = 5
SEED = 7
CONCURRENT_EMBEDDINGS = 2


@dataclass(frozen=True, slots=True)
class Rates:
    """How a rule did: `hits` of what it should share, `wrong` among what it shared, `leaks` of what it shouldn't."""

    rule: str
    hits: float
    wrong: float
    leaks: float


def pair_rates(rule: str, shared: Sequence[bool], same: Sequence[bool]) -> Rates:
    """Rates over labelled pairs."""
    decisions = np.array(shared, bool)
    labels = np.array(same, bool)
    return Rates(
        rule,
        float(decisions[labels].mean()),
        float((~labels[decisions]).mean()) if decisions.any() else 0.0,
        float(decisions[~labels].mean()),
    )


def stream_rates(rule: str, shared: Sequence[bool], right: Sequence[bool]) -> Rates:
    """Rates over a stream: hits among all questions, wrong among hits, wrong among all questions."""
    decisions = np.array(shared, bool)
    wrong = decisions & ~np.array(right, bool)
    return Rates(
        rule, float(decisions.mean()), float(wrong.sum() / max(1, decisions.sum())), float(wrong.mean())
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sampled(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The same random rows in every run."""
    return [rows[index] for index in np.random.default_rng(SEED).permutation(len(rows))[:count]]


class Vectors:
    """Unit vectors by text, from the embedder or from the file of an earlier run."""

    def __init__(self, embedder: Embedder, file: Path | None) -> None:
        self._embedder = embedder
        self._file = file
        self._known: dict[str, Vector] = {}
        if file is not None and file.exists():
            with np.load(file, allow_pickle=False) as saved:
                vectors = saved["vectors"].astype(np.float32)
                self._known = dict(zip(json.loads(str(saved["texts"])), vectors, strict=True))

    async def of(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One row for each text."""
        unknown = iter([text for text in dict.fromkeys(texts) if text not in self._known])
        await asyncio.gather(*(self._embed(unknown) for _ in range(CONCURRENT_EMBEDDINGS)))
        return np.array([self._known[text] for text in texts], np.float32)

    async def _embed(self, texts: Any) -> None:
        for text in texts:
            if not await self._embedder.ready():
                raise SystemExit(f"no embedder: {self._embedder.detail}")
            self._known[text] = (await self._embedder.embed(text)).vector

    def save(self) -> None:
        """Keeps the vectors for a later run, where a file was named."""
        if self._file is not None:
            np.savez(
                self._file, texts=json.dumps(list(self._known)), vectors=np.array(list(self._known.values()))
            )


async def pairs(
    name: str, split: str, limits: argparse.Namespace, vectors: Vectors
) -> tuple[list[Rates], list[float]]:
    """Judges labelled pairs; returns the rates and the time of each verdict in microseconds."""
    rows = [row for row in rows_of(limits.data / "pairs" / f"{name}.jsonl") if row["y"] is not None]
    rows = [row for row in rows if not split or row["split"] == split]
    rows = sampled(rows, limits.pairs)
    same = [bool(row["y"]) for row in rows]
    left = await vectors.of([row["a"] for row in rows])
    right = await vectors.of([row["b"] for row in rows])
    cosines = np.einsum("ij,ij->i", left, right)
    vocabulary = Vocabulary([row["b"] for row in rows])
    verifier = LexicalVerifier()
    shared: list[bool] = []
    times: list[float] = []
    for row, cosine in zip(rows, cosines, strict=True):
        candidate = Candidate(row["b"], float(cosine))
        started = time.perf_counter()
        shared.append(verifier.verify(row["a"], candidate, None, vocabulary).accepted)
        times.append((time.perf_counter() - started) * 1e6)
    rates = [pair_rates("askonce", shared, same)]
    duplicates = np.sort(cosines[np.array(same)])[::-1]
    level = float(duplicates[max(0, round(rates[0].hits * len(duplicates)) - 1)])
    rates.append(pair_rates(f"cosine {level:.3f}, same hits", list(cosines >= level), same))
    rates += [pair_rates(f"cosine {level:.2f}", list(cosines >= level), same) for level in THRESHOLDS]
    return rates, times


async def stream(name: str, limits: argparse.Namespace, vectors: Vectors) -> list[Rates]:
    """Asks a partition of training questions the test questions."""
    known = rows_of(limits.data / "intents" / f"{name}_train.jsonl")
    asked = rows_of(limits.data / "intents" / f"{name}_test.jsonl")
    asked = sampled(asked, limits.questions)
    table = await vectors.of([row["t"] for row in known])
    cosines = await vectors.of([row["t"] for row in asked]) @ table.T
    vocabulary = Vocabulary([row["t"] for row in known])
    verifier = LexicalVerifier()
    shared: list[bool] = []
    right: list[bool] = []
    for row, line in zip(asked, cosines, strict=True):
        nearest = np.argsort(-line)[:NEAREST]
        hit = next(
            (
                index
                for index in nearest
                if verifier.verify(
                    row["t"], Candidate(known[index]["t"], float(line[index])), None, vocabulary
                ).accepted
            ),
            None,
        )
        shared.append(hit is not None)
        right.append(hit is not None and known[hit]["c"] == row["c"])
    rates = [stream_rates("askonce", shared, right)]
    best = cosines.max(axis=1)
    best_right = [
        known[index]["c"] == row["c"] for index, row in zip(cosines.argmax(axis=1), asked, strict=True)
    ]
    level = float(np.sort(best)[::-1][max(0, sum(shared) - 1)])
    rates.append(stream_rates(f"cosine {level:.3f}, same hits", list(best >= level), best_right))
    rates += [stream_rates(f"cosine {level:.2f}", list(best >= level), best_right) for level in THRESHOLDS]
    return rates


def show(title: str, rates: Sequence[Rates]) -> None:
    """Prints one table."""
    print(f"\n{title:28}{'hits':>8}{'wrong of hits':>16}{'leaks':>8}")
    for rate in rates:
        print(f"  {rate.rule:26}{rate.hits:8.3f}{rate.wrong:16.3f}{rate.leaks:8.4f}")


async def measure(limits: argparse.Namespace) -> dict[str, Any]:
    """Runs everything and prints as it goes."""
    embedder = MiniLMEmbedder()
    embedder.start()
    vectors = Vectors(embedder, limits.embeddings)
    results: dict[str, Any] = {}
    times: list[float] = []
    for name, split in PAIR_SETS:
        rates, taken = await pairs(name, split, limits, vectors)
        times += taken
        results[f"pairs/{name}"] = [asdict(rate) for rate in rates]
        show(f"pairs {name} {split}", rates)
    for name in STREAMS:
        rates = await stream(name, limits, vectors)
        results[f"stream/{name}"] = [asdict(rate) for rate in rates]
        show(f"stream {name}", rates)
    times.sort()
    results["verify_us"] = {"p50": statistics.median(times), "p99": times[len(times) * 99 // 100]}
    print(f"\nverdict: p50 {results['verify_us']['p50']:.0f} us, p99 {results['verify_us']['p99']:.0f} us")
    vectors.save()
    await embedder.close()
    return results


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("ASKONCE_DATA", root.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="folder of pairs/ and intents/")
    parser.add_argument("--pairs", type=int, default=1200, help="pairs of each set")
    parser.add_argument("--questions", type=int, default=1000, help="questions of each stream")
    parser.add_argument("--embeddings", type=Path, help="npz file in which to keep the vectors between runs")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    limits = parser.parse_args()
    if not limits.data.is_dir():
        raise SystemExit(f"no data in {limits.data}: set ASKONCE_DATA or --data")
    results = asyncio.run(measure(limits))
    if limits.json is not None:
        limits.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
