"""The files around a database: its lock, its write-ahead log, and what becomes of a corrupt one."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["acquire", "delete_aside", "log_bytes", "make_private", "move_aside"]


def acquire(path: Path) -> int:
    """Locks `<path>.lock` for this process; closing the descriptor returned unlocks it.

    Raises BlockingIOError where another process holds it, another OSError where the file can't be made.
    """
    # Never unlinked: a second process could lock a new file while the first still holds the old one.
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise BlockingIOError("another process uses it; give each gateway a file of its own") from error
    return lock


def make_private(path: Path) -> None:
    """Makes a file that isn't there yet, for this user's eyes alone; its logs take its mode over."""
    with suppress(OSError):  # whoever opens it says what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def move_aside(path: Path, now: float) -> Path:
    """Renames a database and its logs to `<path>.corrupt-<Unix time>`; returns that path. Raises OSError."""
    aside = path.with_name(f"{path.name}.corrupt-{int(now)}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside


def delete_aside(path: Path) -> list[str]:
    """Deletes the files that `move_aside` made; returns their names. Raises OSError."""
    found = sorted(path.parent.glob(f"{escape(path.name)}.corrupt-*"))
    for aside in found:
        aside.unlink(missing_ok=True)
    return [aside.name for aside in found]


def log_bytes(path: Path) -> int:
    """Bytes of a database's write-ahead log, 0 where there is none."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0
