"""Issued keys in the ledger's file: there after a restart, and whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from askonce.ports.keys import IssuedKey
from askonce.stores.ledger import SqliteLedger
from fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

OLD = IssuedKey(b"1" * 32, "acme", 1_000.0, None, "first")
NEW = IssuedKey(b"2" * 32, "acme", 2_000.0, None, "")


def on_disk(path: Path) -> list[IssuedKey]:
    """What is in the file now."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT digest, tenant, created_at, revoked_at, note, ended FROM keys ORDER BY digest"
        )
        return [IssuedKey(*row) for row in rows]


async def test_changes_are_in_the_file_when_they_return(tmp_path: Path) -> None:
    """New keys, revocations, and a successor together with the end of what it replaces; an earlier end stays."""
    ledger = SqliteLedger(tmp_path / "l.db", FakeClock())
    await ledger.start(b"secret")
    keys = ledger.keys
    assert await keys.all() == []
    await keys.add(OLD)
    await keys.add(NEW, instead_of=OLD.digest, until=5_000.0)
    assert on_disk(tmp_path / "l.db") == [OLD._replace(revoked_at=5_000.0), NEW]
    await keys.revoke(OLD.digest, 3_000.0)
    await keys.revoke(OLD.digest, 4_000.0)
    assert on_disk(tmp_path / "l.db")[0].revoked_at == 3_000.0
    assert [key.valid(0.0) for key in await keys.all()] == [False, True]
    await ledger.close()


@pytest.mark.slow
async def test_a_change_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither half of a rotation, nor a transaction that others would wait for, nor another way to write."""
    ledger = SqliteLedger(tmp_path / "l.db", FakeClock())
    await ledger.start(b"secret")
    keys = ledger.keys
    await keys.add(OLD)
    with pytest.raises(OSError, match="can't be used"):
        await keys.add(OLD._replace(note="again"), instead_of=OLD.digest, until=1.0)
    assert await keys.all() == [OLD]
    with closing(sqlite3.connect(tmp_path / "l.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="can't be used"):
            await keys.revoke(OLD.digest, 1.0)
        other.rollback()
    await keys.revoke(OLD.digest, 2.0)
    assert on_disk(tmp_path / "l.db")[0].revoked_at == 2.0
    await ledger.close()
