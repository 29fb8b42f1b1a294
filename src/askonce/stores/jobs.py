"""Jobs in a SQLite file: every call that waits goes into one transaction, which is on disk before any of them returns.

The answers' store commits without waiting for the disk to say so, which a power cut may cost; jobs are promised, so
their transactions are synced. They share its file and its writing thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.stores import job_erasing
from askonce.stores.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from askonce.model import Owner
    from askonce.stores.job_room import JobLimits
    from askonce.stores.job_tables import JobTables
    from askonce.stores.transactions import Transactions
    from askonce.stores.work_tables import WorkTables

__all__ = ["SqliteJobs"]


class SqliteJobs:
    """The `JobStore` over a connection: what is asked together is committed together.

    Args:
        transactions: Where.
        limits: What may be kept.
    """

    def __init__(self, transactions: Transactions, limits: JobLimits) -> None:
        self._operations = Operations(transactions, limits)

    @property
    def durable(self) -> bool:
        """Whether jobs outlive the process."""
        return self._operations.durable

    async def submit(self, new: NewJob) -> Receipt:
        """Takes a job, or finds the one of that name. Raises Refusal."""
        return await self._operations.ask(lambda jobs, _: jobs.submit(new))

    async def find(self, tenant: str, request_id: str) -> Job | None:
        """A tenant's job, with its answer. Raises Refusal."""
        return await self._operations.ask(lambda jobs, _: jobs.find(tenant, request_id))

    async def page(self, tenant: str, state: JobState | None, after: int, count: int) -> list[Job]:
        """A tenant's jobs, newest first. Raises Refusal."""
        return await self._operations.ask(lambda jobs, _: jobs.page(tenant, state, after, count))

    async def cancel(self, tenant: str, request_id: str, now: float) -> Ended | None:
        """Ends a tenant's open job. Raises Refusal."""
        return await self._operations.ask(lambda jobs, _: jobs.cancel(tenant, request_id, now))

    async def settle(self, results: Sequence[LineResult], now: float) -> list[Ended]:
        """Ends lines and all jobs that want them. Raises Refusal."""
        return await self._operations.do(lambda jobs, _: jobs.settle(results, now))

    async def due(self, now: float, error: bytes) -> list[Ended]:
        """What time demands of lines and jobs. Raises Refusal."""
        return await self._operations.do(lambda jobs, _: jobs.due(now, error))

    async def take_direct(self, count: int, now: float) -> list[Line]:
        """Lines to be sent one by one. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.take_direct(count, now))

    async def postpone(self, number: int, due_at: float) -> None:
        """A line that was sent failed for the moment. Raises Refusal."""
        await self._operations.do(lambda _, work: work.postpone(number, due_at))

    async def dropped(self, numbers: Sequence[int]) -> list[int]:
        """Those of these lines that nobody wants any more. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.dropped(numbers))

    async def recover(self, now: float) -> list[Batch]:
        """What a restart finds: open batches; nothing is being sent. Raises Refusal."""

        def recover(_: JobTables, work: WorkTables) -> list[Batch]:
            work.recover()
            work.set_back(now)
            return work.batches()

        return await self._operations.do(recover)

    async def set_back(self, now: float) -> None:
        """The clock was set back: nothing waits for a time that is far away by it. Raises Refusal."""
        await self._operations.do(lambda _, work: work.set_back(now))

    async def owned(self, owner: Owner) -> int:
        """How many jobs are an owner's. Raises Refusal."""
        return await self._operations.ask(lambda jobs, _: len(job_erasing.owned(jobs.connection, owner)))

    async def erase(self, owner: Owner) -> int:
        """Forgets an owner's jobs. Raises Refusal."""
        return await self._operations.do(lambda jobs, _: job_erasing.erase(jobs, owner))

    async def purge(self, before: float, count: int) -> int:
        """Forgets jobs that ended before then. Raises Refusal."""

        def purge(jobs: JobTables, work: WorkTables) -> int:
            work.purge_batches(before)
            return jobs.purge(before, count)

        return await self._operations.do(purge)

    async def totals(self) -> JobTotals:
        """All jobs at a glance. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.totals())

    async def piles(self, now: float) -> list[Pile]:
        """What waits for a batch. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.piles(now))

    async def form(self, group: Group, intent: str, most: tuple[int, int], now: float) -> Batch | None:
        """Puts waiting lines into a new batch: at most so many, of so many bytes. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.form(group, intent, most, now))

    async def batch(self, number: int) -> Batch | None:
        """A batch that hasn't ended. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.batch(number))

    async def submitted(self, number: int, remote_id: str) -> None:
        """The provider has a batch. Raises Refusal."""
        await self._operations.do(lambda _, work: work.submitted(number, remote_id))

    async def lines(self, batch: int, after: int, count: int) -> list[Line]:
        """The next lines of a batch that are still to be asked that way. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.lines(batch, after, count))

    async def wanted(self, batch: int, numbers: Sequence[int]) -> list[Line]:
        """Those of a batch's lines that nothing has ended yet. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.wanted(batch, numbers))

    async def askers(self, numbers: Sequence[int]) -> dict[int, tuple[str, str, str]]:
        """Whose job asked a dropped line first, by line: tenant, label and feature. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.askers(numbers))

    async def end_batch(self, number: int, due_at: float, most_attempts: int | None) -> None:
        """The provider is done with a batch. Raises Refusal."""
        await self._operations.do(lambda _, work: work.end_batch(number, due_at, most_attempts))

    async def take_deliveries(
        self, busy: Sequence[int], count: int, now: float
    ) -> tuple[list[Delivery], float | None]:
        """Webhooks that are due without those of the busy jobs, and when the next one is. Raises Refusal."""
        return await self._operations.do(
            lambda _, work: (work.take_deliveries(busy, count, now), work.next_delivery_at(now))
        )

    async def attempted(self, delivery: Delivery) -> None:
        """How an attempt at a webhook ended. Raises Refusal."""
        await self._operations.do(lambda _, work: work.attempted(delivery))

    async def owner(self, job: int) -> tuple[str, str] | None:
        """The tenant and request id of a job. Raises Refusal."""
        return await self._operations.do(lambda _, work: work.owner(job))

    async def close(self) -> None:
        """Waits for what was asked, then ends."""
        await self._operations.close()
