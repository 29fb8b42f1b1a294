"""What is wrong with a file, in words that may be logged."""

from __future__ import annotations

import sqlite3

__all__ = ["primary_code", "reason"]


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def reason(error: BaseException) -> str:
    """What SQLite or the system says of an error; of any other its type.

    Those may quote what they choked on: Python's own `sqlite3` errors do so with a text that isn't UTF-8, which a damaged
    question is.
    """
    says = isinstance(error, OSError) or (isinstance(error, sqlite3.Error) and primary_code(error))
    return (str(error) if says else "") or type(error).__name__
