"""Jobs in a SQLite file: every call that waits goes into one transaction, which is on disk before any of them returns.

The answers' store commits without waiting for the disk to say so, which a power cut may cost; jobs are promised, so
their transactions are synced. They share its file and its writing thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from askonce.errors import Refusal
from askonce.stores.job_tables import JobTables
from askonce.stores.work_tables import WorkTables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.job import (
        Batch,
        Delivery,
        Ended,
        Group,
        Job,
        JobState,
        JobTotals,
        Line,
        LineResult,
        NewJob,
        Pile,
        Receipt,
    )
    from askonce.stores.job_tables import JobLimits
    from askonce.stores.transactions import Transactions

__all__ = ["SqliteJobs"]

_T = TypeVar("_T")
_PATIENCE_S: Final = 10.0
_RETRY_S: Final = 5.0
_OF_ONE_OPERATION: Final = (
    sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
)  # fmt: skip
"""What SQLite says of values and statements; all else it says of the file."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Done:
    """How one operation of a group ended."""

    value: Any
    error: BaseException | None


class SqliteJobs:
    """The `JobStore` over a connection: what is asked together is committed together.

    Args:
        transactions: Where.
        limits: What may be kept.
    """

    def __init__(self, transactions: Transactions, limits: JobLimits) -> None:
        self._transactions = transactions
        self._limits = limits
        self._tables: tuple[JobTables, WorkTables] | None = None
        self._waiting: list[tuple[Callable[[JobTables, WorkTables], Any], asyncio.Future[Any]]] = []
        self._busy = False
        self._failing = False

    @property
    def durable(self) -> bool:
        """Whether jobs outlive the process."""
        return self._transactions.durable

    async def submit(self, new: NewJob) -> Receipt:
        """Takes a job, or finds the one of that name. Raises Refusal."""
        return await self._ask(lambda jobs, _: jobs.submit(new))

    async def find(self, tenant: str, request_id: str) -> Job | None:
        """A tenant's job, with its answer. Raises Refusal."""
        return await self._ask(lambda jobs, _: jobs.find(tenant, request_id))

    async def page(self, tenant: str, state: JobState | None, after: int, count: int) -> list[Job]:
        """A tenant's jobs, newest first. Raises Refusal."""
        return await self._ask(lambda jobs, _: jobs.page(tenant, state, after, count))

    async def cancel(self, tenant: str, request_id: str, now: float) -> Ended | None:
        """Ends a tenant's open job. Raises Refusal."""
        return await self._ask(lambda jobs, _: jobs.cancel(tenant, request_id, now))

    async def settle(self, results: Sequence[LineResult], now: float) -> list[Ended]:
        """Ends lines and all jobs that want them. Raises Refusal."""
        return await self._do(lambda jobs, _: jobs.settle(results, now))

    async def due(self, now: float, error: bytes) -> list[Ended]:
        """What time demands of lines and jobs. Raises Refusal."""
        return await self._do(lambda jobs, _: jobs.due(now, error))

    async def take_direct(self, count: int, now: float) -> list[Line]:
        """Lines to be sent one by one. Raises Refusal."""
        return await self._do(lambda _, work: work.take_direct(count, now))

    async def postpone(self, number: int, due_at: float) -> None:
        """A line that was sent failed for the moment. Raises Refusal."""
        await self._do(lambda _, work: work.postpone(number, due_at))

    async def dropped(self, numbers: Sequence[int]) -> list[int]:
        """Those of these lines that nobody wants any more. Raises Refusal."""
        return await self._do(lambda _, work: work.dropped(numbers))

    async def recover(self, now: float) -> list[Batch]:
        """What a restart finds: open batches; nothing is being sent. Raises Refusal."""

        def recover(_: JobTables, work: WorkTables) -> list[Batch]:
            work.recover()
            work.set_back(now)
            return work.batches()

        return await self._do(recover)

    async def set_back(self, now: float) -> None:
        """The clock was set back: nothing waits for a time that is far away by it. Raises Refusal."""
        await self._do(lambda _, work: work.set_back(now))

    async def purge(self, before: float, count: int) -> int:
        """Forgets jobs that ended before then. Raises Refusal."""

        def purge(jobs: JobTables, work: WorkTables) -> int:
            work.purge_batches(before)
            return jobs.purge(before, count)

        return await self._do(purge)

    async def totals(self) -> JobTotals:
        """All jobs at a glance. Raises Refusal."""
        return await self._do(lambda _, work: work.totals())

    async def piles(self, now: float) -> list[Pile]:
        """What waits for a batch. Raises Refusal."""
        return await self._do(lambda _, work: work.piles(now))

    async def form(self, group: Group, intent: str, most: tuple[int, int], now: float) -> Batch | None:
        """Puts waiting lines into a new batch: at most so many, of so many bytes. Raises Refusal."""
        return await self._do(lambda _, work: work.form(group, intent, most, now))

    async def batch(self, number: int) -> Batch | None:
        """A batch that hasn't ended. Raises Refusal."""
        return await self._do(lambda _, work: work.batch(number))

    async def submitted(self, number: int, remote_id: str) -> None:
        """The provider has a batch. Raises Refusal."""
        await self._do(lambda _, work: work.submitted(number, remote_id))

    async def lines(self, batch: int, after: int, count: int) -> list[Line]:
        """The next lines of a batch that are still to be asked that way. Raises Refusal."""
        return await self._do(lambda _, work: work.lines(batch, after, count))

    async def wanted(self, batch: int, numbers: Sequence[int]) -> list[Line]:
        """Those of a batch's lines that nothing has ended yet. Raises Refusal."""
        return await self._do(lambda _, work: work.wanted(batch, numbers))

    async def end_batch(self, number: int, due_at: float, most_attempts: int | None) -> None:
        """The provider is done with a batch. Raises Refusal."""
        await self._do(lambda _, work: work.end_batch(number, due_at, most_attempts))

    async def take_deliveries(
        self, busy: Sequence[int], count: int, now: float
    ) -> tuple[list[Delivery], float | None]:
        """Webhooks that are due without those of the busy jobs, and when the next one is. Raises Refusal."""
        return await self._do(
            lambda _, work: (work.take_deliveries(busy, count, now), work.next_delivery_at(now))
        )

    async def attempted(self, delivery: Delivery) -> None:
        """How an attempt at a webhook ended. Raises Refusal."""
        await self._do(lambda _, work: work.attempted(delivery))

    async def owner(self, job: int) -> tuple[str, str] | None:
        """The tenant and request id of a job. Raises Refusal."""
        return await self._do(lambda _, work: work.owner(job))

    async def close(self) -> None:
        """Waits for what was asked, then ends."""
        with suppress(Refusal):
            await self._ask(lambda _jobs, _work: None)
        self._transactions.close()

    async def _ask(self, operation: Callable[[JobTables, WorkTables], _T]) -> _T:
        """Does an operation for a caller, who isn't left waiting for a disk that hangs."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._do(operation)
        except TimeoutError:
            raise _unavailable("the disk takes too long") from None

    async def _do(self, operation: Callable[[JobTables, WorkTables], _T]) -> _T:
        """Does an operation with the next group. Raises Refusal."""
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, done))
        if not self._busy:
            self._send()
        return await done

    def _send(self) -> None:
        # Whoever has given up waiting gets nothing done.
        group = [(operation, done) for operation, done in self._waiting if not done.done()]
        self._waiting = []
        if not group:
            return
        self._busy = True
        try:
            running = self._transactions.run(lambda connection: self._commit(connection, group))
        except RuntimeError:  # its thread has ended
            self._busy = False
            for _, done in group:
                done.set_exception(_unavailable("the gateway is shutting down"))
            return
        running.add_done_callback(lambda ended: self._deliver(ended, [done for _, done in group]))

    def _deliver(self, ended: asyncio.Future[list[_Done]], waiting: list[asyncio.Future[Any]]) -> None:
        self._busy = False
        error = _unavailable("the gateway is shutting down") if ended.cancelled() else ended.exception()
        if error is not None:
            self._tables = None
            if not self._failing:
                _log.error("jobs_not_committed", error=_reason(error))
            outcomes = [_Done(None, _unavailable(_reason(error))) for _ in waiting]
        else:
            outcomes = ended.result()
        self._failing = error is not None
        for done, outcome in zip(waiting, outcomes, strict=True):
            if done.done():
                continue
            if outcome.error is None:
                done.set_result(outcome.value)
            else:
                done.set_exception(outcome.error)
        self._send()

    def _commit(
        self,
        connection: sqlite3.Connection,
        group: Sequence[tuple[Callable[[JobTables, WorkTables], Any], asyncio.Future[Any]]],
    ) -> list[_Done]:
        """One transaction, on the thread that may write."""
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._tables is None or self._tables[0].connection is not connection:
                self._tables = self._open(connection)
            outcomes = [self._one(connection, operation, done) for operation, done in group]
            connection.execute("COMMIT")
        except BaseException:
            self._tables = None
            with suppress(sqlite3.Error):  # some failures have rolled back by themselves
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")
        return outcomes

    def _one(
        self,
        connection: sqlite3.Connection,
        operation: Callable[[JobTables, WorkTables], Any],
        done: asyncio.Future[Any],
    ) -> _Done:
        """One operation: what it refuses, or a mistake of ours, costs it alone."""
        if done.cancelled():
            return _Done(None, None)
        connection.execute("SAVEPOINT operation")
        try:
            value = operation(*(self._tables or self._open(connection)))
        except _OF_ONE_OPERATION as error:
            failure: Exception = error
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            failure = error
        else:
            connection.execute("RELEASE operation")
            return _Done(value, None)
        connection.execute("ROLLBACK TO operation")
        connection.execute("RELEASE operation")
        if not isinstance(failure, Refusal):
            self._tables = self._open(connection)
        return _Done(None, failure)

    def _open(self, connection: sqlite3.Connection) -> tuple[JobTables, WorkTables]:
        return JobTables(connection, self._limits), WorkTables(connection)


def _unavailable(reason: str) -> Refusal:
    return Refusal(
        503, "jobs_unavailable", f"Jobs can't be kept now ({reason}); try again.", retry_after_s=_RETRY_S
    )


def _reason(error: BaseException) -> str:
    """Why, without the message of anything but SQLite and the system, which could quote what was asked."""
    return str(error) if isinstance(error, sqlite3.Error | OSError) else type(error).__name__
