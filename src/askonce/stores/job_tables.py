"""Jobs, lines and webhooks as rows: what callers do, and how lines come to their end.

A job's state is `open`, or one of the three that end it. A line's is

    waiting ──▶ batched ──▶ answered | failed          a provider's batch
       ╰───────────┴──▶ direct ⇄ sending ──▶ answered | failed
    … ──▶ dropped                                      nobody wants it any more

and only a line in one of the first four states can be settled: whatever comes a second time changes nothing.

Plain blocking functions on one connection, inside a transaction that somebody else begins and commits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from askonce.errors import Refusal
from askonce.job import (
    DeliveryState,
    Ended,
    Job,
    JobState,
    LineResult,
    NewJob,
    Receipt,
)
from askonce.stores import job_rows
from askonce.stores.job_room import LINE_BYTES, JobRoom
from askonce.stores.sealing import Unreadable, place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from askonce.model import Answer
    from askonce.stores.job_room import JobLimits
    from askonce.stores.sealing import Seals

__all__ = ["JobTables"]

_UNSETTLED: Final = "('waiting', 'batched', 'direct', 'sending')"
_ENDING: Final = (
    "number, tenant, request_id, label, feature, model, (SELECT model FROM lines WHERE lines.number = jobs.line), "
    "created_at, line"
)


class JobTables:
    """The tables of one connection.

    Attributes:
        connection: Where they are.
        seals: What is sealed in them.
        room: How many jobs there are, and what may be taken in: belongs to the transaction.
    """

    def __init__(self, connection: sqlite3.Connection, limits: JobLimits, seals: Seals) -> None:
        self.connection = connection
        self.seals = seals
        self.room = JobRoom(connection, limits)

    def submit(self, new: NewJob) -> Receipt:
        """Takes a job, or finds the one of that name.

        Raises:
            Refusal: 409 where the name stands for something else, 429 over a limit.
        """
        known = self.connection.execute(
            "SELECT digest FROM jobs WHERE tenant = ? AND request_id = ?", (new.tenant, new.request_id)
        ).fetchone()
        if known is not None:
            if known[0] != new.digest:
                sentence = "This request id was used for another request; choose a new one."
                raise Refusal(409, "request_id_taken", sentence, param="request_id")
            return Receipt(self._known(new.tenant, new.request_id), new=False, ended=())
        self.room.check(new)
        line, leads = self._line_for(new)
        cursor = self.connection.execute(
            "INSERT INTO jobs (tenant, request_id, digest, state, line, label, feature, model, native, "
            "created_at, deadline_at, outcome, error, users) VALUES (?,?,?,'open',?,?,?,?,?,?,?,'',x'',?)",
            (
                new.tenant, new.request_id, new.digest, line, new.label, new.feature, new.model, new.native,
                new.created_at, new.deadline_at, b"".join(new.users),
            ),
        )  # fmt: skip
        self.room.open[new.tenant] = self.room.open.get(new.tenant, 0) + 1
        if new.webhook:
            job = cursor.lastrowid or 0
            url = self.seals.seal_text(new.webhook, place("deliveries.url", job))
            self.connection.execute(
                "INSERT INTO deliveries VALUES (?,?,?,'idle',0,0,'')", (job, new.tenant, url)
            )
        answered = self.connection.execute(
            "SELECT 1 FROM lines WHERE number = ? AND state = 'answered'", (line,)
        ).fetchone()
        ended: list[Ended] = []
        if answered is not None:
            outcome = new.ready.outcome if new.ready is not None and leads else "exact"
            result = LineResult(line, None, outcome)
            ended = self._end_jobs(line, result, new.created_at, JobState.COMPLETED)
        return Receipt(self._known(new.tenant, new.request_id), new=True, ended=tuple(ended))

    def find(self, tenant: str, request_id: str) -> Job | None:
        """A tenant's job with its answer."""
        row = self.connection.execute(job_rows.FIND, (tenant, request_id)).fetchone()
        return None if row is None else job_rows.job_from(row, self.seals)

    def page(self, tenant: str, state: JobState | None, after: int, count: int) -> list[Job]:
        """A tenant's jobs without their answers, newest first, from below `after` (0: from the newest)."""
        named = {"tenant": tenant, "after": after or 2**62, "count": count}
        query = job_rows.PAGES[state]
        return [job_rows.job_from(row, self.seals) for row in self.connection.execute(query, named)]

    def cancel(self, tenant: str, request_id: str, now: float) -> Ended | None:
        """Ends a tenant's open job; None where there is none of that name."""
        row = self.connection.execute(
            f"SELECT {_ENDING} FROM jobs WHERE tenant = ? AND request_id = ? AND state = 'open'",  # noqa: S608 - constants
            (tenant, request_id),
        ).fetchone()
        return None if row is None else self._end(row, JobState.CANCELLED, now, code="cancelled")

    def settle(self, results: Sequence[LineResult], now: float) -> list[Ended]:
        """Ends lines and all jobs that want them; lines that have ended already are left as they are."""
        ended: list[Ended] = []
        for result in results:
            answer = self._sealed("answer", result.number, _packed(result.answer))
            state = "answered" if answer else "failed"
            if self._end_line(result.number, state, answer, now):
                job_state = JobState.COMPLETED if answer else JobState.FAILED
                ended += self._end_jobs(result.number, result, now, job_state)
        return ended

    def due(self, now: float, error: bytes) -> list[Ended]:
        """What time demands: lines near their deadline are no longer batched, jobs beyond theirs have failed."""
        self.connection.execute(
            "UPDATE lines INDEXED BY lines_fallback_at SET state = 'direct', due_at = :now "
            "WHERE state IN ('waiting', 'batched') AND fallback_at <= :now",
            {"now": now},
        )
        late = self.connection.execute(
            f"SELECT {_ENDING} FROM jobs WHERE state = 'open' AND deadline_at <= ? LIMIT 1000",  # noqa: S608 - constants
            (now,),
        ).fetchall()
        return [self._end(row, JobState.FAILED, now, error, "deadline_exceeded") for row in late]

    def purge(self, before: float, count: int) -> int:
        """Forgets up to `count` jobs that ended before then, and what only they needed."""
        numbers = [
            number
            for (number,) in self.connection.execute(
                "SELECT number FROM jobs LEFT JOIN deliveries ON deliveries.job = jobs.number "
                "WHERE ended_at <= ? AND coalesce(deliveries.state, '') <> 'pending' LIMIT ?",
                (before, count),
            )
        ]
        parameters = [(number,) for number in numbers]
        lines = {
            line
            for number in parameters
            for (line,) in self.connection.execute("SELECT line FROM jobs WHERE number = ?", number)
        }
        self.connection.executemany("DELETE FROM jobs WHERE number = ?", parameters)
        self.connection.executemany("DELETE FROM deliveries WHERE job = ?", parameters)
        for line in lines:
            deleted = self.connection.execute(
                f"DELETE FROM lines WHERE number = :line AND state NOT IN {_UNSETTLED} "  # noqa: S608 - constants
                "AND NOT EXISTS (SELECT 1 FROM jobs WHERE line = :line) RETURNING size_bytes",
                {"line": line},
            ).fetchone()
            self.room.size_bytes -= deleted[0] if deleted is not None else 0
        return len(numbers)

    def _known(self, tenant: str, request_id: str) -> Job:
        job = self.find(tenant, request_id)
        if job is None:
            raise RuntimeError("a job that was just written is gone")
        return job

    def _line_for(self, new: NewJob) -> tuple[int, bool]:
        """The line that answers a new job, and whether the job is the first to want it."""
        given, ready = new.line, new.ready
        if given.key is not None and ready is None:
            row = self.connection.execute(
                f"SELECT number FROM lines WHERE key = ? AND (state IN {_UNSETTLED} OR answered_at >= ?)",  # noqa: S608 - constants
                (given.key, new.looked_at),
            ).fetchone()
            if row is not None:
                self.connection.execute(
                    "UPDATE lines SET fallback_at = min(fallback_at, ?) WHERE number = ?",
                    (new.fallback_at, row[0]),
                )
                return row[0], False
        if given.key is not None:
            self.connection.execute(
                "UPDATE lines SET key = NULL WHERE key = ? AND state = 'answered'", (given.key,)
            )
        number = self._next_line()
        answer = self._sealed("answer", number, _packed(ready.answer if ready is not None else None))
        body = self._sealed("body", number, b"" if ready is not None else given.body)
        context = self._sealed("context", number, given.context)
        size_bytes = len(body) + len(answer) + len(context) + LINE_BYTES
        state = "answered" if ready is not None else "waiting" if given.batched else "direct"
        self.connection.execute(
            "INSERT INTO lines (number, key, state, tenant, upstream, endpoint, model, attempts, due_at, fallback_at, "
            "answered_at, size_bytes, context, body, answer) VALUES (?,?,?,?,?,?,?,0,?,?,?,?,?,?,?)",
            (
                number, None if ready is not None else given.key, state, new.tenant, *given.group, new.created_at,
                new.fallback_at, new.created_at if ready is not None else None, size_bytes, context, body, answer,
            ),
        )  # fmt: skip
        self.room.size_bytes += size_bytes
        return number, True

    def _next_line(self) -> int:
        """The number of the next line: what is sealed is bound to it. None is given twice (AUTOINCREMENT)."""
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'lines'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def _sealed(self, column: str, number: int, value: bytes) -> bytes:
        """A value of a line; what isn't there isn't sealed."""
        return self.seals.seal(value, place(f"lines.{column}", number)) if value else b""

    def _end_jobs(self, line: int, result: LineResult, now: float, state: JobState) -> list[Ended]:
        """Ends all open jobs of a line: the first of them pays, the others have joined it."""
        rows = self.connection.execute(
            f"SELECT {_ENDING} FROM jobs WHERE line = ? AND state = 'open' ORDER BY number",  # noqa: S608 - constants
            (line,),
        ).fetchall()
        if state is JobState.FAILED:
            return [
                self._finish(row, state, now, "", (None, None), (result.error, result.code)) for row in rows
            ]
        (answer,) = self.connection.execute("SELECT answer FROM lines WHERE number = ?", (line,)).fetchone()
        cost = usage = None
        with suppress(Unreadable):
            found = job_rows.unpack(self.seals.unseal(answer, place("lines.answer", line)))
            cost, usage = found.cost_nanousd, found.usage
        ended = []
        for index, row in enumerate(rows):
            outcome = "joined" if index and result.outcome == "fresh" else result.outcome
            spent = 0 if index else result.spent_nanousd
            saved = None if cost is None or spent is None else max(0, cost - spent)
            money = (None if cost is None else spent, saved)
            ended.append(self._finish(row, state, now, outcome, money, (b"", ""))._replace(usage=usage))
        return ended

    def _end(
        self, row: tuple[Any, ...], state: JobState, now: float, error: bytes = b"", code: str = ""
    ) -> Ended:
        """Ends one job without an answer; a line that nobody else wants is dropped."""
        ended = self._finish(row, state, now, "", (None, None), (error, code))
        line = row[-1]
        wanted = self.connection.execute(
            "SELECT 1 FROM jobs WHERE line = ? AND state = 'open' LIMIT 1", (line,)
        ).fetchone()
        if wanted is None:
            self._end_line(line, "dropped", b"", now)
        return ended

    def _end_line(self, number: int, state: str, answer: bytes, now: float) -> bool:
        """Settles a line: its question is no longer needed; False where it has been settled before."""
        row = self.connection.execute(
            f"SELECT length(body) FROM lines WHERE number = ? AND state IN {_UNSETTLED}",  # noqa: S608 - constants
            (number,),
        ).fetchone()
        if row is None:
            return False
        growth = len(answer) - row[0]
        self.connection.execute(
            "UPDATE lines SET state = :state, answered_at = :now, answer = :answer, body = x'', "
            "key = iif(:state = 'answered', key, NULL), size_bytes = size_bytes + :growth WHERE number = :number",
            {"state": state, "now": now, "answer": answer, "growth": growth, "number": number},
        )
        self.room.size_bytes += growth
        return True

    def _finish(  # noqa: PLR0917 - one row's columns
        self,
        row: tuple[Any, ...],
        state: JobState,
        now: float,
        outcome: str,
        money: tuple[int | None, int | None],
        failure: tuple[bytes, str],
    ) -> Ended:
        number, tenant, request_id, label, feature, model, upstream_model, created_at, _ = row
        error = self.seals.seal(failure[0], place("jobs.error", number)) if failure[0] else b""
        self.connection.execute(
            "UPDATE jobs SET state = ?, ended_at = ?, outcome = ?, spent_nanousd = ?, saved_nanousd = ?, error = ? "
            "WHERE number = ?",
            (state.value, now, outcome, *money, error, number),
        )
        told = DeliveryState.PENDING if state is not JobState.CANCELLED else DeliveryState.IDLE
        self.connection.execute(
            "UPDATE deliveries SET state = ?, due_at = ? WHERE job = ?", (told.value, now, number)
        )
        self.room.open[tenant] -= 1
        whose = number, tenant, request_id, label, feature, model, created_at
        return Ended(*whose, state, outcome, *money, failure[1], upstream_model)


def _packed(answer: Answer | None) -> bytes:
    return b"" if answer is None else job_rows.pack(answer)
