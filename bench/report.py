"""How long `askonce report` takes on long books: 400 days of many tenants.

    .venv/bin/python bench/report.py [--days 400] [--tenants 13] [--file FILE]

Writes a ledger of made-up sums (a few million rows of `hours`, with latencies, decisions and questions), then runs the
command as a process of its own for several spans and columns. Each line is one run: seconds by the clock, seconds of a core's work, and the most memory of all runs so far.
"""

from __future__ import annotations

import argparse
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from askonce.ports import Sums
from askonce.ports.ledger import BOUNDS_S
from askonce.stores.ledger.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEATURES = ("support", "search", "summaries")
_MODELS = ("gpt-4.1", "gpt-4.1-mini")
_OUTCOMES = ("exact", "joined", "semantic", "fresh")
_QUESTIONS_A_DAY = 2_000
"""Of each feature: as many as the ledger keeps."""
_RUNS = (
    ("--since", "7d"),
    ("--since", "7d", "--format", "html"),
    ("--since", "30d", "--by", "tenant,feature,model"),
    ("--since", "400d"),
    ("--since", "400d", "--format", "html"),
    ("--since", "400d", "--by", "tenant,feature,model,day", "--format", "csv"),
    ("--since", "400d", "--where", "tenant=tenant-1"),
)


def main() -> None:
    """Writes the books unless they are there, and times the command on them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--tenants", type=int, default=13)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "askonce.ledger.db"
        if not file.exists():
            _write(file, options.days, options.tenants)
        with sqlite3.connect(file) as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
                for table in ("hours", "latencies", "questions")
            }
        print(
            f"{counts['hours']:,} rows of hours, {counts['latencies']:,} of latencies, {counts['questions']:,} of questions, {file.stat().st_size / 1e6:,.0f} MB"
        )
        for arguments in _RUNS:
            began, used_s = time.perf_counter(), _cpu_s()
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "askonce",
                    "report",
                    "--ledger",
                    file,
                    *arguments,
                    "-o",
                    Path(folder) / "out",
                ],
                check=True,
            )
            took_s = time.perf_counter() - began
            used_s = _cpu_s() - used_s
            most_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            size = (Path(folder) / "out").stat().st_size
            print(
                f"{took_s:6.2f} s by the clock, {used_s:5.2f} s of a core  {most_mib:5.0f} MiB so far  {size / 1e3:8,.0f} kB  {' '.join(arguments)}"
            )


def _cpu_s() -> float:
    """Seconds that ended child processes have worked."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(file: Path, days: int, tenants: int) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    SCHEMA.bring_up_to_date(connection)
    until = int(time.time() // 3_600) + 1
    hours = range(until - days * 24, until)
    texts = [
        f"What became of order {number}, which I placed a week ago?" for number in range(_QUESTIONS_A_DAY)
    ]
    connection.execute("BEGIN")
    connection.executemany(
        f"INSERT INTO hours VALUES ({', '.join('?' * (5 + len(Sums._fields)))})",  # noqa: S608 - constants
        _sums(hours, tenants),
    )
    connection.executemany("INSERT INTO latencies VALUES (?,?,?,?,?,?)", _latencies(hours))
    connection.executemany(
        "INSERT INTO decisions VALUES (?,?,?,?,?)",
        (
            (hour, feature, "shadow", reason, 50)
            for hour in hours
            for feature in _FEATURES
            for reason in ("match", "no-neighbour", "below-floor", "numbers", "low-confidence")
        ),
    )
    connection.executemany(
        "INSERT INTO questions VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            (
                day,
                f"tenant-{number % tenants}",
                feature,
                number.to_bytes(16, "big"),
                "gpt-4.1",
                text,
                9,
                10**6,
                0.0,
                1,
            )
            for day in range(hours[0] // 24, until // 24 + 1)
            for feature in _FEATURES
            for number, text in enumerate(texts)
        ),
    )
    connection.execute("COMMIT")
    connection.close()


def _sums(hours: range, tenants: int) -> Iterator[tuple[int | str, ...]]:
    dice = random.Random(5)  # noqa: S311 - the same books every time
    for hour in hours:
        for tenant in range(tenants):
            for feature in _FEATURES:
                for model in _MODELS:
                    for outcome in _OUTCOMES:
                        requests = dice.randrange(1, 400)
                        money = requests * dice.randrange(100_000, 900_000)
                        sums = Sums(
                            requests=requests,
                            input_tokens=requests * 300,
                            output_tokens=requests * 120,
                            calls=requests if outcome == "fresh" else 0,
                            spent_nanousd=money if outcome == "fresh" else 0,
                            saved_exact_nanousd=money if outcome == "exact" else 0,
                            saved_inflight_nanousd=money if outcome == "joined" else 0,
                            saved_semantic_nanousd=money if outcome == "semantic" else 0,
                        )
                        yield hour, f"tenant-{tenant}", feature, model, outcome, *sums


def _latencies(hours: range) -> Iterator[tuple[int | str | float | bytes, ...]]:
    generator = np.random.default_rng(5)
    blobs = [generator.integers(0, 40, len(BOUNDS_S) + 1, np.uint32).tobytes() for _ in range(64)]
    for hour in hours:
        for feature in _FEATURES:
            for number, outcome in enumerate(_OUTCOMES):
                for measure in ("duration", "first_byte", "overhead"):
                    yield hour, feature, outcome, measure, 12.5, blobs[(hour + number) % len(blobs)]


if __name__ == "__main__":
    main()
