"""What there is to do for jobs, as rows: lines to be asked, batches of them, and webhooks.

A batch is `intended` (its lines are chosen, the provider may have heard of it), `submitted` (the provider's id is
known) or `ended`. Plain blocking functions, as in `job_tables`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from askonce.job import Batch, Delivery, DeliveryState, Group, JobTotals, Line, Pile
from askonce.stores.sealing import Unreadable, place
from askonce.stores.turns import Turns

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from askonce.stores.sealing import Seals

__all__ = ["WorkTables"]

_BATCH: Final = (
    "number, intent, upstream, endpoint, model, remote_id, "
    "NOT EXISTS (SELECT 1 FROM lines WHERE batch = batches.number AND state IN ('batched', 'direct', 'sending'))"
)
_LINE: Final = (
    "number, upstream, endpoint, model, context, body, attempts, "
    "(SELECT max(deadline_at) FROM jobs WHERE line = lines.number AND state = 'open')"
)
_LINES_BYTES: Final = 8 * 2**20
"""Lines are read as long as their bodies take no more."""
_PENDING: Final = DeliveryState.PENDING.value


class WorkTables:
    """Lines on their way, batches and deliveries of one connection."""

    def __init__(self, connection: sqlite3.Connection, seals: Seals) -> None:
        self.connection = connection
        self._seals = seals
        self._line_turns = Turns(connection, "lines", "direct")
        self._delivery_turns = Turns(connection, "deliveries", _PENDING)

    def piles(self, now: float) -> list[Pile]:
        """What waits for a batch, by group."""
        rows = self.connection.execute(
            "SELECT upstream, endpoint, model, count(*), sum(size_bytes), min(due_at) FROM lines INDEXED BY lines_group "
            "WHERE state = 'waiting' AND due_at <= ? GROUP BY upstream, endpoint, model",
            (now,),
        )
        return [Pile(Group(*row[:3]), *row[3:]) for row in rows]

    def form(self, group: Group, intent: str, most: tuple[int, int], now: float) -> Batch | None:
        """Puts waiting lines of a group into a new batch: at most so many, of so many bytes; one at least."""
        cursor = self.connection.execute(
            "INSERT INTO batches (intent, upstream, endpoint, model, state, remote_id, created_at) "
            "VALUES (?,?,?,?,'intended','',?)",
            (intent, *group, now),
        )
        batch, (most_lines, most_bytes) = cursor.lastrowid, most
        chosen: list[tuple[int | None, int]] = []
        size_bytes = 0
        for number, line_bytes in self.connection.execute(
            "SELECT number, size_bytes FROM lines WHERE state = 'waiting' AND upstream = ? AND endpoint = ? "
            "AND model = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
            (*group, now, most_lines),
        ):
            size_bytes += line_bytes
            if chosen and size_bytes > most_bytes:
                break
            chosen.append((batch, number))
        if not chosen:
            self.connection.execute("DELETE FROM batches WHERE number = ?", (batch,))
            return None
        self.connection.executemany("UPDATE lines SET state = 'batched', batch = ? WHERE number = ?", chosen)
        return Batch(batch or 0, intent, group, "", unwanted=False)

    def batches(self) -> list[Batch]:
        """All that haven't ended."""
        rows = self.connection.execute(f"SELECT {_BATCH} FROM batches WHERE state <> 'ended' ORDER BY number")  # noqa: S608 - constants
        return [_batch(row) for row in rows]

    def batch(self, number: int) -> Batch | None:
        """One that hasn't ended."""
        row = self.connection.execute(
            f"SELECT {_BATCH} FROM batches WHERE number = ? AND state <> 'ended'",  # noqa: S608 - constants
            (number,),
        ).fetchone()
        return None if row is None else _batch(row)

    def submitted(self, number: int, remote_id: str) -> None:
        """The provider has a batch."""
        self.connection.execute(
            "UPDATE batches SET remote_id = ?, state = 'submitted' WHERE number = ? AND state <> 'ended'",
            (remote_id, number),
        )

    def lines(self, batch: int, after: int, count: int) -> list[Line]:
        """The next lines of a batch that are still to be asked that way."""
        rows = self.connection.execute(
            f"SELECT {_LINE} FROM lines WHERE batch = ? AND state = 'batched' AND number > ? ORDER BY number LIMIT ?",  # noqa: S608 - constants
            (batch, after, count),
        )
        found: list[Line] = []
        size_bytes = 0
        lost: list[int] = []
        for row in rows:
            line = self._line(row)
            if line is None:
                lost.append(row[0])
                continue
            found.append(line)
            size_bytes += len(line.body)
            if size_bytes > _LINES_BYTES:
                break
        rows.close()
        self._drop(lost)
        return found

    def wanted(self, batch: int, numbers: Sequence[int]) -> list[Line]:
        """Those of a batch's lines that nothing has ended yet."""
        found = (
            self.connection.execute(
                f"SELECT {_LINE} FROM lines WHERE number = ? AND batch = ? "  # noqa: S608 - constants
                "AND state IN ('batched', 'direct', 'sending')",
                (number, batch),
            ).fetchone()
            for number in numbers
        )
        return [line for row in found if row is not None and (line := self._line(row)) is not None]

    def askers(self, numbers: Sequence[int]) -> dict[int, tuple[str, str, str]]:
        """Whose job asked a dropped line first, by line: tenant, label and feature; without those that are forgotten."""
        first = (
            "SELECT jobs.tenant, label, feature FROM jobs JOIN lines ON lines.number = jobs.line "
            "WHERE jobs.line = ? AND lines.state = 'dropped' ORDER BY jobs.number LIMIT 1"
        )
        found = ((number, self.connection.execute(first, (number,)).fetchone()) for number in numbers)
        return {number: row for number, row in found if row is not None}

    def end_batch(self, number: int, due_at: float, most_attempts: int | None) -> None:
        """The provider is done with a batch: what it left goes into another one, or is sent one by one.

        `most_attempts` None: this was none, and the lines go into another batch in any case.
        """
        counted = most_attempts is not None
        self.connection.execute("UPDATE batches SET state = 'ended' WHERE number = ?", (number,))
        self.connection.execute(
            "UPDATE lines SET attempts = attempts + :counted, batch = NULL, due_at = :due_at, "
            "state = iif(:counted AND attempts + 1 >= :most, 'direct', 'waiting') "
            "WHERE batch = :number AND state = 'batched'",
            {"counted": counted, "due_at": due_at, "most": most_attempts, "number": number},
        )

    def purge_batches(self, before: float) -> None:
        """Forgets batches that ended and were made before then."""
        self.connection.execute("DELETE FROM batches WHERE state = 'ended' AND created_at <= ?", (before,))

    def take_direct(self, count: int, now: float) -> list[Line]:
        """Lines to be sent one by one: of each tenant in turn, those that wait longest first."""
        return self._line_turns.take(count, lambda tenant: self._take_one(tenant, now))

    def postpone(self, number: int, due_at: float) -> None:
        """A line that was sent failed for the moment."""
        self.connection.execute(
            "UPDATE lines SET state = 'direct', attempts = attempts + 1, due_at = ? "
            "WHERE number = ? AND state = 'sending'",
            (due_at, number),
        )

    def dropped(self, numbers: Sequence[int]) -> list[int]:
        """Those of these lines that nobody wants any more."""
        wanted = "SELECT 1 FROM lines WHERE number = ? AND state <> 'dropped'"
        return [one for one in numbers if self.connection.execute(wanted, (one,)).fetchone() is None]

    def recover(self) -> None:
        """After a restart nothing is being sent."""
        self.connection.execute("UPDATE lines SET state = 'direct' WHERE state = 'sending'")

    def set_back(self, now: float) -> None:
        """The clock was set back, or may have been: nothing waits for a time that is far away by it."""
        for table, waiting in (("lines", "('waiting', 'direct')"), ("deliveries", "('pending')")):
            self.connection.execute(
                f"UPDATE {table} SET due_at = :now WHERE state IN {waiting} AND due_at > :now",  # noqa: S608 - constants
                {"now": now},
            )

    def totals(self) -> JobTotals:
        """All jobs at a glance."""
        counts = (
            dict(self.connection.execute(f"SELECT state, count(*) FROM {table} GROUP BY state"))  # noqa: S608 - constants
            for table in ("lines", "batches", "deliveries")
        )
        lines, batches, deliveries = counts
        jobs: dict[str, int] = {}
        for state, number in self.connection.execute(
            "SELECT state, count(*) FROM jobs GROUP BY tenant, state"
        ):
            jobs[state] = jobs.get(state, 0) + number
        (oldest_at,) = self.connection.execute(
            "SELECT min(created_at) FROM jobs WHERE state = 'open'"
        ).fetchone()
        batches.pop("ended", None)
        (size_bytes,) = self.connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM lines").fetchone()
        return JobTotals(jobs, lines, batches, deliveries, oldest_at, size_bytes)

    def take_deliveries(self, busy: Sequence[int], count: int, now: float) -> list[Delivery]:
        """Webhooks that are due, without those of the `busy` jobs: of each tenant in turn, the longest due first."""
        chosen = set(busy)

        def take_one(tenant: str) -> Delivery | None:
            while (found := self._next_delivery(tenant, chosen, now)) is not None:
                chosen.add(found.job)
                if found.state is DeliveryState.PENDING:
                    return found
                self.attempted(found)
            return None

        return self._delivery_turns.take(count, take_one)

    def next_delivery_at(self, now: float) -> float | None:
        """When the next webhook that isn't due yet will be; None where there is none."""
        (due_at,) = self.connection.execute(
            "SELECT min(due_at) FROM deliveries WHERE state = ? AND due_at > ?", (_PENDING, now)
        ).fetchone()
        return None if due_at is None else float(due_at)

    def attempted(self, delivery: Delivery) -> None:
        """How an attempt at a webhook ended."""
        self.connection.execute(
            "UPDATE deliveries SET state = ?, attempts = ?, due_at = ?, detail = ? WHERE job = ?",
            (delivery.state.value, delivery.attempts, delivery.due_at, delivery.detail, delivery.job),
        )

    def owner(self, job: int) -> tuple[str, str] | None:
        """The tenant and request id of a job."""
        row = self.connection.execute(
            "SELECT tenant, request_id FROM jobs WHERE number = ?", (job,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def _next_delivery(self, tenant: str, chosen: Collection[int], now: float) -> Delivery | None:
        """A tenant's webhook that is due longest; one whose URL no key opens is given up."""
        rows = self.connection.execute(
            "SELECT job, url, attempts, due_at, detail FROM deliveries "
            "WHERE state = ? AND tenant = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
            (_PENDING, tenant, now, len(chosen) + 1),
        )
        row = next((row for row in rows if row[0] not in chosen), None)
        if row is None:
            return None
        job, url, attempts, due_at, detail = row
        try:
            url = self._seals.unseal_text(url, place("deliveries.url", job))
        except Unreadable:
            return Delivery(job, "", DeliveryState.DEAD, attempts, due_at, "its URL can't be read")
        return Delivery(job, url, DeliveryState.PENDING, attempts, due_at, detail)

    def _take_one(self, tenant: str, now: float) -> Line | None:
        row = self.connection.execute(
            "UPDATE lines SET state = 'sending' WHERE number = (SELECT number FROM lines WHERE state = 'direct' "  # noqa: S608 - constants
            "AND tenant = ? AND due_at <= ? ORDER BY due_at LIMIT 1) "
            f"RETURNING {_LINE}",
            (tenant, now),
        ).fetchone()
        line = None if row is None else self._line(row)
        if row is not None and line is None:
            self._drop([row[0]])
        return line

    def _drop(self, numbers: Sequence[int]) -> None:
        """Lines that no key opens keep no others waiting: their jobs fail at their deadline."""
        parameters = [(number,) for number in numbers]
        self.connection.executemany("UPDATE lines SET state = 'dropped' WHERE number = ?", parameters)

    def _line(self, row: tuple[Any, ...]) -> Line | None:
        """A line; None for one that no key opens."""
        number, upstream, endpoint, model, context, body, attempts, deadline_at = row
        try:
            context = self._seals.unseal(context, place("lines.context", number))
            body = self._seals.unseal(body, place("lines.body", number))
        except Unreadable:
            return None
        return Line(number, Group(upstream, endpoint, model), context, body, attempts, deadline_at or 0.0)


def _batch(row: tuple[Any, ...]) -> Batch:
    number, intent, upstream, endpoint, model, remote_id, unwanted = row
    return Batch(number, intent, Group(upstream, endpoint, model), remote_id, bool(unwanted))
