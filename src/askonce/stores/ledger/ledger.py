"""The ledger: told on the way of what happened, written a little later, read at any time."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import structlog

from askonce.ports import Observer
from askonce.stores.files import delete_aside
from askonce.stores.ledger.erasing import count_questions, erase_questions
from askonce.stores.ledger.file import LedgerFile
from askonce.stores.ledger.journal import Journal
from askonce.stores.ledger.keys import SqliteKeys
from askonce.stores.ledger.kinds import Kinds
from askonce.stores.ledger.page import Page
from askonce.stores.ledger.writing import Keep
from askonce.stores.scrubbing import scrub
from askonce.stores.troubles import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from askonce.model import Owner
    from askonce.ports import Act, Books, Charge, Clock, Record

__all__ = ["LedgerHealth", "SqliteLedger"]

_T = TypeVar("_T")
_COMMIT_INTERVAL_S: Final = 1.0
_PRUNE_INTERVAL_S: Final = 3_600.0
_QUESTIONS_INTERVAL_S: Final = 60.0
"""Seconds of questions that a kill may cost; no other row is as many."""
_KEEP: Final = Keep(400 * 86_400.0, 2 * 86_400.0)
_log = structlog.get_logger("askonce.ledger")


class LedgerHealth(NamedTuple):
    """How the ledger is doing.

    Attributes:
        durable: Whether what it is told reaches its file, and the next process if this one is killed.
        detail: What is wrong, "" for nothing.
        pending_calls: Calls that aren't in the file yet; the journal has them, but for `missed` ones.
        unsettled_calls: Calls since the start that nobody said the tokens of, those of a killed process included.
        missed_records: Times that something couldn't be written to the journal: a kill could lose it.
    """

    durable: bool
    detail: str
    pending_calls: int
    unsettled_calls: int
    missed_records: int


class SqliteLedger(Observer):
    """The `Ledger` in a SQLite file, or in memory where there is no path; an `Observer` too.

    Attributes:
        keys: Keys that administrators have issued, in the same file.
    """

    def __init__(self, path: Path | None, clock: Clock, keep: Keep = _KEEP) -> None:
        kinds = self._kinds = Kinds()
        self._journal = None if path is None else Journal(path)
        self._file = LedgerFile(path, self._journal, kinds, clock, keep)
        self.keys = SqliteKeys(self._file, durable=path is not None)
        self._clock = clock
        self._page = Page(kinds)
        self._writing = asyncio.Lock()
        self._in_hand = 0
        self._secret = b""
        self._path = path
        self._unsettled_calls = 0
        self._prune_at = 0.0
        self._questions_at = 0.0
        self._commits: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self, secret: bytes) -> None:
        """Takes up what a killed process left, and begins to write, once a second; `secret` hides questions' keys.

        A file that can't be opened now is tried again each time.
        """
        self._secret = secret
        try:
            await self._file.open(secret)
        except (sqlite3.Error, OSError) as error:
            _log.error("ledger not opened", error=reason(error))
        self._task = asyncio.create_task(self._run(), name="ledger")  # noqa: TID251 - ended by `close`

    def health(self) -> LedgerHealth:
        """How it is doing."""
        journal, detail = self._journal, self._file.detail
        if journal is None:
            return LedgerHealth(False, "kept in memory", 0, self._unsettled_calls, 0)  # noqa: FBT003 - a name's value
        if not detail and not journal.ready:
            detail = "its journal can't be written: a kill could lose the last second's calls"
        unsettled = self._unsettled_calls + self._file.recovered
        pending = len(self._page.charges) + self._in_hand
        return LedgerHealth(not detail, detail, pending, unsettled, journal.missed)

    def request(self, record: Record) -> None:
        """A request has ended."""
        self._page.request(record, self._clock.now())

    def begun(self, charge: Charge) -> None:
        """An upstream call is about to go out: what it counts as should nothing more be heard of it."""
        if self._journal is not None:
            self._journal.begun(charge)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        if self._journal is not None:
            self._journal.charged(charge)
        self._unsettled_calls += charge.usage is None and charge.part == 0
        self._page.charged(charge)

    def acted(self, act: Act) -> None:
        """An administrator has done something."""
        self._page.acted(act)

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided."""
        self._page.decided(feature, mode, reason, self._clock.now())

    async def read(self, work: Callable[[Books], _T]) -> _T:
        """Reads the books as of now. Raises OSError where they can't be read."""
        try:
            await self.commit()
            return await self._file.read(work)
        except sqlite3.Error as error:
            raise OSError(f"the books can't be read: {reason(error)}") from error

    async def questions_of(self, owner: Owner, keys: Collection[bytes]) -> int:
        """How many questions' rows are an owner's, `keys` being those of its answers. Raises OSError."""
        await self._written()
        return await self._in_file(lambda file: count_questions(file, owner, keys, self._secret))

    async def erase(self, owner: Owner, keys: Collection[bytes]) -> int:
        """Forgets an owner's questions; sums stay. Returns how many rows. Raises OSError."""
        await self._written()
        return await self._in_file(lambda file: erase_questions(file, owner, keys, self._secret))

    async def scrub(self) -> list[str]:
        """Leaves nothing on the disk of what was forgotten; returns the files that it deleted. Raises OSError."""
        await scrub(self._in_file)
        return await asyncio.to_thread(delete_aside, self._path) if self._path is not None else []

    async def _written(self) -> None:
        try:
            await self.commit()
        except sqlite3.Error as error:
            raise OSError(f"the books can't be written: {reason(error)}") from error

    async def _in_file(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return await self._file.transact(work)
        except sqlite3.Error as error:
            raise OSError(f"the books can't be changed: {reason(error)}") from error

    async def commit(self) -> None:
        """Writes what isn't written yet; what can't be written now stays for the next time. Raises sqlite3.Error, OSError."""
        self._questions_at = 0.0
        await self._commit_soon()

    async def _commit_soon(self) -> None:
        task = asyncio.create_task(self._commit(), name="ledger-commit")  # noqa: TID251 - awaited, by `close` at the latest
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        # Whoever gives up waiting doesn't stop it: nobody would know then what was written.
        await asyncio.shield(task)

    async def close(self) -> None:
        """Writes the rest and closes the file."""
        if self._task is not None:
            self._task.cancel()
        try:
            await self.commit()
        except (sqlite3.Error, OSError) as error:
            _log.error("ledger not written; its journal is left for the next start", error=reason(error))
            await self._file.close(written=False)
        else:
            await self._file.close(written=True)

    async def _commit(self) -> None:
        async with self._writing:
            journal, now = self._journal, asyncio.get_running_loop().time()
            pruning = due = now >= self._prune_at
            if journal is not None:
                # No settled call may be forgotten that the journal still has: it would be new again after a kill.
                turned = journal.turn(at_bytes=0 if due else journal.full_bytes)
                pruning = due and turned
            retired = journal.take_retired() if journal is not None else []
            page, self._page = self._page, Page(self._kinds)
            if now < self._questions_at:
                page.leave_questions_to(self._page)
            else:
                self._questions_at = now + _QUESTIONS_INTERVAL_S
            if page.empty and not due and not retired and self._well:
                return
            self._in_hand = len(page.charges)
            try:
                await self._file.write(page, retired, pruning=pruning)
            except BaseException:
                page.add(self._page)
                self._page = page
                if journal is not None:
                    journal.put_back(retired)
                raise
            finally:
                self._in_hand = 0
            if pruning:
                self._prune_at = now + _PRUNE_INTERVAL_S

    @property
    def _well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self._file.detail and (self._journal is None or self._journal.ready)

    async def _run(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(_COMMIT_INTERVAL_S)
            try:
                await self._commit_soon()
            except (sqlite3.Error, OSError) as error:
                if reason(error) != said:
                    said = reason(error)
                    _log.error("ledger not written; tried again every second", error=said)
            except Exception:  # noqa: BLE001 - a bug in one page must not end the books
                _log.exception("ledger not written")
            else:
                if said:
                    said = ""
                    _log.warning("ledger written again")
