"""What it costs to overwrite what is deleted, and to encrypt: puts with evictions, and look-ups, on one file after another.

    python bench/privacy.py [--entries 4000] [--rounds 5]

All variants take turns within each round, so that a busy machine is busy for all of them; what counts are the ratios
within a round, of which the median is shown, the least and the greatest.
`plain` doesn't overwrite: it is what SQLite does by itself.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from askonce.model import Answer, Entry, Owner, Question, Usage
from askonce.stores import rows, scrubbing
from askonce.stores.database import Database
from askonce.stores.pending import Batch, Change
from askonce.stores.sealing import Seals

NOW = 1_700_000_000.0
GROUP = 20
"""Answers that a group commit takes, as they come in 50 ms at 400 a second."""
KEPT = 0.25
"""The budget, as a share of what is put: the rest is evicted on the way."""


def put(number: int, dice: random.Random) -> Change:
    """An answer of about 1.5 KB, its question, vector and user."""
    key = dice.randbytes(32)
    text = f"Question {number} about {dice.random()}"
    answer = Answer(dice.randbytes(750).hex().encode(), b"{}", "model", "chatcmpl-", Usage(40, 300, 0), 1_000)
    entry = Entry(
        key, answer, NOW, NOW + 86_400, "tenant:acme", "default", "model", (), (dice.randbytes(16),)
    )
    vector = np.full(384, 0.05, np.float32)
    return Change(key, entry, Question(key, key, text, "engine", vector, None, key), 3_000)


def fill(path: Path, changes: list[Change], seals: Seals, *, overwriting: bool) -> tuple[Database, float]:
    """The file with all changes put, most of them evicted again, and the seconds that it took."""
    database = Database(path, seals, round(len(changes) * 4_000 * KEPT), b"s" * 32)
    database.commit(Batch(), NOW, tidy=False)
    if not overwriting:
        database.transact(lambda file: file.execute("PRAGMA secure_delete = OFF"), NOW)
    began = perf_counter()
    for start in range(0, len(changes), GROUP):
        group = changes[start : start + GROUP]
        batch = Batch(changes={one.key: one for one in group}, size_bytes=3_000 * GROUP)
        database.commit(batch, NOW, tidy=False)
    return database, perf_counter() - began


def look_up(path: Path, seals: Seals) -> float:
    """Seconds for a look-up, its row opened."""
    file = sqlite3.connect(path)
    keys = [key for (key,) in file.execute("SELECT key FROM entries")]
    began = perf_counter()
    for key in keys:
        rows.entry_from(file.execute(rows.FIND_ENTRY, (key,)).fetchone(), seals)
    seconds = perf_counter() - began
    file.close()
    return seconds / len(keys)


def main() -> None:
    """Prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    variants = {
        "plain": (Seals(), False),
        "overwriting": (Seals(), True),
        "overwriting, encrypted": (Seals([b"k" * 32]), True),
    }
    puts: dict[str, list[float]] = {name: [] for name in variants}
    gets: dict[str, list[float]] = {name: [] for name in variants}
    scrubs: list[float] = []
    for number in range(chosen.rounds):
        dice = random.Random(number)  # noqa: S311 - made-up answers
        changes = [put(index, dice) for index in range(chosen.entries)]
        for name in random.Random(number).sample(list(variants), len(variants)):  # noqa: S311 - an order
            seals, overwriting = variants[name]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a.db"
                database, seconds = fill(path, changes, seals, overwriting=overwriting)
                puts[name].append(seconds / len(changes))
                gets[name].append(look_up(path, seals))
                if overwriting and not seals.on:
                    size_bytes, began = path.stat().st_size, perf_counter()
                    database.erase(Owner("tenant:nobody"), NOW)
                    database.transact(scrubbing.rewrite, NOW)
                    database.transact(scrubbing.empty_log, NOW)
                    scrubs.append(size_bytes / 2**20 / (perf_counter() - began))
                database.close()
    for what, measured in (("put, with its eviction", puts), ("look-up", gets)):
        for name, times in measured.items():
            ratios = sorted(one / plain for one, plain in zip(times, measured["plain"], strict=True))
            middle = f"{statistics.median(times) * 1e6:8.1f} us  {statistics.median(ratios):5.2f}x"
            print(f"{what:24} {name:24} {middle}  ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"erasure rewrites the file at {statistics.median(scrubs):.0f} MiB/s")


if __name__ == "__main__":
    main()
