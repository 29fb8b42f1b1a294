"""What the batch lane asks: of whatever keeps its jobs, of providers' Batch APIs, of what delivers webhooks."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

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
        RemoteBatch,
    )
    from askonce.model import Owner

__all__ = ["BatchApi", "JobStore", "Postman"]


class JobStore(Protocol):
    """Jobs, lines, batches and webhooks: whatever a call has returned from is kept.

    A call either happens as a whole or raises Refusal (503 where the store can't keep anything now). Settling, ending
    and postponing what has come to its end already changes nothing, so that every step can be taken again.
    """

    @property
    def durable(self) -> bool:
        """Whether jobs outlive the process."""
        ...

    async def submit(self, new: NewJob) -> Receipt:
        """Takes a job, or finds the one of that name. Raises Refusal: also 409 and 429."""
        ...

    async def find(self, tenant: str, request_id: str) -> Job | None:
        """A tenant's job, with its answer."""
        ...

    async def page(self, tenant: str, state: JobState | None, after: int, count: int) -> list[Job]:
        """A tenant's jobs without their answers, newest first, those numbered below `after` (0: all)."""
        ...

    async def cancel(self, tenant: str, request_id: str, now: float) -> Ended | None:
        """Ends a tenant's open job; None where there is none of that name."""
        ...

    async def settle(self, results: Sequence[LineResult], now: float) -> list[Ended]:
        """Ends lines and all jobs that want them."""
        ...

    async def due(self, now: float, error: bytes) -> list[Ended]:
        """Lines near their deadline no longer wait for batches; jobs beyond theirs fail with `error`."""
        ...

    async def take_direct(self, count: int, now: float) -> list[Line]:
        """Lines to be sent one by one, of each tenant in turn; they are the taker's until settled or postponed."""
        ...

    async def postpone(self, number: int, due_at: float) -> None:
        """A line that was sent failed for the moment."""
        ...

    async def dropped(self, numbers: Sequence[int]) -> list[int]:
        """Those of these lines that nobody wants any more."""
        ...

    async def recover(self, now: float) -> list[Batch]:
        """After a restart: nothing is being sent; returns the batches that haven't ended."""
        ...

    async def set_back(self, now: float) -> None:
        """The clock was set back to `now`: what waits for a later time is due."""
        ...

    async def owned(self, owner: Owner) -> int:
        """How many jobs are an owner's."""
        ...

    async def erase(self, owner: Owner) -> int:
        """Forgets an owner's jobs, open ones too, with what nobody else wants of them; returns how many."""
        ...

    async def purge(self, before: float, count: int) -> int:
        """Forgets up to `count` jobs that ended before then; returns how many."""
        ...

    async def totals(self) -> JobTotals:
        """All jobs at a glance."""
        ...

    async def piles(self, now: float) -> list[Pile]:
        """What waits for a batch, by group."""
        ...

    async def form(self, group: Group, intent: str, most: tuple[int, int], now: float) -> Batch | None:
        """Puts waiting lines of a group into a new batch: at most so many, of so many bytes, but one at least."""
        ...

    async def batch(self, number: int) -> Batch | None:
        """A batch that hasn't ended."""
        ...

    async def submitted(self, number: int, remote_id: str) -> None:
        """The provider has a batch under that id."""
        ...

    async def lines(self, batch: int, after: int, count: int) -> list[Line]:
        """The next lines of a batch, numbered above `after`, that are still to be asked that way."""
        ...

    async def wanted(self, batch: int, numbers: Sequence[int]) -> list[Line]:
        """Those of a batch's lines that nothing has ended yet."""
        ...

    async def askers(self, numbers: Sequence[int]) -> dict[int, tuple[str, str, str]]:
        """Whose job asked a line first that was dropped, by line: tenant, label and feature.

        Not of lines that were answered, be it from this batch, nor of jobs that are forgotten.
        """
        ...

    async def end_batch(self, number: int, due_at: float, most_attempts: int | None) -> None:
        """The provider is done with a batch: what it left goes into another one, or is sent one by one.

        `most_attempts` None: this was none, and the lines go into another batch in any case.
        """
        ...

    async def take_deliveries(
        self, busy: Sequence[int], count: int, now: float
    ) -> tuple[list[Delivery], float | None]:
        """Webhooks that are due without those of the `busy` jobs, and when the next of the others will be."""
        ...

    async def attempted(self, delivery: Delivery) -> None:
        """How an attempt at a webhook ended."""
        ...

    async def owner(self, job: int) -> tuple[str, str] | None:
        """The tenant and request id of a job."""
        ...

    async def close(self) -> None:
        """Waits for what was asked, then ends."""
        ...


class BatchApi(Protocol):
    """A provider that takes files of requests. Every call raises UpstreamFailure."""

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Uploads a file of requests under a name; returns its id. May close the file."""
        ...

    async def find_file(self, name: str) -> str | None:
        """The id of the file of that name among the latest, if there is one."""
        ...

    async def create(self, file_id: str, endpoint: str, intent: str) -> RemoteBatch:
        """Makes a batch of a file, marked with the intent."""
        ...

    async def find(self, intent: str) -> RemoteBatch | None:
        """The batch that is marked with the intent among the latest, if there is one."""
        ...

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """How a batch stands."""
        ...

    async def cancel(self, batch_id: str) -> None:
        """Asks for a batch to be cancelled."""
        ...

    def results(self, file_id: str) -> AsyncIterator[bytes]:
        """The lines of a result file, without those that are too large to be an answer."""
        ...

    async def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...


class Postman(Protocol):
    """Delivers webhooks."""

    def refuses(self, url: str) -> str:
        """Why nothing is ever delivered to a URL, as a sentence; "" where nothing speaks against it yet."""
        ...

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[bool, str]:
        """Posts a body; whether the receiver took it, and how it went in a few words. Never raises."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...
