"""The books, read: sums over hours by whatever they are kept by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from askonce.ports import Act, CallEntry, Latency, Span, Sums, TopQuestion
from askonce.ports.ledger import BOUNDS_S

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

__all__ = ["SqliteBooks"]

_SUMS: Final = ", ".join(f"sum({name})" for name in Sums._fields)
_COLUMNS: Final = {
    "hour": "hour",
    "day": "hour / 24",
    "tenant": "tenant",
    "feature": "feature",
    "model": "model",
    "outcome": "outcome",
}
_HOURS_A_DAY: Final = 24
_HOUR_S: Final = 3_600


class SqliteBooks:
    """Reads a connection's tables. Raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def sums(
        self,
        span: Span,
        by: Sequence[str],
        where: Mapping[str, str] | None = None,
        count: int = -1,
    ) -> dict[tuple[str | int, ...], Sums]:
        """Sums by any of `hour`, `day`, `tenant`, `feature`, `model`, `outcome`, where columns are equal.

        In that order; the first so many, all with -1.
        """
        keys = [_COLUMNS[name] for name in by]
        condition, values = _where("hour", span, where)
        group = f"GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
        query = f"SELECT {', '.join([*keys, _SUMS])} FROM hours WHERE {condition} {group} LIMIT ?"  # noqa: S608 - our own names
        rows = self._connection.execute(query, (*values, count))
        return {tuple(row[: len(by)]): Sums(*row[len(by) :]) for row in rows if row[len(by)] is not None}

    def latencies(
        self, span: Span, by: Sequence[str], measure: str = "duration"
    ) -> dict[tuple[str | int, ...], Latency]:
        """Latencies by any of `hour`, `day`, `feature`, `outcome`."""
        keys = ", ".join([*(_COLUMNS[name] for name in by), "total_s", "counts"])
        query = f"SELECT {keys} FROM latencies WHERE hour >= ? AND hour < ? AND measure = ?"  # noqa: S608 - our own names
        counts: dict[tuple[str | int, ...], np.ndarray] = {}
        totals: dict[tuple[str | int, ...], float] = {}
        for *key, total_s, blob in self._connection.execute(query, (*span, measure)):
            of = tuple(key)
            counts.setdefault(of, np.zeros(len(BOUNDS_S) + 1, np.int64))
            counts[of] += np.frombuffer(blob, "<u4")
            totals[of] = totals.get(of, 0.0) + total_s
        return {of: Latency(counts[of].tolist(), totals[of]) for of in counts}

    def decisions(self, span: Span) -> dict[tuple[str, str, str], int]:
        """How often the semantic tier decided what."""
        query = "SELECT feature, mode, reason, sum(count) FROM decisions WHERE hour >= ? AND hour < ? GROUP BY 1, 2, 3"
        rows = self._connection.execute(query, span)
        return {(feature, mode, reason): count for feature, mode, reason, count in rows}

    def reasons(self, span: Span) -> dict[tuple[str, str, str], int]:
        """Why requests were not answered from the store or by joining."""
        query = "SELECT feature, outcome, reason, sum(count) FROM reasons WHERE hour >= ? AND hour < ? GROUP BY 1, 2, 3"
        rows = self._connection.execute(query, span)
        return {(feature, outcome, reason): count for feature, outcome, reason, count in rows}

    def covered(self) -> Span | None:
        """From the first hour that anything is written of to the last."""
        first, last = self._connection.execute(
            "SELECT (SELECT min(hour) FROM hours), (SELECT max(hour) FROM hours)"
        ).fetchone()
        return None if first is None else Span(first, last + 1)

    def questions(self, span: Span, count: int, where: Mapping[str, str] | None = None) -> list[TopQuestion]:
        """The questions that saved most, whole days."""
        condition, values = _where("day", _days(span), where)
        query = (
            "SELECT tenant, feature, max(model), key, max(text), sum(requests), sum(saved_nanousd), max(last_at) "  # noqa: S608 - our own names
            f"FROM questions WHERE {condition} GROUP BY tenant, feature, key "
            "ORDER BY sum(saved_nanousd) DESC, sum(requests) DESC LIMIT ?"
        )
        return [TopQuestion(*row) for row in self._connection.execute(query, (*values, count))]

    def repeats(self, span: Span, where: Mapping[str, str] | None = None) -> dict[str, int]:
        """Fresh answers to questions that had one earlier in the span, by feature, whole days."""
        condition, values = _where("day", _days(span), where)
        query = (
            "SELECT feature, sum(fresh - 1) FROM (SELECT feature, sum(fresh) AS fresh FROM questions "  # noqa: S608 - our own names
            f"WHERE {condition} AND fresh > 0 GROUP BY tenant, feature, key HAVING sum(fresh) > 1) GROUP BY feature"
        )
        return dict(self._connection.execute(query, values).fetchall())

    def calls(self, span: Span, count: int, *, settled: bool | None = None) -> list[CallEntry]:
        """Single calls of a span, newest first; those that are settled or not, where that is said."""
        wanted = (True, False) if settled is None else (settled,)
        rows = self._connection.execute(
            f"SELECT * FROM calls WHERE settled IN ({', '.join('?' * len(wanted))}) AND at >= ? AND at < ? "  # noqa: S608 - marks
            "ORDER BY at DESC, call, part LIMIT ?",
            (*wanted, span.since_hour * _HOUR_S, span.until_hour * _HOUR_S, count),
        )
        return [CallEntry(*row)._replace(settled=bool(row[-1])) for row in rows]

    def acts(self, count: int) -> list[Act]:
        """What administrators did, newest first."""
        rows = self._connection.execute(
            "SELECT at, actor, action, detail FROM acts ORDER BY id DESC LIMIT ?", (count,)
        )
        return [Act(at, actor, action, orjson.loads(detail)) for at, actor, action, detail in rows]


def _days(span: Span) -> Span:
    """The days that a span of hours touches."""
    return Span(span.since_hour // _HOURS_A_DAY, -(-span.until_hour // _HOURS_A_DAY))


def _where(time: str, span: Span, where: Mapping[str, str] | None) -> tuple[str, list[str | int]]:
    conditions = [f"{time} >= ?", f"{time} < ?"]
    values: list[str | int] = [*span]
    for name, value in (where or {}).items():
        conditions.append(f"{_COLUMNS[name]} = ?")
        values.append(value)
    return " AND ".join(conditions), values
