"""Operations on jobs' tables, in groups: what is asked together is committed together, and is then on disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import structlog

from askonce.errors import Refusal
from askonce.stores.job_tables import JobTables
from askonce.stores.troubles import reason
from askonce.stores.work_tables import WorkTables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.stores.job_room import JobLimits
    from askonce.stores.transactions import Transactions

__all__ = ["Operations"]

_T = TypeVar("_T")
_Operation: TypeAlias = "Callable[[JobTables, WorkTables], _T]"
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


class Operations:
    """Does operations in a thread, each group in one transaction; one that fails by itself costs the others nothing.

    Args:
        transactions: Where.
        limits: What may be kept.
    """

    def __init__(self, transactions: Transactions, limits: JobLimits) -> None:
        self._transactions = transactions
        self._limits = limits
        self._tables: tuple[JobTables, WorkTables] | None = None
        self._waiting: list[tuple[_Operation[Any], asyncio.Future[Any]]] = []
        self._busy = False
        self._failing = False

    @property
    def durable(self) -> bool:
        """Whether what was done outlives the process."""
        return self._transactions.durable

    async def close(self) -> None:
        """Waits for what was asked, then ends."""
        with suppress(Refusal):
            await self.ask(lambda _jobs, _work: None)
        self._transactions.close()

    async def ask(self, operation: _Operation[_T]) -> _T:
        """Does an operation for a caller, who isn't left waiting for a disk that hangs."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self.do(operation)
        except TimeoutError:
            raise _unavailable("the disk takes too long") from None

    async def do(self, operation: _Operation[_T]) -> _T:
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
                _log.error("jobs_not_committed", error=reason(error))
            outcomes = [_Done(None, _unavailable(reason(error))) for _ in waiting]
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
        group: Sequence[tuple[_Operation[Any], asyncio.Future[Any]]],
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
        operation: _Operation[Any],
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
        seals = self._transactions.seals
        return JobTables(connection, self._limits, seals), WorkTables(connection, seals)


def _unavailable(why: str) -> Refusal:
    return Refusal(
        503, "jobs_unavailable", f"Jobs can't be kept now ({why}); try again.", retry_after_s=_RETRY_S
    )
