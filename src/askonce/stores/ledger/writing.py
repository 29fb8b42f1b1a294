"""The books, written: a page at a time, whole or not at all, and no call twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from askonce.ports import CallEntry, Sums
from askonce.stores.ledger.page import Page
from askonce.stores.ledger.questions import prune_questions, write_questions
from askonce.stores.ledger.records import entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from askonce.ports import Charge
    from askonce.stores.ledger.kinds import Kinds

__all__ = ["Keep", "prune", "write"]

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_CLOCK: Final = "clock"
"""Since when (Unix seconds) the clock has gone on without a leap, and until when it was looked at."""
_MOST_LEAP_S: Final = 2 * _DAY_S
_ADD: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in Sums._fields)
_INSERT_SUMS: Final = (
    f"INSERT INTO hours VALUES ({', '.join('?' * (5 + len(Sums._fields)))}) "  # noqa: S608 - constants
    f"ON CONFLICT DO UPDATE SET {_ADD}"
)
_INSERT_CALL: Final = f"INSERT OR IGNORE INTO calls VALUES ({', '.join('?' * len(CallEntry._fields))})"  # noqa: S608 - marks
_HOURLY: Final = ("hours", "latencies", "decisions", "reasons")


class Keep:
    """How long (seconds) sums and questions are kept, and how long single calls that are settled."""

    __slots__ = ("calls_s", "sums_s")

    def __init__(self, sums_s: float, calls_s: float) -> None:
        self.sums_s = sums_s
        self.calls_s = calls_s


def write(connection: sqlite3.Connection, page: Page, kinds: Kinds, secret: bytes) -> None:
    """Adds a page in one transaction. A call that is in the file already is passed over. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _add_sums(connection, page)
        _add_sums(connection, _new_calls(connection, page.charges, kinds))
        for key, histogram in page.histograms.items():
            if histogram.total_s or any(histogram.counts):
                _add_histogram(connection, key, histogram.counts, histogram.total_s)
        for table, counts in (("decisions", page.decisions), ("reasons", page.reasons)):
            connection.executemany(
                f"INSERT INTO {table} VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET count = count + excluded.count",  # noqa: S608 - a constant
                [(*key, count) for key, count in counts.items()],
            )
        write_questions(connection, page.questions, secret)
        connection.executemany(
            "INSERT INTO acts (at, actor, action, detail) VALUES (?,?,?,?)",
            [(act.at, act.actor, act.action, orjson.dumps(act.detail).decode()) for act in page.acts],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def prune(connection: sqlite3.Connection, keep: Keep, now: float) -> None:
    """Forgets what has been kept for long enough. Raises sqlite3.Error.

    Nothing by its age until the clock has gone on for a day without a leap: one that runs ahead for a while must not
    cost the books. No segment of the journal may hold a settled call that is forgotten here.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_CLOCK,)).fetchone()
    since, until = (now, now) if row is None else orjson.loads(row[0])
    if not 0 <= now - until <= _MOST_LEAP_S:
        since = now
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_CLOCK, orjson.dumps([since, now])))
    prune_questions(connection, int(now // _DAY_S) - 1)
    if now - since < _DAY_S:
        return
    oldest = now - keep.sums_s
    for table in _HOURLY:
        connection.execute(f"DELETE FROM {table} WHERE hour < ?", (int(oldest // _HOUR_S),))  # noqa: S608 - a constant
    connection.execute("DELETE FROM questions WHERE day < ?", (int(oldest // _DAY_S),))
    connection.execute("DELETE FROM calls WHERE settled = 0 AND at < ?", (oldest,))
    connection.execute("DELETE FROM calls WHERE settled = 1 AND at < ?", (now - keep.calls_s,))


def _new_calls(connection: sqlite3.Connection, charges: Sequence[Charge], kinds: Kinds) -> Page:
    """The sums of those calls that aren't in the file yet, now that they are."""
    added = Page(kinds)
    for charge in charges:
        if connection.execute(_INSERT_CALL, entry(charge)).rowcount == 1:
            added.add_up(charge)
    return added


def _add_sums(connection: sqlite3.Connection, page: Page) -> None:
    connection.executemany(_INSERT_SUMS, [(*whose, *line.sums()) for whose, line in page.lines.items()])


def _add_histogram(
    connection: sqlite3.Connection, key: tuple[int, str, str, str], counts: list[int], total_s: float
) -> None:
    row = connection.execute(
        "SELECT total_s, counts FROM latencies WHERE hour = ? AND feature = ? AND outcome = ? AND measure = ?",
        key,
    ).fetchone()
    known = np.array(counts, np.int64)
    if row is not None:
        total_s += row[0]
        known += np.frombuffer(row[1], "<u4")
    blob = np.minimum(known, np.iinfo(np.uint32).max).astype("<u4").tobytes()
    connection.execute("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?,?)", (*key, total_s, blob))
