"""Stored answers by what is known of them: walked through in the file, a bounded number of rows at a step.

Plain blocking functions, for the thread that reads. Each step looks at a few rows and returns, so that look-ups that
wait meanwhile have their turn between two of them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from askonce.ports import Kept, Listed
from askonce.stores import rows
from askonce.stores.sealing import Unreadable
from askonce.stores.worth import entry_bytes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from askonce.model import Entry, Question
    from askonce.ports import Selection
    from askonce.stores.sealing import Seals

__all__ = ["content", "link_keys", "listed", "walk"]

_ROWS_AT_ONCE: Final = 2_000
_LISTED: Final = "key, created_at, expires_at, tenant, feature, model, tags, size_bytes"
_NEXT: Final = f"SELECT {_LISTED}, rowid FROM entries WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"  # noqa: S608 - constants
_ONE: Final = f"SELECT {_LISTED} FROM entries WHERE key = ?"  # noqa: S608 - constants
_TAGGED: Final = "SELECT key FROM tags WHERE tag = ? AND key > ? ORDER BY key LIMIT ?"
_QUESTION: Final = "SELECT key, partition, text, engine, vector, tokens, answer FROM questions WHERE key = ?"
_LINK_KEYS: Final = "SELECT key FROM links WHERE target = ?"


def listed(entry: Entry) -> Listed:
    """What is known of an entry in memory."""
    return Listed(
        entry.key,
        entry.created_at,
        entry.expires_at,
        entry.tenant,
        entry.feature,
        entry.model,
        entry.tags,
        entry_bytes(entry),
    )


def walk(
    opened: Callable[[], sqlite3.Connection], selection: Selection, seals: Seals
) -> Iterator[list[Listed]]:
    """The entries on disk that a selection means; a step may bring none. Those put meanwhile may be left out.

    Raises sqlite3.Error.
    """
    if selection.entries is not None:
        found = _by_key(opened, sorted(selection.entries), seals)
    elif selection.tags:
        found = _by_tag(opened, sorted(selection.tags), seals)
    else:
        found = _all(opened, seals)
    for batch in found:
        yield [one for one in batch if selection.admits(one)]


def content(connection: sqlite3.Connection, key: bytes, seals: Seals) -> Kept | None:
    """The entry of that key, whole; None where it isn't on disk. Raises sqlite3.Error, Unreadable."""
    row = connection.execute(rows.FIND_ENTRY, (key,)).fetchone()
    if row is None:
        return None
    links = [rows.link_from(one) for one in connection.execute(rows.LINKS_TO, (key,))]
    return Kept(
        rows.entry_from(row, seals),
        _question(connection, key, seals),
        tuple((link, _question(connection, link.key, seals)) for link in links),
    )


def link_keys(connection: sqlite3.Connection, targets: Iterable[bytes]) -> list[bytes]:
    """The keys of all links that lead to any of the targets. Raises sqlite3.Error."""
    return [key for target in targets for (key,) in connection.execute(_LINK_KEYS, (target,))]


def _all(opened: Callable[[], sqlite3.Connection], seals: Seals) -> Iterator[list[Listed]]:
    """In the order in which they were written, which is the order on the disk; not those written since the beginning."""
    after, (until,) = 0, opened().execute("SELECT coalesce(max(rowid), 0) FROM entries").fetchone()
    while batch := opened().execute(_NEXT, (after, until, _ROWS_AT_ONCE)).fetchall():
        after = batch[-1][-1]
        yield [_listed(row, seals) for row in batch]


def _by_key(
    opened: Callable[[], sqlite3.Connection], keys: Sequence[bytes], seals: Seals
) -> Iterator[list[Listed]]:
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        found = [opened().execute(_ONE, (key,)).fetchone() for key in keys[start : start + _ROWS_AT_ONCE]]
        yield [_listed(row, seals) for row in found if row is not None]


def _by_tag(
    opened: Callable[[], sqlite3.Connection], tags: Sequence[str], seals: Seals
) -> Iterator[list[Listed]]:
    for place, tag in enumerate(tags):
        before = set(tags[:place])
        for form in seals.tag_forms(tag):
            after = b""
            while keys := [key for (key,) in opened().execute(_TAGGED, (form, after, _ROWS_AT_ONCE))]:
                after = keys[-1]
                for batch in _by_key(opened, keys, seals):
                    yield [one for one in batch if before.isdisjoint(one.tags)]


def _listed(row: rows.Row, seals: Seals) -> Listed:
    """An entry whose tags no key opens is listed without any: it can be found by all else, and forgotten."""
    tags: tuple[str, ...] = ()
    with suppress(Unreadable):
        tags = rows.tags_from(row[6], row[0], seals)
    return Listed._make((*row[:6], tags, row[7]))


def _question(connection: sqlite3.Connection, key: bytes, seals: Seals) -> Question | None:
    row = connection.execute(_QUESTION, (key,)).fetchone()
    return None if row is None else rows.question_from(row, seals)
