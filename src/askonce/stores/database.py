"""The file of answers, opened, closed, and begun anew where it must be: blocking, for the thread that writes.

The disk has the same order of eviction as memory (`memory.MemoryStore`): priority = L + frequency * worth, with
frequency = hits + 1, L kept in `meta`. Over the budget the entries of lowest priority go, a batch at a time,
inside the transaction that needs their room, so their pages are used again at once. Pages that it still takes
beyond the budget (`max_bytes`), or that a lowered budget leaves over, are given back by incremental vacuum at its
end. The write-ahead log beside the file takes up to one group commit more, and is cut back to 16 MiB.

What is deleted is overwritten (`secure_delete`), so that what was evicted or has expired can't be read from the file's
free pages, and the log is emptied with every tidying, within a minute or so; `scrubbing.scrub` leaves no copy at all.

Commits are `synchronous=NORMAL` in WAL mode: a killed process loses nothing committed, a power cut may lose the
last commits, neither corrupts the file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

from askonce.stores.contents import Contents
from askonce.stores.files import acquire, log_bytes, make_private, move_aside
from askonce.stores.meta import stored_secret
from askonce.stores.schema import SCHEMA
from askonce.stores.troubles import primary_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from askonce.model import Owner
    from askonce.ports import Erased
    from askonce.stores.pending import Batch
    from askonce.stores.sealing import Seals

__all__ = ["Applied", "Database"]

_T = TypeVar("_T")
_BUSY_TIMEOUT_S: Final = 1.0
_WAL_BYTES: Final = 16 * 2**20
_KEPT_OPEN: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
"""Failures of the moment, not of the connection."""
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class Applied:
    """What a commit tells: keys forgotten by tags, and how the file stands.

    Attributes:
        forgotten: Keys of the entries on disk that the batch's tags forgot, without those that it changed.
        entries: Entries and links on disk.
        disk_bytes: Bytes of the file and its write-ahead log.
        evicted: Entries evicted by this commit.
        refused: Changes of this batch that SQLite can't express; the file knows nothing under their keys.
        set_aside: Where a corrupt file was moved, if that happened.
        kept: All values by name.
    """

    forgotten: list[bytes]
    entries: int
    disk_bytes: int
    evicted: int
    refused: int
    set_aside: Path | None
    kept: Mapping[str, bytes]


class Database:
    """The one writer of a file, on one thread. It opens itself with the first commit.

    The store's secret is settled by then, since tenants and users are known by hashes under it from then on: a file with
    another secret that appears later isn't opened. What was asked meanwhile would be in it under hashes by which nobody
    finds it to be erased.

    Args:
        path: The file; its directory must exist. A lock file beside it keeps a second process out.
        seals: What its values are sealed with.
        max_bytes: Budget of the file.
        secret: What the store's secret is where the file has none yet, or can't be read.

    Attributes:
        secret: The store's secret.
    """

    def __init__(self, path: Path, seals: Seals, max_bytes: int, secret: bytes) -> None:
        self._path = path
        self._seals = seals
        self._max_bytes = max_bytes
        self.secret = secret
        self._settled = False
        self._kept: Mapping[str, bytes] = {}
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._contents: Contents | None = None
        self._corrupt = False
        self._set_aside: Path | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file can be read."""
        return self._contents is not None

    def commit(self, batch: Batch, now: float, *, tidy: bool) -> Applied:
        """Applies a batch, whole or not at all; `tidy` also drops what has expired.

        Raises sqlite3.Error or OSError; all but a full or locked disk also closes the file, and the next
        commit opens it anew. A file found corrupt is then moved aside and a new one begun.
        """
        return self._with(lambda contents: self._apply(contents, batch, now, tidy=tidy), now)

    def _apply(self, contents: Contents, batch: Batch, now: float, *, tidy: bool) -> Applied:
        forgotten = contents.apply(batch, now, tidy=tidy)
        self._kept = contents.kept
        if tidy:
            contents.fold_log()
        disk_bytes = contents.pragma("page_count") * contents.pragma("page_size") + log_bytes(self._path)
        set_aside, self._set_aside = self._set_aside, None
        return Applied(
            forgotten=forgotten,
            entries=contents.entries,
            disk_bytes=disk_bytes,
            evicted=contents.evicted,
            refused=contents.refused,
            set_aside=set_aside,
            kept=contents.kept,
        )

    def transact(self, work: Callable[[sqlite3.Connection], _T], now: float) -> _T:
        """Does work that begins and commits a transaction of its own. Raises as `commit` does."""
        return self._with(lambda _: work(cast("sqlite3.Connection", self._connection)), now)

    def erase(self, owner: Owner, now: float) -> Erased:
        """Forgets all that is an owner's, whole or not at all. Raises as `commit` does."""
        return self._with(lambda contents: contents.erase(owner), now)

    def _with(self, work: Callable[[Contents], _T], now: float) -> _T:
        try:
            if self._contents is not None and not self._path.exists():
                raise FileNotFoundError("the file was deleted while it was in use")
            return work(self._contents or self._open(now))
        except (sqlite3.Error, OSError) as error:
            if primary_code(error) not in _KEPT_OPEN:
                self._corrupt = self._corrupt or primary_code(error) in _CORRUPT
                self._disconnect()
            raise

    def distrust(self) -> None:
        """The file was found corrupt by its reader: the next commit moves it aside."""
        self._corrupt = True
        self._disconnect()

    def close(self) -> None:
        """Closes the file, its log folded in, and unlocks it."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._contents = None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self, now: float) -> Contents:
        try:
            return self._opened(now)
        except (sqlite3.Error, OSError):
            if not self._settled:
                self._read_secret()
            raise
        finally:
            self._settled = True

    def _read_secret(self) -> None:
        """The secret of a file that can't be opened now, such as one that another process still writes."""
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        with (
            suppress(sqlite3.Error, OSError),
            closing(sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S)) as connection,
        ):
            self.secret = stored_secret(connection, self._seals) or self.secret

    def _opened(self, now: float) -> Contents:
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"its directory {self._path.parent} does not exist")
        if self._lock is None:
            self._lock = acquire(self._path)
        if self._corrupt:
            self._begin_anew(now)
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in _CORRUPT:
                raise
            self._begin_anew(now)
            return self._connect()

    def _settle(self, contents: Contents) -> None:
        """Takes the file's secret, unless another is in use already. Raises OSError."""
        if self._settled and contents.secret != self.secret:
            raise OSError("it could not be read at the start, and has another secret; restart the gateway")
        self.secret = contents.secret

    def _begin_anew(self, now: float) -> None:
        self._set_aside = move_aside(self._path, now)
        self._corrupt = False

    def _connect(self) -> Contents:
        make_private(self._path)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            SCHEMA.version_of(connection)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            SCHEMA.bring_up_to_date(connection)
            contents = Contents(connection, self._seals, self._max_bytes, self.secret)
            self._settle(contents)
            contents.learn(self._kept)
        except BaseException:
            connection.close()
            raise
        self._connection, self._contents = connection, contents
        self._kept = contents.kept
        return contents
