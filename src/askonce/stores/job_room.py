"""How many jobs there are, and what may be taken in beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal

if TYPE_CHECKING:
    import sqlite3

    from askonce.job import NewJob

__all__ = ["LINE_BYTES", "JobLimits", "JobRoom"]

LINE_BYTES: Final = 1_000
"""What a line and its jobs take beside their texts, about."""
_BUSY_RETRY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What may be kept: open jobs of one tenant, and bytes of all jobs together."""

    max_open_per_tenant: int
    max_bytes: int


class JobRoom:
    """The counts that every submission is checked against.

    They are kept in memory and belong to the transaction: after a rollback another object is made.

    Attributes:
        open: Open jobs by tenant.
        size_bytes: Bytes of all lines.
    """

    def __init__(self, connection: sqlite3.Connection, limits: JobLimits) -> None:
        self._connection = connection
        self._limits = limits
        self.recount()

    def recount(self) -> None:
        """Counts anew, after rows have gone another way."""
        count = self._connection.execute
        self.open = dict[str, int](
            count("SELECT tenant, count(*) FROM jobs WHERE state = 'open' GROUP BY tenant").fetchall()
        )
        self.size_bytes = int(count("SELECT coalesce(sum(size_bytes), 0) FROM lines").fetchone()[0])

    def check(self, new: NewJob) -> None:
        """Whether there is room for a job. Raises Refusal: 429."""
        limits = self._limits
        if self.open.get(new.tenant, 0) >= limits.max_open_per_tenant:
            sentence = (
                f"{limits.max_open_per_tenant} of your jobs wait already; submit more once some have ended."
            )
            raise Refusal(429, "too_many_jobs", sentence, retry_after_s=_BUSY_RETRY_S)
        if self.size_bytes + len(new.line.body) + LINE_BYTES > limits.max_bytes:
            sentence = "The gateway keeps as many jobs as it may; submit again later."
            raise Refusal(429, "jobs_full", sentence, retry_after_s=_BUSY_RETRY_S)
